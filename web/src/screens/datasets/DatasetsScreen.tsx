import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Database, Plus, Upload } from "lucide-react";
import { useRef, useState } from "react";
import { answer, api, changingHeaders, errorOf, type Schemas } from "~/api/client";
import { useMay } from "~/shell/useMay";
import { useAct } from "~/api/useAct";
import { Button, Chip, Confirm, css as ui, cx, Empty, ErrorNote, Hint, Loading, notify, Page } from "~/ui";
import { bytes, count, Time } from "~/ui/values";
import css from "./datasets.module.css";
import { DatasetForm } from "./DatasetForm";
import { Download } from "./Download";
import { leftOutInWords, leftOutTotal } from "./leftOut";

type Dataset = Schemas["Dataset"];

/** The datasets of a project: upload, make from interactions, download. */
export function DatasetsScreen() {
  const { project } = useParams({ from: "/inside/p/$project/datasets" });
  const search = useSearch({ from: "/inside/p/$project/datasets" });
  const navigate = useNavigate({ from: "/p/$project/datasets" });
  const queries = useQueryClient();
  const may = useMay();
  const file = useRef<HTMLInputElement>(null);
  const [sent, setSent] = useState<number | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const [deleting, setDeleting] = useState<Dataset | null>(null);
  const making = search.ids !== undefined || search.q !== undefined || search.new === "1";
  const { data, error } = useQuery({
    queryKey: ["datasets", project],
    queryFn: ({ signal }) => answer(api.GET("/api/v1/datasets", { params: { query: { project } }, signal })),
  });
  const remove = useAct(
    (dataset: string) =>
      answer(api.DELETE("/api/v1/datasets/{dataset}", { params: { path: { dataset }, query: { project } } })),
    { done: "The dataset is deleted", outdated: [["datasets", project]] },
  );
  const datasets = data?.datasets;
  const mayEdit = may("edit");

  async function upload(chosen: File) {
    setFailure(null);
    setSent(0);
    try {
      const made = await sendFile(project, chosen, setSent);
      notify(`${made.name}: ${count(made.lines)} lines`);
      await queries.invalidateQueries({ queryKey: ["datasets", project] });
    } catch (cause) {
      setFailure(cause);
    } finally {
      setSent(null);
    }
  }
  return (
    <Page
      title="Datasets"
      about="Files of prompts, completions, feedback and preferences: uploaded, or made of interactions."
      actions={
        mayEdit && (
          <>
            <input
              ref={file}
              type="file"
              accept=".jsonl,.json,.ndjson,.gz"
              className={ui.srOnly}
              tabIndex={-1}
              aria-label="File to upload"
              onChange={(event) => {
                const [chosen] = event.target.files ?? [];
                if (chosen) void upload(chosen);
                event.target.value = "";
              }}
            />
            <Button onClick={() => file.current?.click()} disabled={sent !== null}>
              <Upload size={15} aria-hidden /> Upload
            </Button>
            <Button look="primary" onClick={() => navigate({ search: { new: "1" } })}>
              <Plus size={15} aria-hidden /> New from interactions
            </Button>
          </>
        )
      }
    >
      {sent !== null && <progress value={sent} max={1} aria-label="Uploaded" style={{ width: "100%" }} />}
      {failure !== null && <ErrorNote error={failure} />}
      {error && <ErrorNote error={error} />}
      {!datasets && !error && <Loading />}
      {datasets?.length === 0 && (
        <Empty title="No dataset yet" icon={<Database size={22} aria-hidden />}>
          <p>Upload a file of JSON lines, or pick interactions by a filter: what people liked makes training examples.</p>
        </Empty>
      )}
      {datasets && datasets.length > 0 && (
        <DatasetTable datasets={datasets} files={data.files ?? ["jsonl"]} onDelete={mayEdit ? setDeleting : undefined} />
      )}
      {making && (
        <DatasetForm
          project={project}
          q={search.q ?? ""}
          ids={search.ids?.split(",").filter(Boolean) ?? []}
          onClose={() => navigate({ search: {} })}
        />
      )}
      <Confirm
        title={`Delete ${deleting && nameInWords(deleting)}?`}
        what="The file is deleted for good. The interactions that it was made of stay."
        act="Delete"
        open={deleting !== null}
        onClose={() => setDeleting(null)}
        onConfirm={() => deleting && remove.mutate(deleting.id)}
      />
    </Page>
  );
}

type DatasetTableProps = {
  datasets: readonly Dataset[];
  files: NonNullable<Schemas["DatasetList"]["files"]>;
  onDelete: ((dataset: Dataset) => void) | undefined;
};

function DatasetTable({ datasets, files, onDelete }: DatasetTableProps) {
  return (
    <div className={ui.scroll}>
      <table className={cx(ui.table, ui.cards, css.datasets)}>
        <thead>
          <tr>
            <th>Name</th>
            <th className={ui.number}>Lines</th>
            <th>Feedback keys</th>
            <th>Created</th>
            <th aria-label="Actions" />
          </tr>
        </thead>
        <tbody>
          {datasets.map((dataset) => (
            <tr key={dataset.id}>
              <td>
                <b>{dataset.name}</b>
                <div className={ui.hint}>
                  {KINDS[dataset.kind] ?? dataset.kind}, {SOURCES[dataset.source] ?? dataset.source}, {bytes(dataset.size)}
                  <Version dataset={dataset} />
                </div>
              </td>
              <td className={ui.number} data-name="lines">
                {count(dataset.lines)}
                <LeftOut dataset={dataset} />
              </td>
              <td>
                <Keys metrics={dataset.metrics.map(({ metric }) => metric)} />
              </td>
              <td>
                <Time iso={dataset.created_at} />
              </td>
              <td>
                <div className={ui.actions}>
                  <Download dataset={dataset} files={files} />
                  {onDelete && (
                    <Button small look="danger" onClick={() => onDelete(dataset)}>
                      Delete
                    </Button>
                  )}
                </div>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const isLaterVersion = ({ version = 1 }: Dataset): boolean => version > 1;
const nameInWords = (dataset: Dataset): string =>
  isLaterVersion(dataset) ? `${dataset.name}, version ${dataset.version}` : dataset.name;

const HASH_CHARACTERS = 12;

/** The version of a dataset, and the beginning of the hash of its lines, which is whole in the hint. */
function Version({ dataset }: { dataset: Dataset }) {
  return (
    <>
      {isLaterVersion(dataset) && `, version ${dataset.version}`}
      {dataset.content_hash && <code title={`SHA-256 ${dataset.content_hash}`}> {dataset.content_hash.slice(0, HASH_CHARACTERS)}</code>}
    </>
  );
}

const KINDS: Record<string, string> = { prompt: "prompts", completion: "completions", preference: "preferences" };
const SOURCES: Record<string, string> = { filtered: "made of interactions", uploaded: "uploaded" };

const MOST_KEYS = 3;

/** The feedback keys of a dataset: the first ones, and the number of others. */
function Keys({ metrics }: { metrics: readonly string[] }) {
  const more = metrics.length - MOST_KEYS;
  return (
    <span className={css.chips}>
      {metrics.slice(0, MOST_KEYS).map((metric) => (
        <Chip key={metric}>{metric}</Chip>
      ))}
      {more > 0 && (
        <Hint text={metrics.slice(MOST_KEYS).join(", ")}>
          <button type="button" className={css.more} aria-label={`${more} more: ${metrics.slice(MOST_KEYS).join(", ")}`}>
            +{more}
          </button>
        </Hint>
      )}
    </span>
  );
}

/** The interactions that did not become lines, by reason. */
function LeftOut({ dataset }: { dataset: Dataset }) {
  const total = leftOutTotal(dataset.left_out);
  if (!total) return null;
  return (
    <details className={ui.hint}>
      <summary>{count(total)} left out</summary>
      {leftOutInWords(dataset.left_out).map((words) => (
        <div key={words}>{words}</div>
      ))}
    </details>
  );
}

/** Send a file as the body, with progress, which fetch does not report. */
function sendFile(project: string, file: File, onSent: (share: number) => void): Promise<Dataset> {
  const name = file.name.replace(/\.(jsonl|ndjson|json)(\.gz)?$/, "");
  const query = new URLSearchParams({ project, name, key: name.toLowerCase().replace(/[^a-z0-9._-]+/g, "-") });
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    call.open("POST", `/api/v1/datasets?${query}`);
    for (const [header, value] of Object.entries(changingHeaders())) call.setRequestHeader(header, value);
    call.responseType = "json";
    call.upload.onprogress = ({ loaded, total }) => onSent(loaded / total);
    call.onload = () => (call.status < 300 ? resolve(call.response) : reject(errorOf(call.status, call.response)));
    call.onerror = () => reject(errorOf(0, null));
    call.send(file);
  });
}
