import { type QueryKey, useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";
import { notify } from "~/ui/toasts";
import { jsonText } from "./json";

type Act<V, T> = {
  /** The notice after success. */
  done?: string | ((answer: T, variables: V) => string) | undefined;
  /** The queries that are stale after success. */
  outdated?: QueryKey[];
  onDone?: (answer: T, variables: V) => void;
  /** Called when the call fails; without it, the error is shown in a notice. */
  onFailed?: (error: Error) => void;
};

/**
 * Change something on the server, show a notice of success or failure, and refetch stale queries. While the call is
 * running it is not started again, so a form is submitted once, however often Enter is pressed.
 */
export function useAct<V, T>(call: (variables: V) => Promise<T>, { done, outdated = [], onDone, onFailed = notify }: Act<V, T> = {}) {
  const queries = useQueryClient();
  const underWay = useRef(new Set<string | undefined>());
  const mutation = useMutation<T, Error, V>({
    mutationFn: call,
    onSuccess: (answer, variables) => {
      if (done) notify(typeof done === "function" ? done(answer, variables) : done);
      onDone?.(answer, variables);
      return Promise.all(outdated.map((queryKey) => queries.invalidateQueries({ queryKey })));
    },
    onError: onFailed,
    onSettled: (_answer, _error, variables) => void underWay.current.delete(jsonText(variables)),
  });
  const mutate: typeof mutation.mutate = (...given) => {
    const act = jsonText(given[0]);
    if (underWay.current.has(act)) return;
    underWay.current.add(act);
    mutation.mutate(...given);
  };
  return { ...mutation, mutate };
}
