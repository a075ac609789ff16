import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { ArrowLeft, Columns2, EllipsisVertical, ExternalLink, ChevronDown, ChevronUp, X } from "lucide-react";
import { type ReactNode, useRef, useState } from "react";
import type { Interaction } from "~/api/client";
import { inlineInteractionQuery } from "~/api/queries";
import { quoted } from "~/rules/language";
import { Button, Chip, Confirm, CopyButton, Hint, IconButton, Menu, MenuChoice, MenuSeparator, notify, css as ui } from "~/ui";
import { copyText, NOT_COPIED } from "~/ui/browser";
import { useKeys } from "~/ui/useKeys";
import { Time } from "~/ui/values";
import { asCurl, asPython, callOf } from "./asCode";
import { useDeletion } from "./useChanges";
import css from "./interaction.module.css";
import { pretty } from "~/rules/parts";
import { outcomeOf } from "./words";

type HeaderProps = {
  project: string;
  interaction: Interaction;
  mayEdit: boolean;
  isPage: boolean;
  onClose: () => void;
  onStep: ((by: 1 | -1) => void) | undefined;
};

/** A summary of the interaction in one line, with links. */
export function Header({ project, interaction, mayEdit, isPage, onClose, onStep }: HeaderProps) {
  const [isAsking, setAsking] = useState(false);
  const id = interaction.completion_id;
  const remove = useDeletion(id, onClose);
  const compare = useRef<HTMLAnchorElement>(null);
  useKeys({ c: () => compare.current?.click() });
  const outcome = outcomeOf(interaction.call);
  const Heading = isPage ? "h1" : "h2";
  const { model } = interaction;
  return (
    <header className={css.top}>
      {isPage && (
        <Go label="All interactions">
          <Link aria-label="All interactions" to="/p/$project/interactions" params={{ project }}>
            <ArrowLeft size={15} aria-hidden />
          </Link>
        </Go>
      )}
      <Heading>
        {model ? (
          <Link to="/p/$project/interactions" params={{ project }} search={{ q: `model:${quoted(model)}` }} title={`${model}\nShow all of this model`}>
            {model}
          </Link>
        ) : (
          "no model"
        )}
      </Heading>
      <span className={css.when}>
        <Time iso={interaction.created_at} />
      </span>
      {outcome && (outcome.tone ? <Chip tone={outcome.tone}>{outcome.text}</Chip> : <span className={css.when}>{outcome.text}</span>)}
      <div className={css.tools}>
        {onStep && (
          <>
            <IconButton small label={isPage ? "The turn before (k)" : "The one before (k)"} onClick={() => onStep(-1)}>
              <ChevronUp size={15} aria-hidden />
            </IconButton>
            <IconButton small label={isPage ? "The next turn (j)" : "The next one (j)"} onClick={() => onStep(1)}>
              <ChevronDown size={15} aria-hidden />
            </IconButton>
          </>
        )}
        <CopyButton label="Copy the completion_id" text={id} />
        <Go label="Compare (c)">
          <Link ref={compare} aria-label="Compare" to="/p/$project/compare" params={{ project }} search={{ left: id }}>
            <Columns2 size={14} aria-hidden />
          </Link>
        </Go>
        {!isPage && (
          <Go label="Open as a page">
            <Link
              aria-label="Open as a page"
              to="/p/$project/interactions/$completionId"
              params={{ project, completionId: id }}
            >
              <ExternalLink size={14} aria-hidden />
            </Link>
          </Go>
        )}
        <MoreMenu project={project} interaction={interaction} onDelete={mayEdit ? () => setAsking(true) : null} />
        {!isPage && (
          <IconButton small label="Close (Esc)" onClick={onClose}>
            <X size={15} aria-hidden />
          </IconButton>
        )}
      </div>
      <Confirm
        title="Delete this interaction?"
        what="Its messages, labels, feedback and preferences are deleted for good, and the images that no other shows."
        act="Delete"
        open={isAsking}
        onClose={() => setAsking(false)}
        onConfirm={() => remove()}
      />
    </header>
  );
}

type MoreMenuProps = { project: string; interaction: Interaction; onDelete: (() => void) | null };

/** The menu of other views and of actions on the interaction. */
function MoreMenu({ project, interaction, onDelete }: MoreMenuProps) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const id = interaction.completion_id;
  const address = `${location.origin}/p/${encodeURIComponent(project)}/interactions/${id}`;
  // The repeated call must contain its images, because the provider cannot read them from this server.
  const call = async () => callOf(await queries.fetchQuery(inlineInteractionQuery(id)), project, location.origin);
  async function copy(what: string, text: () => string | Promise<string>) {
    try {
      notify((await copyText(await text())) ? `The ${what} is copied` : NOT_COPIED);
    } catch (error) {
      notify(error as Error);
    }
  }
  return (
    <Menu
      align="end"
      trigger={
        <Button look="plain" small className={ui.icon} aria-label="More">
          <EllipsisVertical size={15} aria-hidden />
        </Button>
      }
    >
      <MenuChoice
        onClick={() => {
          // The list begins with this interaction and continues in both directions.
          const at = new Date(Date.parse(interaction.created_at) + 1).toISOString();
          void navigate({ to: "/p/$project/interactions", params: { project }, search: { at, open: id } });
        }}
      >
        Show in the list, among its time
      </MenuChoice>
      {!interaction.expired && (
        <MenuChoice onClick={() => navigate({ to: "/p/$project/chat", params: { project }, search: { from: id } })}>
          Open in Chat
        </MenuChoice>
      )}
      <MenuSeparator />
      <MenuChoice onClick={() => copy("link", () => address)}>Copy the link</MenuChoice>
      <MenuChoice onClick={() => copy("JSON", () => pretty(interaction))}>Copy as JSON</MenuChoice>
      <MenuChoice onClick={() => copy("command", async () => asCurl(await call()))}>Copy as curl</MenuChoice>
      <MenuChoice onClick={() => copy("code", async () => asPython(await call()))}>Copy as Python</MenuChoice>
      {onDelete && (
        <>
          <MenuSeparator />
          <MenuChoice danger onClick={onDelete}>
            Delete…
          </MenuChoice>
        </>
      )}
    </Menu>
  );
}

/** A link that looks like an icon button. */
function Go({ label, children }: { label: string; children: ReactNode }) {
  return (
    <Hint text={label}>
      <span className={css.go}>{children}</span>
    </Hint>
  );
}
