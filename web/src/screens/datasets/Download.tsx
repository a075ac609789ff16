import { Download as DownloadIcon } from "lucide-react";
import { useState } from "react";
import type { Schemas } from "~/api/client";
import { Button, css as ui, cx, Field, Popover, Select } from "~/ui";
import formCss from "~/ui/form.module.css";
import css from "./datasets.module.css";
import { counted } from "~/ui/values";
import { ROW_FORMATS } from "./PreviewPane";

type Dataset = Schemas["Dataset"];
type File = NonNullable<Schemas["DatasetList"]["files"]>[number];

const FORMATS: Record<string, [name: string, purpose: string]> = {
  ...ROW_FORMATS,
  original: ["Original", "The bytes as they came."],
};

const FILES: Record<File, [name: string, purpose: string]> = {
  jsonl: ["JSON lines", "A line of JSON for each row."],
  parquet: ["Parquet", "Typed columns, for datasets, pandas and DuckDB."],
};

const SIDES: Record<string, string> = { train: "training", validation: "validation", test: "test" };

type DownloadProps = {
  dataset: Dataset;
  /** The files that the server writes. */
  files: readonly File[];
};

/** A button that asks for the format, the file and the side of the split, and downloads a dataset. */
export function Download({ dataset, files }: DownloadProps) {
  const [format, setFormat] = useState("recipe");
  const [file, setFile] = useState<File>("jsonl");
  const [side, setSide] = useState("");
  const [withOrigin, setWithOrigin] = useState(true);
  const isOriginal = format === "original";
  const sides = sidesInWords(dataset);
  return (
    <Popover
      label={`Download ${dataset.name}`}
      align="end"
      trigger={
        <Button small>
          <DownloadIcon size={13} aria-hidden /> Download
        </Button>
      }
    >
      <div className={css.download}>
        <Field label="Format" hint={FORMATS[format]?.[1]}>
          <Select value={format} onChange={({ target }) => setFormat(target.value)}>
            {Object.entries(FORMATS).map(([key, [name]]) => (
              <option key={key} value={key}>
                {name}
              </option>
            ))}
          </Select>
        </Field>
        {!isOriginal && (
          <Field label="File" hint={FILES[file][1]}>
            <Select value={file} onChange={({ target }) => setFile(target.value as File)}>
              {Object.entries(FILES).map(([key, [name]]) => (
                <option key={key} value={key}>
                  {name}
                </option>
              ))}
            </Select>
          </Field>
        )}
        {!isOriginal && sides.length > 0 && (
          <Field label="Rows">
            <Select value={side} onChange={({ target }) => setSide(target.value)}>
              <option value="">all</option>
              {sides.map(([key, words]) => (
                <option key={key} value={key}>
                  {words}
                </option>
              ))}
            </Select>
          </Field>
        )}
        {!isOriginal && (
          <label className={formCss.check}>
            <input type="checkbox" checked={withOrigin} onChange={() => setWithOrigin(!withOrigin)} />
            <span>Say in each row where it comes from</span>
          </label>
        )}
        {isOriginal || files.includes(file) ? (
          <a className={cx(ui.button, ui.primary)} href={address(dataset, { format, file, side, withOrigin })} download>
            Download as {FORMATS[format]?.[0]}
          </a>
        ) : (
          <p className={ui.hint}>
            This server writes no Parquet files. Whoever runs it installs <code>afterword[server,parquet]</code>.
          </p>
        )}
      </div>
    </Popover>
  );
}

/** Return the sides of a dataset's split with their lines. An older server has not counted them. */
function sidesInWords({ split_lines, source }: Dataset): [side: string, words: string][] {
  if (!split_lines) return source === "filtered" ? Object.entries(SIDES) : [];
  return Object.entries(SIDES)
    .filter(([side]) => side in split_lines)
    .map(([side, name]) => [side, `${name}, ${counted(split_lines[side] ?? 0, "line")}`]);
}

type Chosen = { format: string; file: File; side: string; withOrigin: boolean };

function address({ download_url }: Dataset, { format, file, side, withOrigin }: Chosen): string {
  const url = new URL(download_url, location.origin);
  url.searchParams.set("format", format);
  if (format === "original") return url.href;
  if (file !== "jsonl") url.searchParams.set("file", file);
  if (side) url.searchParams.set("split", side);
  if (!withOrigin) url.searchParams.set("provenance", "false");
  return url.href;
}
