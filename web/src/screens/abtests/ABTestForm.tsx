import { useQuery } from "@tanstack/react-query";
import { answer, api, type Schemas } from "~/api/client";
import { metricsQuery, projectModelsQuery } from "~/api/queries";
import { Input, Select } from "~/ui";
import { FormCheck, FormChoices, FormDialog, FormField, useFormValues } from "~/ui/form";

/** What judges a test, with the fields of the request that say so. */
const JUDGED_BY: Record<string, Pick<Schemas["NewABTest"], "feedback_type" | "level">> = {
  values: { feedback_type: "metric" },
  outcomes: { feedback_type: "metric", level: "session" },
  preferences: { feedback_type: "preference" },
};

/** Start an A/B test. */
export function ABTestForm({ project, onClose }: { project: string; onClose: () => void }) {
  const { data: metrics = [] } = useQuery(metricsQuery(project));
  const { data: models = [] } = useQuery(projectModelsQuery(project));
  const { values, set, text, flag } = useFormValues({
    key: "",
    metric: "",
    judgedBy: "values",
    models: [] as string[],
    share: "100",
    deploys: false,
  });
  const metric = values.metric || (metrics[0]?.key ?? "");
  const send = () =>
    answer(
      api.POST("/api/v1/ab-tests", {
        body: {
          key: values.key,
          metric,
          models: values.models,
          project,
          ...JUDGED_BY[values.judgedBy],
          traffic_split: Number(values.share) / 100,
          auto_deploy: values.deploys,
        },
      }),
    );
  return (
    <FormDialog
      title="New A/B test"
      submitLabel="Start"
      isReady={values.models.length > 1}
      send={send}
      done={(test) => `${test.name} runs`}
      outdated={[["ab-tests", project]]}
      onDone={onClose}
      onClose={onClose}
    >
      <FormField name="key" label="Name" hint="What calls and reports name it by.">
        <Input {...text("key")} required autoFocus spellCheck={false} />
      </FormField>
      <FormChoices
        name="models"
        legend="Models (two or more)"
        hint={models.length < 2 && "The project needs two models that can be called."}
        options={models.map(({ model }) => ({ key: model, name: model }))}
        chosen={values.models}
        onChoose={(chosen) => set({ models: chosen })}
      />
      <FormField name="metric" label="Feedback key">
        <Select {...text("metric")} value={metric}>
          {metrics.map((one) => (
            <option key={one.key} value={one.key}>
              {one.name}
            </option>
          ))}
        </Select>
      </FormField>
      <FormField name="feedback_type" label="What counts">
        <Select {...text("judgedBy")}>
          <option value="values">values under the key</option>
          <option value="outcomes">outcomes of sessions under the key</option>
          <option value="preferences">preferences under the key</option>
        </Select>
      </FormField>
      <FormField name="traffic_split" label={`Share of calls that take part: ${values.share} %`}>
        <input type="range" min={1} max={100} {...text("share")} />
      </FormField>
      <FormCheck {...flag("deploys")}>Make the winner the default model</FormCheck>
    </FormDialog>
  );
}
