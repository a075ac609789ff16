// New and changed interactions for the tab that shows them. All tabs share one stream.

import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { type Filter, heldToken } from "./client";
import { onConnection, reportAway } from "./connection";
import { type Changes, type FromTab, LiveLine, PACE, type ToTab } from "./liveLine";

type Heard = {
  onChanges: (changes: Changes) => void;
  /** The stream is connected. `again`: it was connected before, and changes may have been missed since. */
  onStands: (again: boolean) => void;
};

/** Listen to the interactions that match a filter while the tab is visible; tell whether the stream is connected. */
export function useLive(project: string, filter: Filter | null, on: boolean, heard: Heard): boolean {
  /** The watch whose stream is connected. */
  const [connected, setConnected] = useState<string | null>(null);
  const [attempt, setAttempt] = useState(0);
  const isVisible = useVisible();
  const latest = useRef(heard);
  latest.current = heard;
  const tree = filter ? JSON.stringify(filter) : null;
  const stood = useRef("");

  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt opens another port.
  useEffect(() => {
    if (!on || !isVisible || tree === null) return;
    const watch = { project, filter: JSON.parse(tree) as Filter };
    const told = (word: ToTab) => {
      if (!("connected" in word)) return latest.current.onChanges(word);
      setConnected(word.connected ? project + tree : null);
      if (!word.connected) return reportAway();
      const again = stood.current === project + tree;
      stood.current = project + tree;
      latest.current.onStands(again);
    };
    const line = openLine(told, () => setAttempt((before) => before + 1));
    const say = () => line.say({ watch, csrfToken: heldToken() });
    const leave = () => line.say({ watch: null, csrfToken: null });
    say();
    const saying = setInterval(say, PACE);
    // Reconnect as soon as the server is back.
    const stop = onConnection((isConnected) => isConnected && say());
    window.addEventListener("pagehide", leave);
    return () => {
      clearInterval(saying);
      stop();
      window.removeEventListener("pagehide", leave);
      leave();
      line.close();
      setConnected(null);
    };
  }, [project, tree, on, isVisible, attempt]);
  return connected !== null && connected === project + tree;
}

type Line = { say: (word: FromTab) => void; close: () => void };

/** Milliseconds until a worker that could not be started is started again. */
const AGAIN = 3_000;
let own: LiveLine | null = null;

function openLine(onTold: (word: ToTab) => void, onBroken: () => void): Line {
  if (typeof SharedWorker === "undefined") {
    const port = { postMessage: onTold };
    own ??= new LiveLine();
    return { say: (word) => own?.hear(port, word), close: () => {} };
  }
  const worker = new SharedWorker(new URL("./liveWorker.ts", import.meta.url), { type: "module", name: "afterword-live" });
  const { port } = worker;
  let timer: ReturnType<typeof setTimeout> | undefined;
  worker.onerror = () => {
    timer = setTimeout(onBroken, AGAIN);
  };
  port.onmessage = ({ data }) => onTold(data as ToTab);
  return {
    say: (word) => port.postMessage(word),
    close: () => {
      clearTimeout(timer);
      port.close();
    },
  };
}

function useVisible(): boolean {
  return useSyncExternalStore(
    (changed) => {
      document.addEventListener("visibilitychange", changed);
      return () => document.removeEventListener("visibilitychange", changed);
    },
    () => document.visibilityState === "visible",
  );
}
