import { expect, it } from "vitest";
import type { Preference } from "~/api/client";
import { choiceOf, preference } from "./verdicts";

it.each([
  ["left", "l", "r", null],
  ["right", "r", "l", null],
  ["good", "l", "r", "good"],
  ["bad", "l", "r", "bad"],
] as const)("logs the verdict %s, and reads it again", (choice, preferred_completion, other_completion, tied) => {
  const body = preference("better", "l", "r", choice, "  ");
  expect(body).toEqual({ metric: "better", preferred_completion, other_completion, tied, details: null });
  expect(choiceOf(body as unknown as Preference, "l")).toBe(choice);
});
