// A row of a dataset's preview, in the shape `recipe`, as it is shown to people.

import type { Message } from "~/api/client";
import { completionMessage, roleOf } from "~/rules/parts";
import { messageWords } from "~/rules/words";

type Said = { name: string; words: string };

export type ReadableRow = {
  prompt: Said[];
  /** The completion, or both sides of a preference, the chosen one first. */
  answers: Said[];
  values: [metric: string, value: unknown][];
  labels: [key: string, value: string][];
  /** The side of the split, and the model. */
  facts: string[];
};

/** Return what a row says, in words. */
export function readableRow(row: Record<string, unknown>): ReadableRow {
  const { messages, completion, preferred_completion: chosen, other_completion: rejected } = row;
  const metadata = (row.metadata ?? {}) as Record<string, unknown>;
  const answers = { completion, chosen, rejected };
  return {
    prompt: (Array.isArray(messages) ? (messages as Message[]) : []).map((message) => ({
      name: roleOf(message),
      words: messageWords(message),
    })),
    answers: Object.entries(answers).flatMap(([name, answer]) =>
      answer === undefined ? [] : [{ name, words: answerWords(answer) }],
    ),
    values: Object.entries(row.feedbacks ?? {}),
    labels: Object.entries(row.labels ?? {}),
    facts: [metadata.split, row.feedback_key, metadata.model].filter((fact) => typeof fact === "string"),
  };
}

function answerWords(answer: unknown): string {
  if (typeof answer === "string") return messageWords(completionMessage({ message: null, completion: answer }));
  return (Array.isArray(answer) ? answer : [answer]).map((message) => messageWords(message as Message)).join("\n");
}
