// The choices of the form for a dataset of interactions, and the request that they make.

import type { Schemas } from "~/api/client";
import { readFilter } from "~/rules/language";
import { count } from "~/ui/values";

export type DatasetRequest = Schemas["DatasetOfInteractions"];
export type Kind = DatasetRequest["kind"];
export type Sampling = NonNullable<Schemas["Sample"]["type"]>;
export type Duplicates = NonNullable<DatasetRequest["duplicates"]>;
export type SplitBy = NonNullable<Schemas["Split"]["by"]>;
export type Votes = NonNullable<DatasetRequest["votes"]>;

/** The threshold of a scalar feedback key, as it is typed. */
export type ThresholdChoice = { metric: string; trueFrom: string; falseTo: string };

/** The values of the form. Numbers are as they are typed; shares of a split are in percent. */
export type Choices = {
  query: string;
  name: string;
  kind: Kind;
  metrics: string[];
  sampling: Sampling;
  size: string;
  seed: string;
  duplicates: Duplicates;
  splitBy: "" | SplitBy;
  validation: string;
  test: string;
  votes: Votes;
  thresholds: ThresholdChoice[];
  derivesPairs: boolean;
  withTies: boolean;
  withUnfinished: boolean;
};

export const DEFAULTS: Choices = {
  query: "",
  name: "",
  kind: "completion",
  metrics: [],
  sampling: "all",
  size: "1000",
  seed: "0",
  duplicates: "keep",
  splitBy: "",
  validation: "10",
  test: "10",
  votes: "agreed",
  thresholds: [],
  derivesPairs: true,
  withTies: false,
  withUnfinished: false,
};

const UNFINISHED: NonNullable<DatasetRequest["include"]> = ["failed", "cancelled", "interrupted", "cut_off"];

export const takesFeedback = (kind: Kind): boolean => kind === "feedback" || kind === "preference";
export const takesSeed = ({ sampling, splitBy }: Choices): boolean => sampling === "random" || splitBy !== "";

/** Return why a threshold does not count; null if it does. */
export function thresholdProblem({ trueFrom, falseTo }: ThresholdChoice): string | null {
  if (trueFrom === "" || falseTo === "") return "It counts once both numbers are given.";
  return Number(trueFrom) > Number(falseTo) ? null : "It counts once “yes from” is greater than “no up to”.";
}

/** Tell whether a threshold is begun and does not count. */
export const isThresholdOpen = ({ kind, thresholds }: Choices): boolean =>
  takesFeedback(kind) && thresholds.some((threshold) => thresholdProblem(threshold) !== null);

/** Return the request for a dataset of the interactions with these ids, or else of those that match the filter; null if
 * the filter cannot be read. The request has no name yet. */
export function datasetRequest(project: string, choices: Choices, ids: readonly string[]): DatasetRequest | null {
  const filter = readFilter(choices.query);
  if (!ids.length && filter === null) return null;
  const { kind, sampling, splitBy } = choices;
  return {
    kind,
    project,
    ...(ids.length ? { completion_ids: [...ids] } : { filter }),
    metrics: choices.metrics.length && takesFeedback(kind) ? choices.metrics : null,
    sample: { type: sampling, size: sampling === "all" ? null : typedNumber(choices.size) },
    seed: takesSeed(choices) ? typedNumber(choices.seed) : null,
    derive_pairs: choices.derivesPairs,
    include: choices.withUnfinished ? UNFINISHED : [],
    duplicates: choices.duplicates,
    split: splitBy ? { by: splitBy, validation: share(choices.validation), test: share(choices.test) } : null,
    votes: choices.votes,
    thresholds: Object.fromEntries(
      countingThresholds(choices).map(({ metric, trueFrom, falseTo }) => [
        metric,
        { true_from: Number(trueFrom), false_to: Number(falseTo) },
      ]),
    ),
    ties: choices.withTies && kind === "feedback",
  };
}

/** Return the rules that differ from the defaults, in words. */
export function rulesInWords(choices: Choices): string[] {
  const { kind, sampling, size, duplicates, splitBy } = choices;
  const lines = count(Number(size));
  return [
    sampling === "random" && `${lines} at random`,
    sampling === "last" && `the newest ${lines}`,
    duplicates === "exact" && "no duplicates",
    duplicates === "near" && "no near duplicates",
    splitBy && `split by ${splitBy}`,
    takesFeedback(kind) && choices.votes !== "agreed" && `votes: ${choices.votes}`,
    countingThresholds(choices).length > 0 && "thresholds",
    isThresholdOpen(choices) && "a threshold to complete",
    kind === "feedback" && choices.withTies && "ties",
    kind === "preference" && !choices.derivesPairs && "no pairs of thumbs",
    kind !== "prompt" && choices.withUnfinished && "failed answers, too",
  ].filter((rule): rule is string => Boolean(rule));
}

const countingThresholds = ({ kind, thresholds }: Choices): ThresholdChoice[] =>
  takesFeedback(kind) ? thresholds.filter((threshold) => thresholdProblem(threshold) === null) : [];

const typedNumber = (text: string): number | null => (text === "" ? null : Number(text));

/** Return a share that is typed in percent; 12.3 % is 0.123, and not 0.12300000000000001. */
const share = (percent: string): number => Number((Number(percent) / 100).toPrecision(12));
