// The selected interactions: some by their ids, or all that match the filter.

export type Selection = {
  ids: ReadonlySet<string>;
  /** The row that was clicked last: a click with shift selects from it on. */
  anchor: string | null;
  /** All that match the filter, including those that are not loaded. */
  isAll: boolean;
};

export const NOTHING: Selection = { ids: new Set(), anchor: null, isAll: false };

/** Return the selection with one interaction added or removed. */
export function toggled(selection: Selection, id: string): Selection {
  const ids = new Set(selection.ids);
  if (!ids.delete(id)) ids.add(id);
  return { ids, anchor: id, isAll: false };
}

/** Return the selection with all rows from the last clicked one to this one. */
export function extended(selection: Selection, rows: readonly string[], id: string): Selection {
  const to = rows.indexOf(id);
  const from = selection.anchor === null ? to : rows.indexOf(selection.anchor);
  if (from < 0 || to < 0) return toggled(selection, id);
  const between = rows.slice(Math.min(from, to), Math.max(from, to) + 1);
  return { ids: new Set([...selection.ids, ...between]), anchor: selection.anchor ?? id, isAll: false };
}

/** Return a selection of all loaded rows, or of none if all are selected already. */
export function allOrNone(selection: Selection, rows: readonly string[]): Selection {
  const hasAll = rows.length > 0 && rows.every((id) => selection.ids.has(id));
  return hasAll ? NOTHING : { ids: new Set(rows), anchor: null, isAll: false };
}
