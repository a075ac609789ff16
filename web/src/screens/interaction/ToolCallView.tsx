import { Wrench } from "lucide-react";
import { useMemo } from "react";
import type { Message } from "~/api/client";
import { Chip, CopyButton, cx } from "~/ui";
import css from "./conversation.module.css";
import { Fold } from "./Fold";
import { contains, useSought } from "./Find";
import { JsonTree } from "./JsonTree";
import { pretty } from "~/rules/parts";
import { resultOf, summary, type ToolCall, type ToolResult } from "~/rules/toolCalls";
import { PartView } from "./Conversation";
import { Text } from "./Text";

/** A tool call: its name and arguments in a line; opened, also its result. */
export function ToolCallView({ call, result }: { call: ToolCall; result: Message | null }) {
  const sought = useSought();
  const answer = useMemo(() => (result ? resultOf(result) : (call.hosted ?? null)), [result, call]);
  return (
    <Fold
      shows={contains(pretty(call.args), sought) || (answer !== null && contains(pretty(answer.value), sought))}
      className={css.tool}
      title={
        <>
          <Wrench size={13} aria-hidden className={css.wrench} />
          <code>{call.name}</code>
          <span className={css.line}>{summary(call.args)}</span>
          {answer && <span className={cx(css.line, css.answered)}>→ {answer.line}</span>}
          {answer?.isError && <Chip tone="bad">error</Chip>}
        </>
      }
    >
      {() => (
        <>
          <Member name="Arguments" value={call.args} />
          {answer ? (
            <Result result={answer} />
          ) : (
            <p className={css.nothing}>No answer to this call came along.</p>
          )}
          {call.id && <p className={css.nothing}>{call.id}</p>}
        </>
      )}
    </Fold>
  );
}

function Result({ result }: { result: ToolResult }) {
  if (!result.parts) return <Member name="Result" value={result.value} />;
  return (
    <div className={css.member}>
      <h4>
        Result <CopyButton label="Copy: result" text={() => pretty(result.value)} />
      </h4>
      {result.parts.map((part, index) => (
        <PartView key={index} part={part} look="plain" />
      ))}
    </div>
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
