import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { answer, api, type Schemas } from "~/api/client";
import { metricsQuery } from "~/api/queries";
import { FilterBar } from "~/filter/FilterBar";
import { readFilter } from "~/rules/language";
import { countQuery } from "~/screens/interactions/listQueries";
import { css as ui, Input } from "~/ui";
import { FormDialog, FormField, FormGroup, useFormValues } from "~/ui/form";
import { counted } from "~/ui/values";
import { type Choices, DEFAULTS, datasetRequest, isThresholdOpen, type Kind, takesFeedback } from "./choices";
import css from "./datasets.module.css";
import { KeyChoice } from "./KeyChoice";
import { leftOutInWords } from "./leftOut";
import { countsInShort, PreviewPane } from "./PreviewPane";
import { Rules } from "./Rules";
import { type RowFormat, usePreview } from "./usePreview";

type Dataset = Schemas["Dataset"];

const KINDS: Record<Kind, [name: string, holds: string]> = {
  completion: ["Completions", "a prompt and its answer"],
  prompt: ["Prompts", "a prompt alone"],
  feedback: ["Feedback", "an answer and its rating"],
  preference: ["Preferences", "two answers, one preferred"],
};

type DatasetFormProps = { project: string; q: string; ids: string[]; onClose: () => void };

/** Make a dataset of the interactions that match a filter, or of the selected ones, and look at it before. */
export function DatasetForm({ project, q, ids, onClose }: DatasetFormProps) {
  const { data: metrics = [] } = useQuery(metricsQuery(project));
  const form = useFormValues<Choices>({ ...DEFAULTS, query: q });
  const { values, set, text } = form;
  const { kind, metrics: chosen } = values;
  const request = datasetRequest(project, values, ids);
  const [format, setFormat] = useState<RowFormat | null>(null);
  const { preview, error, isOutdated } = usePreview(request, format ?? "recipe");
  const send = () =>
    answer(api.POST("/api/v1/datasets/from-interactions", { body: { kind, ...request, name: values.name } }));
  return (
    <FormDialog
      title="New dataset of interactions"
      submitLabel="Make it"
      busyLabel="Making it…"
      size="widest"
      isReady={request !== null && !isThresholdOpen(values)}
      earlyError={error}
      summary={preview && !error && <span className={css.summary}>{countsInShort(preview)}</span>}
      send={send}
      done={madeInWords}
      outdated={[["datasets", project]]}
      onDone={onClose}
      onClose={onClose}
    >
      <div className={css.columns}>
        <div className={css.fields}>
          <FormField name="name" otherName="key" label="Name">
            <Input {...text("name")} required autoFocus />
          </FormField>
          {ids.length ? (
            <p>{counted(ids.length, "marked interaction")}</p>
          ) : (
            <FilterChoice project={project} query={values.query} onChange={(query) => set({ query })} />
          )}
          <KindChoice kind={kind} onChoose={(chosenKind) => set({ kind: chosenKind })} />
          {takesFeedback(kind) && (
            <KeyChoice
              metrics={metrics}
              chosen={chosen}
              onChoose={(key) => set({ metrics: chosen.includes(key) ? chosen.filter((one) => one !== key) : [...chosen, key] })}
            />
          )}
          <Rules form={form} metrics={metrics} />
        </div>
        <PreviewPane {...{ preview, error, isOutdated, format }} onFormat={setFormat} />
      </div>
    </FormDialog>
  );
}

type FilterChoiceProps = { project: string; query: string; onChange: (query: string) => void };

function FilterChoice({ project, query, onChange }: FilterChoiceProps) {
  const filter = readFilter(query);
  const { data: found } = useQuery({ ...countQuery(project, filter), enabled: filter !== null });
  return (
    <FormGroup name="filter" legend="Filter" isOptional>
      <FilterBar project={project} value={query} onChange={onChange} />
      <p className={ui.hint}>{found === undefined ? " " : counted(found, "interaction")}</p>
    </FormGroup>
  );
}

function KindChoice({ kind, onChoose }: { kind: Kind; onChoose: (kind: Kind) => void }) {
  return (
    <FormGroup name="kind" legend="Each line holds">
      <div className={css.kinds}>
        {Object.entries(KINDS).map(([key, [shown, holds]]) => (
          <label key={key}>
            <input type="radio" name="kind" value={key} checked={kind === key} onChange={() => onChoose(key as Kind)} />
            <span>
              {shown} <small>{holds}</small>
            </span>
          </label>
        ))}
      </div>
    </FormGroup>
  );
}

function madeInWords({ name, lines, left_out, version, is_unchanged }: Dataset): string {
  if (is_unchanged) return `${name}: the same lines as version ${version}, so nothing was stored`;
  return [`${name}: ${counted(lines, "line")}`, ...leftOutInWords(left_out).map((reason) => `left out: ${reason}`)].join(", ");
}
