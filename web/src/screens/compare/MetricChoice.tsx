import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { metricsQuery } from "~/api/queries";
import { Field, Select } from "~/ui";
import { keepPreferenceMetric, preferenceMetric } from "./preferenceMetric";

type MetricChoiceProps = {
  project: string;
  value: string | undefined;
  onChange: (metric: string) => void;
  /** Hide the name above the control. */
  bare?: boolean;
};

/** Choose the feedback key of the preferences. */
export function MetricChoice({ project, value, onChange, bare = false }: MetricChoiceProps) {
  const { data: metrics } = useQuery(metricsQuery(project));
  const chosen = value ?? preferenceMetric(metrics) ?? "";
  useEffect(() => {
    if (chosen && value !== chosen) onChange(chosen);
  }, [chosen, value, onChange]);
  const choice = (
    <Select
      aria-label={bare ? "Feedback key" : undefined}
      value={chosen}
      onChange={(event) => {
        keepPreferenceMetric(event.target.value);
        onChange(event.target.value);
      }}
    >
      {metrics?.map(({ key, name }) => (
        <option key={key} value={key}>
          {name}
        </option>
      ))}
    </Select>
  );
  return bare ? choice : <Field label="Feedback key">{choice}</Field>;
}
