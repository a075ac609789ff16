import { queryOptions, useQuery } from "@tanstack/react-query";
import { answer, api, type Interaction } from "~/api/client";
import { Button, Empty, ErrorNote, Loading } from "~/ui";
import { Sides } from "./Sides";
import type { PairIds } from "~/rules/judgingQueue";

/** One side of a pair. It arrives with the pair; only after a reload is it fetched separately. */
export const pairSideQuery = (completion_id: string) =>
  queryOptions({
    queryKey: ["pair-side", completion_id],
    queryFn: ({ signal }): Promise<Interaction> =>
      answer(api.GET("/api/v1/interactions/{completion_id}", { params: { path: { completion_id } }, signal })),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });

type PairSidesProps = { pair: PairIds; blind: boolean; differences: boolean; onSkip: () => void };

/** A pair of a sitting, side by side. */
export function PairSides({ pair, blind, differences, onSkip }: PairSidesProps) {
  const left = useQuery(pairSideQuery(pair.left));
  const right = useQuery(pairSideQuery(pair.right));
  if (left.data && right.data) {
    return <Sides left={left.data} right={right.data} blind={blind} differences={differences} />;
  }
  const error = left.error ?? right.error;
  if (!error) return <Loading lines={8} />;
  return (
    <Empty title="This pair cannot be shown">
      <ErrorNote error={error} onRetry={() => void Promise.all([left.refetch(), right.refetch()])} />
      <Button onClick={onSkip}>Go on to the next</Button>
    </Empty>
  );
}
