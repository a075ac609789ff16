import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Trash2 } from "lucide-react";
import { useMemo, useState } from "react";
import { completionMessage } from "~/rules/parts";
import { turnTree } from "~/rules/steps";
import { threaded } from "~/rules/toolCalls";
import { answer, api, ApiError } from "~/api/client";
import { useAct } from "~/api/useAct";
import { OutcomeSection } from "~/screens/interaction/Outcomes";
import { preloadMarkdown } from "~/screens/interaction/Markdown";
import { useMay } from "~/shell/useMay";
import { Button, Confirm, CopyButton, css as ui, Empty, ErrorNote, IconButton, Loading } from "~/ui";
import { useKeys } from "~/ui/useKeys";
import { count, counted, shownTime, Time } from "~/ui/values";
import { nameOf, type SessionSummary, type SessionTurn, transcriptQuery } from "./queries";
import css from "./sessions.module.css";
import { Turn } from "./Turn";

preloadMarkdown();

/** A session as one thread: its turns in order, nothing that was sent again shown twice, and its outcome. */
export function SessionScreen() {
  const { project, sessionId } = useParams({ from: "/inside/p/$project/sessions/$sessionId" });
  const may = useMay();
  const { data, error, hasNextPage, isFetchingNextPage, fetchNextPage, refetch } = useInfiniteQuery(
    transcriptQuery(project, sessionId),
  );
  const session = data?.pages[0];
  if (error instanceof ApiError && error.status === 404) {
    return (
      <main className={ui.page}>
        <Empty title="There is no such session">
          <p>All of it may have been deleted.</p>
          <Link to="/p/$project/sessions" params={{ project }} className={ui.button}>
            All sessions
          </Link>
        </Empty>
      </main>
    );
  }
  if (!session) {
    return (
      <main className={ui.page}>
        <h1 className={css.loading}>Session</h1>
        {error ? <ErrorNote error={error} onRetry={() => refetch()} /> : <Loading lines={9} />}
      </main>
    );
  }
  return (
    <main className={css.thread} data-rates>
      <SessionHead project={project} session={session} mayEdit={may("edit")} />
      <Turns project={project} pages={data.pages} mayEdit={may("edit")} mayRate={may("write")} />
      {error && <ErrorNote error={error} onRetry={() => refetch()} />}
      {hasNextPage && (
        <Button className={css.more} disabled={isFetchingNextPage} onClick={() => fetchNextPage()}>
          {isFetchingNextPage ? "Loading…" : `Show more of the ${count(session.turn_count)} turns`}
        </Button>
      )}
      <footer className={css.foot}>
        <OutcomeSection
          project={project}
          sessionId={session.session_id}
          outcomes={session.outcomes}
          mayEdit={may("edit")}
          mayGive={may("write")}
        />
      </footer>
    </main>
  );
}

const NO_MESSAGES = { messages: [], results: [] };

type TurnsProps = { project: string; pages: { turns: SessionTurn[] }[]; mayEdit: boolean; mayRate: boolean };

/** The turns as a tree, whose steps can be folded. Keys move from turn to turn, and rate the one that they are at. */
function Turns({ project, pages, mayEdit, mayRate }: TurnsProps) {
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const [current, setCurrent] = useState<string | null>(null);
  const turns = useMemo(() => pages.flatMap((page) => page.turns), [pages]);
  const tree = turnTree(turns);
  const thread = useMemo(
    () => threaded(turns.map((turn) => ({ ...turn, answer: completionMessage(turn) }))),
    [turns],
  );
  // A step that comes before its parent, on a page that is not shown yet, stands by itself, but is no turn.
  const firsts = tree.filter(({ turn, above }) => !above.length && turn.parent_page !== "later");
  const numbers = new Map(firsts.map(({ turn }, index) => [turn, index + 1]));
  const shown = tree.filter(({ above }) => !above.some((id) => folded.has(id)));
  const step = (by: 1 | -1) => () => {
    const from = shown.findIndex(({ turn }) => turn.completion_id === current);
    const to = shown[from < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, from + by))];
    if (to) setCurrent(to.turn.completion_id);
  };
  useKeys({ j: step(1), ArrowDown: step(1), k: step(-1), ArrowUp: step(-1) });
  function fold(id: string) {
    const after = new Set(folded);
    if (!after.delete(id)) after.add(id);
    setFolded(after);
  }
  return (
    <ol className={css.turns} aria-label="Turns">
      {shown.map(({ turn, above, stepCount }) => (
        <Turn
          key={turn.completion_id}
          project={project}
          turn={turn}
          {...(thread.get(turn.completion_id) ?? NO_MESSAGES)}
          number={numbers.get(turn)}
          depth={above.length}
          stepCount={stepCount}
          isFolded={folded.has(turn.completion_id)}
          onFold={() => fold(turn.completion_id)}
          isCurrent={turn.completion_id === current}
          mayEdit={mayEdit}
          mayRate={mayRate}
        />
      ))}
    </ol>
  );
}

type SessionHeadProps = { project: string; session: SessionSummary; mayEdit: boolean };

function SessionHead({ project, session, mayEdit }: SessionHeadProps) {
  const navigate = useNavigate();
  const [isDeleting, setDeleting] = useState(false);
  const remove = useAct(
    () =>
      answer(
        api.DELETE("/api/v1/sessions/{session_id}", {
          params: { path: { session_id: session.session_id }, query: { project } },
        }),
      ),
    {
      done: "The session is deleted",
      outdated: [["sessions", project], ["interactions"], ["interactions-count"]],
      onDone: () => void navigate({ to: "/p/$project/sessions", params: { project } }),
    },
  );
  return (
    <header className={css.head}>
      <div className={css.title}>
        <h1>
          <bdi>{nameOf(session)}</bdi>
        </h1>
        <CopyButton label="Copy the id of the session" text={() => session.session_id} />
        {mayEdit && (
          <IconButton label="Delete this session" onClick={() => setDeleting(true)}>
            <Trash2 size={15} aria-hidden />
          </IconButton>
        )}
      </div>
      <p className={css.facts}>
        <span>{counted(session.turn_count - session.step_count, "turn")}</span>
        {session.step_count > 0 && <span>{counted(session.step_count, "step")}</span>}
        {session.failed_turn_count > 0 && <span>{count(session.failed_turn_count)} failed</span>}
        <span>
          <Time iso={session.first_activity} />
          {shownTime(session.first_activity) !== shownTime(session.last_activity) && (
            <>
              {" "}
              to <Time iso={session.last_activity} />
            </>
          )}
        </span>
        {session.total_tokens > 0 && <span>{counted(session.total_tokens, "token")}</span>}
        {session.models.length > 0 && <span>{session.models.join(", ")}</span>}
        {session.users.length > 0 && <bdi>{session.users.join(", ")}</bdi>}
      </p>
      <Confirm
        title="Delete this session?"
        what={`${counted(session.turn_count, "interaction")} with their feedback, and the outcomes of the session, are deleted for good.`}
        act="Delete"
        open={isDeleting}
        onClose={() => setDeleting(false)}
        onConfirm={() => remove.mutate(undefined)}
      />
    </header>
  );
}
