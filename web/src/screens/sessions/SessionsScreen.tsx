import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { MessagesSquare } from "lucide-react";
import { useEffect, useMemo } from "react";
import type { Metric } from "~/api/client";
import { metricsQuery } from "~/api/queries";
import { FilterBar } from "~/filter/FilterBar";
import { readFilter } from "~/rules/language";
import { shownValue } from "~/screens/interactions/columns";
import { Button, Chip, css as ui, cx, Empty, ErrorNote, Loading, Page } from "~/ui";
import { count, counted, inShort, Time } from "~/ui/values";
import { nameOf, type SessionSummary, sessionsQuery } from "./queries";
import css from "./sessions.module.css";

/** The sessions of a project, the newest activity first. */
export function SessionsScreen() {
  const { project } = useParams({ from: "/inside/p/$project/sessions" });
  const { all, q = "" } = useSearch({ from: "/inside/p/$project/sessions" });
  const navigate = useNavigate({ from: "/p/$project/sessions" });
  const { data: metrics = [] } = useQuery(metricsQuery(project, "all"));
  const filter = useMemo(() => readFilter(q), [q]);
  const list = useInfiniteQuery({ ...sessionsQuery(project, filter, all ? 1 : 2), placeholderData: keepPreviousData });
  const change = (next: Record<string, string | undefined>) =>
    navigate({ search: (before) => ({ ...before, ...next }), replace: true });
  const { data, error, hasNextPage, isFetchingNextPage, fetchNextPage, refetch } = list;
  const sessions = data?.pages.flatMap((page) => page.sessions) ?? [];
  // A page of the server may be short where few of many interactions are in sessions of several turns.
  const isShort = data !== undefined && sessions.length === 0 && hasNextPage;
  useEffect(() => {
    if (isShort && !isFetchingNextPage && !error) void fetchNextPage();
  }, [isShort, isFetchingNextPage, error, fetchNextPage]);
  return (
    <Page
      title="Sessions"
      about="Conversations and runs of agents: the interactions that share a session."
      actions={
        <label className={css.all}>
          <input
            type="checkbox"
            checked={all === "1"}
            onChange={(event) => change({ all: event.target.checked ? "1" : undefined })}
          />
          Single interactions, too
        </label>
      }
    >
      <FilterBar project={project} value={q} onChange={(next) => change({ q: next || undefined })} />
      {error && <ErrorNote error={error} onRetry={() => refetch()} />}
      {(!data || isShort) && !error && <Loading lines={8} />}
      {data && !sessions.length && !hasNextPage && q && (
        <Empty title="No session fits" icon={<MessagesSquare size={22} aria-hidden />}>
          <p>A session is listed if one of its interactions matches the filter.</p>
        </Empty>
      )}
      {data && !sessions.length && !hasNextPage && !q && (
        <Empty title="No session of several turns yet" icon={<MessagesSquare size={22} aria-hidden />}>
          <p>Interactions that are logged or called with the same session_id make a session.</p>
        </Empty>
      )}
      {sessions.length > 0 && <SessionTable project={project} sessions={sessions} metrics={metrics} />}
      {sessions.length > 0 && hasNextPage && (
        <Button className={css.more} disabled={isFetchingNextPage} onClick={() => fetchNextPage()}>
          {isFetchingNextPage ? "Loading…" : "Show more"}
        </Button>
      )}
    </Page>
  );
}

type SessionTableProps = { project: string; sessions: SessionSummary[]; metrics: Metric[] };

function SessionTable({ project, sessions, metrics }: SessionTableProps) {
  return (
    <table className={cx(ui.table, ui.cards, css.table)}>
      <thead>
        <tr>
          <th>Session</th>
          <th className={ui.number}>Turns</th>
          <th>Newest activity</th>
          <th>Outcome</th>
          <th className={ui.number}>Tokens</th>
          <th>Models</th>
          <th>Users</th>
        </tr>
      </thead>
      <tbody>
        {sessions.map((session) => (
          <tr key={session.session_id}>
            <td className={css.name}>
              <Link
                to="/p/$project/sessions/$sessionId"
                params={{ project, sessionId: session.session_id }}
                title={session.session ?? session.session_id}
              >
                <bdi>{nameOf(session)}</bdi>
              </Link>
            </td>
            <td className={ui.number} data-name="Turns">
              {count(session.turn_count - session.step_count)}
              {session.step_count > 0 && <small className={ui.hint}> + {counted(session.step_count, "step")}</small>}
              {session.failed_turn_count > 0 && <Chip tone="bad">{count(session.failed_turn_count)} failed</Chip>}
            </td>
            <td data-name="Newest">
              <Time iso={session.last_activity} />
            </td>
            <td>
              <OutcomeChips session={session} metrics={metrics} />
            </td>
            <td className={ui.number} data-name="Tokens">
              {session.total_tokens ? inShort(session.total_tokens) : "–"}
            </td>
            <td className={css.names}>{session.models.join(", ")}</td>
            <td className={css.names}>{session.users.join(", ")}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function OutcomeChips({ session, metrics }: { session: SessionSummary; metrics: Metric[] }) {
  if (!session.outcomes.length) return null;
  return (
    <span className={css.chips}>
      {session.outcomes.map(({ outcome_id, metric, value }) => (
        <Chip key={outcome_id}>
          {metric}{" "}
          <b>
            {shownValue(
              value,
              metrics.find(({ key }) => key === metric),
            )}
          </b>
        </Chip>
      ))}
    </span>
  );
}
