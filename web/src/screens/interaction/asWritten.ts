// Markdown that alters no text. Its marks become formatting (headings, lists, code), but each line stays a line, and
// text that only looks like a mark stays as written: 2*3*4, x**2, __init__, &lt;, C:\.venv. Formulas are kept whole.

import type { Blockquote, Definition, Html, List, ListItem, Nodes, Paragraph, PhrasingContent, Root, RootContent, Text } from "mdast";
import type { VFile } from "vfile";
import { formulasIn } from "./formulas";

type Range = readonly [start: number, end: number];
type Parent = { type: string; children: RootContent[] };

/** Change a tree so that it shows its text as it was written. For `remarkPlugins`. */
export function asWritten() {
  return (tree: Root, file: VFile): void => {
    new Writer(String(file)).parent(tree as Parent, 0);
  };
}

class Writer {
  constructor(private readonly source: string) {}

  /** `column` is the number of characters of each line that belong to the quotes and lists around it. */
  parent(node: Parent, column: number): void {
    node.children = node.children.flatMap((child) => this.block(child, column));
  }

  private block(node: RootContent, column: number): RootContent[] {
    switch (node.type) {
      case "paragraph":
      case "heading":
        node.children = this.phrases(node.children, this.formulas(node), startColumn(node));
        return [node];
      case "table":
        for (const row of node.children) {
          for (const cell of row.children) cell.children = this.phrases(cell.children, this.formulas(cell), 0);
        }
        return [node];
      case "html":
        return [paragraph(this.lines(this.raw(node), startColumn(node)), node)];
      case "definition":
        // The definition stays for the links that use it, and is also shown.
        return [node, paragraph(this.lines(this.raw(node), startColumn(node)), node)];
      case "list":
        for (const item of node.children) this.parent(item as Parent, column);
        this.number(node);
        return [node];
      case "blockquote":
      case "footnoteDefinition":
        this.parent(node as Parent, column);
        return [node];
      default:
        return [node];
    }
  }

  /** Keep the number of each item as written; HTML would number the items itself. */
  private number(list: List): void {
    if (!list.ordered) return;
    for (const item of list.children) {
      const marker = /^\s*(\d+[.)])/.exec(this.raw(item))?.[1];
      if (marker) item.data = { ...item.data, hProperties: { style: `list-style-type:"${marker} "` } };
    }
  }

  private phrases(nodes: PhrasingContent[], formulas: readonly Range[], column: number): PhrasingContent[] {
    return joined(nodes.map((node) => (this.isLiteral(node, formulas) ? this.asText(node) : node))).flatMap((node) => {
      if (node.type === "text" || node.type === "html") return this.text(node, formulas, column);
      if ("children" in node) node.children = this.phrases(node.children as PhrasingContent[], formulas, column) as never;
      return [node];
    });
  }

  /** Tell whether a mark is literal text: in a formula, after a letter or digit, or in a Python name. */
  private isLiteral(node: PhrasingContent, formulas: readonly Range[]): boolean {
    const range = rangeOf(node);
    if (!range || node.type === "text" || node.type === "inlineCode") return false;
    const [start, end] = range;
    if (formulas.some(([first, last]) => start < last && end > first)) return true;
    if (node.type !== "emphasis" && node.type !== "strong") return false;
    return /[A-Za-z0-9)\]]/.test(this.source[start - 1] ?? "") || /^__\w+__$/.test(this.source.slice(start, end));
  }

  /** Return a text line by line, with each formula as its own node. */
  private text(node: Text | Html, formulas: readonly Range[], column: number): PhrasingContent[] {
    const [start, end] = rangeOf(node) ?? [0, 0];
    if (start === end) return this.lines(node.value, column);
    const found: PhrasingContent[] = [];
    let at = start;
    for (const [first, last] of formulas.filter((range) => range[0] >= start && range[1] <= end)) {
      found.push(...this.lines(this.source.slice(at, first), column));
      const [opening = "", ...others] = this.source.slice(first, last).split(/\r\n?|\n/);
      found.push(formula([opening, ...others.map((line) => withoutPrefix(line, column))].join("\n")));
      at = last;
    }
    return [...found, ...this.lines(this.source.slice(at, end), column)];
  }

  private asText(node: PhrasingContent): Text {
    return { type: "text", value: this.raw(node), position: node.position };
  }

  private formulas(node: Nodes): Range[] {
    const [start = 0, end = 0] = rangeOf(node) ?? [];
    const codes = "children" in node ? (node.children as PhrasingContent[]).filter(isCode).map(rangeOf) : [];
    return [...formulasIn(this.source.slice(start, end))]
      .map((found): Range => [start + found.start, start + found.end])
      .filter(([first, last]) => !codes.some((code) => code && first < code[1] && last > code[0]));
  }

  /** Return a text line by line, with breaks between lines and with their indentation. */
  private lines(text: string, column: number): PhrasingContent[] {
    return text.split(/\r\n?|\n/).flatMap((line, index): PhrasingContent[] => {
      if (index === 0) return line ? [{ type: "text", value: line }] : [];
      const own = withoutPrefix(line, column);
      const indent = /^[ \t]*/.exec(own)?.[0] ?? "";
      const rest = own.slice(indent.length);
      return [{ type: "break" }, ...(indent ? indented(indent) : []), ...(rest ? [{ type: "text", value: rest } as Text] : [])];
    });
  }

  private raw(node: Nodes): string {
    const range = rangeOf(node);
    return range ? this.source.slice(...range) : "";
  }
}

const isCode = (node: PhrasingContent) => node.type === "inlineCode";
const startColumn = (node: Nodes): number => (node.position?.start.column ?? 1) - 1;

function rangeOf(node: Nodes): Range | null {
  const start = node.position?.start.offset;
  const end = node.position?.end.offset;
  return start === undefined || end === undefined ? null : [start, end];
}

/** Join adjacent texts, so that lines are split only at line ends. */
function joined(nodes: PhrasingContent[]): PhrasingContent[] {
  const found: PhrasingContent[] = [];
  for (const node of nodes) {
    const last = found.at(-1);
    if (last?.type === "text" && node.type === "text" && last.position && node.position) {
      last.value += node.value;
      last.position = { start: last.position.start, end: node.position.end };
    } else found.push(node);
  }
  return found;
}

/** Remove the prefix of the quotes and lists around a line, at most `column` characters. */
function withoutPrefix(line: string, column: number): string {
  let at = 0;
  while (at < column && at < line.length && /[ \t>]/.test(line[at] as string)) at += 1;
  return line.slice(at);
}

/** Return an indentation. Blanks directly after a break would be removed, so a node must be between them. */
function indented(indent: string): PhrasingContent[] {
  const span = { hName: "span", hProperties: { className: ["indent"] } };
  return [
    { type: "text", value: "" },
    { type: "emphasis", children: [{ type: "text", value: indent }], data: span },
  ];
}

/** Return the node of a formula, which the component for `span` renders. */
function formula(source: string): PhrasingContent {
  return { type: "emphasis", children: [], data: { hName: "span", hProperties: { dataFormula: source } } };
}

const paragraph = (children: PhrasingContent[], { position }: Html | Definition | Blockquote | ListItem): Paragraph => ({
  type: "paragraph",
  children,
  position,
});
