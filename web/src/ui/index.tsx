// Basic components of all screens. Their styles are in ui.module.css.

import { Dialog as BaseDialog } from "@base-ui/react/dialog";
import { Menu as BaseMenu } from "@base-ui/react/menu";
import { Popover as BasePopover } from "@base-ui/react/popover";
import { Tabs as BaseTabs } from "@base-ui/react/tabs";
import { Tooltip } from "@base-ui/react/tooltip";
import { Check, Copy, X } from "lucide-react";
import {
  type ComponentProps,
  type ButtonHTMLAttributes,
  type ReactElement,
  type ReactNode,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
  useEffect,
  useRef,
  useState,
} from "react";
import { ApiError } from "~/api/client";
import { isAway } from "~/api/connection";
import { copyText, NOT_COPIED } from "./browser";
import { errorText } from "./errorText";
import { notify } from "./toasts";
import css from "./ui.module.css";

export { css };
export { notify } from "./toasts";

/** Join the class names that are set. */
export function cx(...names: (string | false | null | undefined)[]): string {
  return names.filter(Boolean).join(" ");
}

type Look = { look?: "primary" | "danger" | "plain" | undefined; small?: boolean };

export function Button({ look, small, className, ...rest }: Look & ButtonHTMLAttributes<HTMLButtonElement>) {
  return <button type="button" className={cx(css.button, look && css[look], small && css.small, className)} {...rest} />;
}

/** An icon button; `label` is for screen readers, and is shown on hover. */
export function IconButton({
  label,
  look = "plain",
  small,
  className,
  ...rest
}: { label: string } & Look & ButtonHTMLAttributes<HTMLButtonElement>) {
  return (
    <Hint text={label}>
      <button
        type="button"
        aria-label={label}
        className={cx(css.button, css.icon, css[look], small && css.small, className)}
        {...rest}
      />
    </Hint>
  );
}

/** Show a short text on hover. The child must take a ref and event handlers. */
export function Hint({ text, children }: { text: ReactNode; children: ReactElement }) {
  return (
    <Tooltip.Root>
      <Tooltip.Trigger render={children as ReactElement<Record<string, unknown>>} />
      <Tooltip.Portal>
        <Tooltip.Positioner sideOffset={6}>
          <Tooltip.Popup className={css.tip}>{text}</Tooltip.Popup>
        </Tooltip.Positioner>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}

/** A control with its name, a hint, and the error about its value. */
export function Field({ label, isOptional, hint, wrong, children }: FieldProps) {
  return (
    <div className={css.field}>
      <label>
        <span>
          {label}
          {isOptional && <Optional />}
        </span>
        {children}
      </label>
      {hint && <span className={css.hint}>{hint}</span>}
      {wrong && (
        <span role="alert" className={css.wrong}>
          {wrong}
        </span>
      )}
    </div>
  );
}
type FieldProps = {
  label: ReactNode;
  /** Whether it may stay empty. */
  isOptional?: boolean | undefined;
  hint?: ReactNode;
  wrong?: ReactNode;
  children: ReactNode;
};

/** The mark beside the name of a control that may stay empty. */
export function Optional() {
  return <small className={css.optional}> (optional)</small>;
}

export function Input({ className, ...rest }: ComponentProps<"input">) {
  return <input className={cx(css.input, className)} autoComplete="off" {...rest} />;
}

export function Textarea({ className, ...rest }: TextareaHTMLAttributes<HTMLTextAreaElement>) {
  return <textarea className={cx(css.input, className)} {...rest} />;
}

export function Select({ className, ...rest }: SelectHTMLAttributes<HTMLSelectElement>) {
  return <select className={cx(css.input, className)} {...rest} />;
}

export type Tone = "good" | "bad" | "warn" | "blue" | "violet";

export function Chip({ tone, title, className, children }: ChipProps) {
  return (
    <span className={cx(css.chip, tone && css[tone], className)} title={title}>
      {children}
    </span>
  );
}
type ChipProps = { tone?: Tone | undefined; title?: string; className?: string | undefined; children: ReactNode };

/**
 * A dialog over the page. Escape and its cross close it, and a click outside if nothing was typed in it. With `isOnce`,
 * it shows something that cannot be shown again: only its own buttons close it, and leaving the page asks first.
 */
export function Dialog({ title, open, onClose, size, isOnce = false, children }: DialogProps) {
  const isTypedIn = useRef(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: nothing was typed yet in a dialog that opens again.
  useEffect(() => {
    isTypedIn.current = false;
  }, [open]);
  useEffect(() => {
    if (!open || !isOnce) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [open, isOnce]);
  function onOpenChange(next: boolean, { reason }: { reason: string }) {
    const isOutside = reason === "outside-press" || reason === "focus-out";
    if (next || (isOutside && (isOnce || isTypedIn.current)) || (isOnce && reason === "escape-key")) return;
    onClose();
  }
  return (
    <BaseDialog.Root open={open} onOpenChange={onOpenChange}>
      <BaseDialog.Portal>
        <BaseDialog.Backdrop className={css.backdrop} />
        <BaseDialog.Popup
          className={cx(css.dialog, size && css[size])}
          onInput={() => {
            isTypedIn.current = true;
          }}
        >
          <div className={css.head}>
            <BaseDialog.Title render={<h2 />}>{title}</BaseDialog.Title>
            {!isOnce && (
              <BaseDialog.Close
                aria-label="Close"
                className={cx(css.button, css.plain, css.icon, css.small)}
                style={{ marginLeft: "auto" }}
              >
                <X size={15} aria-hidden />
              </BaseDialog.Close>
            )}
          </div>
          {children}
        </BaseDialog.Popup>
      </BaseDialog.Portal>
    </BaseDialog.Root>
  );
}
type DialogProps = {
  title: ReactNode;
  open: boolean;
  onClose: () => void;
  size?: "wide" | "widest" | undefined;
  isOnce?: boolean;
  children: ReactNode;
};

/** Ask for confirmation of an action that cannot be undone. */
export function Confirm({ title, what, act, open, onClose, onConfirm }: ConfirmProps) {
  return (
    <Dialog title={title} open={open} onClose={onClose}>
      <p>{what}</p>
      <div className={css.actions}>
        <Button onClick={onClose}>Cancel</Button>
        <Button
          look="danger"
          onClick={() => {
            onClose();
            onConfirm();
          }}
        >
          {act}
        </Button>
      </div>
    </Dialog>
  );
}
type ConfirmProps = {
  title: string;
  what: ReactNode;
  act: string;
  open: boolean;
  onClose: () => void;
  onConfirm: () => void;
};

/** A button (`trigger`) that opens a small panel. `children` may be a function that gets `close`. */
export function Popover({ trigger, padded = true, align = "start", label, children }: PopoverProps) {
  const [open, setOpen] = useState(false);
  return (
    <BasePopover.Root open={open} onOpenChange={setOpen}>
      <BasePopover.Trigger render={trigger as ReactElement<Record<string, unknown>>} />
      <BasePopover.Portal>
        <BasePopover.Positioner sideOffset={5} align={align} style={{ zIndex: 40 }}>
          <BasePopover.Popup aria-label={label} className={cx(css.popup, padded && css.padded)}>
            {typeof children === "function" ? children(() => setOpen(false)) : children}
          </BasePopover.Popup>
        </BasePopover.Positioner>
      </BasePopover.Portal>
    </BasePopover.Root>
  );
}
type PopoverProps = {
  trigger: ReactElement;
  padded?: boolean;
  align?: "start" | "center" | "end";
  label: string;
  children: ReactNode | ((close: () => void) => ReactNode);
};

/** A button that opens a list of actions or choices. */
export function Menu({ trigger, align = "start", children }: MenuProps) {
  return (
    <BaseMenu.Root modal={false}>
      <BaseMenu.Trigger render={trigger as ReactElement<Record<string, unknown>>} />
      <BaseMenu.Portal>
        <BaseMenu.Positioner sideOffset={5} align={align} style={{ zIndex: 40 }}>
          <BaseMenu.Popup className={css.popup}>{children}</BaseMenu.Popup>
        </BaseMenu.Positioner>
      </BaseMenu.Portal>
    </BaseMenu.Root>
  );
}
type MenuProps = { trigger: ReactElement; align?: "start" | "center" | "end"; children: ReactNode };

export function MenuChoice({ onClick, checked, disabled, danger, children }: MenuChoiceProps) {
  return (
    <BaseMenu.Item
      className={cx(css.choice, danger && css.danger)}
      onClick={onClick}
      disabled={disabled}
      style={danger ? { color: "var(--bad)" } : undefined}
    >
      {children}
      {checked && <Check size={14} aria-label="chosen" style={{ marginLeft: "auto" }} />}
    </BaseMenu.Item>
  );
}
type MenuChoiceProps = {
  onClick: () => void;
  checked?: boolean;
  disabled?: boolean;
  danger?: boolean;
  children: ReactNode;
};

export function MenuSeparator() {
  return <BaseMenu.Separator className={css.separator} />;
}

export function Tabs({ value, onChange, tabs, children }: TabsProps) {
  return (
    <BaseTabs.Root value={value} onValueChange={(next) => onChange(String(next))}>
      <BaseTabs.List className={css.tabs}>
        {tabs.map(([key, name]) => (
          <BaseTabs.Tab key={key} value={key} className={css.tab}>
            {name}
          </BaseTabs.Tab>
        ))}
      </BaseTabs.List>
      <BaseTabs.Panel value={value}>{children}</BaseTabs.Panel>
    </BaseTabs.Root>
  );
}
type TabsProps = {
  value: string;
  onChange: (value: string) => void;
  tabs: readonly (readonly [key: string, name: ReactNode])[];
  children: ReactNode;
};

/** A page with its title, its actions and its content. */
export function Page({ title, about, actions, children }: PageProps) {
  return (
    <main className={css.page}>
      <header className={css.head}>
        <div>
          <h1>{title}</h1>
          {about && <p>{about}</p>}
        </div>
        {actions}
      </header>
      {children}
    </main>
  );
}
type PageProps = { title: ReactNode; about?: ReactNode; actions?: ReactNode; children: ReactNode };

/** A placeholder for missing content: what would be here, and how to create it. */
export function Empty({ title, children, icon }: { title: string; children?: ReactNode; icon?: ReactNode }) {
  return (
    <div className={css.empty}>
      {icon}
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Show an error, with a hint what to do. */
export function ErrorNote({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const { message, hint } = errorText(error);
  return (
    <div role="alert" className={cx(css.note, css.error)}>
      <strong>{message}</strong>
      {hint && <span>{hint}</span>}
      {onRetry && (
        <div>
          <Button small onClick={onRetry}>
            Try again
          </Button>
        </div>
      )}
    </div>
  );
}

/** Show that loaded data could not be refreshed. While the server is away, the page shows that in one place, and
 * refreshes automatically. */
export function Outdated({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  if (error instanceof ApiError && isAway(error.status)) return null;
  return (
    <div role="alert" className={cx(css.note, css.error)}>
      <span>
        Not up to date: {error instanceof Error ? error.message : String(error)}{" "}
        <Button small onClick={onRetry}>
          Try again
        </Button>
      </span>
    </div>
  );
}

export function Skeleton({ width = "100%", height = 14 }: { width?: number | string; height?: number | string }) {
  return <div aria-hidden className={css.skeleton} style={{ width, height }} />;
}

/** A block of skeleton lines while something loads, announced as such. */
export function Loading({ lines = 5 }: { lines?: number }) {
  return (
    <div role="status" aria-label="Loading" style={{ display: "grid", gap: 12, padding: "12px 0" }}>
      {Array.from({ length: lines }, (_, line) => (
        <Skeleton key={line} width={`${94 - ((line * 23) % 47)}%`} />
      ))}
    </div>
  );
}

export function Kbd({ children }: { children: ReactNode }) {
  return <kbd className={css.kbd}>{children}</kbd>;
}

/** Copies a text. `text` may be a function if it is expensive to compute. */
export function CopyButton({ text, label = "Copy", small = true, icon = <Copy size={14} aria-hidden /> }: CopyProps) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <IconButton
      label={copied ? "Copied" : label}
      small={small}
      onClick={async () => {
        const isCopied = await copyText(typeof text === "function" ? text() : text);
        setCopied(isCopied);
        if (!isCopied) notify(new Error(NOT_COPIED));
      }}
    >
      {copied ? <Check size={14} aria-hidden /> : icon}
    </IconButton>
  );
}
type CopyProps = { text: string | (() => string); label?: string; small?: boolean; icon?: ReactNode };
