import { expect, it } from "vitest";
import { events } from "./stream";

async function* pieces(text: string, size: number) {
  for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size);
}
async function read(text: string, size: number) {
  const found = [];
  for await (const event of events(pieces(text, size))) found.push(event);
  return found;
}
const STREAM = ': hello\n\ndata: {"a": 1}\n\ndata: {"b":\ndata: 2}\r\n\r\ndata: [DONE]\n\n';

it.each([1, 2, 7, 1000])("reads events in pieces of %i characters", async (size) => {
  expect(await read(STREAM, size)).toEqual([{ a: 1 }, { b: 2 }]);
});

it("takes an error in the stream for one, and so a stream that breaks off", async () => {
  await expect(read('data: {"error": {"message": "no"}}\n\n', 5)).rejects.toThrow("no");
  await expect(read('data: {"a": 1}\n\n', 5)).rejects.toThrow("broke off");
});
