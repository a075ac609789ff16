import { ArrowDown, ArrowUp, SlidersHorizontal } from "lucide-react";
import { Button, IconButton, Popover } from "~/ui";
import { COLUMNS, type Column } from "./columns";
import css from "./interactions.module.css";

type ColumnChoiceProps = {
  columns: Column[];
  /** Null: the usual ones. */
  onChange: (keys: string | null) => void;
};

/** Which columns are shown, and in which order. */
export function ColumnChoice({ columns, onChange }: ColumnChoiceProps) {
  const keys = columns.map(({ key }) => key);
  const set = (next: string[]) => next.length > 0 && onChange(next.join(","));
  const move = (at: number, by: number) => {
    const next = keys.toSpliced(at, 1);
    set(next.toSpliced(at + by, 0, keys[at] as string));
  };
  const others = COLUMNS.filter(({ key }) => !keys.includes(key));
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
        <Button small onClick={() => onChange(null)}>
          As usual
        </Button>
      </div>
    </Popover>
  );
}
