import { ArrowDown, ArrowUp, SlidersHorizontal } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useVocabulary } from "~/filter/facets";
import { Button, Field, IconButton, Input, Popover, Select } from "~/ui";
import { Chooser } from "~/ui/Chooser";
import { COLUMNS, type Column, keyOf } from "./columns";
import css from "./interactions.module.css";

type ColumnChoiceProps = {
  project: string;
  columns: Column[];
  /** Null stands for the default columns. */
  onChange: (keys: string | null) => void;
};

/** Choose the columns and their order. */
export function ColumnChoice(props: ColumnChoiceProps) {
  return (
    <Popover
      label="Columns"
      align="end"
      trigger={
        <IconButton small label="Columns">
          <SlidersHorizontal size={15} aria-hidden />
        </IconButton>
      }
    >
      <Columns {...props} />
    </Popover>
  );
}

function Columns({ project, columns, onChange }: ColumnChoiceProps) {
  const keys = columns.map(({ key }) => key);
  const set = (next: string[]) => next.length > 0 && onChange(next.join(","));
  const move = (at: number, by: number) => {
    const next = keys.toSpliced(at, 1);
    set(next.toSpliced(at + by, 0, keys[at] as string));
  };
  const others = COLUMNS.filter(({ key }) => !keys.includes(key));
  return (
    <div className={css.columns}>
      <ul>
        {[...columns, ...others].map((column, at) => {
          const isShown = at < columns.length;
          return (
            <li key={column.key}>
              <label>
                <input
                  type="checkbox"
                  checked={isShown}
                  onChange={() => set(isShown ? keys.filter((key) => key !== column.key) : [...keys, column.key])}
                />
                {column.name}
              </label>
              {isShown && at > 0 && (
                <IconButton small label={`${column.name}: to the left`} onClick={() => move(at, -1)}>
                  <ArrowUp size={13} aria-hidden />
                </IconButton>
              )}
              {isShown && at < columns.length - 1 && (
                <IconButton small label={`${column.name}: to the right`} onClick={() => move(at, 1)}>
                  <ArrowDown size={13} aria-hidden />
                </IconButton>
              )}
            </li>
          );
        })}
      </ul>
      <AnotherColumn project={project} onAdd={(key) => !keys.includes(key) && set([...keys, key])} />
      <Button small onClick={() => onChange(null)}>
        Reset columns
      </Button>
    </div>
  );
}

/** Add a column for a label key, a feedback key, or a path in the JSON. */
function AnotherColumn({ project, onAdd }: { project: string; onAdd: (key: string) => void }) {
  const [kind, setKind] = useState<"" | "label" | "feedback" | "json">("");
  const { labels, metrics } = useVocabulary(project, kind !== "");
  const [path, setPath] = useState("");
  function submit(event: FormEvent) {
    event.preventDefault();
    if (path.trim()) onAdd(keyOf("json", path.trim()));
    setPath("");
  }
  return (
    <>
      <Select aria-label="Another column" value={kind} onChange={(event) => setKind(event.target.value as typeof kind)}>
        <option value="">Add a column…</option>
        <option value="label">of a label key</option>
        <option value="feedback">of a feedback key</option>
        <option value="json">of a parameter, or a path in the JSON</option>
      </Select>
      {kind === "label" && (
        <Chooser
          what="label keys"
          choices={labels.map(({ key, count }) => ({ value: key, count }))}
          onChoose={(key) => onAdd(keyOf("label", key))}
        />
      )}
      {kind === "feedback" && (
        <Chooser
          what="feedback keys"
          choices={metrics.filter(({ category }) => category === "user").map(({ key, name }) => ({ value: key, name }))}
          onChoose={(key) => onAdd(keyOf("feedback", key))}
        />
      )}
      {kind === "json" && (
        <form onSubmit={submit} className={css.path}>
          <Field label="Path" hint="Such as parameters.temperature, usage.total_tokens or call.error.code.">
            <Input value={path} onChange={(event) => setPath(event.target.value)} spellCheck={false} autoFocus />
          </Field>
          <Button type="submit" disabled={!path.trim()}>
            Add
          </Button>
        </form>
      )}
    </>
  );
}
