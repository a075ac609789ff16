import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";
import type { Facet } from "~/filter/facets";
import { FacetValues } from "./FacetPanel";

const OPEN = 4;

it("holds a query for each facet that is open, and none for those that are closed", () => {
  const facets: Facet[] = Array.from({ length: 300 }, (_, number) => ({
    kind: "label",
    key: `key-${number}`,
    count: 10,
    values: [{ value: "x", count: 10 }],
    values_left_out: 0,
  }));
  const queries = new QueryClient();
  const about = { project: "shop", filter: { and: [] }, q: "", roleOf: () => null, metrics: new Map(), onChange: () => undefined };
  const html = renderToStaticMarkup(
    <QueryClientProvider client={queries}>
      {facets.map((facet, index) => (
        <FacetValues key={facet.key} facet={facet} isOpen={index < OPEN} {...about} />
      ))}
    </QueryClientProvider>,
  );
  expect(html.match(/<details/g)).toHaveLength(300);
  expect(queries.getQueryCache().getAll()).toHaveLength(OPEN);
});
