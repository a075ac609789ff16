// A path in the JSON of an interaction, such as `usage.total_tokens` or `call.error.code` or `feedback[0].value`.

/** Return the value at a path; undefined if there is none. */
export function atPath(value: unknown, path: string): unknown {
  let at = value;
  for (const step of steps(path)) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string, unknown>)[step];
  }
  return at;
}

function steps(path: string): string[] {
  return [...path.replace(/^\$\.?/, "").matchAll(/\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.[\]]+)/g)].map(
    (found) => found[1]?.replace(/\\(.)/g, "$1") ?? found[2] ?? (found[3] as string),
  );
}
