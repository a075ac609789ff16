// Interactions as they come and change: server-sent events, with what to do about each.

import { useEffect, useRef, useState } from "react";
import type { Filter, Interaction } from "./client";
import { parseJson } from "./json";

type Heard = {
  /** An interaction was logged, completed, labelled or rated. */
  onInteraction: (interaction: Interaction) => void;
  onDeleted: (completionId: string) => void;
  /** More happened than was sent: the list is to be read anew. */
  onMissed: () => void;
};

/** Listen to the interactions of a project that a filter finds; tell whether the line stands. */
export function useLive(project: string, filter: Filter | null, on: boolean, heard: Heard): boolean {
  const [connected, setConnected] = useState(false);
  const latest = useRef(heard);
  latest.current = heard;
  const tree = filter ? JSON.stringify(filter) : null;

  useEffect(() => {
    if (!on || tree === null) return;
    const query = new URLSearchParams({ project, filter: tree });
    const source = new EventSource(`/api/v1/interactions/live?${query}`);
    let opened = false;
    source.onopen = () => {
      // What happened while the line was down is not sent again.
      if (opened) latest.current.onMissed();
      opened = true;
      setConnected(true);
    };
    source.onerror = () => setConnected(false);
    source.addEventListener("interaction", (event) => latest.current.onInteraction(parseJson(event.data) as Interaction));
    source.addEventListener("deleted", (event) => latest.current.onDeleted(JSON.parse(event.data).completion_id));
    source.addEventListener("missed", () => latest.current.onMissed());
    return () => {
      source.close();
      setConnected(false);
    };
  }, [project, tree, on]);
  return connected;
}
