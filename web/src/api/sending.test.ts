import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ApiError } from "./client";
import { reportAway } from "./connection";
import { sendUntilAnswered } from "./sending";

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("sends again once the server is back, and asks it with one call whatever waits", async () => {
  let isThere = false;
  const probes = vi.fn(async () => new Response("", { status: isThere ? 200 : 503 }));
  vi.stubGlobal("fetch", probes);
  const calls = vi.fn(async () => {
    if (isThere) return "stored";
    reportAway();
    throw new ApiError(0, "unreachable");
  });
  const sending = Promise.all(Array.from({ length: 20 }, () => sendUntilAnswered(calls)));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(calls).toHaveBeenCalledTimes(20);
  expect(probes.mock.calls.length).toBeLessThan(15);
  isThere = true;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await sending).toEqual(Array(20).fill("stored"));
});

it("tells what the server refused", async () => {
  const refused = new ApiError(422, "The value is too large.");
  await expect(sendUntilAnswered(() => Promise.reject(refused))).rejects.toBe(refused);
});
