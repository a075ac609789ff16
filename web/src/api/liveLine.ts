// One stream of interactions for all tabs of a browser. Browsers open six connections to an HTTP/1.1 server: with a
// stream for each tab, the seventh tab would wait for ever.
//
// It runs in a shared worker (liveWorker.ts), or in the page itself if the browser has no shared workers. Tabs repeat
// what they watch every few seconds, so that a crashed tab is noticed.

import type { Filter, Interaction } from "./client";
import { parseJson } from "./json";
import { serverSentEvents, textOf } from "./serverSentEvents";

/** Message from a tab: its watch and CSRF token; `watch` is null when it stops watching. */
export type FromTab = { watch: { project: string; filter: Filter } | null; csrfToken: string | null };

/** Message to a tab: whether the stream is connected, or changes. */
export type ToTab = { connected: boolean } | Changes;

/** Changes to the interactions that a tab watches, the oldest first. */
export type Changes = {
  interactions: Interaction[];
  /** The completion_ids of deleted interactions. */
  deleted: string[];
  /** Whether there were more changes than were sent. */
  missed: boolean;
};

/** Milliseconds between two messages of a tab, and until a silent tab is dropped. */
export const PACE = 10_000;
const GONE = 35_000;
/** Milliseconds of silence after which a stream is dropped; the server sends a comment every 15 seconds. */
const SILENT = 40_000;
/** Milliseconds to wait for other tabs that change their watches, too. */
const SETTLE = 30;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;

type Port = { postMessage: (told: ToTab) => void };
type Tab = { watch: string; heardAt: number; changes: Changes };
type Stream = { watches: string[]; csrfToken: string | null; abort: AbortController; heardAt: number };

export class LiveLine {
  private readonly tabs = new Map<Port, Tab>();
  /** Watches that the server refused, for example of a deleted project. */
  private readonly refused = new Set<string>();
  /** The CSRF token of the current session: undefined before the first tab, null if it must be fetched. */
  private csrfToken: string | null | undefined;
  /** Counts the calls of `renew`: of concurrent calls, only the last goes on. */
  private turn = 0;
  /** The connected stream, and the one that will replace it. */
  private current: Stream | null = null;
  private next: Stream | null = null;
  private wait = FIRST_WAIT;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private ticking: ReturnType<typeof setInterval> | undefined;

  /** Handle a message of a tab. A port has one watch at a time. */
  hear(port: Port, { watch, csrfToken }: FromTab): void {
    const tab = this.tabs.get(port);
    if (tab && watch) {
      tab.heardAt = Date.now();
      if (this.current) return;
      this.wait = FIRST_WAIT;
    } else if (watch) {
      const key = JSON.stringify(watch);
      this.refused.delete(key);
      // Another token means that another session has begun. Streams must show what the current session may see.
      if (this.csrfToken === undefined) this.csrfToken = csrfToken;
      else if (this.csrfToken !== csrfToken) this.csrfToken = null;
      this.tabs.set(port, { watch: key, heardAt: Date.now(), changes: nothing() });
      if (this.current?.watches.includes(key)) port.postMessage({ connected: true });
      this.ticking ??= setInterval(() => this.tick(), PACE);
    } else {
      this.tabs.delete(port);
    }
    this.renewIn(SETTLE);
  }

  private renewIn(milliseconds: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.renew(), milliseconds);
  }

  /** Open a stream for the current watches, and close the old one once the new one is connected. */
  private async renew(): Promise<void> {
    this.turn += 1;
    const turn = this.turn;
    if (this.tabs.size) this.csrfToken ??= await tokenOfSession();
    if (turn !== this.turn) return;
    const csrfToken = this.csrfToken ?? null;
    const watches = [...new Set([...this.tabs.values()].map(({ watch }) => watch))]
      .filter((watch) => !this.refused.has(watch))
      .sort();
    this.next?.abort.abort();
    this.next = null;
    if (!watches.length) {
      this.drop(this.current);
      if (!this.tabs.size) {
        clearInterval(this.ticking);
        this.ticking = undefined;
      }
      return;
    }
    if (this.current?.csrfToken !== csrfToken) this.drop(this.current);
    if (this.current && String(this.current.watches) === String(watches)) return;
    const stream: Stream = { watches, csrfToken, abort: new AbortController(), heardAt: Date.now() };
    this.next = stream;
    try {
      await this.read(stream);
    } catch {
      // It broke off or was aborted; both are handled below.
    }
    if (this.next === stream) this.next = null;
    else if (this.current === stream) this.drop(stream);
    else return;
    this.renewIn(this.wait * (0.75 + Math.random() / 2));
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
  }

  private async read(stream: Stream): Promise<void> {
    const { signal } = stream.abort;
    const answer = await fetch("/api/v1/interactions/live", {
      method: "POST",
      headers: { "content-type": "application/json", ...(stream.csrfToken ? { "x-csrf-token": stream.csrfToken } : {}) },
      body: JSON.stringify({
        watches: stream.watches.map((watch, index) => ({ name: String(index), ...JSON.parse(watch) })),
      }),
      signal,
    });
    if (!answer.ok || !answer.body) {
      if (answer.status === 403) this.csrfToken = null;
      const { error } = (await answer.json().catch(() => ({}))) as { error?: { param?: string | null } };
      const index = /^watches\[(\d+)\]/.exec(error?.param ?? "")?.[1];
      const watch = stream.watches[Number(index)];
      if (watch) {
        // Retry without this watch.
        this.refused.add(watch);
        this.wait = SETTLE;
      }
      return;
    }
    const heard = (async function* (chunks: AsyncIterable<string>) {
      for await (const chunk of chunks) {
        stream.heardAt = Date.now();
        yield chunk;
      }
    })(textOf(answer.body));
    this.stands(stream);
    for await (const { name, data } of serverSentEvents(heard)) {
      if (name === "error") return;
      this.tell(stream, name, parseJson(data) as Told);
    }
  }

  private stands(stream: Stream): void {
    const before = this.current;
    this.current = stream;
    this.next = null;
    this.wait = FIRST_WAIT;
    before?.abort.abort();
    for (const [port, { watch }] of this.tabs) {
      if (stream.watches.includes(watch) && !before?.watches.includes(watch)) port.postMessage({ connected: true });
    }
  }

  private drop(stream: Stream | null): void {
    if (!stream) return;
    stream.abort.abort();
    if (this.current !== stream) return;
    this.current = null;
    for (const port of this.tabs.keys()) port.postMessage({ connected: false });
  }

  private tell(stream: Stream, name: string, told: Told): void {
    const watches = told.watches.map((index) => stream.watches[Number(index)]);
    for (const [port, tab] of this.tabs) {
      if (!watches.includes(tab.watch)) continue;
      const { changes } = tab;
      // Changes that arrive together are sent together.
      if (!changes.interactions.length && !changes.deleted.length && !changes.missed) {
        setTimeout(() => {
          port.postMessage(tab.changes);
          tab.changes = nothing();
        });
      }
      if (name === "interaction" && told.interaction) changes.interactions.push(told.interaction);
      else if (name === "deleted" && told.completion_id) changes.deleted.push(told.completion_id);
      else if (name === "missed") changes.missed = true;
    }
  }

  private tick(): void {
    const now = Date.now();
    for (const [port, { heardAt }] of this.tabs) if (now - heardAt > GONE) this.tabs.delete(port);
    if (this.current && now - this.current.heardAt > SILENT) this.drop(this.current);
    this.renewIn(0);
  }
}

/** Fetch the CSRF token of the browser's current session. */
async function tokenOfSession(): Promise<string | null> {
  try {
    const answer = await fetch("/api/v1/session");
    return answer.ok ? ((await answer.json()) as { csrf_token: string | null }).csrf_token : null;
  } catch {
    return null;
  }
}

type Told = { watches: string[]; interaction?: Interaction; completion_id?: string };

const nothing = (): Changes => ({ interactions: [], deleted: [], missed: false });
