import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Pencil, Plus, X } from "lucide-react";
import { type FormEvent, useId, useRef } from "react";
import type { Interaction } from "~/api/client";
import { labelsQuery } from "~/api/queries";
import { quoted } from "~/rules/language";
import { Button, Field, Input, Popover } from "~/ui";
import { useDraft } from "~/ui/useDraft";
import { useKeys } from "~/ui/useKeys";
import { useLabelChange } from "./useChanges";
import css from "./interaction.module.css";
import sections from "./sections.module.css";

type LabelsProps = { project: string; interaction: Interaction; mayWrite: boolean };

/** The labels of an interaction: filter by them, add, change and remove them. */
export function Labels({ project, interaction, mayWrite }: LabelsProps) {
  const change = useLabelChange(project, interaction);
  const box = useRef<HTMLDivElement>(null);
  useKeys({ l: () => box.current?.querySelector<HTMLButtonElement>("[data-adds]")?.click() });
  const labels = Object.entries(interaction.labels);
  if (!mayWrite && !labels.length) return null;
  return (
    <div className={css.labels} ref={box}>
      {labels.map(([key, value]) => (
        <span key={key} className={css.label}>
          <Link
            to="/p/$project/interactions"
            params={{ project }}
            search={{ q: `label.${quoted(key)}:${quoted(value)}` }}
            title={`${key}: ${value}\nShow all with this label`}
          >
            {key} <b>{value}</b>
          </Link>
          {mayWrite && (
            <span className={css.acts}>
              <Popover
                label={`Change ${key}`}
                trigger={
                  <button type="button" aria-label={`Change ${key}`}>
                    <Pencil size={11} aria-hidden />
                  </button>
                }
              >
                {(close) => (
                  <LabelForm
                    project={project}
                    completionId={interaction.completion_id}
                    label={[key, value]}
                    onSet={(_, next) => {
                      close();
                      change({ [key]: next });
                    }}
                  />
                )}
              </Popover>
              <button type="button" aria-label={`Remove ${key}`} onClick={() => change({}, [key])}>
                <X size={12} aria-hidden />
              </button>
            </span>
          )}
        </span>
      ))}
      {mayWrite && (
        <Popover
          label="Add a label"
          trigger={
            <Button small look="plain" data-adds aria-keyshortcuts="l" title="Add a label (l)">
              <Plus size={13} aria-hidden /> Label
            </Button>
          }
        >
          {(close) => (
            <LabelForm
              project={project}
              completionId={interaction.completion_id}
              onSet={(key, value) => {
                close();
                change({ [key]: value });
              }}
            />
          )}
        </Popover>
      )}
    </div>
  );
}

type LabelFormProps = {
  project: string;
  completionId: string;
  /** The label to change; without it, a new one is added. */
  label?: [key: string, value: string];
  onSet: (key: string, value: string) => void;
};

function LabelForm({ project, completionId, label, onSet }: LabelFormProps) {
  const { data: labels = [] } = useQuery(labelsQuery(project));
  // The draft is kept when a click outside closes the form, or another interaction is opened.
  const about = `label.${completionId}.${label?.[0] ?? ""}`;
  const [typedKey, setKey] = useDraft(`${about}.key`);
  const [typedValue, setValue] = useDraft(`${about}.value`);
  const key = typedKey ?? label?.[0] ?? "";
  const value = typedValue ?? label?.[1] ?? "";
  const id = useId();
  const values = labels.find((one) => one.key === key)?.values ?? [];
  function submit(event: FormEvent) {
    event.preventDefault();
    if (!key.trim()) return;
    setKey(null);
    setValue(null);
    onSet(key.trim(), value);
  }
  return (
    <form onSubmit={submit} className={sections.form}>
      {!label && (
        <Field label="Key">
          <Input
            list={`${id}keys`}
            value={key}
            maxLength={128}
            onChange={(event) => setKey(event.target.value)}
            required
            autoFocus
          />
        </Field>
      )}
      <Field label={label ? label[0] : "Value"}>
        <Input
          list={`${id}values`}
          value={value}
          maxLength={1024}
          onChange={(event) => setValue(event.target.value)}
          onFocus={(event) => label && event.target.select()}
          autoFocus={label !== undefined}
        />
      </Field>
      <datalist id={`${id}keys`}>
        {labels.slice(0, 200).map((one) => (
          <option key={one.key} value={one.key} />
        ))}
      </datalist>
      <datalist id={`${id}values`}>
        {values.slice(0, 200).map((one) => (
          <option key={one.value} value={one.value} />
        ))}
      </datalist>
      <Button look="primary" type="submit" disabled={!key.trim()}>
        {label ? "Change" : "Add"}
      </Button>
    </form>
  );
}
