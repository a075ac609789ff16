import { describe, expect, it } from "vitest";
import type { Metric, Schemas } from "~/api/client";
import odd from "../../../tests/odd_names.json";
import { conditionOf, roleOf, withRole } from "./facetConditions";
import { toFilter } from "./language";

type Facet = Schemas["Facet"];

const metrics = new Map([
  ["good", { key: "good", name: "Good", kind: "bool" } as Metric],
  ["CSAT", { key: "CSAT", name: "CSAT", kind: "scalar" } as Metric],
]);
const facet = (kind: Facet["kind"], key: string | null = null): Facet => ({ kind, key, count: 1, values: [], values_left_out: 0 });

describe("a value of a facet", () => {
  it.each([
    [facet("model"), "org/m-1", { model: { eq: "org/m-1" } }],
    [facet("state"), "failed", { state: { eq: "failed" } }],
    [facet("finish_reason"), "length", { finish_reason: { eq: "length" } }],
    [facet("source"), "LIVE", { source: { eq: "LIVE" } }],
    [facet("user"), "ann b", { user: { eq: "ann b" } }],
    [facet("feedback", "good"), 1, { feedback: { metric: "good", value: { eq: 1 } } }],
    [facet("feedback", "good"), 0, { feedback: { metric: "good", value: { eq: 0 } } }],
    [facet("feedback", "CSAT"), 4.5, { feedback: { metric: "CSAT", value: { eq: 4.5 } } }],
    [facet("feedback", "CSAT"), -1, { feedback: { metric: "CSAT", value: { eq: -1 } } }],
    [facet("outcome", "good"), 1, { outcome: { metric: "good", value: { eq: 1 } } }],
    [facet("outcome", "session.CSAT"), 4, { outcome: { metric: "session.CSAT", value: { eq: 4 } } }],
    [facet("preference", "good"), "", { preference: { metric: "good" } }],
  ])("%j is found by its condition: %s", (one, value, filter) => {
    expect(toFilter(conditionOf(one, value, metrics))).toEqual(filter);
  });

  it.each(odd.labels as [string, string][])("is found whatever the label is called: %s: %s", (key, value) => {
    const condition = conditionOf(facet("label", key), value, metrics);
    expect(toFilter(condition)).toEqual({ label: { key, value: { eq: value } } });
    expect(roleOf(withRole("a b", condition, "without"), condition)).toBe("without");
  });

  it("is kept to, left out, and neither, by a click each", () => {
    const condition = "label.env:prod";
    expect(withRole("refund", condition, "only")).toBe("refund label.env:prod");
    expect(withRole("refund label.env:prod", condition, "without")).toBe("refund -label.env:prod");
    expect(withRole("refund -label.env:prod", condition, "without")).toBe("refund");
    expect(withRole("label.env:prod", condition, "only")).toBe("");
    expect(roleOf("(label.env:prod OR a)", condition)).toBeNull();
  });
});
