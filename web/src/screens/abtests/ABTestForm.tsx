import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { answer, api } from "~/api/client";
import { metricsQuery, projectModelsQuery } from "~/api/queries";
import { useAct } from "~/api/useAct";
import { Button, css as ui, Dialog, Field, Input, Select } from "~/ui";
import { fieldError } from "~/ui/errorText";

/** Start an A/B test. */
export function ABTestForm({ project, onClose }: { project: string; onClose: () => void }) {
  const { data: metrics = [] } = useQuery(metricsQuery(project));
  const { data: models = [] } = useQuery(projectModelsQuery(project));
  const [key, setKey] = useState("");
  const [metric, setMetric] = useState("");
  const [kind, setKind] = useState<"metric" | "preference">("metric");
  const [chosen, setChosen] = useState<string[]>([]);
  const [split, setSplit] = useState(100);
  const [deploys, setDeploys] = useState(false);
  const create = useAct(
    () =>
      answer(
        api.POST("/api/v1/ab-tests", {
          body: {
            key,
            metric: metric || (metrics[0]?.key ?? ""),
            models: chosen,
            project,
            feedback_type: kind,
            traffic_split: split / 100,
            auto_deploy: deploys,
          },
        }),
      ),
    { done: (test) => `${test.name} runs`, outdated: [["ab-tests", project]], onDone: onClose },
  );
  const wrong = (field: string) => fieldError(create.error, field);
  function submit(event: FormEvent) {
    event.preventDefault();
    create.mutate(undefined);
  }
  return (
    <Dialog title="New A/B test" open onClose={onClose}>
      <form onSubmit={submit} style={{ display: "grid", gap: 12 }}>
        <Field label="Name" hint="What calls and reports name it by." wrong={wrong("key")}>
          <Input value={key} onChange={(event) => setKey(event.target.value)} required autoFocus spellCheck={false} />
        </Field>
        <fieldset style={{ border: 0, padding: 0, margin: 0 }}>
          <legend style={{ fontWeight: 500 }}>Models (two or more)</legend>
          {models.length < 2 && <p className={ui.hint}>The project needs two models that can be called.</p>}
          {models.map(({ model }) => (
            <label key={model} style={{ display: "inline-flex", gap: 6, marginRight: 14 }}>
              <input
                type="checkbox"
                checked={chosen.includes(model)}
                onChange={() =>
                  setChosen(chosen.includes(model) ? chosen.filter((one) => one !== model) : [...chosen, model])
                }
              />
              {model}
            </label>
          ))}
          {wrong("models") && <p className={ui.wrong}>{wrong("models")}</p>}
        </fieldset>
        <Field label="Feedback key" wrong={wrong("metric")}>
          <Select value={metric || (metrics[0]?.key ?? "")} onChange={(event) => setMetric(event.target.value)}>
            {metrics.map((one) => (
              <option key={one.key} value={one.key}>
                {one.name}
              </option>
            ))}
          </Select>
        </Field>
        <Field label="What counts">
          <Select value={kind} onChange={(event) => setKind(event.target.value as "metric")}>
            <option value="metric">values under the key</option>
            <option value="preference">preferences under the key</option>
          </Select>
        </Field>
        <Field label={`Share of calls that take part: ${split} %`}>
          <input type="range" min={1} max={100} value={split} onChange={(event) => setSplit(Number(event.target.value))} />
        </Field>
        <label>
          <input type="checkbox" checked={deploys} onChange={() => setDeploys(!deploys)} /> Make the winner the default
          model
        </label>
        <div className={ui.actions}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={create.isPending || chosen.length < 2}>
            Start
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
