import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { answer, api, type Schemas } from "~/api/client";
import { metricsQuery } from "~/api/queries";
import { useAct } from "~/api/useAct";
import { FilterBar } from "~/filter/FilterBar";
import { readFilter } from "~/rules/language";
import { countQuery } from "~/screens/interactions/listQueries";
import { Button, css as ui, cx, Dialog, Field, Input, Select } from "~/ui";
import { fieldError } from "~/ui/errorText";
import { counted } from "~/ui/values";
import css from "./datasets.module.css";
import { KeyChoice } from "./KeyChoice";
import { leftOutInWords } from "./leftOut";

type Kind = Schemas["Dataset"]["kind"];
type Sampling = "all" | "random" | "last";

const KINDS: Record<Kind, [name: string, holds: string]> = {
  completion: ["Completions", "prompts with what was answered"],
  prompt: ["Prompts", "what was asked, alone"],
  feedback: ["Feedback", "completions with how they were rated"],
  preference: ["Preferences", "two answers to a prompt, one preferred"],
};

const UNFINISHED: NonNullable<Schemas["DatasetOfInteractions"]["include"]> = ["failed", "cancelled", "interrupted", "cut_off"];

type DatasetFormProps = { project: string; q: string; ids: string[]; onClose: () => void };

/** Make a dataset of the interactions that a filter finds, or of those that were marked. */
export function DatasetForm({ project, q, ids, onClose }: DatasetFormProps) {
  const { data: metrics = [] } = useQuery(metricsQuery(project));
  const [query, setQuery] = useState(q);
  const filter = readFilter(query);
  const { data: found } = useQuery({ ...countQuery(project, filter), enabled: filter !== null && !ids.length });
  const [name, setName] = useState("");
  const [kind, setKind] = useState<Kind>("completion");
  const [chosen, setChosen] = useState<string[]>([]);
  const [sampling, setSampling] = useState<Sampling>("all");
  const [size, setSize] = useState("1000");
  const [seed, setSeed] = useState("");
  const [derives, setDerives] = useState(true);
  const [withUnfinished, setWithUnfinished] = useState(false);
  const create = useAct(
    () =>
      answer(
        api.POST("/api/v1/datasets/from-interactions", {
          body: {
            name,
            kind,
            project,
            ...(ids.length ? { completion_ids: ids } : { filter }),
            metrics: chosen.length && (kind === "feedback" || kind === "preference") ? chosen : null,
            sample: { type: sampling, size: sampling === "all" ? null : Number(size) },
            seed: sampling === "random" && seed !== "" ? Number(seed) : null,
            derive_pairs: derives,
            include: withUnfinished ? UNFINISHED : [],
          },
        }),
      ),
    {
      done: (dataset) =>
        [`${dataset.name}: ${counted(dataset.lines, "line")}`, ...leftOutInWords(dataset.left_out).map((one) => `left out: ${one}`)].join(", "),
      outdated: [["datasets", project]],
      onDone: onClose,
    },
  );
  const wrong = (field: string) => fieldError(create.error, field);
  function submit(event: FormEvent) {
    event.preventDefault();
    create.mutate(undefined);
  }
  return (
    <Dialog title="New dataset of interactions" open onClose={onClose} wide>
      <form onSubmit={submit} className={css.form}>
        <Field label="Name" wrong={wrong("name") ?? wrong("key")}>
          <Input value={name} onChange={(event) => setName(event.target.value)} required autoFocus />
        </Field>
        {ids.length ? (
          <p>{counted(ids.length, "marked interaction")}</p>
        ) : (
          <div>
            <FilterBar project={project} value={query} onChange={setQuery} />
            <p className={ui.hint}>{found === undefined ? " " : counted(found, "interaction")}</p>
          </div>
        )}
        <fieldset className={css.kinds}>
          <legend>Each line holds</legend>
          {Object.entries(KINDS).map(([key, [shown, holds]]) => (
            <label key={key}>
              <input type="radio" name="kind" value={key} checked={kind === key} onChange={() => setKind(key as Kind)} />
              <span>
                {shown} <small>{holds}</small>
              </span>
            </label>
          ))}
          {wrong("kind") && <p className={ui.wrong}>{wrong("kind")}</p>}
        </fieldset>
        {(kind === "feedback" || kind === "preference") && (
          <KeyChoice
            metrics={metrics}
            chosen={chosen}
            onChoose={(key) => setChosen(chosen.includes(key) ? chosen.filter((one) => one !== key) : [...chosen, key])}
          />
        )}
        <div className={css.sample}>
          <Field label="How many">
            <Select value={sampling} onChange={(event) => setSampling(event.target.value as Sampling)}>
              <option value="all">all</option>
              <option value="random">so many at random</option>
              <option value="last">the newest so many</option>
            </Select>
          </Field>
          {sampling !== "all" && (
            <Field label="Lines">
              <Input type="number" min={1} value={size} onChange={(event) => setSize(event.target.value)} />
            </Field>
          )}
          {sampling === "random" && (
            <Field label="Seed" wrong={wrong("seed")}>
              <Input type="number" min={0} value={seed} onChange={(event) => setSeed(event.target.value)} placeholder="any" />
            </Field>
          )}
        </div>
        {kind === "preference" && (
          <label className={css.check}>
            <input type="checkbox" checked={derives} onChange={() => setDerives(!derives)} />
            <span>Also pairs of answers to the same prompt, one rated up and one down</span>
          </label>
        )}
        {kind !== "prompt" && (
          <label className={css.check}>
            <input type="checkbox" checked={withUnfinished} onChange={() => setWithUnfinished(!withUnfinished)} />
            <span>Also answers that failed or were cut off</span>
          </label>
        )}
        <div className={cx(ui.actions, css.actions)}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={create.isPending || (!ids.length && !filter)}>
            {create.isPending ? "Making it…" : "Make it"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
