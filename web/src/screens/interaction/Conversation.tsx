import { ChevronRight, ImageOff, Wrench } from "lucide-react";
import { useState } from "react";
import type { Message } from "~/api/client";
import { Button, Chip, CopyButton, cx, Dialog } from "~/ui";
import { bytes } from "~/ui/values";
import css from "./interaction.module.css";
import { Markdown } from "./Markdown";
import { Plain } from "./Plain";
import { isOwnImage, type Part, partsOf, pretty, type ToolCall, textOf, toolCallsOf, withoutResults } from "./parts";

export type Look = "rendered" | "raw";

/** Above either, a text is folded until someone wants all of it. */
const MOST_CHARACTERS = 6_000;
const MOST_LINES = 80;

type ConversationProps = {
  messages: readonly Message[];
  /** What the model answered: its text, or the whole message. */
  completion: string | Message;
  look: Look;
};

/** Messages by role, with what the model answered to them. */
export function Conversation({ messages, completion, look }: ConversationProps) {
  const answered: Message = typeof completion === "string" ? { role: "assistant", content: completion } : completion;
  const all = withoutResults(messages);
  return (
    <div className={css.conversation}>
      {all.map((message, index) => (
        <MessageView
          // Messages of an interaction never change their order.
          key={`${index}`}
          message={message}
          after={messages}
          look={look}
        />
      ))}
      <MessageView message={answered} after={[]} look={look} isCompletion />
    </div>
  );
}

type MessageViewProps = { message: Message; after: readonly Message[]; look: Look; isCompletion?: boolean };

/** One message. */
export function MessageView({ message, after, look, isCompletion = false }: MessageViewProps) {
  const role = String(message.role ?? "?");
  const parts = partsOf(message);
  const calls = toolCallsOf(message, after);
  const name = typeof message.name === "string" ? message.name : null;
  return (
    <section className={cx(css.message, isCompletion && css.completion)} aria-label={isCompletion ? "completion" : role}>
      <header>
        <h3 data-role={role}>{isCompletion ? "completion" : role}</h3>
        {name && <Chip>{name}</Chip>}
        <CopyButton label="Copy this message" text={() => textOf(message) || JSON.stringify(message)} />
      </header>
      {parts.map((part, index) => (
        <PartView key={`${index}`} part={part} look={look} />
      ))}
      {calls.map((call, index) => (
        <ToolCallView key={call.id || index} call={call} />
      ))}
      {parts.length === 0 && calls.length === 0 && <p className={css.nothing}>empty</p>}
    </section>
  );
}

function PartView({ part, look }: { part: Part; look: Look }) {
  switch (part.kind) {
    case "text":
      return <Text text={part.text} look={look} />;
    case "refusal":
      return (
        <div>
          <Chip tone="warn">refused</Chip> <Text text={part.text} look={look} />
        </div>
      );
    case "reasoning":
      return (
        <details className={css.fold}>
          <summary>
            <ChevronRight size={14} aria-hidden /> Reasoning
          </summary>
          <Text text={part.text} look={look} />
        </details>
      );
    case "image":
      return <Image url={part.url} />;
    case "other":
      return (
        <details className={css.fold}>
          <summary>
            <ChevronRight size={14} aria-hidden /> {part.type}
          </summary>
          <Plain text={JSON.stringify(part.content, null, 2)} />
        </details>
      );
  }
}

/** A text of a message, folded where it is long. */
export function Text({ text, look }: { text: string; look: Look }) {
  const [whole, setWhole] = useState(false);
  const short = whole ? text : folded(text);
  return (
    <>
      {look === "raw" ? <Plain text={short} marked /> : <Markdown text={short} />}
      {short.length < text.length && (
        <Button small className={css.more} onClick={() => setWhole(true)}>
          Show all {bytes(new Blob([text]).size)}
        </Button>
      )}
    </>
  );
}

/** Return the beginning of a long text, up to a line's end where there is one. */
export function folded(text: string): string {
  let end = Math.min(text.length, MOST_CHARACTERS);
  let at = -1;
  for (let line = 0; line < MOST_LINES; line += 1) {
    at = text.indexOf("\n", at + 1);
    if (at < 0 || at > end) break;
    if (line === MOST_LINES - 1) end = at;
  }
  // Little would be hidden.
  return text.length - end < 500 ? text : text.slice(0, end);
}

function Image({ url }: { url: string }) {
  const [isOpen, setOpen] = useState(false);
  const [isWhole, setWhole] = useState(false);
  if (!isOwnImage(url)) {
    return (
      <span className={css.noImage} title={url}>
        <ImageOff size={13} aria-hidden /> {url.slice(0, 80)} (not loaded)
      </span>
    );
  }
  return (
    <>
      <button type="button" className={css.image} onClick={() => setOpen(true)} aria-label="Enlarge the image">
        <img src={url} alt="In this message" loading="lazy" />
      </button>
      <Dialog title="Image" open={isOpen} onClose={() => setOpen(false)} wide>
        <div className={css.enlarged} data-whole={isWhole}>
          <img src={url} alt="In this message" />
        </div>
        <Button onClick={() => setWhole(!isWhole)}>{isWhole ? "Fit" : "100 %"}</Button>
      </Dialog>
    </>
  );
}

function ToolCallView({ call }: { call: ToolCall }) {
  return (
    <details className={cx(css.fold, css.tool)}>
      <summary>
        <ChevronRight size={14} aria-hidden />
        <Wrench size={13} aria-hidden />
        <code>{call.name}</code>
        <span className={css.line}>{call.arguments}</span>
      </summary>
      <h4>Arguments</h4>
      <Plain text={pretty(call.arguments)} />
      {call.result !== undefined && (
        <>
          <h4>Result</h4>
          <Plain text={pretty(call.result)} />
        </>
      )}
    </details>
  );
}
