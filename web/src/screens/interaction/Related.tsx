import { queryOptions, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Columns2, MessagesSquare } from "lucide-react";
import { answer, api, type Filter, type Interaction, type Metric, type Schemas } from "~/api/client";
import { metricsQuery } from "~/api/queries";
import { completionWords } from "~/rules/words";
import { shownValue } from "~/screens/interactions/columns";
import { Chip, css as ui, cx, ErrorNote, Loading } from "~/ui";
import { Time } from "~/ui/values";
import { Fold } from "./Fold";
import css from "./sections.module.css";
import { Title } from "./FeedbackSection";
import { meansOf } from "./words";

const MOST = 200;

const othersQuery = (project: string, filter: Filter, order: "created_at" | "-created_at") =>
  queryOptions({
    queryKey: ["interactions-of", project, filter, order],
    queryFn: async ({ signal }) =>
      (await answer(
        api.POST("/api/v1/interactions/search", { body: { project, filter, order, limit: MOST }, signal }),
      )) as Schemas["InteractionPage"],
    select: (page) => page.interactions,
    staleTime: 30_000,
  });

/** The turns of a session, the newest last. */
export const sessionTurnsQuery = (project: string, session_id: string) =>
  othersQuery(project, { session_id: { eq: session_id } }, "created_at");

type RelatedProps = { project: string; interaction: Interaction };

/** The turns of the session, and other completions of the same prompt; fetched when they are opened. */
export function Related({ project, interaction }: RelatedProps) {
  return (
    <>
      <Fold className={css.section} title={<Title name="Session" />}>
        {() => <Session project={project} interaction={interaction} />}
      </Fold>
      <Fold className={css.section} title={<Title name="Other completions of this prompt" />}>
        {() => <SamePrompt project={project} interaction={interaction} />}
      </Fold>
    </>
  );
}

function Session({ project, interaction }: RelatedProps) {
  const { data: turns, error, refetch } = useQuery(sessionTurnsQuery(project, interaction.session_id));
  if (error && !turns) return <ErrorNote error={error} onRetry={() => refetch()} />;
  if (!turns) return <Loading lines={2} />;
  if (turns.length < 2 && !interaction.session) return <p className={css.none}>It is the only turn of its session.</p>;
  return (
    <>
      <Link
        to="/p/$project/sessions/$sessionId"
        params={{ project, sessionId: interaction.session_id }}
        className={cx(ui.button, ui.small)}
      >
        <MessagesSquare size={13} aria-hidden /> Read the session as one thread
      </Link>
      <ul className={css.turns}>
        {turns.map((one) => (
          <li key={one.completion_id}>
            <Link
              to="/p/$project/interactions/$completionId"
              params={{ project, completionId: one.completion_id }}
              aria-current={one.completion_id === interaction.completion_id ? "true" : undefined}
            >
              <small>
                <Time iso={one.created_at} /> <span>{one.model}</span>
              </small>
              <bdi>{one.prompt.trim() || "no text"}</bdi>
              <bdi className={css.answer}>{completionWords(one).trim() || "no text"}</bdi>
            </Link>
          </li>
        ))}
      </ul>
      {turns.length === MOST && <p className={css.none}>These are its first {MOST} turns.</p>}
    </>
  );
}

function SamePrompt({ project, interaction }: RelatedProps) {
  const filter = { prompt_hash: { eq: interaction.prompt_hash } };
  const { data, error, refetch } = useQuery(othersQuery(project, filter, "-created_at"));
  const { data: metrics = [] } = useQuery(metricsQuery(project, "all"));
  if (error && !data) return <ErrorNote error={error} onRetry={() => refetch()} />;
  if (!data) return <Loading lines={2} />;
  const others = data.filter((one) => one.completion_id !== interaction.completion_id);
  if (!others.length) return <p className={css.none}>No other completion answers this prompt.</p>;
  return (
    <>
      <ul className={css.turns}>
        {others.map((one) => (
          <li key={one.completion_id}>
            <Link
              to="/p/$project/interactions/$completionId"
              params={{ project, completionId: one.completion_id }}
            >
              <small>
                <Time iso={one.created_at} /> <span>{one.model ?? "no model"}</span>
              </small>
              <bdi>{completionWords(one).trim() || "no text"}</bdi>
              <Means interaction={one} metrics={metrics} />
            </Link>
            <Link
              to="/p/$project/compare"
              params={{ project }}
              search={{ left: interaction.completion_id, right: one.completion_id }}
              className={cx(ui.button, ui.plain, ui.small)}
            >
              <Columns2 size={12} aria-hidden /> Compare
            </Link>
          </li>
        ))}
      </ul>
      {data.length === MOST && <p className={css.none}>These are the newest {MOST}.</p>}
    </>
  );
}

function Means({ interaction, metrics }: { interaction: Interaction; metrics: Metric[] }) {
  const means = meansOf(interaction.feedback);
  if (!means.length) return null;
  return (
    <span className={css.means}>
      {means.map(([key, mean, count]) => (
        <Chip key={key} title={`The mean of ${count}`}>
          {key} <b>{shownValue(mean, metrics.find((metric) => metric.key === key))}</b>
        </Chip>
      ))}
    </span>
  );
}
