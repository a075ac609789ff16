import { describe, expect, it } from "vitest";
// The table of odd names that the tests of the API use, too.
import odd from "../../../tests/odd_names.json";
import { parts, quoted, QueryError, toFilter, withoutPart, withPart } from "./language";

describe("a query", () => {
  const meanings: [string, unknown][] = [
    ["", { and: [] }],
    ["label.env:prod", { label: { key: "env", value: { eq: "prod" } } }],
    ["label.env:prod,staging", { label: { key: "env", value: { in: ["prod", "staging"] } } }],
    ['label."my key":"a value, with \\"marks\\""', { label: { key: "my key", value: { eq: 'a value, with "marks"' } } }],
    ["label.env", { label: { key: "env" } }],
    ["CSAT>=4", { feedback: { metric: "CSAT", value: { gte: 4 } } }],
    ["accepted=true", { feedback: { metric: "accepted", value: { eq: 1 } } }],
    ['"how good"<0.5', { feedback: { metric: "how good", value: { lt: 0.5 } } }],
    ["-has:CSAT", { not: { feedback: { metric: "CSAT" } } }],
    ["has:tools,images", { has: { in: ["tools", "images"] } }],
    ['has:"tools"', { feedback: { metric: "tools" } }],
    ["tool:weather", { tool: { eq: "weather" } }],
    ["reasoning:refund", { reasoning: { contains: "refund" } }],
    ["session.CSAT>=4", { outcome: { metric: "CSAT", value: { gte: 4 } } }],
    ["-session.accepted=true", { not: { outcome: { metric: "accepted", value: { eq: 1 } } } }],
    ['"session.CSAT">=4', { feedback: { metric: "session.CSAT", value: { gte: 4 } } }],
    ['has:session.CSAT,good,"session.x"', {
      or: [{ outcome: { metric: "CSAT" } }, { feedback: { metric: "good" } }, { feedback: { metric: "session.x" } }],
    }],
    ["session:chat-42", { session_id: { eq: "chat-42" } }],
    ["details:rude", { details: { contains: "rude" } }],
    ["refund from:7d repeats:true", { repeats: { and: [{ timerange: { from: "now - 7 days" } }, { text: "refund" }] } }],
    ["(prompt:refund repeats:true) OR sorry", { or: [{ repeats: { prompt: { contains: "refund" } } }, { text: "sorry" }] }],
    ["has:a,b", { or: [{ feedback: { metric: "a" } }, { feedback: { metric: "b" } }] }],
    ["from:7d", { timerange: { from: "now - 7 days" } }],
    ["to:2026-11-01T10:00Z", { timerange: { to: "2026-11-01T10:00Z" } }],
    ["to:2026-11-01T10:00:00.5+02:00", { timerange: { to: "2026-11-01T10:00:00.5+02:00" } }],
    ["to:2026-02-31", { timerange: { to: "2026-02-31" } }],
    ["request:req_1", { request_id: { eq: "req_1" } }],
    ["trace:a,b", { trace_id: { in: ["a", "b"] } }],
    ["credit card", { text: "credit card" }],
    ['"credit card"', { text: '"credit card"' }],
    ["prompt:\"credit card\"", { prompt: { contains: "credit card" } }],
    ["model:a OR model:b", { or: [{ model: { eq: "a" } }, { model: { eq: "b" } }] }],
    [
      "refund (state:failed OR NOT finish:stop) model:org/m-1",
      {
        and: [
          { or: [{ state: { eq: "failed" } }, { not: { finish_reason: { eq: "stop" } } }] },
          { model: { eq: "org/m-1" } },
          { text: "refund" },
        ],
      },
    ],
  ];
  it.each(meanings)("%s", (query, filter) => {
    expect(toFilter(query)).toEqual(filter);
  });

  it.each([
    ["from:2026-06-10", "2026-06-10T00:00:00"],
    ["from:2026-11-01", "2026-11-01T00:00:00"],
    ['from:"2026-06-10 20:30"', "2026-06-10T20:30:00"],
    ["from:2026-06-10T20:30:15", "2026-06-10T20:30:15"],
  ])("%s is a time of the zone that times are shown in", (query, local) => {
    expect(toFilter(query)).toEqual({ timerange: { from: new Date(local).toISOString() } });
  });

  it.each(["session.>4", "has:session.", "(a", "a)", 'label.x:"y', "nofield:x", "CSAT>=good", "model:", "NOT"])("%s is refused in words", (query) => {
    expect(() => toFilter(query)).toThrow(QueryError);
  });

  it("comes apart into its conditions, and together again", () => {
    expect(parts('label.env:prod -has:CSAT (a OR b) "x y"')).toEqual(["label.env:prod", "-has:CSAT", "(a OR b)", '"x y"']);
    expect(withoutPart("a b:c".replace("b:c", "model:c"), "model:c")).toBe("a");
    expect(withPart("a OR b", "model:c")).toBe("(a OR b) model:c");
    expect(withPart("model:c", "model:c")).toBe("model:c");
  });

  it.each(odd.labels as [string, string][])("reaches the label %s: %s", (key, value) => {
    const label = `label.${quoted(key)}`;
    expect(toFilter(label)).toEqual({ label: { key } });
    expect(toFilter(`${label}:${quoted(value)}`)).toEqual({ label: { key, value: { eq: value } } });
    expect(toFilter(`${label}:${quoted(value)},x -${label}`)).toEqual({
      and: [{ label: { key, value: { in: [value, "x"] } } }, { not: { label: { key } } }],
    });
    expect(parts(`a ${label}:${quoted(value)} b`)).toEqual(["a", `${label}:${quoted(value)}`, "b"]);
  });

  it.each(odd.metrics)("reaches the feedback key %s", (metric) => {
    expect(toFilter(`${quoted(metric)}>=4`)).toEqual({ feedback: { metric, value: { gte: 4 } } });
    expect(toFilter(`has:${quoted(metric)}`)).toEqual({ feedback: { metric } });
    expect(toFilter(`session.${quoted(metric)}=true`)).toEqual({ outcome: { metric, value: { eq: 1 } } });
    expect(toFilter(`has:session.${quoted(metric)}`)).toEqual({ outcome: { metric } });
  });

  it.each(["plain", "with blank", 'mark"s', "a,b", "-x", "1.5", "ends\\", "(x)"])("keeps the value %s", (value) => {
    expect(toFilter(`label.k:${quoted(value)}`)).toEqual({ label: { key: "k", value: { eq: value } } });
  });
});
