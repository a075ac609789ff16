import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ApiError, answer, api, type Metric } from "~/api/client";
import { Button, css as ui, Dialog, ErrorNote, Field, Input, notify, Select, Textarea } from "~/ui";
import { fieldError } from "~/ui/errorText";

type MetricFormProps = {
  project: string;
  /** The feedback key to change; none for a new one. */
  metric: Metric | null;
  onClose: () => void;
  onSaved: (key: string) => void;
};

/** Register a feedback key, or change what is said of one. */
export function MetricForm({ project, metric, onClose, onSaved }: MetricFormProps) {
  const queries = useQueryClient();
  const [key, setKey] = useState("");
  const [name, setName] = useState(metric?.name ?? "");
  const [kind, setKind] = useState<"bool" | "scalar">(metric?.kind ?? "bool");
  const [scoring_type, setScoring] = useState(metric?.scoring_type ?? "higher_is_better");
  const [unit, setUnit] = useState(metric?.unit ?? "");
  const [description, setDescription] = useState(metric?.description ?? "");
  const save = useMutation({
    mutationFn: () => {
      const said = { scoring_type, unit, description };
      if (!metric) {
        return answer(api.POST("/api/v1/metrics", { body: { key, kind, project, name: name || null, ...said } }));
      }
      const params = { path: { metric: metric.key }, query: { project } };
      return answer(api.PATCH("/api/v1/metrics/{metric}", { params, body: { name, ...said } }));
    },
    onSuccess: (saved) => {
      notify(metric ? "Saved" : `${saved.key} is registered`);
      onSaved(saved.key);
      return queries.invalidateQueries({ queryKey: ["metrics", project] });
    },
  });
  const wrong = (field: string) => fieldError(save.error, field);
  function submit(event: FormEvent) {
    event.preventDefault();
    save.mutate();
  }
  return (
    <Dialog title={metric ? `Change ${metric.key}` : "Register a feedback key"} open onClose={onClose}>
      <form onSubmit={submit} style={{ display: "grid", gap: 12 }}>
        {!metric && (
          <Field label="Key" hint="What feedback is logged under; it stays." wrong={wrong("key")}>
            <Input value={key} onChange={(event) => setKey(event.target.value)} required autoFocus spellCheck={false} />
          </Field>
        )}
        <Field label="Name" wrong={wrong("name")}>
          <Input value={name} placeholder={key} onChange={(event) => setName(event.target.value)} />
        </Field>
        {!metric && (
          <Field label="Kind" hint="Yes or no, or any number.">
            <Select value={kind} onChange={(event) => setKind(event.target.value as "bool")}>
              <option value="bool">bool: yes or no</option>
              <option value="scalar">scalar: a number</option>
            </Select>
          </Field>
        )}
        <Field label="Which is better?">
          <Select
            value={scoring_type}
            onChange={(event) => setScoring(event.target.value as "higher_is_better")}
          >
            <option value="higher_is_better">higher, or yes</option>
            <option value="lower_is_better">lower, or no</option>
          </Select>
        </Field>
        <Field label="Unit (optional)" wrong={wrong("unit")}>
          <Input value={unit} placeholder="stars, ms, …" onChange={(event) => setUnit(event.target.value)} />
        </Field>
        <Field label="Description" wrong={wrong("description")}>
          <Textarea value={description} onChange={(event) => setDescription(event.target.value)} />
        </Field>
        {save.error && !(save.error instanceof ApiError && save.error.param) && <ErrorNote error={save.error} />}
        <div className={ui.actions}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={save.isPending}>
            {metric ? "Save" : "Register"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
