import { useState } from "react";
import { Button, Chip, cx } from "~/ui";
import css from "./datasets.module.css";
import { readableRow } from "./readableRow";

/** In short, a row shows the last messages of its prompt. */
const MOST_MESSAGES = 2;
/** Texts above this are cut in the short form. */
const MANY_CHARACTERS = 220;
const MANY_LINES = 3;

/** A row of a dataset as people read it: the conversation in short, with both sides of a preference beside each other. */
export function PreviewRow({ row, number }: { row: Record<string, unknown>; number: number }) {
  const [isWhole, setWhole] = useState(false);
  const { prompt, answers, values, labels, facts } = readableRow(row);
  const before = prompt.length - MOST_MESSAGES;
  const isLong = before > 0 || [...prompt, ...answers].some(({ words }) => isLongText(words));
  return (
    <article className={cx(css.row, !isWhole && css.short)} aria-label={`Row ${number}`}>
      <header>
        <span className={css.number}>{number}</span>
        {values.map(([metric, value]) => (
          <Chip key={metric} tone={value === true ? "good" : value === false ? "bad" : undefined}>
            {metric} <b>{typeof value === "boolean" ? (value ? "yes" : "no") : String(value)}</b>
          </Chip>
        ))}
        {facts.map((fact) => (
          <Chip key={fact}>{fact}</Chip>
        ))}
        {labels.map(([key, value]) => (
          <Chip key={key}>
            {key}: {value}
          </Chip>
        ))}
        {isLong && (
          <Button small look="plain" aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
            {isWhole ? "In short" : "Show all"}
          </Button>
        )}
      </header>
      {before > 0 && !isWhole && <p className={css.before}>{before === 1 ? "1 message" : `${before} messages`} before</p>}
      <dl>
        {(isWhole ? prompt : prompt.slice(-MOST_MESSAGES)).map(({ name, words }, index) => (
          <Saying key={index} name={name} words={words} />
        ))}
        {answers.length === 1 && answers.map((answer) => <Saying key={answer.name} {...answer} isAnswer />)}
      </dl>
      {answers.length > 1 && (
        <dl className={css.sides}>
          {answers.map((answer) => (
            <Saying key={answer.name} {...answer} isAnswer />
          ))}
        </dl>
      )}
    </article>
  );
}

function Saying({ name, words, isAnswer }: { name: string; words: string; isAnswer?: boolean }) {
  return (
    <div data-name={name} className={isAnswer ? css.answer : undefined}>
      <dt>{name}</dt>
      <dd dir="auto">{words.trim() || <i>no text</i>}</dd>
    </div>
  );
}

function isLongText(text: string): boolean {
  return text.length > MANY_CHARACTERS || text.trim().split("\n").length > MANY_LINES;
}
