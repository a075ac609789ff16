import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ApiError, answer, api, type Schemas } from "~/api/client";
import { metricsQuery } from "~/api/queries";
import { useAct } from "~/api/useAct";
import { FilterBar } from "~/filter/FilterBar";
import { readFilter } from "~/filter/language";
import { countQuery } from "~/screens/interactions/pages";
import { Button, css as ui, Dialog, Field, Input, Select } from "~/ui";
import { count } from "~/ui/values";
import { leftOutInWords } from "./leftOut";

type Kind = Schemas["Dataset"]["kind"];
type Sampling = "all" | "random" | "last";

const KINDS: Record<Kind, string> = {
  completion: "prompts with their completions",
  prompt: "prompts alone",
  feedback: "completions with feedback",
  preference: "pairs, one preferred",
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
            metrics: chosen.length ? chosen : null,
            sample: { type: sampling, size: sampling === "all" ? null : Number(size) },
            seed: sampling === "random" && seed !== "" ? Number(seed) : null,
            derive_pairs: derives,
            include: withUnfinished ? UNFINISHED : [],
          },
        }),
      ),
    {
      done: (dataset) =>
        [`${dataset.name}: ${count(dataset.lines)} lines`, ...leftOutInWords(dataset.left_out).map((one) => `left out: ${one}`)].join(", "),
      outdated: [["datasets", project]],
      onDone: onClose,
    },
  );
  const wrong = (field: string) =>
    create.error instanceof ApiError && create.error.param === field ? create.error.message : undefined;
  function submit(event: FormEvent) {
    event.preventDefault();
    create.mutate(undefined);
  }
  return (
    <Dialog title="New dataset of interactions" open onClose={onClose} wide>
      <form onSubmit={submit} style={{ display: "grid", gap: 12 }}>
        <Field label="Name" wrong={wrong("name") ?? wrong("key")}>
          <Input value={name} onChange={(event) => setName(event.target.value)} required autoFocus />
        </Field>
        {ids.length ? (
          <p>{ids.length} marked interactions</p>
        ) : (
          <div>
            <FilterBar project={project} value={query} onChange={setQuery} />
            <p className={ui.hint}>{found === undefined ? " " : `${count(found)} interactions`}</p>
          </div>
        )}
        <Field label="Each line holds" wrong={wrong("kind")}>
          <Select value={kind} onChange={(event) => setKind(event.target.value as Kind)}>
            {Object.entries(KINDS).map(([key, shown]) => (
              <option key={key} value={key}>
                {shown}
              </option>
            ))}
          </Select>
        </Field>
        <fieldset style={{ border: 0, padding: 0, margin: 0 }}>
          <legend style={{ fontWeight: 500 }}>Feedback keys</legend>
          <p className={ui.hint}>None chosen: all of them.</p>
          {metrics.map(({ key, name: shown }) => (
            <label key={key} style={{ display: "inline-flex", gap: 6, marginRight: 14 }}>
              <input
                type="checkbox"
                checked={chosen.includes(key)}
                onChange={() =>
                  setChosen(chosen.includes(key) ? chosen.filter((one) => one !== key) : [...chosen, key])
                }
              />
              {shown}
            </label>
          ))}
        </fieldset>
        <div style={{ display: "flex", gap: 8, alignItems: "end" }}>
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
          <label>
            <input type="checkbox" checked={derives} onChange={() => setDerives(!derives)} /> Also pairs of answers to the same
            prompt, one rated up and one down
          </label>
        )}
        {kind !== "prompt" && (
          <label>
            <input type="checkbox" checked={withUnfinished} onChange={() => setWithUnfinished(!withUnfinished)} /> Also answers
            that failed or were cut off
          </label>
        )}
        <div className={ui.actions}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={create.isPending || (!ids.length && !filter)}>
            {create.isPending ? "Making it…" : "Make it"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
