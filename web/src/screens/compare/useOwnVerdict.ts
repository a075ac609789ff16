import { useState } from "react";
import { useAct } from "~/api/useAct";
import type { Choice } from "~/rules/verdicts";
import { newId } from "~/ui/browser";
import { sendVerdict } from "./sendVerdict";

/** Give one verdict on two completions: another choice changes it and is not a second vote. */
export function useOwnVerdict(metric: string, left: string, right: string) {
  const [verdict, setVerdict] = useState<{ pair: string; comparison_id: string; choice: Choice } | null>(null);
  const pair = `${metric} ${left} ${right}`;
  const own = verdict?.pair === pair ? verdict : null;
  const send = useAct(
    ({ choice, comparison_id }: { choice: Choice; comparison_id: string }) =>
      sendVerdict(metric, { left, right }, { choice, comparison_id, details: "" }, own === null),
    {
      done: own ? "The preference is changed" : "The preference is logged",
      onDone: (_, sent) => setVerdict({ pair, ...sent }),
    },
  );
  return {
    chosen: own?.choice,
    isPending: send.isPending,
    choose: (choice: Choice) =>
      choice !== own?.choice && send.mutate({ choice, comparison_id: own?.comparison_id ?? newId() }),
  };
}
