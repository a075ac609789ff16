import { ChevronRight, Wrench } from "lucide-react";
import { type ReactNode, useState } from "react";
import type { Message } from "~/api/client";
import { CopyButton, cx } from "~/ui";
import css from "./interaction.module.css";
import { parsed, partsOf, pretty, summary, type ToolCall } from "./parts";
import { Text } from "./Text";

/** Something folded that is drawn only once someone opens it. */
export function Fold({ title, className, children }: { title: ReactNode; className?: string; children: () => ReactNode }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details className={cx(css.fold, className)} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <ChevronRight size={14} aria-hidden />
        {title}
      </summary>
      {isOpen && children()}
    </details>
  );
}

/** The call of a tool: its name and arguments in a line; opened, with what it answered. */
export function ToolCallView({ call, result }: { call: ToolCall; result: Message | null }) {
  return (
    <Fold
      className={css.tool}
      title={
        <>
          <Wrench size={13} aria-hidden className={css.wrench} />
          <code>{call.name}</code>
          <span className={css.line}>{summary(call.args)}</span>
          {result && <span className={cx(css.line, css.answered)}>→ {summary(parsed(resultText(result)))}</span>}
        </>
      }
    >
      {() => (
        <>
          <Member name="Arguments" text={pretty(call.args)} />
          {result ? (
            <Member name="Result" text={pretty(parsed(resultText(result)))} />
          ) : (
            <p className={css.nothing}>No answer to this call came along.</p>
          )}
          {call.id && <p className={css.nothing}>{call.id}</p>}
        </>
      )}
    </Fold>
  );
}

function Member({ name, text }: { name: string; text: string }) {
  return (
    <div className={css.member}>
      <h4>
        {name} <CopyButton label={`Copy: ${name.toLowerCase()}`} text={text} />
      </h4>
      {text ? <Text text={text} look="raw" /> : <p className={css.nothing}>none</p>}
    </div>
  );
}

function resultText(message: Message): string {
  if (typeof message.content === "string") return message.content;
  const texts = partsOf(message).map((part) => (part.kind === "text" ? part.text : null));
  return texts.includes(null) ? pretty(message.content) : texts.join("\n\n");
}
