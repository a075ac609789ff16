import { useQuery } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { changingHeaders, errorOf, type Filter, type Schemas } from "~/api/client";
import { parseJson } from "~/api/json";
import { labelsQuery, metricsQuery } from "~/api/queries";
import { countQuery } from "~/screens/interactions/listQueries";
import { Button, css as ui, Dialog, ErrorNote, Field, notify, Select } from "~/ui";
import { count as shownCount } from "~/ui/values";
import { csvHead, csvRow, type Format, jsonLine, ownLines } from "./lines";

const ON_A_PAGE = 200;

type ExportDialogProps = { project: string; filter: Filter; open: boolean; onClose: () => void };

/** Write all interactions that match a filter to a file, page by page. */
export function ExportDialog({ project, filter, open, onClose }: ExportDialogProps) {
  const { data: all } = useQuery(countQuery(project, filter));
  const { data: labels = [] } = useQuery(labelsQuery(project));
  const { data: metrics = [] } = useQuery(metricsQuery(project));
  const [format, setFormat] = useState<Format>("jsonl");
  const [images, setImages] = useState<"links" | "inline">("links");
  const [withFeedback, setWithFeedback] = useState(true);
  const [written, setWritten] = useState<number | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const stop = useRef<AbortController | null>(null);

  async function run() {
    stop.current = new AbortController();
    const { signal } = stop.current;
    setFailure(null);
    setWritten(0);
    const keys = labels.map(({ key }) => key);
    const said = withFeedback ? metrics.map(({ key }) => key) : [];
    const parts: string[] = format === "csv" ? [csvHead(keys, said)] : [];
    let number = 0;
    try {
      let cursor: string | null = null;
      do {
        const text = await searched(
          { project, filter, limit: ON_A_PAGE, cursor, view: "full", images, order: "created_at" },
          signal,
        );
        const page = parseJson(text) as Schemas["InteractionPage"];
        if (format === "csv") parts.push(...page.interactions.map((one) => csvRow(one, keys, said)));
        else if (withFeedback) parts.push(...ownLines(text));
        else parts.push(...page.interactions.map((one) => jsonLine(one, false)));
        number += page.interactions.length;
        setWritten(number);
        cursor = page.next;
      } while (cursor);
      save(new Blob(parts, { type: format === "csv" ? "text/csv" : "application/jsonl" }), `${project}.${format}`);
      notify(`${shownCount(number)} interactions are exported`);
      onClose();
    } catch (error) {
      if (!signal.aborted) setFailure(error);
    } finally {
      setWritten(null);
    }
  }
  const busy = written !== null;
  return (
    <Dialog
      title="Export"
      open={open}
      onClose={() => {
        stop.current?.abort();
        onClose();
      }}
    >
      <p>{all === undefined ? "Counting…" : `${shownCount(all)} interactions, the oldest first.`}</p>
      <Field
        label="Format"
        hint={format === "jsonl" ? "Whole, a JSON object a line; afterword import reads it." : "A row each, for spreadsheets."}
      >
        <Select value={format} onChange={(event) => setFormat(event.target.value as Format)} disabled={busy}>
          <option value="jsonl">JSON lines</option>
          <option value="csv">CSV</option>
        </Select>
      </Field>
      {format === "jsonl" && (
        <Field label="Images">
          <Select value={images} onChange={(event) => setImages(event.target.value as "links")} disabled={busy}>
            <option value="links">as links to this server</option>
            <option value="inline">inline, as they were sent</option>
          </Select>
        </Field>
      )}
      <label>
        <input type="checkbox" checked={withFeedback} disabled={busy} onChange={() => setWithFeedback(!withFeedback)} />{" "}
        With feedback
      </label>
      {failure !== null && <ErrorNote error={failure} />}
      {busy && (
        <div role="status">
          <progress value={written} max={all ?? undefined} style={{ width: "100%" }} aria-label="Exported" />
          <p className={ui.hint}>{shownCount(written)} exported</p>
        </div>
      )}
      <div className={ui.actions}>
        {busy ? (
          <Button onClick={() => stop.current?.abort()}>Stop</Button>
        ) : (
          <Button look="primary" onClick={run} disabled={!all}>
            Export
          </Button>
        )}
      </div>
    </Dialog>
  );
}

/** Return a page of a search as the server's own text. */
async function searched(body: Schemas["Search"], signal: AbortSignal): Promise<string> {
  const response = await fetch("/api/v1/interactions/search", {
    method: "POST",
    headers: { "content-type": "application/json", ...changingHeaders() },
    body: JSON.stringify(body),
    signal,
  });
  const text = await response.text();
  if (!response.ok) throw errorOf(response.status, JSON.parse(text));
  return text;
}

function save(blob: Blob, name: string) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
