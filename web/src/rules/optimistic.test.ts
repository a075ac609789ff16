import { describe, expect, it } from "vitest";
import type { Feedback, Interaction } from "~/api/client";
import { findRow, lostLabels, withChangedFeedback, withFeedback, withLabels, withOpinions, withoutFeedback } from "./optimistic";

const rating = (feedback_id: string, value: number): Feedback => ({ feedback_id, value, metric: "CSAT" }) as Feedback;
const interaction = {
  completion_id: "a",
  labels: { env: "prod", team: "red" },
  feedback: [rating("1", 3)],
  preferences: [],
} as unknown as Interaction;

describe("labels that are changed", () => {
  it("replace what stood under their key, and leave the others", () =>
    expect(withLabels(interaction, { env: "test" }, []).labels).toEqual({ env: "test", team: "red" }));
  it("are gone once they are removed", () => expect(withLabels(interaction, {}, ["env"]).labels).toEqual({ team: "red" }));
  it("can be had back: what was replaced or removed, and nothing else", () => {
    expect(lostLabels(interaction, { env: "test", team: "red", new: "x" }, [])).toEqual({ env: "prod" });
    expect(lostLabels(interaction, {}, ["team"])).toEqual({ team: "red" });
  });
});

describe("feedback that is given", () => {
  const values = ({ feedback }: Interaction) => feedback.map((one) => [one.feedback_id, one.value]);
  it("stands first", () => expect(values(withFeedback(interaction, rating("2", 5)))).toEqual([["2", 5], ["1", 3]]));
  it("changes under its id", () => {
    expect(values(withChangedFeedback(interaction, "1", { value: 4 }))).toEqual([["1", 4]]);
    expect(values(withChangedFeedback(interaction, "other", { value: 4 }))).toEqual([["1", 3]]);
  });
  it("goes where its id is gone", () => expect(values(withoutFeedback(interaction, (id) => id === "1"))).toEqual([]));
});

describe("a list", () => {
  const list = {
    pages: [
      { interactions: [{ ...interaction, prompt: "as the list has it" } as Interaction], next: null, previous: null },
    ],
    pageParams: [null],
  };
  it("shows the labels and feedback of an interaction in its row, and keeps the rest of it", () => {
    const changed = withOpinions(list, withLabels(withFeedback(interaction, rating("2", 5)), { env: "test" }, []));
    expect(findRow(changed, "a")).toMatchObject({ prompt: "as the list has it", labels: { env: "test" } });
    expect(findRow(changed, "a")?.feedback).toHaveLength(2);
    expect(changed.pageParams).toBe(list.pageParams);
  });
  it("is the same where the interaction is not in it", () =>
    expect(withOpinions(list, { ...interaction, completion_id: "b" })).toBe(list));
});
