// Which interactions are selected: some by their ids, or all that the filter finds.

export type Selection = {
  ids: ReadonlySet<string>;
  /** The one that was clicked last: shift selects from it on. */
  anchor: string | null;
  /** All that the filter finds, those that were not loaded yet among them. */
  isAll: boolean;
};

export const NOTHING: Selection = { ids: new Set(), anchor: null, isAll: false };

/** Return the selection with one more, or without it. */
export function toggled(selection: Selection, id: string): Selection {
  const ids = new Set(selection.ids);
  if (!ids.delete(id)) ids.add(id);
  return { ids, anchor: id, isAll: false };
}

/** Return the selection with all rows from the one that was clicked last to this one. */
export function extended(selection: Selection, rows: readonly string[], id: string): Selection {
  const to = rows.indexOf(id);
  const from = selection.anchor === null ? to : rows.indexOf(selection.anchor);
  if (from < 0 || to < 0) return toggled(selection, id);
  const between = rows.slice(Math.min(from, to), Math.max(from, to) + 1);
  return { ids: new Set([...selection.ids, ...between]), anchor: selection.anchor ?? id, isAll: false };
}

/** Return a selection of all rows that are loaded; of none where they are all selected already. */
export function allOrNone(selection: Selection, rows: readonly string[]): Selection {
  const hasAll = rows.length > 0 && rows.every((id) => selection.ids.has(id));
  return hasAll ? NOTHING : { ids: new Set(rows), anchor: null, isAll: false };
}
