import { expect, test } from "vitest";
import { hiddenCount, revealed } from "./invisible";
import { blocks, chunks, foldAt, numberedLists, sizeOf } from "./texts";

test("controls of direction become marks", () => {
  expect(revealed("a\u202egnp.exe")).toEqual(["a", { mark: "⟨U+202E⟩", name: "right-to-left override" }, "gnp.exe"]);
  expect(hiddenCount("a\u202eb\u200b\u200b")).toBe(3);
  expect(revealed("plain\n\ttext\r\n")).toEqual(["plain\n\ttext\r\n"]);
});

test("a run is one mark; very many stand in the text", () => {
  expect(revealed("\u{e0041}".repeat(50))).toEqual([{ mark: "⟨U+E0041 U+E0041 U+E0041 … 50 characters⟩", name: "hidden character" }]);
  expect(revealed("a\u200b".repeat(1000), 10)).toHaveLength(21);
});

test("emoji are left whole, joiners between letters are not", () => {
  expect(hiddenCount("❤️ 👩‍👩‍👧 👍🏽 1️⃣")).toBe(0);
  expect(hiddenCount("a\u200db")).toBe(1);
});

test("short texts are not folded, long ones at a line", () => {
  expect(foldAt("hi")).toBeNull();
  expect(foldAt("x".repeat(4500))).toBeNull();
  expect(foldAt("x".repeat(10_000))).toBe(4000);
  expect(foldAt("a\n".repeat(200))).toBe(119);
  expect(foldAt("a\n".repeat(65))).toBeNull();
  const words = `${"word ".repeat(700)}\n${"word ".repeat(700)}`;
  expect(foldAt(words)).toBe(words.indexOf("\n") + 1);
  expect(foldAt("😀".repeat(5000))).toBe(4000);
  expect(foldAt(`a${"😀".repeat(5000)}`)).toBe(3999);
});

test("chunks hold everything", () => {
  const text = `${"line of text\n".repeat(5000)}${"x".repeat(50_000)}`;
  const found = chunks(text, 1000);
  expect(found.every((chunk) => chunk.length <= 1000)).toBe(true);
  expect(found.join("").replace(/\n/g, "")).toBe(text.replace(/\n/g, ""));
  expect(chunks("")).toEqual([""]);
});

test("blocks of Markdown do not cut code or lists", () => {
  const code = `\`\`\`py\n${"x = 1\n\ny = 2\n".repeat(200)}\`\`\``;
  const list = "- one\n\n  more of it\n\n- two\n\n".repeat(100);
  const text = `${"A paragraph.\n\n".repeat(100)}${code}\n\n${list}\n\nEnd.\n\nVery end.`;
  const found = blocks(text, 500);
  expect(found.join("")).toBe(text);
  expect(found.length).toBeGreaterThan(3);
  expect(found.filter((block) => (block.match(/```/g) ?? []).length % 2 === 1)).toEqual([]);
  expect(found.filter((block) => block.startsWith("  more"))).toEqual([]);
});

test("sizes are those of UTF-8", () => {
  expect(sizeOf("aé😀")).toBe(7);
});

test("numbered lines of a plain text are a list that begins at its number, and no character is lost", () => {
  expect(numberedLists("Do:\n7. seventh\n8. eighth\n\n3) third")).toEqual([
    "Do:\n",
    { start: 7, lines: ["7. seventh\n", "8. eighth\n"] },
    "\n3) third",
  ]);
  expect(numberedLists("1. one\n2. two")).toEqual([{ start: 1, lines: ["1. one\n", "2. two"] }]);
  for (const text of ["", "\n", "no list", "1. alone", "2026. was\nfine"]) expect(numberedLists(text)).toEqual([text]);
});
