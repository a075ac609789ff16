// The commands that match a typed text, the likeliest first.

/** Return the commands whose names have the letters of `typed` in order: first matches at the start of names, then of
 * words, then all others. */
export function fitting<Command extends { name: string }>(commands: Command[], typed: string): Command[] {
  if (!typed) return commands;
  return commands
    .map((command, index) => ({ command, index, rank: rankOf(command.name.toLowerCase(), typed.toLowerCase()) }))
    .filter(({ rank }) => rank < NONE)
    .sort((a, b) => a.rank - b.rank || a.index - b.index)
    .map(({ command }) => command);
}

const NONE = 4;

function rankOf(name: string, typed: string): number {
  if (name.startsWith(typed)) return 0;
  if (name.split(/[\s/_.-]+/).some((word) => word.startsWith(typed))) return 1;
  if (name.includes(typed)) return 2;
  let at = -1;
  for (const letter of typed) {
    at = name.indexOf(letter, at + 1);
    if (at < 0) return NONE;
  }
  return 3;
}
