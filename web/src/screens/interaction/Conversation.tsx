import { Download, EyeOff, FileText, Volume2 } from "lucide-react";
import { memo, type ReactNode, useEffect, useMemo, useState } from "react";
import type { Message } from "~/api/client";
import { Button, Chip, CopyButton, cx } from "~/ui";
import { bytes, count } from "~/ui/values";
import { contains, useSought } from "./Find";
import { Fold } from "./Fold";
import { Image } from "./Image";
import css from "./conversation.module.css";
import { hiddenCount } from "./invisible";
import { JsonTree } from "./JsonTree";
import { type Look, useMarkdown } from "./look";
import { type Part, partsOf, rawText, roleOf, withJoinedTexts } from "~/rules/parts";
import { sourcesOf } from "~/rules/sources";
import { callsOf, type Turn, turns } from "~/rules/toolCalls";
import { otherWords } from "~/rules/words";
import { Sources } from "./Sources";
import { Text } from "./Text";
import { sizeOf } from "./texts";
import { ToolCallView } from "./ToolCallView";
import { useGrowing } from "./useGrowing";

export type { Look } from "./look";
export { Text } from "./Text";

/** The middle of a conversation with more messages is folded. */
const MOST_MESSAGES = 24;
const AT_FIRST = 4;
const AT_LAST = 12;

type ConversationProps = {
  messages: readonly Message[];
  /** The model's answer: its text, or the whole message. */
  completion: string | Message;
  /** The results of the tools that the answer calls, if they came later. */
  results?: readonly (Message | null)[];
  look?: Look;
  /** Content below the completion, such as why it failed. */
  children?: ReactNode;
};

/** The messages by role, with the model's answer. */
export function Conversation({ messages, completion, results, look = "rendered", children }: ConversationProps) {
  const all = useMemo(() => (look === "raw" ? messages.map(alone) : turns(messages)), [messages, look]);
  const answered = useMemo<Message>(
    () => (typeof completion === "string" ? { role: "assistant", content: completion } : completion),
    [completion],
  );
  const [isWhole, setWhole] = useState(false);
  const sought = useSought();
  const isFolded = all.length > MOST_MESSAGES && !isWhole && !sought;
  const first = isFolded ? all.slice(0, AT_FIRST) : all;
  const drawn = useGrowing(first.length, MOST_MESSAGES, 8);
  return (
    <div className={css.conversation}>
      {first.slice(0, drawn).map((turn, index) => (
        // Messages of an interaction never change their order.
        <MessageView key={index} message={turn.message} results={turn.results} look={look} />
      ))}
      {isFolded && (
        <Button className={css.between} onClick={() => setWhole(true)}>
          Show the {count(all.length - AT_FIRST - AT_LAST)} messages between
        </Button>
      )}
      {isFolded &&
        all.slice(-AT_LAST).map((turn, index) => (
          <MessageView
            key={all.length - AT_LAST + index}
            message={turn.message}
            results={turn.results}
            look={look}
          />
        ))}
      <MessageView message={answered} look={look} isCompletion {...(results ? { results } : {})} />
      {children}
    </div>
  );
}

const alone = (message: Message): Turn => ({ message, results: [] });

type MessageViewProps = {
  message: Message;
  /** The results of its tool calls, from `turns`. */
  results?: readonly (Message | null)[];
  look?: Look;
  isCompletion?: boolean;
};

/** A message: its role, its parts in order, and its tool calls. */
export const MessageView = memo(function MessageView({ message, results, look = "rendered", isCompletion = false }: MessageViewProps) {
  const role = roleOf(message);
  const title = isCompletion && role === "assistant" ? "completion" : role;
  const name = typeof message.name === "string" ? message.name : null;
  const hidden = useMemo(() => hiddenIn(message), [message]);
  const [isMarkdown, toggleMarkdown] = useMarkdown(role);
  return (
    <section className={cx(css.message, isCompletion && css.completion)} data-role={role} aria-label={title}>
      <header>
        <h3>{title}</h3>
        {name && <Chip>{name}</Chip>}
        {hidden > 0 && (
          <Chip tone="warn" title="Characters that cannot be seen. The raw view shows them.">
            <EyeOff size={12} aria-hidden /> {count(hidden)} hidden {hidden === 1 ? "character" : "characters"}
          </Chip>
        )}
        <span className={css.acts}>
          {look === "rendered" && (
            <Button
              small
              look="plain"
              aria-pressed={isMarkdown}
              title={`Show what “${role}” writes ${isMarkdown ? "as it was written" : "as Markdown"}`}
              onClick={toggleMarkdown}
            >
              Markdown
            </Button>
          )}
          <CopyButton label="Copy this message" text={() => rawText(message)} />
        </span>
      </header>
      {look === "raw" ? (
        <Raw message={message} />
      ) : (
        <Rendered message={message} results={results ?? []} look={isMarkdown ? look : "plain"} />
      )}
    </section>
  );
});

function Raw({ message }: { message: Message }) {
  const text = useMemo(() => rawText(message), [message]);
  return text ? <Text text={text} look="raw" /> : <p className={css.nothing}>empty</p>;
}

type RenderedProps = { message: Message; results: readonly (Message | null)[]; look: Look };

function Rendered({ message, results, look }: RenderedProps) {
  const parts = useMemo(() => partsOf(withJoinedTexts(message)), [message]);
  const calls = useMemo(() => callsOf(message), [message]);
  const sources = useMemo(() => sourcesOf(message), [message]);
  return (
    <>
      {parts.map((part, index) => (
        <PartView key={index} part={part} look={look} />
      ))}
      <Sources sources={sources} />
      {calls.map((call, index) => (
        <ToolCallView key={index} call={call} result={results[index] ?? null} />
      ))}
      {parts.length === 0 && calls.length === 0 && <p className={css.nothing}>empty</p>}
    </>
  );
}

/** Return the number of hidden characters. Texts of megabytes are not searched, because that would be slow. */
function hiddenIn(message: Message): number {
  let total = 0;
  for (const part of partsOf(message)) if (part.kind === "text" && part.text.length < 500_000) total += hiddenCount(part.text);
  return total;
}

export function PartView({ part, look }: { part: Part; look: Look }) {
  const sought = useSought();
  switch (part.kind) {
    case "text":
      return <Text text={part.text} look={look} />;
    case "refusal":
      return (
        <div className={css.refusal}>
          <Chip tone="warn">Refused</Chip>
          <Text text={part.text} look={look} />
        </div>
      );
    case "reasoning":
      return (
        <Fold
          shows={contains(part.text, sought)}
          title={
            <>
              Reasoning <small>{bytes(sizeOf(part.text))}</small>
            </>
          }
        >
          {() => (
            <div className={css.reasoning}>
              <Text text={part.text} look={look} />
            </div>
          )}
        </Fold>
      );
    case "image":
      return <Image url={part.url} alt="In this message" />;
    case "file":
      return <FileView file={part} />;
    case "sealed":
      return <p className={css.nothing}>Some of its reasoning can only be read by the provider.</p>;
    case "other":
      if (part.type === "document" || part.type === "search_result") return <Quoted part={part} look={look} />;
      return <Fold title={<code>{part.type}</code>}>{() => <JsonTree name={part.type} value={part.content} />}</Fold>;
  }
}

/** A document whose text was sent with it. */
function Quoted({ part, look }: { part: Extract<Part, { kind: "other" }>; look: Look }) {
  const sought = useSought();
  const [title, ...texts] = otherWords(part.type, part.content);
  const text = texts.join("\n\n");
  return (
    <Fold
      shows={contains(text, sought)}
      title={
        <>
          <FileText size={13} aria-hidden /> <bdi>{title}</bdi> {text && <small>{bytes(sizeOf(text))}</small>}
        </>
      }
    >
      {() => (text ? <Text text={text} look={look} /> : <JsonTree name={part.type} value={part.content} />)}
    </Fold>
  );
}

function FileView({ file }: { file: Extract<Part, { kind: "file" }> }) {
  return (
    <div className={css.file}>
      {file.isSound ? <Volume2 size={15} aria-hidden /> : <FileText size={15} aria-hidden />}
      <bdi>{file.name}</bdi>
      {file.url && <StoredFile name={file.name} url={file.url} isSound={file.isSound} />}
      {file.base64 && (
        <>
          <small>{bytes(Math.floor((file.base64.length * 3) / 4))}</small>
          <Button small onClick={() => download(file.name, file.base64 as string)}>
            <Download size={13} aria-hidden /> Download
          </Button>
        </>
      )}
      {file.says && <Text text={file.says} look="plain" />}
    </div>
  );
}

/** A file that the server keeps: its size, a link that saves it and, for sound, a player. */
function StoredFile({ name, url, isSound }: { name: string; url: string; isSound: boolean }) {
  const [size, setSize] = useState<number | null>(null);
  useEffect(() => {
    const leaving = new AbortController();
    fetch(url, { method: "HEAD", signal: leaving.signal })
      .then((answer) => setSize(answer.ok ? Number(answer.headers.get("content-length")) : null))
      .catch(() => setSize(null));
    return () => leaving.abort();
  }, [url]);
  return (
    <>
      {size !== null && <small>{bytes(size)}</small>}
      <a href={url} download={name}>
        <Download size={13} aria-hidden /> Download
      </a>
      {isSound && (
        <div>
          <audio controls preload="metadata" src={url} aria-label={name}>
            <track kind="captions" />
          </audio>
        </div>
      )}
    </>
  );
}

/** Save bytes as a file. They are never opened in the page, because they may be a hostile HTML page. */
function download(name: string, base64: string): void {
  const found = atob(base64.replace(/[\s]/g, "").replace(/-/g, "+").replace(/_/g, "/"));
  const content = Uint8Array.from(found, (char) => char.charCodeAt(0));
  const address = URL.createObjectURL(new Blob([content], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
