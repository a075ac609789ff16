import { expect, it } from "vitest";
import { DEFAULTS, datasetRequest, rulesInWords } from "./choices";

it("asks for what was chosen, and for nothing that the kind does not take", () => {
  const thresholds = [
    { metric: "CSAT", trueFrom: "4", falseTo: "2.5" },
    { metric: "half", trueFrom: "4", falseTo: "" },
    { metric: "wrong", trueFrom: "2", falseTo: "4" },
  ];
  const choices = { ...DEFAULTS, thresholds, metrics: ["CSAT"], splitBy: "user", validation: "12.3", test: "0", seed: "7" } as const;
  const request = datasetRequest("p", { ...choices, metrics: ["CSAT"], kind: "feedback", withTies: true }, []);
  expect(request).toMatchObject({
    metrics: ["CSAT"],
    split: { by: "user", validation: 0.123, test: 0 },
    seed: 7,
    ties: true,
    sample: { type: "all", size: null },
  });
  expect(request?.thresholds).toEqual({ CSAT: { true_from: 4, false_to: 2.5 } });
  const prompts = datasetRequest("p", { ...choices, metrics: ["CSAT"], kind: "prompt", splitBy: "" }, ["1"]);
  expect(prompts).toMatchObject({ metrics: null, thresholds: {}, split: null, seed: null, completion_ids: ["1"] });
  expect(datasetRequest("p", { ...DEFAULTS, query: "CSAT>=" }, [])).toBeNull();
});

it("says which rules differ from the defaults", () => {
  expect(rulesInWords(DEFAULTS)).toEqual([]);
  const changes = { sampling: "random", duplicates: "near", splitBy: "session", withUnfinished: true } as const;
  expect(rulesInWords({ ...DEFAULTS, ...changes })).toEqual([
    "1,000 at random",
    "no near duplicates",
    "split by session",
    "failed answers, too",
  ]);
  const begun = { kind: "feedback", thresholds: [{ metric: "CSAT", trueFrom: "4", falseTo: "" }] } as const;
  expect(rulesInWords({ ...DEFAULTS, ...begun, thresholds: [...begun.thresholds] })).toEqual(["a threshold to complete"]);
});
