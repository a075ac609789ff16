import { Search, X } from "lucide-react";
import { type KeyboardEvent, type Ref, useEffect, useId, useImperativeHandle, useMemo, useRef, useState } from "react";
import { IconButton } from "~/ui";
import { count } from "~/ui/values";
import { AddFilter } from "./AddFilter";
import { useVocabulary } from "./facets";
import css from "./filter.module.css";
import { parts, QueryError, toFilter, withoutPart } from "~/rules/language";
import { type Suggestion, suggest, wordAt } from "~/rules/suggestions";
import { TimeRangeChoice } from "./TimeRangeChoice";

type FilterBarProps = {
  project: string;
  value: string;
  onChange: (query: string) => void;
  ref?: Ref<{ focus: () => void }>;
};

/** The filter as a typed text with suggestions, and controls that do the same by mouse. */
export function FilterBar({ project, value, onChange, ref }: FilterBarProps) {
  const [text, setText] = useState(value);
  const [cursor, setCursor] = useState(value.length);
  const [isOpen, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const listId = useId();
  const vocabulary = useVocabulary(project, isOpen);

  useImperativeHandle(ref, () => ({ focus: () => input.current?.focus() }));
  useEffect(() => setText(value), [value]);

  const { word, start } = wordAt(text, cursor);
  const { shown: suggestions, leftOut } = useMemo(
    () => (isOpen ? suggest(word, vocabulary) : { shown: [], leftOut: 0 }),
    [isOpen, word, vocabulary],
  );
  const wrong = problem(text);
  const chips = wrong ? [] : chipsOf(value);

  function apply(query: string) {
    setOpen(false);
    setActive(-1);
    if (!problem(query) && query.trim() !== value) onChange(query.trim());
  }

  function take(index: number) {
    const one = suggestions[index];
    if (!one) return;
    const next = `${text.slice(0, start)}${one.text}${one.whole ? " " : ""}${text.slice(cursor).trimStart()}`;
    const at = start + one.text.length + (one.whole ? 1 : 0);
    setText(next);
    setCursor(at);
    setActive(-1);
    requestAnimationFrame(() => input.current?.setSelectionRange(at, at));
    if (one.whole && !problem(next)) onChange(next.trim());
  }

  function onKeyDown(event: KeyboardEvent) {
    const number = suggestions.length;
    if (event.key === "ArrowDown" && number) {
      event.preventDefault();
      setActive((active + 1) % number);
    } else if (event.key === "ArrowUp" && number) {
      event.preventDefault();
      setActive((active <= 0 ? number : active) - 1);
    } else if (event.key === "Tab" && isOpen && active >= 0) {
      event.preventDefault();
      take(active);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (isOpen && active >= 0) take(active);
      else apply(text);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (isOpen && number) setOpen(false);
      else input.current?.blur();
    }
  }

  return (
    <div className={css.bar}>
      <div className={css.line}>
        <div className={css.field} data-wrong={wrong ? true : undefined}>
          <Search size={15} aria-hidden />
          <input
            ref={input}
            role="combobox"
            aria-label="Filter"
            aria-expanded={isOpen && suggestions.length > 0}
            aria-controls={listId}
            aria-activedescendant={active >= 0 ? `${listId}-${active}` : undefined}
            aria-invalid={wrong !== null}
            aria-autocomplete="list"
            placeholder="Filter: label.env:prod  CSAT>=4  from:7d  or any words"
            spellCheck={false}
            autoComplete="off"
            value={text}
            onChange={(event) => {
              setText(event.target.value);
              setCursor(event.target.selectionStart ?? event.target.value.length);
              setOpen(true);
              setActive(-1);
            }}
            onSelect={(event) => setCursor(event.currentTarget.selectionStart ?? text.length)}
            onFocus={() => setOpen(true)}
            onBlur={() => apply(text)}
            onKeyDown={onKeyDown}
          />
          {text && (
            <IconButton
              small
              label="Clear the filter"
              onClick={() => {
                setText("");
                onChange("");
              }}
            >
              <X size={14} aria-hidden />
            </IconButton>
          )}
          {isOpen && suggestions.length > 0 && (
            <SuggestionList id={listId} {...{ suggestions, leftOut, active }} onTake={take} />
          )}
        </div>
        <TimeRangeChoice value={value} onChange={onChange} />
        <AddFilter project={project} value={value} onChange={onChange} />
      </div>
      {wrong && (
        <p role="alert" className={css.wrong}>
          {wrong}
        </p>
      )}
      {chips.length > 1 && <Conditions chips={chips} onRemove={(chip) => onChange(withoutPart(value, chip))} />}
    </div>
  );
}

type SuggestionListProps = {
  id: string;
  suggestions: readonly Suggestion[];
  leftOut: number;
  active: number;
  onTake: (index: number) => void;
};

/** The suggestions for the word at the cursor. */
function SuggestionList({ id, suggestions, leftOut, active, onTake }: SuggestionListProps) {
  return (
    <ul id={id} role="listbox" aria-label="What can stand here" className={css.list}>
      {suggestions.map((one, index) => (
        <li
          key={one.text}
          id={`${id}-${index}`}
          role="option"
          aria-selected={index === active}
          // The field keeps the focus.
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => onTake(index)}
        >
          <code>{one.text}</code>
          <small>{one.means}</small>
        </li>
      ))}
      {leftOut > 0 && (
        <li role="presentation" className={css.more}>
          {count(leftOut)} more: type on to find them
        </li>
      )}
    </ul>
  );
}

/** The conditions of a query, each with a button to remove it. */
function Conditions({ chips, onRemove }: { chips: readonly string[]; onRemove: (chip: string) => void }) {
  return (
    <ul className={css.chips} aria-label="Conditions">
      {chips.map((chip) => (
        <li key={chip}>
          <code>{chip}</code>
          <button type="button" aria-label={`Remove ${chip}`} onClick={() => onRemove(chip)}>
            <X size={12} aria-hidden />
          </button>
        </li>
      ))}
    </ul>
  );
}

/** Return what is wrong with a query; null for a valid one. */
function problem(query: string): string | null {
  try {
    toFilter(query);
    return null;
  } catch (error) {
    if (error instanceof QueryError) return error.message;
    throw error;
  }
}

function chipsOf(query: string): string[] {
  try {
    return query ? parts(query) : [];
  } catch {
    return [];
  }
}
