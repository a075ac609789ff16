import { queryOptions, useQuery } from "@tanstack/react-query";
import { answer, api, type Schemas } from "~/api/client";
import { jsonText, parseJson } from "~/api/json";
import { useQuiet } from "~/ui/useQuiet";
import type { DatasetRequest } from "./choices";

export type Preview = Schemas["DatasetPreview"];
export type RowFormat = "recipe" | "openai" | "trl" | "sharegpt";

/** A preview is made once the choices have not changed for so long. */
const QUIET_MILLISECONDS = 350;

/** Return the preview of a dataset, what the server refuses about it, and whether a newer one is on its way. */
export function usePreview(request: DatasetRequest | null, format: RowFormat) {
  const text = request && (jsonText(request) ?? null);
  const quietText = useQuiet(text, QUIET_MILLISECONDS);
  const { data, error, isFetching } = useQuery(previewQuery(quietText, format));
  return { preview: data, error, isOutdated: text !== quietText || isFetching };
}

const previewQuery = (request: string | null, format: RowFormat) =>
  queryOptions<Preview>({
    queryKey: ["dataset-preview", request, format],
    queryFn: ({ signal }) =>
      answer(
        api.POST("/api/v1/datasets/preview", {
          params: { query: { format } },
          body: parseJson(request ?? "") as DatasetRequest,
          signal,
        }),
      ),
    enabled: request !== null,
    // The rows before a change stay until the new ones arrive, but never those of another format.
    placeholderData: (before, query) => (query?.queryKey[2] === format ? before : undefined),
    // Rows may hold images.
    gcTime: 60_000,
  });
