import { ArrowLeft, ArrowRight, ThumbsDown, ThumbsUp } from "lucide-react";
import type { ReactNode } from "react";
import { Button, Kbd } from "~/ui";
import { useKeys } from "~/ui/useKeys";
import css from "./compare.module.css";
import type { Choice } from "~/rules/verdicts";

export const CHOICES: [Choice, string, string, ReactNode][] = [
  ["left", "Left is better", "1", <ArrowLeft key="left" size={15} aria-hidden />],
  ["right", "Right is better", "2", <ArrowRight key="right" size={15} aria-hidden />],
  ["good", "Both good", "3", <ThumbsUp key="good" size={15} aria-hidden />],
  ["bad", "Both bad", "4", <ThumbsDown key="bad" size={15} aria-hidden />],
];

/** The part of the page in which keys give verdicts: the screen with the pair. */
export const JUDGES = "main:has([data-judges])";

type VerdictProps = {
  onChoose: (choice: Choice) => void;
  /** The earlier choice. */
  chosen?: Choice | undefined;
  disabled?: boolean;
  children?: ReactNode;
};

/** Choose which of two completions is better, by mouse or by key. Arrow keys scroll. */
export function Verdict({ onChoose, chosen, disabled = false, children }: VerdictProps) {
  const keys = CHOICES.map(([choice, , key]) => [key, () => !disabled && onChoose(choice)]);
  useKeys(Object.fromEntries(keys), { within: JUDGES });
  return (
    <div className={css.verdict} role="group" aria-label="Verdict">
      {CHOICES.map(([choice, name, key, icon]) => (
        <Button
          key={choice}
          disabled={disabled}
          aria-pressed={chosen === choice}
          // The second click of a double click would judge the next pair.
          onClick={(event) => event.detail < 2 && onChoose(choice)}
        >
          {icon} {name} <Kbd>{key}</Kbd>
        </Button>
      ))}
      {children}
    </div>
  );
}
