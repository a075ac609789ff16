import { useQuery } from "@tanstack/react-query";
import { answer, api, type Schemas } from "~/api/client";
import { metricsQuery, projectModelsQuery } from "~/api/queries";
import { Input, Select } from "~/ui";
import { FormCheck, FormChoices, FormDialog, FormField, useFormValues } from "~/ui/form";

type FeedbackType = NonNullable<Schemas["NewABTest"]["feedback_type"]>;

/** Start an A/B test. */
export function ABTestForm({ project, onClose }: { project: string; onClose: () => void }) {
  const { data: metrics = [] } = useQuery(metricsQuery(project));
  const { data: models = [] } = useQuery(projectModelsQuery(project));
  const { values, set, text, flag } = useFormValues({
    key: "",
    metric: "",
    feedbackType: "metric" as FeedbackType,
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
          feedback_type: values.feedbackType,
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
        <Select {...text("feedbackType")}>
          <option value="metric">values under the key</option>
          <option value="preference">preferences under the key</option>
        </Select>
      </FormField>
      <FormField name="traffic_split" label={`Share of calls that take part: ${values.share} %`}>
        <input type="range" min={1} max={100} {...text("share")} />
      </FormField>
      <FormCheck {...flag("deploys")}>Make the winner the default model</FormCheck>
    </FormDialog>
  );
}
