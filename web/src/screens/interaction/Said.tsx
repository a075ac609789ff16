import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronRight, Trash2 } from "lucide-react";
import { answer, api, type Feedback, type Interaction, type Preference } from "~/api/client";
import { metricsQuery } from "~/api/queries";
import { shownValue } from "~/screens/interactions/columns";
import { Chip, cx, IconButton, notify } from "~/ui";
import { Time } from "~/ui/values";
import css from "./interaction.module.css";

type SaidProps = { project: string; interaction: Interaction; mayEdit: boolean };

/** What people thought of a completion: each value with why, by whom and when; and what it was preferred to. */
export function Said({ project, interaction, mayEdit }: SaidProps) {
  const { data: metrics = [] } = useQuery(metricsQuery(project));
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: (feedback_id: string) =>
      answer(api.DELETE("/api/v1/feedback/{feedback_id}", { params: { path: { feedback_id } } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["interaction", interaction.completion_id] }),
    onError: (error) => notify(error),
  });
  const number = interaction.feedback.length + interaction.preferences.length;
  return (
    <details open className={cx(css.fold, css.section)}>
      <summary>
        <ChevronRight size={14} aria-hidden />
        Feedback <small>{number || "none yet"}</small>
      </summary>
      <ul className={css.said}>
        {interaction.feedback.map((one) => (
          <FeedbackView
            key={one.feedback_id}
            feedback={one}
            value={shownValue(one.value, metrics.find(({ key }) => key === one.metric))}
            onDelete={mayEdit ? () => remove.mutate(one.feedback_id) : undefined}
          />
        ))}
        {interaction.preferences.map((one) => (
          <PreferenceView
            key={one.comparison_id}
            project={project}
            preference={one}
            completionId={interaction.completion_id}
          />
        ))}
      </ul>
    </details>
  );
}

type FeedbackViewProps = { feedback: Feedback; value: React.ReactNode; onDelete: (() => void) | undefined };

function FeedbackView({ feedback, value, onDelete }: FeedbackViewProps) {
  return (
    <li>
      <span>
        {feedback.metric} <b>{value}</b> {feedback.reason && <Chip>{feedback.reason}</Chip>}
      </span>
      <small>
        {feedback.user ?? feedback.actor} · <Time iso={feedback.created_at} />
        {onDelete && (
          <IconButton small label="Delete this feedback" onClick={onDelete}>
            <Trash2 size={12} aria-hidden />
          </IconButton>
        )}
      </small>
      {feedback.details && <p>{feedback.details}</p>}
    </li>
  );
}

type PreferenceViewProps = { project: string; preference: Preference; completionId: string };

function PreferenceView({ project, preference, completionId }: PreferenceViewProps) {
  const isPreferred = preference.preferred_completion === completionId;
  const other = isPreferred ? preference.other_completion : preference.preferred_completion;
  const said = preference.tied
    ? `${preference.tied === "good" ? "as good" : "as bad"} as`
    : isPreferred
      ? "preferred to"
      : "not preferred to";
  return (
    <li>
      <span>
        {preference.metric}: <b>{said}</b>{" "}
        <Link to="/p/$project/compare" params={{ project }} search={{ left: completionId, right: other }}>
          another completion
        </Link>
        {preference.prompt_mismatch && " of another prompt"}
      </span>
      <small>
        {preference.user ?? preference.actor} · <Time iso={preference.created_at} />
      </small>
      {preference.details && <p>{preference.details}</p>}
    </li>
  );
}
