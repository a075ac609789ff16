import { type ReactNode, useState } from "react";
import { JsonTree } from "~/screens/interaction/JsonTree";
import { css as ui, cx, ErrorNote, Loading, Select } from "~/ui";
import { useIsBesideField } from "~/ui/form";
import { count } from "~/ui/values";
import css from "./datasets.module.css";
import { leftOutInWords, leftOutTotal, linesInWords } from "./leftOut";
import { PreviewRow } from "./PreviewRow";
import type { Preview, RowFormat } from "./usePreview";

export const ROW_FORMATS: Record<RowFormat, [name: string, purpose: string]> = {
  openai: ["OpenAI", "For fine-tuning by OpenAI."],
  trl: ["TRL", "For the trainers of Hugging Face TRL."],
  sharegpt: ["ShareGPT", "For LLaMA-Factory and other readers of ShareGPT."],
  recipe: ["Recipe", "Afterword's own shape, which it reads again."],
};

type PreviewPaneProps = {
  preview: Preview | undefined;
  error: unknown;
  isOutdated: boolean;
  /** The format in which rows are shown as JSON; null for rows as people read them. */
  format: RowFormat | null;
  onFormat: (format: RowFormat | null) => void;
};

/** The rows that a dataset would have, how many there would be, and what would be left out. */
export function PreviewPane({ preview, error, isOutdated, format, onFormat }: PreviewPaneProps) {
  return (
    <section className={css.preview} aria-label="Preview" aria-busy={isOutdated}>
      <div className={css.previewHead}>
        <h3>Preview</h3>
        <FormatChoice format={format} onFormat={onFormat} />
      </div>
      {Boolean(error) && <Refusal error={error} />}
      {!error && !preview && <Loading lines={4} />}
      {!error && preview && (
        <>
          <Counts preview={preview} />
          <div role="group" aria-label="Rows" tabIndex={0} className={cx(css.rows, isOutdated && css.outdated)}>
            {preview.rows.map((row, index) =>
              format ? (
                <JsonRow key={index} number={index + 1}>
                  <JsonTree name={`Row ${index + 1}`} value={row} />
                </JsonRow>
              ) : (
                <PreviewRow key={index} row={row} number={index + 1} />
              ),
            )}
          </div>
          {preview.lines > preview.rows.length && preview.rows.length > 0 && (
            <p className={ui.hint}>{`The first ${preview.rows.length} rows are shown.`}</p>
          )}
        </>
      )}
    </section>
  );
}

/** What the server refuses: shown here, unless a field shows it. */
function Refusal({ error }: { error: unknown }) {
  if (!useIsBesideField(error)) return <ErrorNote error={error} />;
  return <p className={ui.hint}>The preview comes back once the marked field is mended.</p>;
}

function JsonRow({ number, children }: { number: number; children: ReactNode }) {
  return (
    <article className={css.row} aria-label={`Row ${number}`}>
      {children}
    </article>
  );
}

function Counts({ preview }: { preview: Preview }) {
  const leftOut = leftOutInWords(preview.left_out);
  return (
    <div role="status" className={css.counts}>
      <p>
        <b>{linesInWords(preview)}</b>
      </p>
      {leftOut.length > 0 && <p>Left out: {leftOut.join(", ")}</p>}
    </div>
  );
}

/** Return the counts of a preview in a few words. */
export function countsInShort(preview: Preview): string {
  const total = leftOutTotal(preview.left_out);
  return `${linesInWords(preview)}${total ? `, ${count(total)} left out` : ""}`;
}

function FormatChoice({ format, onFormat }: Pick<PreviewPaneProps, "format" | "onFormat">) {
  const [chosen, setChosen] = useState<RowFormat>(format ?? "trl");
  return (
    <div className={css.formats}>
      {format && (
        <Select
          aria-label="Format of the rows"
          value={format}
          onChange={({ target }) => {
            setChosen(target.value as RowFormat);
            onFormat(target.value as RowFormat);
          }}
        >
          {Object.entries(ROW_FORMATS).map(([key, [name]]) => (
            <option key={key} value={key}>
              {name}
            </option>
          ))}
        </Select>
      )}
      <div className={css.switch} role="group" aria-label="How rows are shown">
        <button type="button" aria-pressed={format === null} onClick={() => onFormat(null)}>
          Text
        </button>
        <button type="button" aria-pressed={format !== null} onClick={() => onFormat(chosen)}>
          JSON
        </button>
      </div>
    </div>
  );
}
