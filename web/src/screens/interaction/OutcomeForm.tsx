import { type FormEvent, useState } from "react";
import type { Metric, Schemas } from "~/api/client";
import { Button, Select, Textarea } from "~/ui";
import css from "./sections.module.css";
import { isNumber, ValueInput } from "./ValueInput";

type OutcomeFormProps = {
  /** The feedback keys to choose from. */
  metrics: Metric[];
  /** The outcome to change; none for a new one. */
  outcome?: Schemas["Outcome"];
  onSave: (body: { metric: string; value: number; details: string | null }) => void;
};

/** The value of an outcome under a feedback key, and why. */
export function OutcomeForm({ metrics, outcome, onSave }: OutcomeFormProps) {
  const [key, setKey] = useState(metrics[0]?.key ?? "");
  const [value, setValue] = useState(outcome ? String(outcome.value) : "");
  const [details, setDetails] = useState(outcome?.details ?? "");
  const isBool = metrics.find((one) => one.key === key)?.kind === "bool";
  const shownValue = isBool && value === "" ? "1" : value;
  function submit(event: FormEvent) {
    event.preventDefault();
    if (isNumber(shownValue)) onSave({ metric: key, value: Number(shownValue), details: details.trim() || null });
  }
  return (
    <form onSubmit={submit} className={css.form}>
      {!outcome && (
        <Select
          aria-label="Feedback key"
          value={key}
          onChange={(event) => {
            setKey(event.target.value);
            setValue("");
          }}
        >
          {metrics.map((one) => (
            <option key={one.key} value={one.key}>
              {one.name}
            </option>
          ))}
        </Select>
      )}
      <ValueInput isBool={isBool} value={shownValue} onChange={setValue} />
      <Textarea
        aria-label="Details"
        placeholder="Why (optional)"
        rows={2}
        value={details}
        onChange={(event) => setDetails(event.target.value)}
      />
      <Button look="primary" type="submit" disabled={!isNumber(shownValue)}>
        Save
      </Button>
    </form>
  );
}
