import { expect, it } from "vitest";
import { sourcesBeside, sourcesOf } from "./sources";

it("names what a message cites, in all forms, once", () => {
  const annotations = [
    { type: "url_citation", url_citation: { url: "https://a.example", title: "A" } },
    { type: "url_citation", url_citation: { url: "https://a.example", title: "A", content: "Cited." } },
    { type: "file_citation", file_citation: { file_id: "f", filename: "b.md" } },
    { type: "file_citation", file_citation: { document_title: "C", cited_text: "wade" } },
    "https://d.example",
    { odd: 1 },
  ];
  const citations = [{ type: "web_search_result_location", url: "https://e.example", title: null, cited_text: "x" }];
  expect(sourcesOf({ role: "assistant", content: [{ type: "text", text: "x", citations }, "bare"], annotations })).toEqual([
    { title: "A", url: "https://a.example", quote: "Cited." },
    { title: "b.md", url: null, quote: null },
    { title: "C", url: null, quote: "wade" },
    { title: "https://d.example", url: "https://d.example", quote: null },
    { title: "https://e.example", url: "https://e.example", quote: "x" },
  ]);
  expect(sourcesOf({ role: "assistant", content: "x" })).toEqual([]);
});

it("names what stands beside the message", () => {
  const web = { uri: "https://g.example", title: "g.example" };
  expect(sourcesBeside({ choice: { groundingMetadata: { groundingChunks: [{ web }, { retrievedContext: { title: "D" } }, 1] } } })).toEqual([
    { title: "g.example", url: "https://g.example", quote: null },
    { title: "D", url: null, quote: null },
  ]);
  expect(sourcesBeside({ answer: { citations: ["https://p.example"], search_results: [{ title: "P", url: "https://p.example" }] } })).toEqual([
    { title: "P", url: "https://p.example", quote: null },
  ]);
  expect(sourcesBeside({ answer: { citations: ["https://p.example"] } })).toHaveLength(1);
  expect(sourcesBeside(null)).toEqual([]);
});
