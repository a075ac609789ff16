import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronDown, ChevronRight } from "lucide-react";
import { type CSSProperties, useEffect, useMemo, useRef } from "react";
import type { Message } from "~/api/client";
import { interactionQuery, metricsQuery } from "~/api/queries";
import { Conversation } from "~/screens/interaction/Conversation";
import { FeedbackSection } from "~/screens/interaction/FeedbackSection";
import { Fold } from "~/screens/interaction/Fold";
import { RatingForm } from "~/screens/interaction/RatingForm";
import { errorOf } from "~/screens/interaction/words";
import { shownValue } from "~/screens/interactions/columns";
import { completionMessage } from "~/rules/parts";
import { Button, Chip, css as ui, cx, ErrorNote, Loading } from "~/ui";
import { counted, shownTime } from "~/ui/values";
import { useHidden } from "~/ui/removals";
import type { SessionTurn } from "./queries";
import css from "./sessions.module.css";

type TurnProps = {
  project: string;
  turn: SessionTurn;
  /** The messages that are new, without the results that stand at earlier completions. */
  messages: Message[];
  /** The results of the tools that the completion calls. */
  results: (Message | null)[];
  /** Its place among the turns; a step has none. */
  number: number | undefined;
  depth: number;
  stepCount: number;
  isFolded: boolean;
  onFold: () => void;
  /** Whether keys rate it. */
  isCurrent: boolean;
  mayEdit: boolean;
  mayRate: boolean;
};

/** A turn of a session: the messages that are new, the completion, and how it was rated. */
export function Turn(props: TurnProps) {
  const { project, turn, depth, isCurrent, mayEdit, mayRate } = props;
  const item = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (isCurrent) item.current?.focus();
  }, [isCurrent]);
  const { message, completion, state, finish_reason, error } = turn;
  const completed = useMemo(() => completionMessage({ message, completion }), [message, completion]);
  const failure = errorOf({ state, finish_reason, error, request_id: null });
  return (
    <li
      ref={item}
      className={cx(css.turn, depth > 0 && css.step)}
      tabIndex={-1}
      aria-label={props.number ? `Turn ${props.number}` : `Step ${turn.step ?? ""}`.trim()}
      aria-current={isCurrent ? "true" : undefined}
      style={{ "--depth": depth } as CSSProperties}
    >
      <TurnHead {...props} />
      {turn.expired ? (
        <p className={ui.note} role="note">
          What was said here was deleted, as this project keeps texts for a limited time.
        </p>
      ) : (
        <Conversation messages={props.messages} completion={completed} results={props.results}>
          {failure && (
            <p className={cx(ui.note, ui.error)} role="note">
              <strong>The call failed.</strong> {failure}
            </p>
          )}
        </Conversation>
      )}
      <Fold className={css.rate} shows={isCurrent && mayRate} title={<RatingTitle project={project} turn={turn} />}>
        {() => <Rating project={project} completionId={turn.completion_id} mayEdit={mayEdit} hasKeys={isCurrent && mayRate} />}
      </Fold>
    </li>
  );
}

function TurnHead({ project, turn, number, depth, stepCount, isFolded, onFold }: TurnProps) {
  const { state } = turn;
  const Chevron = isFolded ? ChevronRight : ChevronDown;
  return (
    <header>
      <Link
        to="/p/$project/interactions/$completionId"
        params={{ project, completionId: turn.completion_id }}
        title="Show this interaction"
      >
        {number && `${number} · `}
        <time dateTime={turn.created_at}>{shownTime(turn.created_at)}</time>
      </Link>
      {turn.step && (
        <b>
          <bdi>{turn.step}</bdi>
        </b>
      )}
      {turn.model && <span>{turn.model}</span>}
      {state !== "complete" && <Chip tone={state === "open" ? "blue" : "bad"}>{state}</Chip>}
      {turn.resent_count > 0 && !turn.messages.length && (
        <span title="It answers the same messages as the turn before.">the same messages again</span>
      )}
      {depth === 0 && turn.parent && <Parent project={project} turn={turn} parent={turn.parent} />}
      {stepCount > 0 && (
        <Button small look="plain" aria-expanded={!isFolded} onClick={onFold}>
          <Chevron size={13} aria-hidden /> {counted(stepCount, "step")}
        </Button>
      )}
    </header>
  );
}

/** Where the parent of a step is that does not stand below it. */
function Parent({ project, turn, parent }: { project: string; turn: SessionTurn; parent: string }) {
  if (turn.parent_missing) return <span title={parent}>a step, whose parent is missing</span>;
  return (
    <Link to="/p/$project/interactions/$completionId" params={{ project, completionId: parent }}>
      {turn.parent_page === "other_session" ? "a step of a turn in another session" : "a step of a turn further down"}
    </Link>
  );
}

function RatingTitle({ project, turn }: { project: string; turn: SessionTurn }) {
  const { data: metrics = [] } = useQuery(metricsQuery(project, "all"));
  const hidden = useHidden();
  const feedback = turn.feedback.filter(({ feedback_id }) => !hidden.has(feedback_id));
  return (
    <span className={css.chips}>
      Rate
      {feedback.map(({ feedback_id, metric, value }) => (
        <Chip key={feedback_id}>
          {metric}{" "}
          <b>
            {shownValue(
              value,
              metrics.find(({ key }) => key === metric),
            )}
          </b>
        </Chip>
      ))}
      {turn.preferences.length > 0 && <small>{counted(turn.preferences.length, "preference")}</small>}
    </span>
  );
}

type RatingProps = { project: string; completionId: string; mayEdit: boolean; hasKeys: boolean };

/** The form to rate a turn, and its feedback. The interaction is fetched only when someone opens it. */
function Rating({ project, completionId, mayEdit, hasKeys }: RatingProps) {
  const { data: interaction, error, refetch } = useQuery(interactionQuery(completionId));
  if (error && !interaction) return <ErrorNote error={error} onRetry={() => refetch()} />;
  if (!interaction) return <Loading lines={2} />;
  return (
    <>
      <RatingForm project={project} completionId={completionId} hasKeys={hasKeys} />
      <FeedbackSection project={project} interaction={interaction} mayEdit={mayEdit} />
    </>
  );
}
