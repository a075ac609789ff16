import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Columns2, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { answer, api, type Feedback, type Interaction, type Metric, type Preference, type Schemas } from "~/api/client";
import { metricsQuery } from "~/api/queries";
import { completionWords } from "~/rules/words";
import { shownValue } from "~/screens/interactions/columns";
import { Button, Chip, cx, Empty, IconButton, Input, css as ui, Textarea } from "~/ui";
import { Time } from "~/ui/values";
import { useHidden } from "~/ui/removals";
import { useDraft } from "~/ui/useDraft";
import { ChangePopover } from "./ChangePopover";
import { removePreference, useFeedbackChange } from "./useChanges";
import { Fold } from "./Fold";
import css from "./sections.module.css";
import { isNumber, ValueInput } from "./ValueInput";
import { preferredOver } from "./words";

type FeedbackSectionProps = { project: string; interaction: Interaction; mayEdit: boolean };

/** The feedback on a completion: each value with its reason, giver and time; and its preferences. */
export function FeedbackSection({ project, interaction, mayEdit }: FeedbackSectionProps) {
  const { data: metrics = [] } = useQuery(metricsQuery(project, "all"));
  const change = useFeedbackChange(project, interaction.completion_id);
  const hidden = useHidden();
  const feedback = interaction.feedback.filter(({ feedback_id }) => !hidden.has(feedback_id));
  const preferences = interaction.preferences.filter(({ comparison_id }) => !hidden.has(comparison_id));
  return (
    <>
      <Fold open className={css.section} title={<Title name="Feedback" count={feedback.length} />}>
        {() =>
          feedback.length ? (
            <ul className={css.said}>
              {feedback.map((one) => (
                <FeedbackView
                  key={one.feedback_id}
                  feedback={one}
                  metric={metrics.find(({ key }) => key === one.metric)}
                  onChange={mayEdit || one.mine ? (body) => change.change(one.feedback_id, body) : undefined}
                  onDelete={mayEdit || one.mine ? () => change.withdraw(one.feedback_id) : undefined}
                />
              ))}
            </ul>
          ) : (
            <p className={css.none}>Nobody has rated this completion yet.</p>
          )
        }
      </Fold>
      {preferences.length > 0 && (
        <Fold open className={css.section} title={<Title name="Preferences" count={preferences.length} />}>
          {() => <Preferences project={project} interaction={{ ...interaction, preferences }} mayEdit={mayEdit} />}
        </Fold>
      )}
    </>
  );
}

/** The title of a section, with its number of items. */
export function Title({ name, count }: { name: string; count?: number | undefined }) {
  return (
    <h3>
      {name} {count !== undefined && count > 0 && <small>{count}</small>}
    </h3>
  );
}

type FeedbackViewProps = {
  feedback: Feedback;
  metric: Metric | undefined;
  onChange: ((body: { value: number; details: string | null; reason: string | null }) => void) | undefined;
  onDelete: (() => void) | undefined;
};

function FeedbackView({ feedback, metric, onChange, onDelete }: FeedbackViewProps) {
  return (
    <li>
      <span className={css.value}>
        {feedback.metric} <b>{shownValue(feedback.value, metric, String)}</b>
        {feedback.reason && <Chip>{feedback.reason}</Chip>}
      </span>
      <span className={css.acts}>
        {onChange && (
          <ChangePopover label="Change this feedback">
            {(close) => (
              <FeedbackForm
                feedback={feedback}
                isBool={metric?.kind === "bool"}
                onSave={(body) => {
                  close();
                  onChange(body);
                }}
              />
            )}
          </ChangePopover>
        )}
        {onDelete && (
          <IconButton small label="Delete this feedback" onClick={onDelete}>
            <Trash2 size={12} aria-hidden />
          </IconButton>
        )}
      </span>
      {feedback.details && <p dir="auto">{feedback.details}</p>}
      <ByWhom one={feedback} />
    </li>
  );
}

/** The giver of a feedback. Feedback of an end user came through a key, so both are named. */
function ByWhom({ one }: { one: Feedback | Preference }) {
  return (
    <small>
      {one.user ? (
        <>
          <bdi>{one.user}</bdi>, through {one.actor}
        </>
      ) : (
        one.actor
      )}{" "}
      · <Time iso={one.created_at} />
    </small>
  );
}

type FeedbackFormProps = {
  feedback: Feedback;
  isBool: boolean;
  onSave: (body: { value: number; details: string | null; reason: string | null }) => void;
};

function FeedbackForm({ feedback, isBool, onSave }: FeedbackFormProps) {
  const [value, setValue] = useState(String(feedback.value));
  // The draft is kept when a click outside closes the form.
  const [draft, setDraft] = useDraft(`details.${feedback.feedback_id}`);
  const details = draft ?? feedback.details ?? "";
  const [reason, setReason] = useState(feedback.reason ?? "");
  function submit(event: FormEvent) {
    event.preventDefault();
    if (!isNumber(value)) return;
    setDraft(null);
    onSave({ value: Number(value), details: details.trim() || null, reason: reason.trim() || null });
  }
  return (
    <form onSubmit={submit} className={css.form}>
      <ValueInput isBool={isBool} value={value} onChange={setValue} />
      <Input aria-label="Reason" placeholder="Reason, in a word" value={reason} onChange={(event) => setReason(event.target.value)} />
      <Textarea
        aria-label="Details"
        placeholder="Details"
        rows={3}
        value={details}
        onChange={(event) => setDraft(event.target.value)}
      />
      <Button look="primary" type="submit" disabled={!isNumber(value)}>
        Change
      </Button>
    </form>
  );
}

/** The preferences of a completion. The other completions are fetched in one call. */
function Preferences({ project, interaction, mayEdit }: FeedbackSectionProps) {
  const queries = useQueryClient();
  const id = interaction.completion_id;
  const ids = [...new Set(interaction.preferences.map((one) => preferredOver(one, id).other))].sort().slice(0, 200);
  const { data: others } = useQuery({
    queryKey: ["interactions-of", project, ids],
    queryFn: async ({ signal }) =>
      (await answer(
        api.POST("/api/v1/interactions/search", {
          body: { project, filter: { completion_id: { in: ids } }, limit: 200 },
          signal,
        }),
      )) as Schemas["InteractionPage"],
    select: (page) => new Map(page.interactions.map((one) => [one.completion_id, one])),
    staleTime: 60_000,
  });
  return (
    <ul className={css.said}>
      {interaction.preferences.map((one) => (
        <PreferenceView
          key={one.comparison_id}
          project={project}
          preference={one}
          completionId={id}
          others={others}
          onDelete={
            mayEdit || one.mine
              ? () => removePreference(one.comparison_id, () => queries.invalidateQueries({ queryKey: ["interaction"] }))
              : undefined
          }
        />
      ))}
    </ul>
  );
}

type PreferenceViewProps = {
  project: string;
  preference: Preference;
  completionId: string;
  others: Map<string, Interaction> | undefined;
  onDelete: (() => void) | undefined;
};

function PreferenceView({ project, preference, completionId, others, onDelete }: PreferenceViewProps) {
  const { text, tone, other: otherId } = preferredOver(preference, completionId);
  const other = others?.get(otherId);
  return (
    <li>
      <span className={css.value}>
        {preference.metric} <Chip tone={tone}>{text}</Chip>
      </span>
      <Link
        to="/p/$project/compare"
        params={{ project }}
        search={{ left: completionId, right: otherId }}
        className={cx(ui.button, ui.plain, ui.small)}
      >
        <Columns2 size={12} aria-hidden /> Compare
      </Link>
      {onDelete && (
        <span className={css.acts}>
          <IconButton small label="Delete this preference" onClick={onDelete}>
            <Trash2 size={12} aria-hidden />
          </IconButton>
        </span>
      )}
      <p>
        <Link to="/p/$project/interactions/$completionId" params={{ project, completionId: otherId }}>
          {other?.model ?? "another completion"}
        </Link>{" "}
        {other && <bdi className={css.short}>{completionWords(other).trim() || "no text"}</bdi>}
        {others && !other && <span className={css.none}>, which was deleted or lies in another project</span>}
      </p>
      {preference.prompt_mismatch && (
        <p className={css.none}>The two do not answer the same messages: they are compared all the same.</p>
      )}
      {preference.details && <p dir="auto">{preference.details}</p>}
      <ByWhom one={preference} />
    </li>
  );
}

/** A placeholder for an interaction that does not exist. */
export function Missing({ children }: { children: React.ReactNode }) {
  return (
    <Empty title="This interaction is not here">
      <p>It was deleted, or the key that you signed in with may not see it.</p>
      {children}
    </Empty>
  );
}
