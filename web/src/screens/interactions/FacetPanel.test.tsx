import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";
import { type Facet, facetsQuery } from "~/filter/facets";
import { FacetPanel } from "./FacetPanel";

const FILTER = { and: [] };

it("holds no query for a closed facet", () => {
  const facets: Facet[] = Array.from({ length: 300 }, (_, number) => ({
    kind: "label",
    key: `key-${number}`,
    count: 10,
    values: [{ value: "x", count: 10 }],
    values_left_out: 0,
  }));
  const queries = new QueryClient();
  const answer = { facets, facets_left_out: 0, complete: true, interactions: 10, since: null };
  queries.setQueryData(facetsQuery("shop", FILTER).queryKey, answer);
  const html = renderToStaticMarkup(
    <QueryClientProvider client={queries}>
      <FacetPanel project="shop" filter={FILTER} q="" metrics={new Map()} onChange={() => undefined} />
    </QueryClientProvider>,
  );
  expect(html.match(/<details/g)).toHaveLength(300);
  const ofValues = queries.getQueryCache().findAll({ queryKey: ["facets"], predicate: ({ queryKey }) => queryKey[4] !== null });
  expect(ofValues).toHaveLength(html.match(/<details open/g)?.length ?? 0);
  expect(ofValues.length).toBeLessThan(10);
});
