import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Columns2, Database, Download, Star, Tag, Trash2, X } from "lucide-react";
import { useState } from "react";
import type { Filter, Metric } from "~/api/client";
import { useMay } from "~/shell/useMay";
import { Button, notify } from "~/ui";
import { removeAllLater } from "~/ui/removals";
import { offerUndo } from "~/ui/toasts";
import { useNarrow } from "~/ui/useNarrow";
import { count } from "~/ui/values";
import { BulkDialog, type BulkAct } from "./BulkDialog";
import { type Done, MOST, remove, type Row } from "./bulk";
import css from "./selection.module.css";
import type { Selection } from "~/rules/selection";

type SelectionBarProps = {
  project: string;
  selection: Selection;
  /** The number of interactions that match the filter, if known. */
  total: number | undefined;
  loaded: { completion_id: string; labels: Record<string, string> }[];
  filter: Filter;
  q: string;
  metrics: readonly Metric[];
  onAll: () => void;
  onClear: () => void;
  onExport: () => void;
};

/** The actions on the selected interactions. */
export function SelectionBar(props: SelectionBarProps) {
  const { project, selection, total, loaded, filter, q, metrics, onAll, onClear, onExport } = props;
  const navigate = useNavigate();
  const may = useMay();
  const isNarrow = useNarrow();
  const [act, setAct] = useState<BulkAct | null>(null);
  const number = selection.isAll ? (total ?? loaded.length) : selection.ids.size;
  const isNone = number === 0;
  const ids = [...selection.ids];
  const [left, right] = ids;
  const areAllLoaded = loaded.length > 0 && loaded.every(({ completion_id }) => selection.ids.has(completion_id));
  const chosen = loaded.filter(({ completion_id }) => selection.ids.has(completion_id));

  const { renew, tell } = useOutcome();
  function onDone(what: string, done: Done) {
    setAct(null);
    tell(what, done);
  }
  function onDelete(rows: Row[]) {
    setAct(null);
    onClear();
    const many = `${count(rows.length)} ${rows.length === 1 ? "interaction is" : "interactions are"}`;
    removeAllLater(
      rows.map(({ completion_id }) => completion_id),
      { title: `${many} deleted`, remove: (isLeaving) => remove(rows, isLeaving).then(renew), onBack: renew },
    );
  }
  return (
    <section className={css.selection} aria-label="Selection" data-selection>
      <strong role="status">{count(number)} selected</strong>
      {!selection.isAll && (areAllLoaded || isNarrow) && total !== undefined && total > ids.length && (
        <Button small className={css.all} onClick={onAll}>
          Select all {count(total)} that match
        </Button>
      )}
      {!selection.isAll && (
        <Button
          small
          disabled={ids.length !== 2}
          title={ids.length === 2 ? undefined : "Select two to compare them"}
          onClick={() => navigate({ to: "/p/$project/compare", params: { project }, search: { left, right } })}
        >
          <Columns2 size={14} aria-hidden /> Compare
        </Button>
      )}
      {may("write") && (
        <>
          <Button small disabled={isNone} onClick={() => setAct("label")}>
            <Tag size={14} aria-hidden /> Label…
          </Button>
          <Button
            small
            onClick={() => setAct("rate")}
            disabled={isNone || !metrics.some(({ category }) => category === "user")}
          >
            <Star size={14} aria-hidden /> Rate…
          </Button>
        </>
      )}
      {may("edit") && (
        <Button
          small
          disabled={isNone}
          onClick={() =>
            navigate({
              to: "/p/$project/datasets",
              params: { project },
              search: selection.isAll ? { q, new: "1" } : { ids: ids.join(",") },
            })
          }
        >
          <Database size={14} aria-hidden /> Dataset…
        </Button>
      )}
      <Button small disabled={isNone} onClick={onExport}>
        <Download size={14} aria-hidden /> Export…
      </Button>
      {may("edit") && (
        <Button small look="danger" disabled={isNone} onClick={() => setAct("delete")}>
          <Trash2 size={14} aria-hidden /> Delete…
        </Button>
      )}
      <Button small look="plain" className={css.clear} onClick={onClear}>
        <X size={14} aria-hidden /> <span>Clear selection</span>
      </Button>
      {act && (
        <BulkDialog
          act={act}
          project={project}
          number={Math.min(number, MOST)}
          leftOut={Math.max(0, number - MOST)}
          filter={selection.isAll ? filter : { completion_id: { in: ids } }}
          rows={!selection.isAll && chosen.length === ids.length ? chosen : null}
          metrics={metrics.filter(({ category }) => category === "user")}
          onClose={() => setAct(null)}
          onDone={onDone}
          onDelete={onDelete}
        />
      )}
    </section>
  );
}

const CHANGED_QUERIES = ["interactions", "interactions-count", "interaction", "facets", "labels", "statistics", "groups"];

/** Return functions that refetch the data changed by a bulk action, and that show its result. */
function useOutcome() {
  const queries = useQueryClient();
  function renew() {
    for (const key of CHANGED_QUERIES) void queries.invalidateQueries({ queryKey: [key] });
  }
  function tell(what: string, { done, failed, error, undo }: Done) {
    renew();
    if (failed) notify(new Error(`${count(failed)} of ${count(done + failed)} failed: ${(error as Error).message}`));
    if (!done) return;
    const told = `${count(done)} ${done === 1 ? "interaction is" : "interactions are"} ${what}`;
    if (!undo) return notify(told);
    offerUndo(told, async () => {
      const back = await undo();
      renew();
      if (back.failed) notify(new Error(`${count(back.failed)} could not be taken back: ${(back.error as Error).message}`));
      else notify("It is taken back");
    });
  }
  return { renew, tell };
}
