import { type ReactNode, useState } from "react";
import { Input } from "./index";
import css from "./chooser.module.css";
import { css as ui } from "./index";
import { count, inShort } from "./values";

export type Choice = { value: string; name?: string; count?: number };

type ChooserProps = {
  /** The choices, the most used first. */
  choices: readonly Choice[];
  onChoose: (value: string) => void;
  /** The current choice. */
  chosen?: string | undefined;
  /** The name of the choices, such as "label keys". */
  what: string;
  children?: ReactNode;
};

/** With this many choices or fewer, no search field is shown. */
const FEW = 8;
/** The most rows that are shown; a search finds the others. */
const SHOWN = 50;

/** A list to choose from, with a search if it is long. It says how many choices are not shown. */
export function Chooser({ choices, onChoose, chosen, what, children }: ChooserProps) {
  const [text, setText] = useState("");
  const typed = text.trim().toLowerCase();
  const fitting = choices.filter(({ value, name }) => (name ?? value).toLowerCase().includes(typed));
  const shown = fitting.slice(0, SHOWN);
  const leftOut = fitting.length - shown.length;
  return (
    <div className={css.chooser}>
      {choices.length > FEW && (
        <Input
          type="search"
          aria-label={`Search ${what}`}
          placeholder={`Search ${count(choices.length)} ${what}`}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            const first = shown[0];
            if (event.key !== "Enter" || !first) return;
            event.preventDefault();
            onChoose(first.value);
          }}
        />
      )}
      <ul className={css.choices}>
        {children}
        {shown.map(({ value, name, count: number }) => (
          <li key={value}>
            <button
              type="button"
              className={ui.choice}
              aria-current={value === chosen ? "true" : undefined}
              onClick={() => onChoose(value)}
            >
              <span className={css.name}>{name ?? (value || "(empty)")}</span>
              {number !== undefined && <small>{inShort(number)}</small>}
            </button>
          </li>
        ))}
        {leftOut > 0 && <li className={css.more}>{`${count(leftOut)} more: type some letters to find them`}</li>}
        {fitting.length === 0 && <li className={css.more}>{choices.length ? `No ${what} fit` : "There is none yet"}</li>}
      </ul>
    </div>
  );
}
