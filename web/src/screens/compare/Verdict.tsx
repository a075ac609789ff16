import { ArrowLeft, ArrowRight, ThumbsDown, ThumbsUp } from "lucide-react";
import type { ReactNode } from "react";
import { Button, Kbd } from "~/ui";
import { useKeys } from "~/ui/useKeys";
import css from "./compare.module.css";

export type Choice = "left" | "right" | "good" | "bad";

const CHOICES: [Choice, string, string, ReactNode][] = [
  ["left", "Left is better", "1", <ArrowLeft key="left" size={15} aria-hidden />],
  ["right", "Right is better", "2", <ArrowRight key="right" size={15} aria-hidden />],
  ["good", "Both good", "3", <ThumbsUp key="good" size={15} aria-hidden />],
  ["bad", "Both bad", "4", <ThumbsDown key="bad" size={15} aria-hidden />],
];

type VerdictProps = {
  onChoose: (choice: Choice) => void;
  /** What was chosen before. */
  chosen?: Choice;
  disabled?: boolean;
  children?: ReactNode;
};

/** Which of two completions is better, by mouse or by key. */
export function Verdict({ onChoose, chosen, disabled = false, children }: VerdictProps) {
  const by = (choice: Choice) => () => !disabled && onChoose(choice);
  useKeys({
    1: by("left"),
    ArrowLeft: by("left"),
    2: by("right"),
    ArrowRight: by("right"),
    3: by("good"),
    4: by("bad"),
  });
  return (
    <div className={css.verdict} role="group" aria-label="Verdict">
      {CHOICES.map(([choice, name, key, icon]) => (
        <Button key={choice} disabled={disabled} aria-pressed={chosen === choice} onClick={() => onChoose(choice)}>
          {icon} {name} <Kbd>{key}</Kbd>
        </Button>
      ))}
      {children}
    </div>
  );
}

/** Return the body that logs a choice between two completions. */
export function preference(metric: string, left: string, right: string, choice: Choice, details: string) {
  const isRight = choice === "right";
  return {
    metric,
    preferred_completion: isRight ? right : left,
    other_completion: isRight ? left : right,
    tied: choice === "good" || choice === "bad" ? choice : null,
    details: details.trim() || null,
  };
}
