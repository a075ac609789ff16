// The typed query: a readable text, also used in links, and its conversion to and from the server's filter tree.
//
//   label.env:prod,staging  CSAT>=4  has:CSAT  -model:gpt  from:7d  text:refund  (state:failed OR finish:length)
//   session.CSAT>=4  has:session.CSAT    the same of the outcomes of the session
//
// Adjacent conditions must all hold. OR separates alternatives; - or NOT negates a condition. Words without a field are
// searched in prompt and completion. With repeats:true beside them, words are also found in later turns of a session,
// which send them again.

import type { Filter, Schemas } from "~/api/client";
import { QUERY_FIELDS } from "~/api/generated/fields";

/** A query that cannot be parsed; `at` is the position in its text. */
export class QueryError extends Error {
  constructor(
    message: string,
    readonly at: number,
  ) {
    super(message);
  }
}

/** The words before a colon whose values are matched exactly, each with its field. */
const MATCHED: ReadonlyMap<string, string> = new Map(
  QUERY_FIELDS.filter(({ isMatch }) => isMatch).map(({ name, field }) => [name.slice(0, -1), field]),
);

const CONTENTS = new Set(["tools", "images", "audio", "files", "reasoning", "refusal"]);

/** Stands before the key of an outcome of the session. */
const OUTCOME = "session.";

type Token = { kind: "word" | "(" | ")" | "-" | "or" | "not"; text: string; quoted: boolean; at: number };

const COMPARISON = /^(>=|<=|!=|>|<|=)/;
const OPERATORS = { ">=": "gte", "<=": "lte", "!=": "neq", ">": "gt", "<": "lt", "=": "eq" } as const;

/** Split at blanks and parentheses; "quoted parts" belong to the word around them. */
function tokens(query: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  while (at < query.length) {
    const start = at;
    const char = query[at] as string;
    if (/\s/.test(char)) {
      at += 1;
    } else if (char === "(" || char === ")") {
      found.push({ kind: char, text: char, quoted: false, at: start });
      at += 1;
    } else if (char === "-" && /\S/.test(query[at + 1] ?? "")) {
      found.push({ kind: "-", text: char, quoted: false, at: start });
      at += 1;
    } else {
      at = endOfWord(query, start);
      const text = query.slice(start, at);
      const kind = text === "OR" ? "or" : text === "NOT" ? "not" : text === "AND" ? null : "word";
      const isQuoted = text.startsWith('"') && closing(text, 0) === text.length - 1;
      if (kind) found.push({ kind, text, quoted: isQuoted, at: start });
    }
  }
  return found;
}

/** Return the end of the word that begins at `start`. Throws `QueryError` if a quotation mark is not closed. */
function endOfWord(query: string, start: number): number {
  let at = start;
  while (at < query.length && !/[\s()]/.test(query[at] as string)) {
    const end = query[at] === '"' ? closing(query, at) : at;
    if (end < 0) throw new QueryError("A quotation mark is not closed.", at);
    at = end + 1;
  }
  return at;
}

function closing(query: string, open: number): number {
  for (let at = open + 1; at < query.length; at += 1) {
    if (query[at] === "\\") at += 1;
    else if (query[at] === '"') return at;
  }
  return -1;
}

/** Return the first position of a mark outside quotation marks; -1 if there is none. */
function outside(text: string, mark: RegExp): number {
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '"') at = closing(text, at);
    else if (mark.test(text.slice(at))) return at;
  }
  return -1;
}

function unquoted(text: string): string {
  return text.replace(/"((?:[^"\\]|\\[\s\S])*)"/g, (_, inner: string) => inner.replace(/\\([\s\S])/g, "$1"));
}

/** Return a text for a query, in quotation marks if it needs them. */
export function quoted(text: string): string {
  return !CONTENTS.has(text) && !text.startsWith(OUTCOME) && /^[^\s"(),:<>=!\\.-][^\s"(),:<>=!\\]*$/.test(text) ? text : `"${text.replace(/(["\\])/g, "\\$1")}"`;
}

const values = (text: string): string[] => rawValues(text).map(unquoted);

/** Return the values between commas, as they were written. */
function rawValues(text: string): string[] {
  const parts: string[] = [];
  let rest = text;
  for (;;) {
    const comma = outside(rest, /^,/);
    const part = comma < 0 ? rest : rest.slice(0, comma);
    // An empty part is a value only if it is in quotation marks.
    if (part !== "") parts.push(part);
    if (comma < 0) return parts;
    rest = rest.slice(comma + 1);
  }
}

const match = (found: string[]) => (found.length === 1 ? { eq: found[0] } : { in: found });

/** A day, or a time without a zone. */
const LOCAL = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?))?$/;

/** Read a time: `7d` is seven days ago. Days and local times are converted from the zone in which times are shown,
 * because the server does not know it. Anything else is passed on unchanged. */
function moment(text: string): string {
  const local = LOCAL.exec(text);
  if (local) {
    const time = new Date(`${local[1]}T${local[2] ?? "00:00"}`);
    // A browser would take 31 February for a day in March; passed on unchanged, the server refuses it.
    return time.getDate() === Number(local[1]?.slice(8)) ? time.toISOString() : text;
  }
  const relative = /^(\d+)\s*(m|h|d|w)$/.exec(text);
  if (!relative) return text;
  const units = { m: "minutes", h: "hours", d: "days", w: "weeks" };
  return `now - ${relative[1]} ${units[relative[2] as keyof typeof units]}`;
}

function condition({ text, quoted: isQuoted, at }: Token): Filter | string {
  if (isQuoted) return text;
  const compared = outside(text, COMPARISON);
  const colon = outside(text, /^:/);
  if (compared > 0 && (colon < 0 || compared < colon)) return comparison(text, compared, at);
  if (colon < 0) {
    if (text.startsWith("label.")) return { label: { key: unquoted(text.slice(6)) } };
    return text;
  }
  const name = text.slice(0, colon);
  const found = values(text.slice(colon + 1));
  const first = found[0];
  if (first === undefined) throw new QueryError(`Nothing stands after ${name}:`, at + colon);
  if (name.startsWith("label.")) return { label: { key: unquoted(name.slice(6)), value: match(found) } };
  const matched = MATCHED.get(name);
  if (matched) return { [matched]: match(found) };
  switch (name) {
    case "has":
      // In quotation marks it is a feedback key of such a name.
      if (!text.includes('"') && found.every((what) => CONTENTS.has(what))) return { has: match(found) };
      return any(rawValues(text.slice(colon + 1)).map((key) => rated(key, at)));
    case "preference":
      return any(found.map((metric) => ({ preference: { metric } })));
    case "from":
      return { timerange: { from: moment(first) } };
    case "to":
      return { timerange: { to: moment(first) } };
    case "text":
      return { text: unquoted(text.slice(colon + 1)) };
    case "prompt":
    case "completion":
    case "reasoning":
    case "details":
      return any(found.map((words) => ({ [name]: { contains: words } })));
    case "repeats":
      throw new QueryError("Beside other conditions, repeats:true finds words also in later turns that repeat them.", at);
    default:
      throw new QueryError(`There is no field "${name}". Quotation marks make it a text to look for.`, at);
  }
}

function any(found: Filter[]): Filter {
  return found.length === 1 ? (found[0] as Filter) : { or: found };
}

function comparison(text: string, at: number, start: number): Filter {
  const operator = (COMPARISON.exec(text.slice(at)) as RegExpExecArray)[0] as keyof typeof OPERATORS;
  const given = text.slice(at + operator.length);
  const value = given === "true" ? 1 : given === "false" ? 0 : Number(given);
  if (given === "" || !Number.isFinite(value)) {
    throw new QueryError(`${text}: after ${operator} comes a number, true or false.`, start + at);
  }
  return rated(text.slice(0, at), start, { [OPERATORS[operator]]: value });
}

/** Return the condition on the feedback under a key; on the outcomes of the session if the key has `session.` before it. */
function rated(key: string, at: number, value?: Schemas["NumberCondition"]): Filter {
  const isOutcome = key.startsWith(OUTCOME);
  if (key === OUTCOME) throw new QueryError("After session. comes a feedback key.", at);
  const on = { metric: unquoted(isOutcome ? key.slice(OUTCOME.length) : key), ...(value && { value }) };
  return isOutcome ? { outcome: on } : { feedback: on };
}

class Reader {
  private next = 0;
  constructor(private readonly all: Token[]) {}

  read(): Filter {
    const found = this.alternatives();
    const left = this.all[this.next];
    if (left) throw new QueryError("This closing parenthesis was never opened.", left.at);
    return found;
  }

  private peek(kind: Token["kind"]): boolean {
    return this.all[this.next]?.kind === kind;
  }

  private alternatives(): Filter {
    const found = [this.together()];
    while (this.peek("or")) {
      this.next += 1;
      found.push(this.together());
    }
    return any(found);
  }

  private together(): Filter {
    const found: Filter[] = [];
    const words: string[] = [];
    let repeats = false;
    while (this.next < this.all.length && !this.peek(")") && !this.peek("or")) {
      if (this.all[this.next]?.text === "repeats:true") {
        repeats = true;
        this.next += 1;
        continue;
      }
      const one = this.single();
      if (typeof one === "string") words.push(one);
      else found.push(one);
    }
    if (words.length) found.push({ text: words.join(" ") });
    const all = found.length === 1 ? (found[0] as Filter) : { and: found };
    return repeats ? { repeats: all } : all;
  }

  private single(): Filter | string {
    const token = this.all[this.next++] as Token;
    if (token.kind === "-" || token.kind === "not") {
      if (this.next >= this.all.length) throw new QueryError("Nothing stands after the negation.", token.at);
      const one = this.single();
      return { not: typeof one === "string" ? { text: one } : one };
    }
    if (token.kind === "(") {
      const inner = this.alternatives();
      if (!this.peek(")")) throw new QueryError("A parenthesis is not closed.", token.at);
      this.next += 1;
      return inner;
    }
    return condition(token);
  }
}

/** Return the filter tree of a query; an empty query matches everything. Throws `QueryError`. */
export function toFilter(query: string): Filter {
  return new Reader(tokens(query)).read();
}

/** Return the filter tree of a query; null if it cannot be parsed, which the filter bar explains. */
export function readFilter(query: string): Filter | null {
  try {
    return toFilter(query);
  } catch {
    return null;
  }
}

/** Return the top-level conditions of a query, as they were written. Throws `QueryError`. */
export function parts(query: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let begun = -1;
  const all = tokens(query);
  if (all.some((token, index) => token.kind === "or" && level(all, index) === 0)) return [query.trim()];
  all.forEach((token, index) => {
    if (begun < 0) begun = token.at;
    if (token.kind === "(") depth += 1;
    if (token.kind === ")") depth -= 1;
    if (depth === 0 && token.kind !== "-" && token.kind !== "not") {
      const end = all[index + 1]?.at ?? query.length;
      found.push(query.slice(begun, end).replace(/(\s|\bAND\b)+$/, ""));
      begun = -1;
    }
  });
  return found;
}

function level(all: Token[], index: number): number {
  return all.slice(0, index).reduce((depth, { kind }) => depth + (kind === "(" ? 1 : kind === ")" ? -1 : 0), 0);
}

/** Return the query with one more condition, unless it has it already. */
export function withPart(query: string, part: string): string {
  const have = query.trim() ? parts(query) : [];
  if (have.includes(part)) return query;
  const before = have.length === 1 && /\bOR\b/.test(have[0] as string) ? [`(${have[0]})`] : have;
  return [...before, part].join(" ");
}

/** Return the query without one of its conditions. */
export function withoutPart(query: string, part: string): string {
  return parts(query)
    .filter((one) => one !== part)
    .join(" ");
}
