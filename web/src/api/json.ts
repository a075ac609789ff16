// JSON whose integers keep all digits. JavaScript rounds numbers beyond 2^53, so ids in tool calls would be shown and
// copied wrong. Such a number is read as a bigint, and written unchanged.

/** Prefix of a long number while it is a text. It is random for each page load, so no input can contain it. */
const MARK = `${crypto.getRandomValues(new Uint32Array(4)).join("-")}:`;
const WRITTEN = new RegExp(`"${MARK}(-?\\d+)"`, "g");
const NUMBER = /-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/gi;

/** Read JSON. Throws `SyntaxError` for invalid JSON. */
export function parseJson(text: string): unknown {
  // Most texts have no number that long: the browser's own parser is fastest.
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(marked(text), (_key, value) =>
    typeof value === "string" && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value,
  );
}

/** Write a value as JSON, indented by `indent` spaces if given. */
export function jsonText(value: unknown, indent?: number): string | undefined {
  let hasLong = false;
  const text = JSON.stringify(
    value,
    (_key, one) => {
      if (typeof one !== "bigint") return one;
      hasLong = true;
      return `${MARK}${one}`;
    },
    indent,
  );
  return hasLong ? text.replace(WRITTEN, "$1") : text;
}

/** Return the JSON with each integer that would be rounded replaced by a marked text. */
function marked(text: string): string {
  const found: string[] = [];
  for (let at = 0; at < text.length; ) {
    const open = text.indexOf('"', at);
    const between = open < 0 ? text.slice(at) : text.slice(at, open);
    found.push(between.replace(NUMBER, (number) => (isLong(number) ? `"${MARK}${number}"` : number)));
    if (open < 0) break;
    at = closing(text, open) + 1;
    found.push(text.slice(open, at));
  }
  return found.join("");
}

const isLong = (number: string): boolean => /^-?\d{16,}$/.test(number) && !Number.isSafeInteger(Number(number));

/** Return the end of the string that starts at `open`. */
function closing(text: string, open: number): number {
  for (let at = text.indexOf('"', open + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let escapes = 0;
    while (text[at - 1 - escapes] === "\\") escapes += 1;
    if (escapes % 2 === 0) return at;
  }
  return text.length;
}
