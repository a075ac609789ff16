import { Wrench } from "lucide-react";
import type { Interaction } from "~/api/client";
import { Chip } from "~/ui";
import css from "./interactions.module.css";

const CUT_OFF: Record<string, string> = {
  length: "cut off: token limit",
  max_tokens: "cut off: token limit",
  MAX_TOKENS: "cut off: token limit",
  content_filter: "cut off: content filter",
  SAFETY: "cut off: content filter",
  refusal: "refused",
};
const TOOL_CALLS = new Set(["tool_calls", "tool_use", "function_call"]);

/** The completion: the model's text, the reason of a failure or cut, or the tool calls. */
export function Completion({ interaction }: { interaction: Interaction }) {
  const { call } = interaction;
  if (call && call.state !== "complete") return <State interaction={interaction} />;
  const reason = call?.finish_reason ?? "";
  const cut = CUT_OFF[reason];
  const calls = TOOL_CALLS.has(reason) || interaction.message?.tool_calls !== undefined;
  const text = interaction.completion.trim();
  if (!text && !cut && !interaction.expired) return <span className={css.faint}>{withoutText(reason)}</span>;
  return (
    <>
      {cut && <Chip tone="warn">{cut}</Chip>}
      {calls && (
        <span className={css.tool} title="Calls a tool">
          <Wrench size={12} aria-label="Calls a tool" />
        </span>
      )}
      {(cut || calls) && " "}
      <bdi>{text}</bdi>
    </>
  );
}

/** Say that a completion is empty, and how the model ended it where that is not the usual way. */
const withoutText = (reason: string): string =>
  reason === "" || reason === "stop" ? "no text" : `no text: ${reason.replaceAll("_", " ")}`;

/** The result of an interaction's call, with the reason of a failure. */
export function State({ interaction }: { interaction: Interaction }) {
  const { call } = interaction;
  if (!call) return <span className={css.faint}>logged</span>;
  const tones = { failed: "bad", cancelled: "warn", interrupted: "warn", open: "blue", complete: undefined } as const;
  const { message } = (call.error ?? {}) as { message?: unknown };
  const why = typeof message === "string" ? message : interaction.completion.trim();
  return (
    <>
      <span data-condition={`state:${call.state}`}>
        <Chip tone={tones[call.state]}>{call.state === "open" ? "answering…" : call.state}</Chip>
      </span>{" "}
      {call.state !== "complete" && <bdi title={why}>{why}</bdi>}
    </>
  );
}
