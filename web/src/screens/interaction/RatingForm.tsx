import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef, useState } from "react";
import type { Feedback, Interaction, Metric } from "~/api/client";
import { interactionQuery, metricsQuery } from "~/api/queries";
import { shownValue } from "~/screens/interactions/columns";
import { Button, cx, css as ui, Input, Kbd, notify, Textarea } from "~/ui";
import { isHidden, useHidden } from "~/ui/removals";
import { findDraft, useDraft } from "~/ui/useDraft";
import { useKeys } from "~/ui/useKeys";
import { fromLists, useFeedbackChange } from "./useChanges";
import css from "./interaction.module.css";
import { keyedValue, quickValues } from "./words";

type RatingFormProps = {
  project: string;
  completionId: string;
  /** Whether number keys rate. */
  hasKeys?: boolean;
  /** The other keys of the screen, for the hint. */
  otherKeys?: ReactNode;
};

/** The parts of the page in which digits rate: the interaction, and the list beside it. */
const RATES = "[data-rates], [role=grid]";

/**
 * Rate a completion under the registered feedback keys, with a comment. Earlier feedback of the same API key is shown:
 * another click changes it and is not a second vote.
 */
export function RatingForm({ project, completionId, hasKeys = false, otherKeys }: RatingFormProps) {
  const queries = useQueryClient();
  const { data: metrics = [], isPending } = useQuery(metricsQuery(project));
  const query = interactionQuery(completionId);
  // The parent component has already fetched the interaction.
  const { data: whole } = useQuery({ ...query, staleTime: Number.POSITIVE_INFINITY });
  const interaction = whole ?? fromLists(queries, completionId);
  useHidden();
  const feedback = useFeedbackChange(project, completionId);
  const [chosen, setChosen] = useState(0);
  const [draft, setDraft] = useDraft(`comment.${completionId}`);
  const focused = metrics[Math.min(chosen, metrics.length - 1)];
  const given = focused && ownFeedback(interaction, focused.key);

  async function rate(metric: string, value: number, isByKey = false) {
    // Read the current data, not that of the last render: keys may be pressed faster than the page renders.
    const known = queries.getQueryData(query.queryKey) ?? (await queries.ensureQueryData(query));
    const before = ownFeedback(known, metric);
    const comment = findDraft(`comment.${completionId}`)?.trim() || null;
    setDraft(null);
    if (before && before.value === value && !comment) {
      // Only a click withdraws a value. Keys are pressed without looking, so they only give values.
      if (!isByKey) feedback.withdraw(before.feedback_id);
    } else if (before) feedback.change(before.feedback_id, comment ? { value, details: comment } : { value });
    else feedback.give(metric, value, comment);
  }
  /** Attach the typed comment to the given value; without a value, the comment waits for one. */
  function attach() {
    const typed = findDraft(`comment.${completionId}`);
    if (typed === null || !given) return;
    setDraft(null);
    const details = typed.trim() || null;
    if (details !== given.details) feedback.change(given.feedback_id, { details });
  }
  const latestAttach = useRef(attach);
  latestAttach.current = attach;
  // If another row is opened while someone types, React sends no blur event.
  useEffect(() => () => latestAttach.current(), []);

  const byKey = (key: number) => () => {
    const value = focused ? keyedValue(focused, key) : null;
    if (focused && value !== null) void rate(focused.key, value, true).catch(notify);
  };
  useKeys(hasKeys ? Object.fromEntries(Array.from({ length: 10 }, (_, key) => [String(key), byKey(key)])) : {}, {
    within: RATES,
  });
  useKeys(hasKeys ? { m: () => setChosen((chosen + 1) % Math.max(1, metrics.length)) } : {});
  if (isPending) return null;
  if (!focused) {
    return (
      <p className={ui.hint}>
        Nothing to rate by yet:{" "}
        <Link to="/p/$project/metrics" params={{ project }}>
          register a feedback key
        </Link>
        .
      </p>
    );
  }
  return (
    <section className={css.rating} aria-label="Rate">
      <div className={css.metrics}>
        {metrics.map((metric, index) => (
          <MetricRow
            key={metric.key}
            metric={metric}
            given={ownFeedback(interaction, metric.key)?.value}
            isFocused={hasKeys && metric === focused}
            onFocus={() => setChosen(index)}
            onRate={(value) => void rate(metric.key, value).catch(notify)}
          />
        ))}
      </div>
      <Textarea
        aria-label="Comment"
        placeholder={
          given ? `Comment on ${focused.name} (optional)` : "Comment (optional): goes along with the value that you choose"
        }
        rows={1}
        className={css.details}
        value={draft ?? given?.details ?? ""}
        onChange={(event) => setDraft(event.target.value)}
        onBlur={(event) => {
          // A click on a value of the same key sends value and comment together.
          const row = event.relatedTarget?.closest<HTMLElement>("[data-metric]");
          if (row?.dataset.metric !== focused.key) attach();
        }}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing || event.shiftKey || !["Enter", "Escape"].includes(event.key)) return;
          event.preventDefault();
          event.stopPropagation();
          attach();
          event.currentTarget.blur();
        }}
      />
      {draft !== null && (
        <p className={ui.hint} role="status">
          {given ? `Enter attaches it to ${focused.name}.` : "It is kept here until you choose a value."}
        </p>
      )}
      {hasKeys && <KeysHint metric={focused} isOnly={metrics.length === 1} otherKeys={otherKeys} />}
    </section>
  );
}

type KeysHintProps = { metric: Metric; isOnly: boolean; otherKeys: ReactNode };

function KeysHint({ metric, isOnly, otherKeys }: KeysHintProps) {
  return (
    <p className={cx(ui.hint, css.keys)}>
      {metric.kind === "bool" ? (
        <>
          <Kbd>1</Kbd> yes <Kbd>0</Kbd> no
        </>
      ) : (
        <>
          <Kbd>1</Kbd>–<Kbd>9</Kbd> rate
        </>
      )}
      {!isOnly && (
        <>
          {" "}
          <Kbd>m</Kbd> next key
        </>
      )}{" "}
      {otherKeys} <Kbd>j</Kbd> <Kbd>k</Kbd> step
    </p>
  );
}

/** Return the newest own feedback under a key, without feedback on behalf of an end user. */
function ownFeedback(interaction: Interaction | undefined, metric: string): Feedback | undefined {
  return interaction?.feedback.find(
    (one) => one.metric === metric && one.mine && one.user === null && !isHidden(one.feedback_id),
  );
}

type MetricRowProps = {
  metric: Metric;
  given: number | undefined;
  isFocused: boolean;
  onFocus: () => void;
  onRate: (value: number) => void;
};

function MetricRow({ metric, given, isFocused, onFocus, onRate }: MetricRowProps) {
  const [typed, setTyped] = useState("");
  const quick = quickValues(metric);
  const choice = (value: number, name: string, shown: ReactNode) => (
    <Button
      key={value}
      small
      aria-pressed={given === value}
      aria-label={`${metric.name}: ${name}`}
      // Ignore the second click of a double click.
      onClick={(event) => event.detail < 2 && onRate(value)}
    >
      {shown}
    </Button>
  );
  return (
    <div
      className={css.metric}
      data-focused={isFocused}
      data-metric={metric.key}
      role="group"
      aria-label={metric.name}
      title={metric.description || undefined}
      onFocus={onFocus}
    >
      <span>{metric.name}</span>
      {metric.kind === "bool" ? (
        <>
          {choice(1, "yes", shownValue(1, metric))}
          {choice(0, "no", shownValue(0, metric))}
        </>
      ) : (
        <>
          {quick.map((value) => choice(value, String(value), value))}
          <form
            onSubmit={(event) => {
              event.preventDefault();
              if (typed !== "" && Number.isFinite(Number(typed))) onRate(Number(typed));
              setTyped("");
            }}
          >
            <Input
              type="number"
              step="any"
              aria-label={`${metric.name}: ${quick.length ? "another value" : "value"}`}
              placeholder={given !== undefined && !quick.includes(given) ? String(given) : metric.unit || (quick.length ? "other" : "value")}
              data-given={given !== undefined && !quick.includes(given)}
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
          </form>
        </>
      )}
    </div>
  );
}
