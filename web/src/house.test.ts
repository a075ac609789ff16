// The house rules of the page that the linter cannot check.

import { readdirSync, readFileSync } from "node:fs";
import ts from "typescript";
import { expect, it } from "vitest";

const MAX_LINES = 120;
const SOURCE = new URL(".", import.meta.url).pathname;

const files = readdirSync(SOURCE, { recursive: true, encoding: "utf-8" }).filter((name) => /\.tsx?$/.test(name));

function longFunctions(name: string): string[] {
  const file = ts.createSourceFile(name, readFileSync(SOURCE + name, "utf-8"), ts.ScriptTarget.Latest);
  const line = (position: number) => file.getLineAndCharacterOfPosition(position).line;
  const long: string[] = [];
  function visit(node: ts.Node): void {
    const lines = line(node.end) - line(node.getStart(file)) + 1;
    if (ts.isFunctionLike(node) && lines > MAX_LINES) long.push(`${name}:${line(node.getStart(file)) + 1}: ${lines} lines`);
    ts.forEachChild(node, visit);
  }
  visit(file);
  return long;
}

// The linter counts only the lines of blocks, so it misses an arrow function that returns an element directly.
it(`no component or other function is longer than ${MAX_LINES} lines, in whatever form`, () => {
  expect(files.length).toBeGreaterThan(100);
  expect(files.filter((name) => !name.startsWith("api/generated/")).flatMap(longFunctions)).toEqual([]);
}, 60_000);
