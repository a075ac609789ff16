import { expect, it } from "vitest";
import { formulaOf, formulasIn, segments } from "./formulas";

const sources = (text: string) => [...formulasIn(text)].map(({ start, end }) => text.slice(start, end));

it.each([
  ["\\(a_1\\) and \\[b\\] and $$c$$", ["\\(a_1\\)", "\\[b\\]", "$$c$$"]],
  ["Let $x$ be $2x + 1 = 7$, so $10^6$.", ["$x$", "$2x + 1 = 7$", "$10^6$"]],
  ["It costs $5 or $6, from $5-$10, US$ and A$.", []],
  ["from $5/month to 10$ a year, $PATH and $HOME/bin", []],
  ["$\\text{as many words as you like} + 1$", ["$\\text{as many words as you like} + 1$"]],
])("finds the formulas of %j", (text, found) => {
  expect(sources(text)).toEqual(found);
});

it("tells what stands between the delimiters, and whether it has a line of its own", () => {
  expect(formulaOf("$$ x $$")).toEqual({ tex: "x", isDisplay: true });
  expect(formulaOf("\\(x\\)")).toEqual({ tex: "x", isDisplay: false });
  expect(formulaOf("$5 for you and me$")).toBeNull();
});

it("cuts display formulas out of Markdown, and leaves code alone", () => {
  const text = "So\n\\[\n- a\n= b\n\\]\nand\n```\n$$\ncode\n$$\n```\n$$ c $$\nend $$ here";
  expect(segments(text)).toEqual([
    { kind: "markdown", text: "So" },
    { kind: "formula", text: "\\[\n- a\n= b\n\\]" },
    { kind: "markdown", text: "and\n```\n$$\ncode\n$$\n```" },
    { kind: "formula", text: "$$ c $$" },
    { kind: "markdown", text: "end $$ here" },
  ]);
  expect(segments("$$ never ends\nsaid")).toEqual([{ kind: "markdown", text: "$$ never ends\nsaid" }]);
});
