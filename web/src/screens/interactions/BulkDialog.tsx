import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useEffect, useId, useRef, useState } from "react";
import type { Filter, Metric } from "~/api/client";
import { labelsQuery } from "~/api/queries";
import { Button, css as ui, Dialog, ErrorNote, Field, Input, Select } from "~/ui";
import { count } from "~/ui/values";
import { type Done, label, rate, type Row, rowsOf } from "./bulk";

export type BulkAct = "label" | "rate" | "delete";

type BulkDialogProps = {
  act: BulkAct;
  project: string;
  /** How many interactions are changed, and how many are beyond the limit of one action. */
  number: number;
  leftOut: number;
  filter: Filter;
  /** The interactions, if all of them are loaded. */
  rows: Row[] | null;
  metrics: readonly Metric[];
  onClose: () => void;
  onDone: (what: string, done: Done) => void;
  onDelete: (rows: Row[]) => void;
};

const TITLES: Record<BulkAct, string> = { label: "Label", rate: "Rate", delete: "Delete" };

/** A bulk action on interactions: its options, the number of interactions, and its progress. */
export function BulkDialog({ act, project, number, leftOut, filter, rows, metrics, onClose, onDone, onDelete }: BulkDialogProps) {
  const [key, setKey] = useState(act === "rate" ? (metrics[0]?.key ?? "") : "");
  const [value, setValue] = useState("");
  const [progress, setProgress] = useState<number | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const stop = useRef<AbortController | null>(null);
  const keysId = useId();
  const valuesId = useId();
  const { data: labels = [] } = useQuery({ ...labelsQuery(project), enabled: act === "label" });
  const metric = metrics.find((one) => one.key === key);
  const many = `${count(number)} ${number === 1 ? "interaction" : "interactions"}`;
  useEffect(() => () => stop.current?.abort(), []);

  async function submit(event: FormEvent) {
    event.preventDefault();
    stop.current = new AbortController();
    const { signal } = stop.current;
    setFailure(null);
    setProgress(0);
    try {
      const all = rows ?? (await rowsOf(project, filter, signal));
      if (act === "label") onDone(`labelled ${key}: ${value}`, await label(all, key, value, signal, setProgress));
      else if (act === "rate") onDone("rated", await rate(all, key, Number(value), signal, setProgress));
      else onDelete(all);
    } catch (error) {
      setProgress(null);
      if (!signal.aborted) setFailure(error);
    }
  }
  const isBusy = progress !== null;
  const isReady = act === "delete" || (key.trim() !== "" && (act === "label" || value !== ""));
  return (
    <Dialog title={`${TITLES[act]} ${many}`} open onClose={() => !isBusy && onClose()}>
      <form onSubmit={submit} style={{ display: "grid", gap: 12 }}>
        {act === "label" && (
          <>
            <Field label="Key">
              <Input list={keysId} value={key} onChange={(event) => setKey(event.target.value)} autoFocus required maxLength={128} />
            </Field>
            <Field label="Value" hint="What stands under this key already is replaced.">
              <Input list={valuesId} value={value} onChange={(event) => setValue(event.target.value)} maxLength={1024} />
            </Field>
            <datalist id={keysId}>
              {labels.map((one) => (
                <option key={one.key} value={one.key} />
              ))}
            </datalist>
            <datalist id={valuesId}>
              {labels.find((one) => one.key === key)?.values.map((one) => <option key={one.value} value={one.value} />)}
            </datalist>
          </>
        )}
        {act === "rate" && (
          <>
            <Field label="Feedback key">
              <Select
                value={key}
                onChange={(event) => {
                  setKey(event.target.value);
                  setValue("");
                }}
              >
                {metrics.map((one) => (
                  <option key={one.key} value={one.key}>
                    {one.name}
                  </option>
                ))}
              </Select>
            </Field>
            <Field label="Value" hint="Each gets this value once more, beside what it has.">
              {metric?.kind === "bool" ? (
                <Select value={value} onChange={(event) => setValue(event.target.value)}>
                  <option value="">Choose…</option>
                  <option value="1">yes</option>
                  <option value="0">no</option>
                </Select>
              ) : (
                <Input type="number" step="any" value={value} onChange={(event) => setValue(event.target.value)} required />
              )}
            </Field>
          </>
        )}
        {act === "delete" && (
          <p>
            {many} with all feedback on them are deleted. You can undo it for some seconds; after that nothing brings them back but a
            backup.
          </p>
        )}
        {leftOut > 0 && (
          <p className={ui.hint}>
            These are the newest of what matches: {count(leftOut)} more are left for another time.
          </p>
        )}
        {failure !== null && <ErrorNote error={failure} />}
        {isBusy && (
          <div role="status">
            <progress value={progress} max={number} style={{ width: "100%" }} aria-label="Done" />
            <p className={ui.hint}>
              {count(progress)} of {count(number)}
            </p>
          </div>
        )}
        <div className={ui.actions}>
          {isBusy ? (
            <Button onClick={() => stop.current?.abort()}>Stop</Button>
          ) : (
            <>
              <Button onClick={onClose}>Cancel</Button>
              <Button look={act === "delete" ? "danger" : "primary"} type="submit" disabled={!isReady}>
                {TITLES[act]} {many}
              </Button>
            </>
          )}
        </div>
      </form>
    </Dialog>
  );
}
