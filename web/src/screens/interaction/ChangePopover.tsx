import { Pencil } from "lucide-react";
import type { ReactNode } from "react";
import { Button, Popover, css as ui } from "~/ui";

type ChangePopoverProps = { label: string; children: (close: () => void) => ReactNode };

/** A pencil that opens the form in which something is changed. */
export function ChangePopover({ label, children }: ChangePopoverProps) {
  return (
    <Popover
      label={label}
      align="end"
      trigger={
        <Button small look="plain" className={ui.icon} aria-label={label} title="Change">
          <Pencil size={12} aria-hidden />
        </Button>
      }
    >
      {children}
    </Popover>
  );
}
