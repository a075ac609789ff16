// Results of calls, preferences and possible values, in words.

import type { Interaction, Metric, Preference, Schemas } from "~/api/client";
import type { Tone } from "~/ui";

type Outcome = { text: string; tone?: Tone };

const STATES: Record<Exclude<Schemas["Call"]["state"], "complete">, Outcome> = {
  open: { text: "under way", tone: "blue" },
  failed: { text: "failed", tone: "bad" },
  cancelled: { text: "the caller hung up", tone: "warn" },
  interrupted: { text: "the server stopped", tone: "warn" },
};
const REASONS: Record<string, Outcome> = {
  stop: { text: "finished" },
  length: { text: "cut off at the length limit", tone: "warn" },
  content_filter: { text: "stopped by a content filter", tone: "warn" },
  tool_calls: { text: "calls tools" },
  function_call: { text: "calls a function" },
  malformed_function_call: { text: "called a function wrongly", tone: "warn" },
};

/** Return how a call ended; null for an interaction that was only logged. */
export function outcomeOf(call: Interaction["call"]): Outcome | null {
  if (!call) return null;
  if (call.state !== "complete") return STATES[call.state];
  return call.finish_reason ? (REASONS[call.finish_reason] ?? { text: call.finish_reason }) : { text: "finished" };
}

/** Return the error that the caller got when the call failed. */
export function errorOf(call: Interaction["call"]): string | null {
  if (!call?.error) return null;
  const { message, status, code } = call.error;
  const aside = [status, code].filter(Boolean).join(", ");
  return `${typeof message === "string" ? message : "No reason was given."}${aside ? ` (${aside})` : ""}`;
}

/** Return the result of a preference for one of its completions, as words before the name of the other. */
export function preferredOver(preference: Preference, completionId: string): Outcome & { other: string } {
  const isFirst = preference.preferred_completion === completionId;
  const other = isFirst ? preference.other_completion : preference.preferred_completion;
  if (preference.tied === "good") return { other, text: "as good as" };
  if (preference.tied === "bad") return { other, text: "as bad as", tone: "warn" };
  return isFirst ? { other, text: "preferred to", tone: "good" } : { other, text: "not preferred to", tone: "bad" };
}

/** Return the values that are offered as buttons: 1 to 5, unless the metric's description names another range. */
export function quickValues({ kind, unit, description }: Pick<Metric, "kind" | "unit" | "description">): number[] {
  if (kind === "bool") return [];
  const range = /\b(\d+)\s*(?:-|–|to|\.\.+|…)\s*(\d+)\b/.exec(`${description} ${unit}`);
  if (range) {
    const [low, high] = [Number(range[1]), Number(range[2])];
    if (high > low && high - low <= 10 && high - low > 1) {
      return Array.from({ length: high - low + 1 }, (_, index) => low + index);
    }
    return low === 0 && high === 1 ? [0, 0.25, 0.5, 0.75, 1] : [];
  }
  return unit === "" || /star|point|rating|score/i.test(unit) ? [1, 2, 3, 4, 5] : [];
}

/** Return the value of a number key; null if it has none. */
export function keyedValue(metric: Metric, key: number): number | null {
  if (metric.kind === "bool") return key <= 1 ? key : null;
  const values = quickValues(metric);
  if (values.includes(key)) return key;
  // If values are not digits, key 1 is the first.
  return values.some((value) => !Number.isInteger(value)) ? (values[key - 1] ?? null) : null;
}

/** Return the mean of the feedback under each key. */
export function meansOf(feedback: Interaction["feedback"]): [metric: string, mean: number, count: number][] {
  const found = new Map<string, number[]>();
  for (const { metric, value } of feedback) found.set(metric, [...(found.get(metric) ?? []), value]);
  return [...found].map(([metric, values]) => [metric, values.reduce((sum, one) => sum + one, 0) / values.length, values.length]);
}
