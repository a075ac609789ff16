import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Columns2, Database, Download, Star, Tag, Trash2, X } from "lucide-react";
import { useState } from "react";
import type { Filter, Metric } from "~/api/client";
import { useMay } from "~/shell/useMay";
import { Button, notify } from "~/ui";
import { removeAllLater } from "~/ui/removals";
import { offerUndo } from "~/ui/toasts";
import { count } from "~/ui/values";
import { BulkDialog, type BulkAct } from "./BulkDialog";
import { type Done, MOST, remove, type Row } from "./bulk";
import css from "./interactions.module.css";
import type { Selection } from "./selection";

type SelectionBarProps = {
  project: string;
  selection: Selection;
  /** How many the filter finds, where that is known. */
  total: number | undefined;
  loaded: { completion_id: string; labels: Record<string, string> }[];
  filter: Filter;
  q: string;
  metrics: readonly Metric[];
  onAll: () => void;
  onClear: () => void;
  onExport: () => void;
};

/** What can be done with the interactions that are selected. */
export function SelectionBar(props: SelectionBarProps) {
  const { project, selection, total, loaded, filter, q, metrics, onAll, onClear, onExport } = props;
  const navigate = useNavigate();
  const queries = useQueryClient();
  const may = useMay();
  const [act, setAct] = useState<BulkAct | null>(null);
  const number = selection.isAll ? (total ?? loaded.length) : selection.ids.size;
  const ids = [...selection.ids];
  const [left, right] = ids;
  const areAllLoaded = loaded.length > 0 && loaded.every(({ completion_id }) => selection.ids.has(completion_id));
  const chosen = loaded.filter(({ completion_id }) => selection.ids.has(completion_id));

  function renew() {
    for (const key of ["interactions", "interactions-count", "interaction", "facets", "labels", "statistics", "groups"]) {
      void queries.invalidateQueries({ queryKey: [key] });
    }
  }
  function onDone(what: string, { done, failed, error, undo }: Done) {
    setAct(null);
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
    <section className={css.selection} aria-label="Selection">
      <strong role="status">{count(number)} selected</strong>
      {!selection.isAll && areAllLoaded && total !== undefined && total > ids.length && (
        <Button small onClick={onAll}>
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
          <Button small onClick={() => setAct("label")}>
            <Tag size={14} aria-hidden /> Label…
          </Button>
          <Button small onClick={() => setAct("rate")} disabled={!metrics.some(({ category }) => category === "user")}>
            <Star size={14} aria-hidden /> Rate…
          </Button>
        </>
      )}
      {may("edit") && (
        <Button
          small
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
      <Button small onClick={onExport}>
        <Download size={14} aria-hidden /> Export…
      </Button>
      {may("edit") && (
        <Button small look="danger" onClick={() => setAct("delete")}>
          <Trash2 size={14} aria-hidden /> Delete…
        </Button>
      )}
      <Button small look="plain" onClick={onClear}>
        <X size={14} aria-hidden /> Clear selection
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
