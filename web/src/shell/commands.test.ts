import { expect, it } from "vitest";
import { fitting } from "./commands";

const commands = ["Interactions", "Metrics", "Ranking", "A/B tests", "web-metrics"].map((name) => ({ name }));

it.each([
  ["", ["Interactions", "Metrics", "Ranking", "A/B tests", "web-metrics"]],
  ["me", ["Metrics", "web-metrics"]],
  ["tests", ["A/B tests"]],
  ["rkg", ["Ranking"]],
  ["xyz", []],
])("“%s” finds %j", (typed, names) => expect(fitting(commands, typed).map(({ name }) => name)).toEqual(names));
