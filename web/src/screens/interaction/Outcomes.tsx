import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Trash2 } from "lucide-react";
import { answer, api, type Interaction } from "~/api/client";
import { interactionQuery, metricsQuery } from "~/api/queries";
import { shownValue } from "~/screens/interactions/columns";
import { IconButton } from "~/ui";
import { removeLater, useHidden } from "~/ui/removals";
import { Time } from "~/ui/values";
import { Fold } from "./Fold";
import { Title } from "./FeedbackSection";
import css from "./sections.module.css";

type OutcomesProps = { project: string; interaction: Interaction; mayEdit: boolean };

/** The outcomes of an interaction's session. */
export function Outcomes({ project, interaction, mayEdit }: OutcomesProps) {
  const { data: metrics = [] } = useQuery(metricsQuery(project, "all"));
  const queries = useQueryClient();
  const hidden = useHidden();
  const remove = (outcome_id: string) =>
    removeLater(outcome_id, {
      title: "The outcome is deleted",
      remove: async (keepalive) => {
        await answer(api.DELETE("/api/v1/outcomes/{outcome_id}", { params: { path: { outcome_id } }, keepalive }));
        await queries.invalidateQueries({ queryKey: interactionQuery(interaction.completion_id).queryKey });
      },
    });
  const outcomes = (interaction.outcomes ?? []).filter(({ outcome_id }) => !hidden.has(outcome_id));
  if (!outcomes.length) return null;
  return (
    <Fold open className={css.section} title={<Title name="Outcomes of the session" count={outcomes.length} />}>
      {() => (
        <ul className={css.said}>
          {outcomes.map((outcome) => (
            <li key={outcome.outcome_id}>
              <span className={css.value}>
                {outcome.metric}{" "}
                <b>
                  {shownValue(
                    outcome.value,
                    metrics.find(({ key }) => key === outcome.metric),
                    String,
                  )}
                </b>
              </span>
              {(mayEdit || outcome.mine) && (
                <span className={css.acts}>
                  <IconButton small label="Delete this outcome" onClick={() => remove(outcome.outcome_id)}>
                    <Trash2 size={12} aria-hidden />
                  </IconButton>
                </span>
              )}
              {outcome.details && <p dir="auto">{outcome.details}</p>}
              <small>
                {outcome.user && <bdi>{outcome.user}, through </bdi>}
                {outcome.actor} · <Time iso={outcome.created_at} />
              </small>
            </li>
          ))}
        </ul>
      )}
    </Fold>
  );
}
