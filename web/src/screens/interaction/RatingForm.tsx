import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import type { Metric } from "~/api/client";
import { interactionQuery, metricsQuery } from "~/api/queries";
import { shownValue } from "~/screens/interactions/columns";
import { Button, cx, css as ui, Input, Kbd, Textarea } from "~/ui";
import { useKeys } from "~/ui/useKeys";
import { useFeedbackChange, useMay } from "./changes";
import css from "./interaction.module.css";
import { keyedValue, quickValues } from "./words";

type RatingFormProps = {
  project: string;
  completionId: string;
  /** Whether number keys rate. */
  hasKeys?: boolean;
};

/** What one has given in this visit, so that another click changes it and is not a second vote. */
type Given = Record<string, { feedback_id: string; value: number }>;

/** Rate a completion under the registered feedback keys, with a word on why. */
export function RatingForm({ project, completionId, hasKeys = false }: RatingFormProps) {
  const queries = useQueryClient();
  const { data: metrics = [], isPending } = useQuery(metricsQuery(project));
  const givenKey = ["given", completionId];
  const { data: kept } = useQuery<Given>({ queryKey: givenKey, queryFn: () => ({}), initialData: {}, staleTime: Infinity });
  // What the server refused, or someone deleted, was not given. Nothing is asked for here: who shows it, has it.
  const { data: interaction } = useQuery({ ...interactionQuery(completionId), enabled: false });
  const isThere = (id: string) => interaction?.feedback.some(({ feedback_id }) => feedback_id === id) ?? true;
  const given = Object.fromEntries(Object.entries(kept).filter(([, { feedback_id }]) => isThere(feedback_id)));
  const feedback = useFeedbackChange(project, completionId);
  const mayEdit = useMay()("edit");
  const [chosen, setChosen] = useState(0);
  const [details, setDetails] = useState("");
  const focused = metrics[Math.min(chosen, metrics.length - 1)];

  function rate(metric: string, value: number) {
    const before = mayEdit ? given[metric] : undefined;
    const why = details.trim() || null;
    const { [metric]: _, ...others } = given;
    setDetails("");
    if (before && before.value === value && !why) {
      feedback.withdraw(before.feedback_id);
      queries.setQueryData<Given>(givenKey, others);
      return;
    }
    if (before) feedback.change(before.feedback_id, why ? { value, details: why } : { value });
    const feedback_id = before?.feedback_id ?? feedback.give(metric, value, why);
    queries.setQueryData<Given>(givenKey, { ...others, [metric]: { feedback_id, value } });
  }

  const byKey = (key: number) => () => {
    const value = focused ? keyedValue(focused, key) : null;
    // A key gives a value, and never takes one back: it is pressed without looking.
    if (focused && value !== null && (given[focused.key]?.value !== value || details.trim())) rate(focused.key, value);
  };
  useKeys(
    hasKeys
      ? {
          ...Object.fromEntries(Array.from({ length: 10 }, (_, key) => [String(key), byKey(key)])),
          m: () => setChosen((chosen + 1) % Math.max(1, metrics.length)),
        }
      : {},
  );
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
            given={given[metric.key]?.value}
            isFocused={hasKeys && metric === focused}
            onFocus={() => setChosen(index)}
            onRate={(value) => rate(metric.key, value)}
          />
        ))}
      </div>
      <Textarea
        aria-label="Details"
        placeholder="Why? Goes along with the value that you choose."
        rows={1}
        className={css.details}
        value={details}
        onChange={(event) => setDetails(event.target.value)}
      />
      {hasKeys && (
        <p className={cx(ui.hint, css.keys)}>
          {focused.kind === "bool" ? (
            <>
              <Kbd>1</Kbd> yes <Kbd>0</Kbd> no
            </>
          ) : (
            <>
              <Kbd>1</Kbd>–<Kbd>9</Kbd> rate
            </>
          )}
          {metrics.length > 1 && (
            <>
              {" "}
              <Kbd>m</Kbd> next key
            </>
          )}{" "}
          <Kbd>l</Kbd> label <Kbd>c</Kbd> compare <Kbd>j</Kbd> <Kbd>k</Kbd> step
        </p>
      )}
    </section>
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
      onClick={() => onRate(value)}
    >
      {shown}
    </Button>
  );
  return (
    <div
      className={css.metric}
      data-focused={isFocused}
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
