import { ChevronRight } from "lucide-react";
import { type ReactNode, useState } from "react";
import { cx } from "~/ui";
import css from "./conversation.module.css";

type FoldProps = {
  title: ReactNode;
  className?: string | undefined;
  /** Whether it is open at first. */
  open?: boolean;
  /** Whether it contains the searched text, and must be open. */
  shows?: boolean;
  children: () => ReactNode;
};

/** Folded content that is rendered only when it is opened. */
export function Fold({ title, className, open = false, shows = false, children }: FoldProps) {
  const [isOpen, setOpen] = useState(open);
  return (
    <details
      className={cx(css.fold, className)}
      open={isOpen || shows}
      onToggle={(event) => !shows && setOpen(event.currentTarget.open)}
    >
      <summary>
        <ChevronRight size={14} aria-hidden />
        {title}
      </summary>
      {(isOpen || shows) && children()}
    </details>
  );
}
