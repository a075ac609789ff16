import { Dialog, Kbd } from "~/ui";
import css from "./interactions.module.css";

const KEYS: [string[], string][] = [
  [["j", "k"], "down and up"],
  [["Enter"], "open"],
  [["Esc"], "close; clear the selection"],
  [["/"], "filter"],
  [["x"], "select: two to compare, any number to label, rate, export or make a dataset of"],
  [["Shift", "x"], "select all from the last one on"],
  [["F"], "facets"],
  [["1", "…", "9"], "rate with this value under the feedback key that is ringed"],
  [["0"], "no, under a bool key"],
  [["m"], "the next feedback key"],
  [["l"], "add a label"],
  [["c"], "compare with another completion"],
  [["f"], "search in the conversation"],
  [["⌘K", "Ctrl K"], "go anywhere"],
  [["g", "i"], "go to the interactions; g o the overview, g m the metrics, g r the ranking, g c to compare"],
  [["?"], "these keys"],
];

export function KeysHelp({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog title="Keys" open={open} onClose={onClose}>
      <div className={css.keys}>
        {KEYS.map(([keys, means]) => (
          <div key={means} style={{ display: "contents" }}>
            <span>
              {keys.map((key) => (
                <span key={key}>
                  <Kbd>{key}</Kbd>{" "}
                </span>
              ))}
            </span>
            <span>{means}</span>
          </div>
        ))}
      </div>
    </Dialog>
  );
}
