import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useRef } from "react";
import { ApiError } from "~/api/client";
import { interactionQuery } from "~/api/queries";
import { useMay } from "~/shell/useMay";
import { Button, css as ui, cx, ErrorNote, Kbd, Loading } from "~/ui";
import { fromLists } from "./useChanges";
import { Facts } from "./Facts";
import { FeedbackSection, Missing } from "./FeedbackSection";
import { Header } from "./Header";
import css from "./interaction.module.css";
import { Labels } from "./Labels";
import { preloadMarkdown } from "./Markdown";
import { Outcomes } from "./Outcomes";
import { RatingForm } from "./RatingForm";
import { Related } from "./Related";
import { Talk } from "./Talk";
import { useArrival } from "./useArrival";

preloadMarkdown();

type InteractionPanelProps = {
  project: string;
  completionId: string;
  onClose: () => void;
  /** Go to the next or the previous interaction. */
  onStep?: (by: 1 | -1) => void;
  /** Whether it is shown alone, not beside a list. */
  isPage?: boolean;
};

/** Milliseconds between two fetches of a call that is still running. */
const AGAIN = 5_000;

/** Those of the header and of the labels. */
const OTHER_KEYS = (
  <>
    <Kbd>l</Kbd> label <Kbd>c</Kbd> compare
  </>
);

/** One interaction in full: its texts, its facts, and its feedback. */
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
  const body = useRef<HTMLDivElement>(null);
  useArrival(body, error ? undefined : interaction);

  const isGone = error instanceof ApiError && [404, 422].includes(error.status);
  // The interaction stays in view while the server is away.
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
        <Header
          project={project}
          interaction={interaction}
          mayEdit={may("edit")}
          isPage={isPage}
          onClose={onClose}
          onStep={onStep}
        />
        {/* The key remounts it, so that another interaction starts at the top with long texts folded. */}
        <div
          className={css.body}
          key={completionId}
          ref={body}
          tabIndex={0}
          role="region"
          aria-label="Conversation and facts"
          data-takes-focus
        >
          <Talk interaction={interaction} isShort={isShort}>
            <Labels project={project} interaction={interaction} mayWrite={may("write")} />
          </Talk>
          <div className={css.side}>
            <FeedbackSection project={project} interaction={interaction} mayEdit={may("edit")} />
            <Outcomes project={project} interaction={interaction} mayEdit={may("edit")} />
            <Facts project={project} interaction={interaction} />
            <Related project={project} interaction={interaction} />
          </div>
        </div>
        {may("write") && (
          <footer className={css.foot}>
            <RatingForm key={completionId} project={project} completionId={completionId} hasKeys otherKeys={OTHER_KEYS} />
          </footer>
        )}
      </div>
    </article>
  );
}
