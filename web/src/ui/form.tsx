// The dialog form for creating and changing things. The server's errors are shown beside the fields.

import type { QueryKey } from "@tanstack/react-query";
import {
  type ChangeEvent,
  createContext,
  type FormEvent,
  type ReactNode,
  useContext,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { useAct } from "~/api/useAct";
import { Button, css as ui, cx, Dialog, ErrorNote, Field, Optional } from ".";
import { fieldError } from "./errorText";
import css from "./form.module.css";

type FormDialogProps<T> = {
  title: string;
  /** The text of its button, and the text while the call is running. */
  submitLabel: string;
  busyLabel?: string;
  size?: "wide" | "widest";
  /** What the server says against the current values before they are sent. It is shown beside the field that it names. */
  earlyError?: unknown;
  /** Stands beside the buttons. */
  summary?: ReactNode;
  /** Whether the form can be sent. Fields check their own requirements, so those need not be included. */
  isReady?: boolean;
  /** Send the form. An error is shown beside the field that it names, else above the button. */
  send: () => Promise<T>;
  /** The notice after success. */
  done?: (answer: T) => string;
  outdated: QueryKey[];
  onDone: (answer: T) => void;
  onClose: () => void;
  children: ReactNode;
};

/** A dialog with a form. It is sent once, however often it is submitted. It cannot be closed until the server has
 * answered, so that an answer that is shown once, such as an API key, is not lost. */
export function FormDialog<T>(props: FormDialogProps<T>) {
  const { title, submitLabel, busyLabel = submitLabel, size, earlyError = null, summary, isReady = true, onClose, children } = props;
  const fields = useRef(new Set<string>());
  const act = useAct(props.send, {
    done: props.done,
    outdated: props.outdated,
    onDone: props.onDone,
    onFailed: () => undefined,
  });
  const { error, isPending } = act;
  const isBesideField = isBeside(fields.current, error);
  function submit(event: FormEvent) {
    event.preventDefault();
    if (isReady) act.mutate(undefined);
  }
  return (
    <Dialog title={title} open onClose={() => !isPending && onClose()} size={size}>
      <form onSubmit={submit} className={css.form} aria-busy={isPending}>
        <FormContext value={{ error, earlyError, fields: fields.current }}>{children}</FormContext>
        {error && !isBesideField && <ErrorNote error={error} />}
        <div className={cx(ui.actions, css.actions)}>
          {summary}
          <Button onClick={onClose} disabled={isPending}>
            Cancel
          </Button>
          <Button look="primary" type="submit" disabled={isPending || !isReady}>
            {isPending ? busyLabel : submitLabel}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

type FormState = { error: unknown; earlyError: unknown; fields: Set<string> };

const FormContext = createContext<FormState>({ error: null, earlyError: null, fields: new Set() });

const isBeside = (fields: ReadonlySet<string>, error: unknown): boolean =>
  [...fields].some((name) => fieldError(error, name) !== undefined);

/** Tell whether a field of the form shows an error. */
export const useIsBesideField = (error: unknown): boolean => isBeside(useContext(FormContext).fields, error);

type FieldError = { refused: string | undefined; /** Whether it came when the form was sent. */ isSent: boolean };

/** Return the server's error about a parameter, and tell the form that this field shows it. */
function useFieldError(name: string, otherName = name): FieldError {
  const { error, earlyError, fields } = useContext(FormContext);
  useLayoutEffect(() => {
    const names = [name, otherName];
    for (const one of names) fields.add(one);
    return () => {
      for (const one of names) fields.delete(one);
    };
  }, [fields, name, otherName]);
  const about = (refusal: unknown) => fieldError(refusal, name) ?? fieldError(refusal, otherName);
  const sent = about(error);
  return { refused: sent ?? about(earlyError), isSent: sent !== undefined };
}

type FormFieldProps = {
  /** The parameter of the call that the field sets. */
  name: string;
  /** A further parameter that the server derives from it. */
  otherName?: string;
  label: ReactNode;
  /** Whether it may stay empty. */
  isOptional?: boolean;
  hint?: ReactNode;
  /** What is wrong with the current value. */
  wrong?: string | undefined;
  children: ReactNode;
};

/** A control with its name, a hint, and the server's error about it, which moves the focus here. */
export function FormField({ name, otherName, label, isOptional, hint, wrong, children }: FormFieldProps) {
  const { refused, isSent } = useFieldError(name, otherName);
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (refused && isSent) place.current?.querySelector<HTMLElement>("input, select, textarea")?.focus();
  }, [refused, isSent]);
  return (
    <div ref={place} data-wrong={Boolean(wrong ?? refused) || undefined}>
      <Field label={label} isOptional={isOptional} hint={hint} wrong={wrong ?? refused}>
        {children}
      </Field>
    </div>
  );
}

type FormChoicesProps = {
  name: string;
  legend: string;
  /** Whether none need be chosen. */
  isOptional?: boolean;
  hint?: ReactNode;
  options: readonly { key: string; name: string }[];
  chosen: readonly string[];
  onChoose: (chosen: string[]) => void;
};

/** A group of checkboxes. */
export function FormChoices({ name, legend, isOptional, hint, options, chosen, onChoose }: FormChoicesProps) {
  return (
    <FormGroup name={name} legend={legend} isOptional={isOptional} hint={hint}>
      <div className={css.choices}>
        {options.map(({ key, name: shown }) => (
          <label key={key} className={css.check}>
            <input
              type="checkbox"
              checked={chosen.includes(key)}
              onChange={() => onChoose(chosen.includes(key) ? chosen.filter((one) => one !== key) : [...chosen, key])}
            />
            {shown}
          </label>
        ))}
      </div>
    </FormGroup>
  );
}

type FormGroupProps = {
  name: string;
  legend: string;
  isOptional?: boolean | undefined;
  hint?: ReactNode;
  children: ReactNode;
};

/** Several controls that set one parameter. */
export function FormGroup({ name, legend, isOptional, hint, children }: FormGroupProps) {
  const { refused } = useFieldError(name);
  return (
    <fieldset data-wrong={refused ? true : undefined}>
      <legend>
        {legend}
        {isOptional && <Optional />}
      </legend>
      {hint && <p className={ui.hint}>{hint}</p>}
      {children}
      {refused && (
        <p role="alert" className={ui.wrong}>
          {refused}
        </p>
      )}
    </fieldset>
  );
}

/** A single checkbox. */
export function FormCheck({ children, ...checked }: { checked: boolean; onChange: () => void; children: ReactNode }) {
  return (
    <label className={css.check}>
      <input type="checkbox" {...checked} />
      <span>{children}</span>
    </label>
  );
}

type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;
/** The values of a form, as `useFormValues` holds them. */
export type FormValues<V extends object> = ReturnType<typeof useFormValues<V>>;
type Texts<V> = { [K in keyof V]: V[K] extends string ? K : never }[keyof V];
type Flags<V> = { [K in keyof V]: V[K] extends boolean ? K : never }[keyof V];

/** Hold the values of a form. `text` and `flag` return the props of a text control or a checkbox. */
export function useFormValues<V extends object>(initial: V) {
  const [values, setValues] = useState(initial);
  const set = (change: Partial<V>) => setValues((before) => ({ ...before, ...change }));
  return {
    values,
    set,
    text: (name: Texts<V>) => ({
      value: values[name] as string,
      onChange: (event: ChangeEvent<Control>) => set({ [name]: event.target.value } as Partial<V>),
    }),
    flag: (name: Flags<V>) => ({
      checked: values[name] as boolean,
      onChange: () => set({ [name]: !values[name] } as Partial<V>),
    }),
  };
}
