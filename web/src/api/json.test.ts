import { expect, it } from "vitest";
import { jsonText, parseJson } from "./json";

it.each([
  '{"order":107505301260286111}',
  "[9007199254740993,-9007199254740993,18446744073709551615]",
  '{"deep":[{"a":123456789012345678901234567890,"b":0.1,"c":1e-7}]}',
  '{"text":"107505301260286111","id":9007199254740991}',
  String.raw`{"a \\":"9007199254740993 \" 9007199254740993","\"9007199254740993":[9007199254740993,"\\"]}`,
  "null",
])("keeps all digits of %s", (text) => {
  expect(jsonText(parseJson(text))).toBe(text);
});

it("reads numbers that are no long whole numbers as JavaScript does", () => {
  expect(parseJson("[1, 1.5, 1e30, 0.12345678901234567890]")).toEqual([1, 1.5, 1e30, 0.12345678901234568]);
  expect(() => parseJson("{1234567890123456789")).toThrow(SyntaxError);
});
