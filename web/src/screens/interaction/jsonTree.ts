// JSON as rows of a tree: open nodes, matches, and the path of each value.

import { jsonText } from "~/api/json";

export type JsonRow = {
  /** The path in the notation of JavaScript or jq, without a root: `messages[0].content`. */
  path: string;
  depth: number;
  /** The key in an object, the index in an array; null at the root. */
  name: string | number | null;
  value: unknown;
  /** The number of members; null for scalars. */
  size: number | null;
  isOpen: boolean;
};

/** Objects and arrays up to this depth are open at first, unless they have more members than `MOST_OPEN`. */
const OPEN_DEPTH = 2;
const MOST_OPEN = 100;

type Opened = ReadonlyMap<string, boolean>;

/** Return the visible rows. `opened` has the nodes that were opened or folded; `found` limits the rows to matches. */
export function rowsOf(value: unknown, opened: Opened, found: ReadonlySet<string> | null = null): JsonRow[] {
  const rows: JsonRow[] = [];
  const add = (name: JsonRow["name"], value: unknown, path: string, depth: number, isBelow: boolean) => {
    const members = membersOf(value);
    const isFound = isBelow || !found || found.has(path);
    if (!isFound && depth > 0) return;
    const usual = found ? found.has(path) : depth <= OPEN_DEPTH && (members?.length ?? 0) <= MOST_OPEN;
    const isOpen = members !== null && (opened.get(path) ?? usual);
    rows.push({ path, depth, name, value, size: members?.length ?? null, isOpen });
    if (!isOpen || !members) return;
    // Opening a match shows all of its members.
    const showsAll = isBelow || (found !== null && opened.get(path) === true);
    for (const [key, member] of members) add(key, member, pathOf(path, key), depth + 1, showsAll);
  };
  add(null, value, "", 0, false);
  return rows;
}

/** Return the paths of keys and values that contain a text, with their parents' paths, and the number of matches. */
export function search(value: unknown, text: string): { found: Set<string>; count: number } {
  const found = new Set<string>();
  const wanted = text.toLowerCase();
  let count = 0;
  const visit = (name: JsonRow["name"], value: unknown, path: string): boolean => {
    const members = membersOf(value);
    const isHere =
      (typeof name === "string" && name.toLowerCase().includes(wanted)) ||
      (members === null && (typeof value === "string" ? value : (jsonText(value) ?? "")).toLowerCase().includes(wanted));
    let isBelow = false;
    for (const [key, member] of members ?? []) isBelow = visit(key, member, pathOf(path, key)) || isBelow;
    if (isHere) count += 1;
    if (isHere || isBelow) found.add(path);
    return isHere || isBelow;
  };
  visit(null, value, "");
  return { found, count };
}

/** Return the path of a member. */
export function pathOf(parent: string, key: string | number): string {
  if (typeof key === "number") return `${parent}[${key}]`;
  if (!/^[A-Za-z_$][\w$]*$/.test(key)) return `${parent}[${JSON.stringify(key)}]`;
  return parent ? `${parent}.${key}` : key;
}

/** Return the index of the parent row; null at the root. */
export function parentOf(rows: readonly JsonRow[], at: number): number | null {
  const depth = rows[at]?.depth ?? 0;
  for (let before = at - 1; before >= 0; before -= 1) if ((rows[before] as JsonRow).depth < depth) return before;
  return null;
}

function membersOf(value: unknown): [key: string | number, value: unknown][] | null {
  if (Array.isArray(value)) return value.map((member, index) => [index, member]);
  return typeof value === "object" && value !== null ? Object.entries(value) : null;
}
