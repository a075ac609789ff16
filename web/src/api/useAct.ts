import { type QueryKey, useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";
import { notify } from "~/ui/toasts";
import { jsonText } from "./json";

type Act<V, T> = {
  /** What to tell when it is done. */
  done?: string | ((answer: T, variables: V) => string) | undefined;
  /** What is out of date then. */
  outdated?: QueryKey[];
  onDone?: (answer: T, variables: V) => void;
  /** Where what was refused is told; without it, in a notice. */
  onFailed?: (error: Error) => void;
};

/**
 * Change something on the server: tell when it is done or refused, and read anew what is out of date. The same act, while
 * it is under way, is not begun a second time: a form is submitted once, however often Enter is pressed.
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
