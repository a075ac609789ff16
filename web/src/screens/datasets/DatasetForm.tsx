import { useQuery } from "@tanstack/react-query";
import { answer, api, type Schemas } from "~/api/client";
import { metricsQuery } from "~/api/queries";
import { FilterBar } from "~/filter/FilterBar";
import { readFilter } from "~/rules/language";
import { countQuery } from "~/screens/interactions/listQueries";
import { css as ui, Input, Select } from "~/ui";
import { FormCheck, FormDialog, FormField, FormGroup, useFormValues } from "~/ui/form";
import { counted } from "~/ui/values";
import css from "./datasets.module.css";
import { KeyChoice } from "./KeyChoice";
import { leftOutInWords } from "./leftOut";

type Dataset = Schemas["Dataset"];
type Kind = Dataset["kind"];
type Duplicates = NonNullable<Schemas["DatasetOfInteractions"]["duplicates"]>;
type SplitBy = NonNullable<Schemas["Split"]["by"]>;
type Sampling = "all" | "random" | "last";

const KINDS: Record<Kind, [name: string, holds: string]> = {
  completion: ["Completions", "prompts with what was answered"],
  prompt: ["Prompts", "what was asked, alone"],
  feedback: ["Feedback", "completions with how they were rated"],
  preference: ["Preferences", "two answers to a prompt, one preferred"],
};

const UNFINISHED: NonNullable<Schemas["DatasetOfInteractions"]["include"]> = ["failed", "cancelled", "interrupted", "cut_off"];

type DatasetFormProps = { project: string; q: string; ids: string[]; onClose: () => void };

/** Make a dataset of the interactions that match a filter, or of the selected ones. */
export function DatasetForm({ project, q, ids, onClose }: DatasetFormProps) {
  const { data: metrics = [] } = useQuery(metricsQuery(project));
  const { values, set, text, flag } = useFormValues({
    query: q,
    name: "",
    kind: "completion" as Kind,
    metrics: [] as string[],
    sampling: "all" as Sampling,
    size: "1000",
    seed: "",
    derivesPairs: true,
    withUnfinished: false,
    duplicates: "keep" as Duplicates,
    splitBy: "" as "" | SplitBy,
  });
  const { kind, metrics: chosen, sampling, size, seed } = values;
  const filter = readFilter(values.query);
  const { data: found } = useQuery({ ...countQuery(project, filter), enabled: filter !== null && !ids.length });
  const hasKeys = kind === "feedback" || kind === "preference";
  const send = () =>
    answer(
      api.POST("/api/v1/datasets/from-interactions", {
        body: {
          name: values.name,
          kind,
          project,
          ...(ids.length ? { completion_ids: ids } : { filter }),
          metrics: chosen.length && hasKeys ? chosen : null,
          sample: { type: sampling, size: sampling === "all" ? null : Number(size) },
          seed: sampling === "random" && seed !== "" ? Number(seed) : null,
          derive_pairs: values.derivesPairs,
          include: values.withUnfinished ? UNFINISHED : [],
          duplicates: values.duplicates,
          split: values.splitBy ? { by: values.splitBy, validation: 0.1, test: 0.1 } : null,
        },
      }),
    );
  return (
    <FormDialog
      title="New dataset of interactions"
      submitLabel="Make it"
      busyLabel="Making it…"
      wide
      isReady={ids.length > 0 || filter !== null}
      send={send}
      done={madeInWords}
      outdated={[["datasets", project]]}
      onDone={onClose}
      onClose={onClose}
    >
      <FormField name="name" otherName="key" label="Name">
        <Input {...text("name")} required autoFocus />
      </FormField>
      {ids.length ? (
        <p>{counted(ids.length, "marked interaction")}</p>
      ) : (
        <FormGroup name="filter" legend="Filter" isOptional>
          <FilterBar project={project} value={values.query} onChange={(query) => set({ query })} />
          <p className={ui.hint}>{found === undefined ? " " : counted(found, "interaction")}</p>
        </FormGroup>
      )}
      <KindChoice kind={kind} onChoose={(chosenKind) => set({ kind: chosenKind })} />
      {hasKeys && (
        <KeyChoice
          metrics={metrics}
          chosen={chosen}
          onChoose={(key) => set({ metrics: chosen.includes(key) ? chosen.filter((one) => one !== key) : [...chosen, key] })}
        />
      )}
      <div className={css.sample}>
        <FormField name="sample" label="How many">
          <Select {...text("sampling")}>
            <option value="all">all</option>
            <option value="random">so many at random</option>
            <option value="last">the newest so many</option>
          </Select>
        </FormField>
        {sampling !== "all" && (
          <FormField name="sample.size" label="Lines">
            <Input type="number" min={1} {...text("size")} />
          </FormField>
        )}
        {sampling === "random" && (
          <FormField name="seed" label="Seed">
            <Input type="number" min={0} {...text("seed")} placeholder="any" />
          </FormField>
        )}
      </div>
      <div className={css.sample}>
        <FormField name="duplicates" label="Duplicates">
          <Select {...text("duplicates")}>
            <option value="keep">keep</option>
            <option value="exact">leave out</option>
            <option value="near">leave out, near ones too</option>
          </Select>
        </FormField>
        <FormField name="split" label="A tenth each for validation and test">
          <Select {...text("splitBy")}>
            <option value="">no split</option>
            <option value="session">by session</option>
            <option value="user">by user</option>
            <option value="prompt">by prompt</option>
          </Select>
        </FormField>
      </div>
      {kind === "preference" && (
        <FormCheck {...flag("derivesPairs")}>Also pairs of answers to the same prompt, one rated up and one down</FormCheck>
      )}
      {kind !== "prompt" && <FormCheck {...flag("withUnfinished")}>Also answers that failed or were cut off</FormCheck>}
    </FormDialog>
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
