import { answer, api, type Metric } from "~/api/client";
import { Input, Select, Textarea } from "~/ui";
import { FormDialog, FormField, useFormValues } from "~/ui/form";

type MetricFormProps = {
  project: string;
  /** The feedback key to change; none for a new one. */
  metric: Metric | null;
  onClose: () => void;
  onSaved: (key: string) => void;
};

/** Register a feedback key, or change its description. */
export function MetricForm({ project, metric, onClose, onSaved }: MetricFormProps) {
  const { values, text } = useFormValues({
    key: "",
    name: metric?.name ?? "",
    kind: metric?.kind ?? ("bool" as Metric["kind"]),
    scoring_type: metric?.scoring_type ?? ("higher_is_better" as Metric["scoring_type"]),
    unit: metric?.unit ?? "",
    description: metric?.description ?? "",
  });
  function send(): Promise<Metric> {
    const { key, name, kind, ...about } = values;
    if (!metric) return answer(api.POST("/api/v1/metrics", { body: { key, kind, project, name: name || null, ...about } }));
    const params = { path: { metric: metric.key }, query: { project } };
    return answer(api.PATCH("/api/v1/metrics/{metric}", { params, body: { name, ...about } }));
  }
  return (
    <FormDialog
      title={metric ? `Change ${metric.key}` : "Register a feedback key"}
      submitLabel={metric ? "Save" : "Register"}
      send={send}
      done={(saved) => (metric ? "Saved" : `${saved.key} is registered`)}
      outdated={[["metrics", project]]}
      onDone={(saved) => onSaved(saved.key)}
      onClose={onClose}
    >
      {!metric && (
        <FormField name="key" label="Key" hint="What feedback is logged under; it stays.">
          <Input {...text("key")} required autoFocus spellCheck={false} />
        </FormField>
      )}
      <FormField name="name" label="Name" isOptional>
        <Input {...text("name")} placeholder={values.key} />
      </FormField>
      {!metric && (
        <FormField name="kind" label="Kind" hint="Yes or no, or any number.">
          <Select {...text("kind")}>
            <option value="bool">bool: yes or no</option>
            <option value="scalar">scalar: a number</option>
          </Select>
        </FormField>
      )}
      <FormField name="scoring_type" label="Which is better?">
        <Select {...text("scoring_type")}>
          <option value="higher_is_better">higher, or yes</option>
          <option value="lower_is_better">lower, or no</option>
        </Select>
      </FormField>
      <FormField name="unit" label="Unit" isOptional>
        <Input {...text("unit")} placeholder="stars, ms, …" />
      </FormField>
      <FormField name="description" label="Description" isOptional>
        <Textarea {...text("description")} />
      </FormField>
    </FormDialog>
  );
}
