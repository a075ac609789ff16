import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { ApiError, type Interaction } from "~/api/client";
import { interactionQuery } from "~/api/queries";
import { Button, CopyButton, css as ui, cx, ErrorNote, Loading } from "~/ui";
import { Conversation, type Look } from "./Conversation";
import { fromLists } from "./changes";
import { useMay } from "~/shell/useMay";
import { Facts } from "./Facts";
import css from "./interaction.module.css";
import { Labels } from "./Labels";
import { preloadMarkdown } from "./Markdown";
import { Outcomes } from "./Outcomes";
import { Plain } from "./Plain";
import { completionMessage, pretty, wholeText } from "./parts";
import { RatingForm } from "./RatingForm";
import { Related } from "./Related";
import { Missing, Said } from "./Said";
import { Top } from "./Top";
import { errorOf } from "./words";

preloadMarkdown();

type InteractionPanelProps = {
  project: string;
  completionId: string;
  onClose: () => void;
  /** Go to the next or the one before. */
  onStep?: (by: 1 | -1) => void;
  /** Whether it stands alone, not beside a list. */
  isPage?: boolean;
};

/** How often a call that is under way is looked at, in milliseconds. */
const AGAIN = 5_000;

/** One interaction, whole: what was said, what is known of it, and what people thought. */
export function InteractionPanel({ project, completionId, onClose, onStep, isPage = false }: InteractionPanelProps) {
  const queries = useQueryClient();
  const {
    data: interaction,
    error,
    refetch,
    isPlaceholderData: isShort,
  } = useQuery({
    ...interactionQuery(completionId),
    placeholderData: () => fromLists(queries, completionId),
    refetchInterval: ({ state }) => (state.data?.call?.state === "open" ? AGAIN : false),
  });
  const may = useMay();
  const [look, setLook] = useState<Look | "json">("rendered");

  const isGone = error instanceof ApiError && [404, 422].includes(error.status);
  // What stands here stays while the server is away.
  if (error && (isGone || !interaction)) {
    return (
      <div className={css.instead}>
        {isGone ? (
          <Missing>
            <Button onClick={onClose}>{isPage ? "All interactions" : "Close"}</Button>
          </Missing>
        ) : (
          <ErrorNote error={error} onRetry={() => refetch()} />
        )}
      </div>
    );
  }
  if (!interaction) {
    return (
      <div className={css.instead}>
        <Loading lines={9} />
      </div>
    );
  }
  if (interaction.project !== project) {
    return (
      <div className={css.instead}>
        <p className={ui.note} role="note">
          This interaction is of another project:{" "}
          <Link
            to="/p/$project/interactions/$completionId"
            params={{ project: interaction.project, completionId }}
          >
            open it in {interaction.project}
          </Link>
          .
        </p>
      </div>
    );
  }
  return (
    <article className={cx(css.panel, isPage && css.alone)} aria-label="Interaction" data-rates>
      <div className={css.parts}>
        <Top
          project={project}
          interaction={interaction}
          mayEdit={may("edit")}
          isPage={isPage}
          onClose={onClose}
          onStep={onStep}
        />
        {/* Another interaction begins at its top, with its long texts folded. */}
        <div className={css.body} key={completionId} tabIndex={0} role="region" aria-label="Conversation and facts">
          <div className={css.talk}>
            <div className={css.above}>
              <Labels project={project} interaction={interaction} mayWrite={may("write")} />
              <Looks look={look} onLook={setLook} interaction={interaction} />
            </div>
            <Talk interaction={interaction} look={look} isShort={isShort} />
          </div>
          <div className={css.side}>
            <Said project={project} interaction={interaction} mayEdit={may("edit")} />
            <Outcomes project={project} interaction={interaction} mayEdit={may("edit")} />
            <Facts project={project} interaction={interaction} />
            <Related project={project} interaction={interaction} />
          </div>
        </div>
        {may("write") && (
          <footer className={css.foot}>
            <RatingForm key={completionId} project={project} completionId={completionId} hasKeys />
          </footer>
        )}
      </div>
    </article>
  );
}

type LooksProps = { look: Look | "json"; onLook: (look: Look | "json") => void; interaction: Interaction };

function Looks({ look, onLook, interaction }: LooksProps) {
  const whole = () =>
    look === "json"
      ? pretty(interaction)
      : wholeText([...(interaction.messages ?? []), completionMessage(interaction)]);
  return (
    <div className={css.looks} role="group" aria-label="How it is shown">
      {(["rendered", "raw", "json"] as const).map((one) => (
        <button key={one} type="button" aria-pressed={look === one} onClick={() => onLook(one)}>
          {{ rendered: "Rendered", raw: "Raw", json: "JSON" }[one]}
        </button>
      ))}
      <CopyButton label={look === "json" ? "Copy as JSON" : "Copy the whole conversation"} text={whole} />
    </div>
  );
}

type TalkProps = { interaction: Interaction; look: Look | "json"; isShort: boolean };

function Talk({ interaction, look, isShort }: TalkProps) {
  const { message, completion, prompt, call } = interaction;
  const failure = errorOf(call);
  const json = useMemo(() => (look === "json" ? pretty(interaction) : ""), [look, interaction]);
  const answered = useMemo(() => completionMessage({ message, completion }), [message, completion]);
  const messages = useMemo(
    () => interaction.messages ?? (prompt ? [{ role: "user", content: prompt }] : []),
    [interaction.messages, prompt],
  );
  const [isWaiting, setWaiting] = useState(false);
  useEffect(() => {
    // Most come at once: only what takes longer is worth a word.
    const timer = setTimeout(() => setWaiting(isShort), isShort ? 150 : 0);
    return () => clearTimeout(timer);
  }, [isShort]);
  if (look === "json" && !isShort) return <Plain text={json} marked />;
  return (
    <>
      {interaction.expired && (
        <p className={ui.note} role="note">
          What was said here was deleted, as this project keeps texts for a limited time. Labels, feedback and figures stay.
        </p>
      )}
      {!interaction.expired && (
        <Conversation messages={messages} completion={answered} look={look === "raw" ? "raw" : "rendered"}>
          {failure && (
            <p className={cx(ui.note, ui.error)} role="note">
              <strong>The call failed.</strong> {failure}
            </p>
          )}
        </Conversation>
      )}
      {isWaiting && <Loading lines={3} />}
    </>
  );
}
