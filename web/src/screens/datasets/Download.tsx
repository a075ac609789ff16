import { Download as DownloadIcon } from "lucide-react";
import { useState } from "react";
import type { Schemas } from "~/api/client";
import { Button, css as ui, cx, Field, Popover, Select } from "~/ui";
import formCss from "~/ui/form.module.css";
import css from "./datasets.module.css";
import { ROW_FORMATS } from "./PreviewPane";

type Dataset = Schemas["Dataset"];

const FORMATS: Record<string, [name: string, purpose: string]> = {
  ...ROW_FORMATS,
  original: ["Original", "The bytes as they came."],
};

/** A button that asks for the format, and the side of the split, and downloads the file of a dataset. */
export function Download({ dataset }: { dataset: Dataset }) {
  const [format, setFormat] = useState("recipe");
  const [side, setSide] = useState("");
  const [withOrigin, setWithOrigin] = useState(true);
  const isOriginal = format === "original";
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
        {!isOriginal && dataset.source === "filtered" && (
          <Field label="Rows" hint="A side has rows if the dataset was split.">
            <Select value={side} onChange={({ target }) => setSide(target.value)}>
              <option value="">all</option>
              <option value="train">training</option>
              <option value="validation">validation</option>
              <option value="test">test</option>
            </Select>
          </Field>
        )}
        {!isOriginal && (
          <label className={formCss.check}>
            <input type="checkbox" checked={withOrigin} onChange={() => setWithOrigin(!withOrigin)} />
            <span>Say in each row where it comes from</span>
          </label>
        )}
        <a className={cx(ui.button, ui.primary)} href={address(dataset, format, side, withOrigin)} download>
          Download as {FORMATS[format]?.[0]}
        </a>
      </div>
    </Popover>
  );
}

function address({ download_url }: Dataset, format: string, side: string, withOrigin: boolean): string {
  const url = new URL(download_url, location.origin);
  url.searchParams.set("format", format);
  if (format !== "original" && side) url.searchParams.set("split", side);
  if (format !== "original" && !withOrigin) url.searchParams.set("provenance", "false");
  return url.href;
}
