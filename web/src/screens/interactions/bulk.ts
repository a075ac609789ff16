// Bulk actions on interactions, each made of single calls.

import { answer, api, type Filter, type Interaction } from "~/api/client";
import type { InteractionPage } from "~/rules/pages";
import { newId } from "~/ui/browser";

export type Row = Pick<Interaction, "completion_id" | "labels">;
export type Done = {
  done: number;
  failed: number;
  /** The error of the first failed call. */
  error: unknown;
  /** Undo the action; null if it cannot be undone. */
  undo: (() => Promise<Done>) | null;
};
type Progress = (done: number) => void;

/** The most interactions in one bulk action. */
export const MOST = 10_000;
/** The calls in flight. Browsers open only six connections to an HTTP/1.1 server. */
const AT_ONCE = 4;
const PAGE = 500;

/** Return the rows that match a filter, the newest first, up to `MOST`. */
export async function rowsOf(project: string, filter: Filter, signal: AbortSignal): Promise<Row[]> {
  const rows: Row[] = [];
  let cursor: string | null = null;
  do {
    const body = { project, filter, limit: PAGE, cursor };
    const page = (await answer(api.POST("/api/v1/interactions/search", { body, signal }))) as InteractionPage;
    rows.push(...page.interactions.map(({ completion_id, labels }) => ({ completion_id, labels })));
    cursor = page.next;
  } while (cursor && rows.length < MOST);
  return rows.slice(0, MOST);
}

/** Set a label on all rows. */
export async function label(rows: Row[], key: string, value: string, signal: AbortSignal, tell: Progress): Promise<Done> {
  const change = (completion_id: string, set: Record<string, string>, remove: string[] = []) =>
    answer(
      api.PATCH("/api/v1/interactions/{completion_id}/labels", { params: { path: { completion_id } }, body: { set, remove } }),
    );
  const { done, ...rest } = await each(rows, ({ completion_id }) => change(completion_id, { [key]: value }), AT_ONCE, signal, tell);
  const back = ({ completion_id, labels }: Row) => {
    const before = labels[key];
    return before === undefined ? change(completion_id, {}, [key]) : change(completion_id, { [key]: before });
  };
  return { done: done.length, ...rest, undo: () => finished(each(done, back)) };
}

/** Give all rows a value under a feedback key. */
export async function rate(rows: Row[], metric: string, value: number, signal: AbortSignal, tell: Progress): Promise<Done> {
  const given = rows.map(({ completion_id }) => ({ completion_id, feedback_id: newId() }));
  const give = (one: (typeof given)[number]) => answer(api.POST("/api/v1/feedback", { body: { ...one, metric, value } }));
  const { done, ...rest } = await each(given, give, AT_ONCE, signal, tell);
  const back = ({ feedback_id }: (typeof given)[number]) =>
    answer(api.DELETE("/api/v1/feedback/{feedback_id}", { params: { path: { feedback_id } } }));
  return { done: done.length, ...rest, undo: () => finished(each(done, back)) };
}

/** Delete all rows, which cannot be undone. With `isLeaving` all calls are sent at once, and outlive the page. Throws
 * if any of them failed. */
export async function remove(rows: Row[], isLeaving: boolean): Promise<void> {
  const call = ({ completion_id }: Row) =>
    answer(
      api.DELETE("/api/v1/interactions/{completion_id}", { params: { path: { completion_id } }, keepalive: isLeaving }),
    );
  const { failed, error } = await each(rows, call, isLeaving ? rows.length : AT_ONCE);
  if (failed) throw new Error(`${failed} of ${rows.length} could not be deleted: ${(error as Error).message}`);
}

async function finished(work: Promise<{ done: unknown[]; failed: number; error: unknown }>): Promise<Done> {
  const { done, ...rest } = await work;
  return { done: done.length, ...rest, undo: null };
}

async function each<One>(
  all: One[],
  call: (one: One) => Promise<unknown>,
  atOnce = AT_ONCE,
  signal?: AbortSignal,
  tell?: Progress,
) {
  const done: One[] = [];
  let next = 0;
  let failed = 0;
  let error: unknown = null;
  async function worker() {
    for (let one = all[next++]; one !== undefined && !signal?.aborted; one = all[next++]) {
      try {
        await call(one);
        done.push(one);
      } catch (reason) {
        failed += 1;
        error ??= reason;
      }
      tell?.(done.length + failed);
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker));
  return { done, failed, error };
}
