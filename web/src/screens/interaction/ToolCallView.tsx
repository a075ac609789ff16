import { Wrench } from "lucide-react";
import type { Message } from "~/api/client";
import { CopyButton, cx } from "~/ui";
import css from "./conversation.module.css";
import { Fold } from "./Fold";
import { contains, useSought } from "./Find";
import { JsonTree } from "./JsonTree";
import { parsed, partsOf, pretty, summary, type ToolCall } from "~/rules/parts";
import { Text } from "./Text";

/** A tool call: its name and arguments in a line; opened, also its result. */
export function ToolCallView({ call, result }: { call: ToolCall; result: Message | null }) {
  const sought = useSought();
  return (
    <Fold
      shows={contains(pretty(call.args), sought) || (result !== null && contains(resultText(result), sought))}
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
          <Member name="Arguments" value={call.args} />
          {result ? (
            <Member name="Result" value={parsed(resultText(result))} />
          ) : (
            <p className={css.nothing}>No answer to this call came along.</p>
          )}
          {call.id && <p className={css.nothing}>{call.id}</p>}
        </>
      )}
    </Fold>
  );
}

function Member({ name, value }: { name: string; value: unknown }) {
  const text = pretty(value);
  return (
    <div className={css.member}>
      <h4>
        {name} <CopyButton label={`Copy: ${name.toLowerCase()}`} text={text} />
      </h4>
      {typeof value === "object" && value !== null ? (
        <JsonTree name={name} value={value} />
      ) : text ? (
        <Text text={text} look="raw" />
      ) : (
        <p className={css.nothing}>none</p>
      )}
    </div>
  );
}

function resultText(message: Message): string {
  if (typeof message.content === "string") return message.content;
  const texts = partsOf(message).map((part) => (part.kind === "text" ? part.text : null));
  return texts.includes(null) ? pretty(message.content) : texts.join("\n\n");
}
