// Invisible characters that change what one reads: direction controls, zero-width characters, tags.

/** Hidden characters, except joiners and variation selectors in emoji. */
const HIDDEN =
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: each character is meant by itself.
  /(?:[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\p{Cs}\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]|(?<![\p{Extended_Pictographic}\p{Emoji_Modifier}\u{fe0f}])\u200d|(?<!\p{Emoji})[\ufe0e\ufe0f])+/gu;

const NAMES: Record<number, string> = {
  0x00ad: "soft hyphen",
  0x061c: "Arabic letter mark",
  0x200b: "zero-width space",
  0x200c: "zero-width non-joiner",
  0x200d: "zero-width joiner",
  0x200e: "left-to-right mark",
  0x200f: "right-to-left mark",
  0x202a: "left-to-right embedding",
  0x202b: "right-to-left embedding",
  0x202c: "end of embedding",
  0x202d: "left-to-right override",
  0x202e: "right-to-left override",
  0x2060: "word joiner",
  0x2066: "left-to-right isolate",
  0x2067: "right-to-left isolate",
  0x2068: "first strong isolate",
  0x2069: "end of isolate",
  0xfeff: "byte order mark",
};

export type Mark = { mark: string; name: string };

/** Return a text with each run of hidden characters as a mark. After `most` marks, the rest stays plain text. */
export function revealed(text: string, most = 300): (string | Mark)[] {
  const found: (string | Mark)[] = [];
  let at = 0;
  let marks = 0;
  let rest = "";
  for (const match of text.matchAll(HIDDEN)) {
    const before = text.slice(at, match.index);
    at = match.index + match[0].length;
    marks += 1;
    if (marks > most) {
      rest += before + marked(match[0]).mark;
    } else {
      if (before) found.push(before);
      found.push(marked(match[0]));
    }
  }
  rest += text.slice(at);
  if (rest) found.push(rest);
  return found;
}

/** Return how many hidden characters a text has. */
export function hiddenCount(text: string): number {
  let total = 0;
  for (const match of text.matchAll(HIDDEN)) total += [...match[0]].length;
  return total;
}

function marked(run: string): Mark {
  const points = [...run].map((char) => char.codePointAt(0) as number);
  const first = points.slice(0, 3);
  const shown = first.map((point) => `U+${point.toString(16).toUpperCase().padStart(4, "0")}`);
  const names = new Set(first.map((point) => NAMES[point] ?? "hidden character"));
  const more = points.length > 3 ? ` … ${points.length} characters` : "";
  return { mark: `⟨${shown.join(" ")}${more}⟩`, name: [...names].join(", ") };
}
