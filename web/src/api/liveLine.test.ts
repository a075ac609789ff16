import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Filter } from "./client";
import { LiveLine, type ToTab } from "./liveLine";

type Asked = { body: string; signal: AbortSignal; headers: Record<string, string> };
const NOTHING: Asked = { body: "", signal: new AbortController().signal, headers: {} };

/** A server whose streams a test opens, feeds and ends. */
class Streams {
  readonly opened: { watches: { name: string; project: string }[]; send: (text: string) => void; end: () => void }[] = [];
  readonly running = new Set<object>();
  refuse: Response | null = null;

  session = "token";

  fetch = async (path: string, { body, signal, headers }: Asked = NOTHING): Promise<Response> => {
    if (path === "/api/v1/session") return new Response(JSON.stringify({ csrf_token: this.session }));
    if (headers["x-csrf-token"] !== this.session) return new Response("{}", { status: 403 });
    if (this.refuse) {
      const answer = this.refuse;
      this.refuse = null;
      return answer;
    }
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const stream = new ReadableStream<Uint8Array>({
      start: (given) => {
        controller = given;
      },
    });
    const opened = {
      watches: JSON.parse(body).watches,
      send: (text: string) => controller?.enqueue(new TextEncoder().encode(text)),
      end: () => controller?.close(),
    };
    this.opened.push(opened);
    this.running.add(opened);
    signal.addEventListener("abort", () => {
      this.running.delete(opened);
      controller?.error(new DOMException("", "AbortError"));
    });
    return new Response(stream);
  };

  get last() {
    return this.opened.at(-1) as (typeof this.opened)[number];
  }
}

const tab = () => {
  const told: ToTab[] = [];
  return { told, postMessage: (word: ToTab) => void told.push(word) };
};
const watching = (project: string, csrfToken = "token") => ({
  watch: { project, filter: { and: [] } as Filter },
  csrfToken,
});
const NOT = { watch: null, csrfToken: null };
const arrival = (watches: string[], id: string) =>
  `event: interaction\ndata: ${JSON.stringify({ watches, interaction: { completion_id: id } })}\n\n`;
const settle = (milliseconds = 100) => vi.advanceTimersByTimeAsync(milliseconds);

let streams: Streams;
let line: LiveLine;
beforeEach(() => {
  vi.useFakeTimers();
  streams = new Streams();
  line = new LiveLine();
  vi.stubGlobal("fetch", streams.fetch);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("watches for all tabs over one stream, and for each what it asked for", async () => {
  const [one, same, other] = [tab(), tab(), tab()];
  line.hear(one, watching("a"));
  line.hear(same, watching("a"));
  line.hear(other, watching("b"));
  await settle();
  expect(streams.opened).toHaveLength(1);
  expect(streams.last.watches.map(({ project }) => project)).toEqual(["a", "b"]);
  streams.last.send(arrival(["0"], "x") + arrival(["0", "1"], "y"));
  await settle();
  const seen = ({ told }: { told: ToTab[] }) =>
    told.flatMap((word) => ("interactions" in word ? word.interactions.map((each) => each.completion_id) : []));
  expect([seen(one), seen(same), seen(other)]).toEqual([["x", "y"], ["x", "y"], ["y"]]);
});

it("goes over to another stream without a gap, and closes it with the last tab", async () => {
  const [one, other] = [tab(), tab()];
  line.hear(one, watching("a"));
  await settle();
  line.hear(other, watching("b"));
  await settle();
  expect(streams.opened).toHaveLength(2);
  expect(streams.running.size).toBe(1);
  expect(one.told).toEqual([{ connected: true }]);
  line.hear(one, NOT);
  line.hear(other, NOT);
  await settle();
  expect(streams.running.size).toBe(0);
});

it.each([
  ["a proxy answers 502", () => (streams.refuse = new Response("", { status: 502 }))],
  ["the stream ends", () => {}],
])("comes back by itself after %s", async (_, happens) => {
  const one = tab();
  line.hear(one, watching("a"));
  await settle();
  happens();
  streams.last.end();
  await settle(10_000);
  expect(one.told).toEqual([{ connected: true }, { connected: false }, { connected: true }]);
});

it("lets a stream go that is silent for long", async () => {
  const one = tab();
  line.hear(one, watching("a"));
  for (let second = 0; second < 60; second += 10) {
    await settle(10_000);
    line.hear(one, watching("a"));
  }
  expect(streams.opened.length).toBeGreaterThan(1);
  expect(streams.running.size).toBe(1);
});

it("forgets a tab that says nothing more", async () => {
  line.hear(tab(), watching("a"));
  await settle(60_000);
  expect(streams.running.size).toBe(0);
});

it("watches for the others where one watch is refused", async () => {
  const [one, other] = [tab(), tab()];
  const error = JSON.stringify({ error: { message: "gone", param: "watches[0].project" } });
  streams.refuse = new Response(error, { status: 404 });
  line.hear(one, watching("gone"));
  line.hear(other, watching("there"));
  await settle(1_000);
  expect(streams.last.watches.map(({ project }) => project)).toEqual(["there"]);
  expect([one.told, other.told]).toEqual([[], [{ connected: true }]]);
});

it("shows what the present session may see, whoever was signed in before", async () => {
  const [before, after] = [tab(), tab()];
  line.hear(before, watching("a"));
  await settle();
  streams.session = "another";
  line.hear(after, watching("a", "another"));
  await settle();
  expect(streams.opened).toHaveLength(2);
  expect(streams.running.size).toBe(1);
  // A tab of before has the old token. That changes nothing for the others.
  line.hear(tab(), watching("a"));
  line.hear(before, watching("a"));
  await settle(1_000);
  expect(streams.opened).toHaveLength(2);
  expect(after.told.at(-1)).toEqual({ connected: true });
});
