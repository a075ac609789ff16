import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronDown, ChevronUp, Columns2, ExternalLink, Trash2, X } from "lucide-react";
import { useState } from "react";
import { answer, api, type Interaction } from "~/api/client";
import { interactionQuery } from "~/api/queries";
import { sessionQuery } from "~/api/session";
import { Button, Chip, Confirm, CopyButton, css as ui, ErrorNote, IconButton, Loading, notify } from "~/ui";
import { useKeys } from "~/ui/useKeys";
import { fullTime, shownTime } from "~/ui/values";
import { Conversation, type Look } from "./Conversation";
import { Facts } from "./Facts";
import css from "./interaction.module.css";
import { Labels } from "./Labels";
import { Plain } from "./Plain";
import { RatingForm } from "./RatingForm";
import { Related } from "./Related";
import { Said } from "./Said";

type InteractionPanelProps = {
  project: string;
  completionId: string;
  onClose?: () => void;
  /** Go to the next or the one before. */
  onStep?: (by: 1 | -1) => void;
};

/** One interaction, whole: what was said, what is known of it, and what people thought. */
export function InteractionPanel({ project, completionId, onClose, onStep }: InteractionPanelProps) {
  const { data: interaction, error, refetch } = useQuery(interactionQuery(completionId));
  const { data: session } = useQuery(sessionQuery);
  const may = (permission: string) => session?.permissions.includes(permission) ?? false;
  const [look, setLook] = useState<Look | "json">("rendered");

  if (error) {
    return (
      <div style={{ padding: 16 }}>
        <ErrorNote error={error} onRetry={() => refetch()} />
        {onClose && (
          <p style={{ marginTop: 12 }}>
            <Button onClick={onClose}>Close</Button>
          </p>
        )}
      </div>
    );
  }
  if (!interaction) {
    return (
      <div style={{ padding: 16 }}>
        <Loading lines={9} />
      </div>
    );
  }
  const failed = interaction.call?.error as { message?: string } | null | undefined;
  return (
    <article className={css.panel} aria-label="Interaction">
      <Top project={project} interaction={interaction} mayEdit={may("edit")} onClose={onClose} onStep={onStep} />
      <div className={css.scroller} tabIndex={0} role="region" aria-label="Conversation">
        <Labels project={project} interaction={interaction} mayWrite={may("write")} />
        <div className={css.looks} role="group" aria-label="How it is shown">
          {(["rendered", "raw", "json"] as const).map((one) => (
            <Button key={one} small aria-pressed={look === one} onClick={() => setLook(one)}>
              {{ rendered: "Rendered", raw: "Raw", json: "JSON" }[one]}
            </Button>
          ))}
          <CopyButton label="Copy as JSON" text={() => JSON.stringify(interaction, null, 2)} />
        </div>
        {look === "json" ? (
          <Plain text={JSON.stringify(interaction, null, 2)} />
        ) : (
          <Conversation
            messages={interaction.messages ?? []}
            completion={interaction.message ?? interaction.completion}
            look={look}
          />
        )}
        {failed && (
          <p className={ui.note} role="note">
            <strong>The call failed.</strong> {failed.message}
          </p>
        )}
        <div className={css.sections}>
          <Said project={project} interaction={interaction} mayEdit={may("edit")} />
          <Facts project={project} interaction={interaction} />
          <Related project={project} interaction={interaction} />
        </div>
      </div>
      {may("write") && (
        <footer className={css.foot}>
          <RatingForm key={completionId} project={project} completionId={completionId} hasKeys />
        </footer>
      )}
    </article>
  );
}

type TopProps = {
  project: string;
  interaction: Interaction;
  mayEdit: boolean;
  onClose: (() => void) | undefined;
  onStep: ((by: 1 | -1) => void) | undefined;
};

function Top({ project, interaction, mayEdit, onClose, onStep }: TopProps) {
  const queries = useQueryClient();
  const [asking, setAsking] = useState(false);
  const id = interaction.completion_id;
  const remove = useMutation({
    mutationFn: () =>
      answer(api.DELETE("/api/v1/interactions/{completion_id}", { params: { path: { completion_id: id } } })),
    onSuccess: () => {
      notify("The interaction is deleted");
      onClose?.();
      queries.removeQueries({ queryKey: ["interaction", id] });
      return queries.invalidateQueries({ queryKey: ["interactions"] });
    },
    onError: (error) => notify(error),
  });
  useKeys({ c: () => document.getElementById("compare-this")?.click() });
  const state = interaction.call?.state;
  return (
    <header className={css.top}>
      <h2 title={fullTime(interaction.created_at)}>
        {interaction.model ?? "no model"}
        <small>{shownTime(interaction.created_at)}</small>
      </h2>
      {state && state !== "complete" && <Chip tone={state === "failed" ? "bad" : "warn"}>{state}</Chip>}
      <CopyButton label="Copy the completion_id" text={id} />
      <Link
        id="compare-this"
        to="/p/$project/compare"
        params={{ project }}
        search={{ left: id }}
        aria-label="Compare"
        title="Compare (c)"
        className={`${ui.button} ${ui.plain} ${ui.icon} ${ui.small}`}
      >
        <Columns2 size={14} aria-hidden />
      </Link>
      {onClose && (
        <Link
          to="/p/$project/interactions/$completionId"
          params={{ project, completionId: id }}
          aria-label="Open as a page"
          title="Open as a page"
          className={`${ui.button} ${ui.plain} ${ui.icon} ${ui.small}`}
        >
          <ExternalLink size={14} aria-hidden />
        </Link>
      )}
      {mayEdit && (
        <IconButton small label="Delete" onClick={() => setAsking(true)}>
          <Trash2 size={14} aria-hidden />
        </IconButton>
      )}
      {onStep && (
        <>
          <IconButton small label="The one before (k)" onClick={() => onStep(-1)}>
            <ChevronUp size={15} aria-hidden />
          </IconButton>
          <IconButton small label="The next one (j)" onClick={() => onStep(1)}>
            <ChevronDown size={15} aria-hidden />
          </IconButton>
        </>
      )}
      {onClose && (
        <IconButton small label="Close (Esc)" onClick={onClose}>
          <X size={15} aria-hidden />
        </IconButton>
      )}
      <Confirm
        title="Delete this interaction?"
        what="Its messages, labels, feedback and images are deleted for good."
        act="Delete"
        open={asking}
        onClose={() => setAsking(false)}
        onConfirm={() => remove.mutate()}
      />
    </header>
  );
}
