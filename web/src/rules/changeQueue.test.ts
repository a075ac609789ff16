import { expect, it } from "vitest";
import { ChangeQueue } from "./changeQueue";

function queue() {
  const seen: string[] = [];
  const state = { isFetching: false };
  const changes = new ChangeQueue(() => state.isFetching);
  return { seen, state, changes, see: (word: string) => () => void seen.push(word) };
}

it("applies a change at once while nothing is being fetched", () => {
  const { seen, changes, see } = queue();
  changes.push(see("a"));
  expect(seen).toEqual(["a"]);
});

it("applies what arrived during a fetch after it, in the order of arrival", () => {
  const { seen, state, changes, see } = queue();
  state.isFetching = true;
  changes.push(see("a deleted"));
  changes.push(see("b changed"));
  changes.flush();
  expect(seen).toEqual([]);
  state.isFetching = false;
  changes.push(see("b deleted"));
  expect(seen).toEqual(["a deleted", "b changed", "b deleted"]);
});

it("applies what was read before what arrived while it was read", () => {
  const { seen, state, changes, see } = queue();
  state.isFetching = true;
  changes.push(see("arrived"));
  changes.pushFirst(see("read"));
  state.isFetching = false;
  changes.flush();
  expect(seen).toEqual(["read", "arrived"]);
});

it("waits again where a change begins another fetch", () => {
  const { seen, state, changes, see } = queue();
  changes.push(() => {
    changes.push(see("next"));
    state.isFetching = true;
  });
  expect(seen).toEqual([]);
  state.isFetching = false;
  changes.flush();
  expect(seen).toEqual(["next"]);
});
