import { type QueryKey, useMutation, useQueryClient } from "@tanstack/react-query";
import { notify } from "~/ui/toasts";

type Act<V, T> = {
  /** What to tell when it is done. */
  done?: string | ((answer: T, variables: V) => string);
  /** What is out of date then. */
  outdated?: QueryKey[];
  onDone?: (answer: T, variables: V) => void;
};

/** Change something on the server: tell when it is done or refused, and read anew what is out of date. */
export function useAct<V, T>(call: (variables: V) => Promise<T>, { done, outdated = [], onDone }: Act<V, T> = {}) {
  const queries = useQueryClient();
  return useMutation<T, Error, V>({
    mutationFn: call,
    onSuccess: (answer, variables) => {
      if (done) notify(typeof done === "function" ? done(answer, variables) : done);
      onDone?.(answer, variables);
      return Promise.all(outdated.map((queryKey) => queries.invalidateQueries({ queryKey })));
    },
    onError: (error) => notify(error),
  });
}
