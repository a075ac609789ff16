import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus, Trash2 } from "lucide-react";
import { answer, api, type Interaction, type Metric, type Schemas } from "~/api/client";
import { metricsQuery } from "~/api/queries";
import { useAct } from "~/api/useAct";
import { shownValue } from "~/screens/interactions/columns";
import { Button, css as ui, IconButton, Popover } from "~/ui";
import { removeLater, useHidden } from "~/ui/removals";
import { Time } from "~/ui/values";
import { ChangePopover } from "./ChangePopover";
import { Fold } from "./Fold";
import { Title } from "./FeedbackSection";
import { OutcomeForm } from "./OutcomeForm";
import css from "./sections.module.css";

type Outcome = Schemas["Outcome"];

/** What shows outcomes, and is stale when one is given, changed or deleted. */
const SHOWING = [["interaction"], ["transcript"], ["sessions"], ["statistics"]];

type OutcomesProps = { project: string; interaction: Interaction; mayEdit: boolean };

/** The outcomes of an interaction's session. */
export function Outcomes({ project, interaction, mayEdit }: OutcomesProps) {
  const hidden = useHidden();
  const outcomes = (interaction.outcomes ?? []).filter(({ outcome_id }) => !hidden.has(outcome_id));
  if (!outcomes.length) return null;
  return (
    <Fold open className={css.section} title={<Title name="Outcomes of the session" count={outcomes.length} />}>
      {() => <OutcomeList project={project} outcomes={outcomes} mayEdit={mayEdit} />}
    </Fold>
  );
}

type OutcomeSectionProps = {
  project: string;
  sessionId: string;
  outcomes: Outcome[];
  mayEdit: boolean;
  mayGive: boolean;
};

/** The outcomes at the foot of a session, and a form to give one. */
export function OutcomeSection({ project, sessionId, outcomes, mayEdit, mayGive }: OutcomeSectionProps) {
  const { data: metrics = [] } = useQuery(metricsQuery(project));
  const hidden = useHidden();
  const shown = outcomes.filter(({ outcome_id }) => !hidden.has(outcome_id));
  const give = useAct(
    (body: { metric: string; value: number; details: string | null }) =>
      answer(api.POST("/api/v1/outcomes", { body: { project, session_id: sessionId, ...body } })),
    { outdated: SHOWING },
  );
  return (
    <section aria-label="Outcome">
      <div className={css.over}>
        <h2>Outcome</h2>
        {mayGive && metrics.length > 0 && (
          <Popover
            label="Give an outcome"
            align="end"
            trigger={
              <Button small>
                <Plus size={13} aria-hidden /> Give an outcome
              </Button>
            }
          >
            {(close) => (
              <OutcomeForm
                metrics={metrics}
                onSave={(body) => {
                  close();
                  give.mutate(body);
                }}
              />
            )}
          </Popover>
        )}
      </div>
      {shown.length ? (
        <OutcomeList project={project} outcomes={shown} mayEdit={mayEdit} />
      ) : (
        <p className={ui.hint}>Nobody has said yet how this session ended.</p>
      )}
    </section>
  );
}

function OutcomeList({ project, outcomes, mayEdit }: { project: string; outcomes: Outcome[]; mayEdit: boolean }) {
  const { data: metrics = [] } = useQuery(metricsQuery(project, "all"));
  return (
    <ul className={css.said}>
      {outcomes.map((outcome) => (
        <OutcomeView
          key={outcome.outcome_id}
          outcome={outcome}
          metric={metrics.find(({ key }) => key === outcome.metric)}
          mayChange={mayEdit || (outcome.mine ?? false)}
        />
      ))}
    </ul>
  );
}

type OutcomeViewProps = { outcome: Outcome; metric: Metric | undefined; mayChange: boolean };

function OutcomeView({ outcome, metric, mayChange }: OutcomeViewProps) {
  const queries = useQueryClient();
  const params = { path: { outcome_id: outcome.outcome_id } };
  const change = useAct(
    ({ value, details }: { value: number; details: string | null }) =>
      answer(api.PATCH("/api/v1/outcomes/{outcome_id}", { params, body: { value, details } })),
    { outdated: SHOWING },
  );
  const remove = () =>
    removeLater(outcome.outcome_id, {
      title: "The outcome is deleted",
      remove: async (keepalive) => {
        await answer(api.DELETE("/api/v1/outcomes/{outcome_id}", { params, keepalive }));
        await Promise.all(SHOWING.map((queryKey) => queries.invalidateQueries({ queryKey })));
      },
    });
  return (
    <li>
      <span className={css.value}>
        {outcome.metric} <b>{shownValue(outcome.value, metric, String)}</b>
      </span>
      {mayChange && (
        <span className={css.acts}>
          {metric && (
            <ChangePopover label="Change this outcome">
              {(close) => (
                <OutcomeForm
                  metrics={[metric]}
                  outcome={outcome}
                  onSave={(body) => {
                    close();
                    change.mutate(body);
                  }}
                />
              )}
            </ChangePopover>
          )}
          <IconButton small label="Delete this outcome" onClick={remove}>
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
  );
}
