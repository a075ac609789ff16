import { Dialog, Kbd } from "~/ui";
import css from "./interactions.module.css";

const KEYS: [string[], string][] = [
  [["j", "k"], "down and up"],
  [["Enter"], "open"],
  [["Esc"], "close; forget the marks"],
  [["/"], "filter"],
  [["x"], "mark: two to compare, any number for a dataset"],
  [["1", "…", "9"], "rate with this value under the feedback key that is ringed"],
  [["0"], "no, under a bool key"],
  [["m"], "the next feedback key"],
  [["l"], "add a label"],
  [["c"], "compare with another completion"],
  [["f"], "search in the conversation"],
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
