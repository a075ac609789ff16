import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";
import RenderedMarkdown from "./RenderedMarkdown";

const html = (text: string) => renderToStaticMarkup(<RenderedMarkdown text={text} />);
const shown = (text: string) =>
  html(text)
    .replaceAll(/<br\/?>\n?/g, "\n")
    .replaceAll(/<[^>]+>/g, "")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#x27;", "'")
    .replaceAll("&amp;", "&")
    .trim();

it.each([
  "first rule\nsecond rule\n    third, indented\nend",
  "2*3*4 and a*b*c, f(x)*g*(y)",
  "x**2 + y**2 = r**2",
  "5~7 kg, ~10 to ~20",
  "call __init__ of _private_name and snake_case_name",
  "Roses are red,\r\nviolets are blue",
  "\\(a_1 + b_2\\) and \\[ x^{2}_{1} + y^{2}_{1} \\]",
  "$x^*y^*$ costs $5 or $6",
  "$$\n\\sum_{i} a_{i} \\\\\n\\frac{1}{2}\n$$",
  "C:\\.venv\\_lib and \\\\server\\share",
  "&lt;b&gt; &amp; &copy; 5 < 6",
  "<rules>only these</rules>\nand <TITLE>Sea</TITLE>",
  "<context>\nblock text\n  indented\n</context>",
  "[1]: https://example.org/herons",
  "a line with two blanks at its end\nand another",
])("shows as it was written: %j", (text) => {
  expect(shown(text)).toBe(text.replaceAll("\r\n", "\n"));
});

it.each([
  ["**bold** and *slanted*", "<strong>bold</strong> and <em>slanted</em>"],
  ["这是**重点**内容", "<strong>重点</strong>"],
  ["**Note**s", "<strong>Note</strong>"],
  ["~~gone~~", "<del>gone</del>"],
  ["see [it](https://example.org)", 'href="https://example.org/"'],
  ["see [it][1]\n\n[1]: https://example.org", 'href="https://example.org/"'],
  ["`a*b*c`", "<code>a*b*c</code>"],
])("still renders %j", (text, part) => {
  expect(html(text)).toContain(part);
});

it("keeps the numbers of lists, and lines within items and quotes", () => {
  expect(html("7. seventh\n8. eighth")).toContain('<ol start="7">');
  expect(html("1. one\n1. another\n5) fifth").replaceAll("&quot;", "'")).toMatch(/'1\. '.*'1\. '.*'5\) '/s);
  expect(shown("- item\n  its second line\n    deeper")).toBe("item\nits second line\n  deeper");
  expect(shown("> quoted\n> on two lines")).toBe("quoted\non two lines");
});
