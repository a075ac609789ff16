import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ApiError } from "~/api/client";
import { errorText, fieldError } from "./errorText";

const SOURCE = join(import.meta.dirname, "../../../src/afterword");
const files = (readdirSync(SOURCE, { recursive: true }) as string[]).filter((file) => file.endsWith(".py"));
const hints = files.flatMap((file) =>
  [...readFileSync(join(SOURCE, file), "utf8").matchAll(/hint=f?(["'])(.*?)\1[,)\n]/g)].map((found) => found[2] as string),
);

describe("an error of the server", () => {
  it("has hints, of which there are many", () => expect(hints.length).toBeGreaterThan(80));

  it.each([...new Set(hints)])("tells people nothing of calls: %s", (hint) => {
    const told = errorText(new ApiError(422, "Something is wrong.", "some_code", hint)).hint;
    expect(told).not.toMatch(/\/api\/|GET |POST |PATCH |`|\{"|Retry-After/);
  });

  it.each([
    ["EntityNotFound: project (use_case) 'x' does not exist, or this key may not see it.", "Project 'x' does not exist, or you may not see it."],
    ["filter.and[1].timerange.from is '2026-02-31', which is no day.", "In the filter: timerange from is '2026-02-31', which is no day."],
    ["sample.size is 0, but must be an integer, at least 1.", "Size is 0, but must be an integer, at least 1."],
    ["The disk is full.", "The disk is full."],
  ])("is put for people: %s", (message, told) => expect(errorText(new ApiError(404, message)).message).toBe(told));

  it("says what to do on the page", () => {
    const error = new ApiError(404, "EntityNotFound: metric 'x' is not registered in 'p'.", "metric_not_found", "POST /api/v1/metrics");
    expect(errorText(error)).toEqual({
      message: "Metric 'x' is not registered in 'p'.",
      hint: "Register the feedback key on the page Metrics, or choose another.",
    });
  });
});

it("stands under the field that the server names, and under no other", () => {
  const size = new ApiError(422, "sample.size is 0.", "invalid_value", "", "sample.size");
  expect([fieldError(size, "sample"), fieldError(size, "sam"), fieldError(size, "size")]).toEqual(["Size is 0.", undefined, undefined]);
  const error = new ApiError(422, "name is empty.", "too_short", "", "name");
  expect([fieldError(error, "name"), fieldError(error, "key"), fieldError(null, "name")]).toEqual([
    "Name is empty.",
    undefined,
    undefined,
  ]);
});
