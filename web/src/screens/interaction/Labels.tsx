import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Plus, X } from "lucide-react";
import { type FormEvent, useState } from "react";
import { answer, api, type Interaction } from "~/api/client";
import { labelsQuery } from "~/api/queries";
import { quoted } from "~/filter/language";
import { Button, Field, Input, notify, Popover } from "~/ui";
import { useKeys } from "~/ui/useKeys";
import css from "./interaction.module.css";

type LabelsProps = { project: string; interaction: Interaction; mayWrite: boolean };

/** The labels of an interaction: to filter by, to add, to take away. */
export function Labels({ project, interaction, mayWrite }: LabelsProps) {
  const queries = useQueryClient();
  const completion_id = interaction.completion_id;
  const change = useMutation({
    mutationFn: (body: { set?: Record<string, string>; remove?: string[] }) =>
      answer(
        api.PATCH("/api/v1/interactions/{completion_id}/labels", { params: { path: { completion_id } }, body }),
      ),
    onSuccess: () =>
      Promise.all([
        queries.invalidateQueries({ queryKey: ["interaction", completion_id] }),
        queries.invalidateQueries({ queryKey: ["labels", project] }),
      ]),
    onError: (error) => notify(error),
  });
  useKeys({ l: () => document.getElementById("add-label")?.click() });
  return (
    <div className={css.labels}>
      {Object.entries(interaction.labels).map(([key, value]) => (
        <span key={key} className={css.label}>
          <Link
            to="/p/$project/interactions"
            params={{ project }}
            search={{ q: `label.${quoted(key)}:${quoted(value)}` }}
            title="Show all with this label"
          >
            {key} <b>{value}</b>
          </Link>
          {mayWrite && (
            <button type="button" aria-label={`Remove ${key}`} onClick={() => change.mutate({ remove: [key] })}>
              <X size={11} aria-hidden />
            </button>
          )}
        </span>
      ))}
      {mayWrite && (
        <Popover
          label="Add a label"
          trigger={
            <Button small look="plain" id="add-label">
              <Plus size={13} aria-hidden /> Label
            </Button>
          }
        >
          {(close) => (
            <LabelForm
              project={project}
              onAdd={(key, value) => {
                close();
                change.mutate({ set: { [key]: value } });
              }}
            />
          )}
        </Popover>
      )}
    </div>
  );
}

function LabelForm({ project, onAdd }: { project: string; onAdd: (key: string, value: string) => void }) {
  const { data: labels = [] } = useQuery(labelsQuery(project));
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const values = labels.find((one) => one.key === key)?.values ?? [];
  function submit(event: FormEvent) {
    event.preventDefault();
    if (key.trim()) onAdd(key.trim(), value);
  }
  return (
    <form onSubmit={submit} className={css.rating}>
      <Field label="Key">
        <Input list="label-keys" value={key} onChange={(event) => setKey(event.target.value)} required autoFocus />
      </Field>
      <Field label="Value">
        <Input list="label-values" value={value} onChange={(event) => setValue(event.target.value)} />
      </Field>
      <datalist id="label-keys">
        {labels.map((one) => (
          <option key={one.key} value={one.key} />
        ))}
      </datalist>
      <datalist id="label-values">
        {values.slice(0, 100).map((one) => (
          <option key={one.value} value={one.value} />
        ))}
      </datalist>
      <Button look="primary" type="submit">
        Add
      </Button>
    </form>
  );
}
