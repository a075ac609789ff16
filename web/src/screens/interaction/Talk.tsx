import { Search } from "lucide-react";
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import type { Interaction } from "~/api/client";
import { CopyButton, css as ui, cx, IconButton, Loading } from "~/ui";
import { useKeys } from "~/ui/useKeys";
import { Conversation } from "./Conversation";
import { FindBar, SoughtProvider } from "./Find";
import css from "./interaction.module.css";
import { JsonTree } from "./JsonTree";
import { useView, type View } from "./look";
import { completionMessage, pretty, wholeText } from "~/rules/parts";
import { sourcesBeside } from "~/rules/sources";
import { Sources } from "./Sources";
import { Tools } from "./Tools";
import { useNewestTurn } from "./useNewestTurn";
import { errorOf } from "./words";

type TalkProps = {
  interaction: Interaction;
  /** Whether the full interaction is still being fetched. */
  isShort: boolean;
  /** Content beside the choice of views. */
  children: ReactNode;
};

/** The conversation of an interaction in the viewer's chosen view, with a search. */
export function Talk({ interaction, isShort, children }: TalkProps) {
  const [view, setView] = useView();
  const [sought, setSought] = useState<string | null>(null);
  const talk = useRef<HTMLDivElement>(null);
  const place = useRef<HTMLDivElement>(null);
  useNewestTurn(place, !isShort && view !== "json");
  useKeys({ f: () => setSought((before) => before ?? "") });
  const isSearching = sought !== null && view !== "json";
  return (
    <div className={css.talk} ref={talk} tabIndex={-1}>
      <div className={css.above}>
        {children}
        <Views
          view={view}
          onView={setView}
          onSearch={view === "json" ? undefined : () => setSought(sought === null ? "" : null)}
          interaction={interaction}
        />
      </div>
      {isSearching && (
        <FindBar
          place={place}
          sought={sought}
          onSeek={setSought}
          onClose={() => {
            setSought(null);
            talk.current?.focus({ preventScroll: true });
          }}
        />
      )}
      <SoughtProvider value={isSearching ? sought.trim() : ""}>
        <div ref={place}>
          <Messages interaction={interaction} view={view} isShort={isShort} />
        </div>
      </SoughtProvider>
    </div>
  );
}

type ViewsProps = {
  view: View;
  onView: (view: View) => void;
  onSearch: (() => void) | undefined;
  interaction: Interaction;
};

function Views({ view, onView, onSearch, interaction }: ViewsProps) {
  const whole = () =>
    view === "json" ? pretty(interaction) : wholeText([...(interaction.messages ?? []), completionMessage(interaction)]);
  return (
    <div className={css.looks} role="group" aria-label="How it is shown">
      {(["rendered", "raw", "json"] as const).map((one) => (
        <button key={one} type="button" aria-pressed={view === one} onClick={() => onView(one)}>
          {{ rendered: "Rendered", raw: "Raw", json: "JSON" }[one]}
        </button>
      ))}
      {onSearch && (
        <IconButton small label="Search in this conversation (f)" onClick={onSearch}>
          <Search size={14} aria-hidden />
        </IconButton>
      )}
      <CopyButton label={view === "json" ? "Copy as JSON" : "Copy the whole conversation"} text={whole} />
    </div>
  );
}

function Messages({ interaction, view, isShort }: { interaction: Interaction; view: View; isShort: boolean }) {
  const { message, completion, prompt, call } = interaction;
  const failure = errorOf(call);
  const answered = useMemo(() => completionMessage({ message, completion }), [message, completion]);
  const messages = useMemo(
    () => interaction.messages ?? (prompt ? [{ role: "user", content: prompt }] : []),
    [interaction.messages, prompt],
  );
  const sources = useMemo(() => sourcesBeside(interaction.facts), [interaction.facts]);
  const [isWaiting, setWaiting] = useState(false);
  useEffect(() => {
    // Most interactions arrive at once; show a notice only if it takes longer.
    const timer = setTimeout(() => setWaiting(isShort), isShort ? 150 : 0);
    return () => clearTimeout(timer);
  }, [isShort]);
  if (view === "json" && !isShort) return <JsonTree name="The interaction" value={interaction} isSearched />;
  return (
    <>
      {interaction.expired && (
        <p className={ui.note} role="note">
          What was said here was deleted, as this project keeps texts for a limited time. Labels, feedback and figures stay.
        </p>
      )}
      {!interaction.expired && (
        <>
          <Tools parameters={interaction.parameters} />
          <Conversation messages={messages} completion={answered} look={view === "raw" ? "raw" : "rendered"}>
            <Sources sources={sources} />
            {failure && (
              <p className={cx(ui.note, ui.error, css.failure)} role="note">
                <strong>The call failed.</strong> {failure}
              </p>
            )}
          </Conversation>
        </>
      )}
      {isWaiting && <Loading lines={3} />}
    </>
  );
}
