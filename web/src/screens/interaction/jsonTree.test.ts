import { expect, it } from "vitest";
import { parentOf, pathOf, rowsOf, search } from "./jsonTree";

const value = { messages: [{ role: "user", content: [{ type: "text", text: "Which Heron?" }] }], "odd key": 1n << 60n, empty: [] };
const paths = (...given: Parameters<typeof rowsOf>) => rowsOf(...given).map(({ path }) => path);

it("opens the first levels, and what someone opens", () => {
  expect(paths(value, new Map())).toEqual([
    "", "messages", "messages[0]", "messages[0].role", "messages[0].content", '["odd key"]', "empty",
  ]);
  expect(paths(value, new Map([["messages[0].content", true]]))).toContain("messages[0].content[0]");
  expect(paths(value, new Map([["messages", false]]))).toEqual(["", "messages", '["odd key"]', "empty"]);
});

it("finds keys and values, whatever their case, with what is around them", () => {
  const { found, count } = search(value, "heron");
  expect(count).toBe(1);
  expect(paths(value, new Map(), found)).toEqual([
    "", "messages", "messages[0]", "messages[0].content", "messages[0].content[0]", "messages[0].content[0].text",
  ]);
  expect(search(value, "1152921504606846976").count).toBe(1);
  expect(search(value, "odd").count).toBe(1);
  expect(search(value, "nothing")).toEqual({ found: new Set(), count: 0 });
});

it("shows all of what is opened among what was found", () => {
  const { found } = search(value, "user");
  expect(paths(value, new Map([["messages[0]", true]]), found)).toContain("messages[0].content");
});

it("knows each value by a path that one can type", () => {
  expect(pathOf("", "a")).toBe("a");
  expect(pathOf("a[0]", "b-c")).toBe('a[0]["b-c"]');
  const rows = rowsOf(value, new Map());
  expect(parentOf(rows, 3)).toBe(2);
  expect(parentOf(rows, 0)).toBeNull();
});
