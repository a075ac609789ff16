import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { lazy, type ReactNode, type RefObject, Suspense, useCallback, useMemo, useRef, useState } from "react";
import type { Filter, Interaction, Metric } from "~/api/client";
import { interactionQuery, metricsQuery } from "~/api/queries";
import { withRole } from "~/rules/facetConditions";
import { FilterBar } from "~/filter/FilterBar";
import { quoted } from "~/rules/language";
import { type TimeRange, withTime } from "~/rules/timeRange";
import { loadPart } from "~/shell/loadPart";
import { Button, Loading } from "~/ui";
import { useKeys } from "~/ui/useKeys";
import { count as shownCount } from "~/ui/values";
import type { Shown } from "./columns";
import { FacetPanel } from "./FacetPanel";
import facetsCss from "./facets.module.css";
import { Groups } from "./Groups";
import css from "./interactions.module.css";
import { KeysHelp } from "./KeysHelp";
import { isInSight, keepColumns, keepInSight, type Part } from "./kept";
import { ListRows } from "./ListRows";
import { ListTools } from "./ListTools";
import { SelectionBar } from "./SelectionBar";
import { SidePanel } from "./SidePanel";
import type { Selection } from "~/rules/selection";
import { Timeline } from "./Timeline";
import { useListAddress } from "./useListAddress";
import { type ListCursor, useListCursor } from "./useListCursor";
import { useListedInteractions } from "./useListedInteractions";
import { usePlace } from "./usePlace";

const InteractionPanel = lazy(
  loadPart(async () => ({ default: (await import("~/screens/interaction/InteractionPanel")).InteractionPanel })),
);
const StartScreen = lazy(loadPart(async () => ({ default: (await import("~/screens/start/StartScreen")).StartScreen })));
const ExportDialog = lazy(
  loadPart(async () => ({ default: (await import("~/screens/datasets/ExportDialog")).ExportDialog })),
);

/** The dialog that is open over the list. */
type ListDialog = "keys" | "export" | "export selection" | null;

/** The interactions of a project. It is remounted for another project, so that no state is carried over. */
export function InteractionsScreen() {
  const { project } = useParams({ from: "/inside/p/$project/interactions" });
  return <Interactions key={project} project={project} />;
}

/** A list that can be filtered, grouped and watched live, with one interaction beside it. */
function Interactions({ project }: { project: string }) {
  const address = useListAddress(project);
  const { q, filter, order, group, open, change } = address;
  const queries = useQueryClient();
  const place = usePlace(q);
  const filterBar = useRef<{ focus: () => void }>(null);
  const [isLive, setLive] = useState(true);
  const [dialog, setDialog] = useState<ListDialog>(null);
  const [inSight, toggle] = useParts();
  const listed = useListedInteractions(project, address, isLive);
  const { interactions, count } = listed;
  const { data, isPlaceholderData } = listed.list;
  const isListShown = data !== undefined && !isPlaceholderData;
  const { data: metrics = [] } = useQuery(metricsQuery(project, "all"));

  const fetchAhead = useCallback(
    ({ completion_id }: Interaction) =>
      void queries.prefetchQuery({ ...interactionQuery(completion_id), staleTime: 60_000 }),
    [queries],
  );
  const onChosen = useCallback(
    (interaction: Interaction) => {
      place.onChosen(interaction.completion_id);
      fetchAhead(interaction);
    },
    [place.onChosen, fetchAhead],
  );
  const cursor = useListCursor({ address, interactions, initial: place.chosen, onChosen });
  const { selection, setSelection, clearSelection } = cursor;
  const setQuery = useCallback(
    (next: string) => {
      clearSelection();
      void change({ q: next || undefined, at: undefined });
    },
    [change, clearSelection],
  );
  const shown = useShown(metrics, q, setQuery);
  useListKeys({ cursor, isOpen: open !== null, filterBar, onFacets: () => toggle("facets"), onHelp: () => setDialog("keys") });

  if (q === "" && data !== undefined && listed.loaded.length === 0 && !isPlaceholderData) {
    return (
      <Suspense fallback={<Loading />}>
        <StartScreen />
      </Suspense>
    );
  }
  return (
    <main className={css.screen}>
      <header className={css.bar}>
        <ListTools
          project={project}
          count={isPlaceholderData ? "loading" : count}
          live={isLive && order === "-created_at"}
          connected={listed.connected}
          onLive={() => (order === "-created_at" ? setLive(!isLive) : void change({ order: undefined }))}
          group={group}
          onGroup={(next) => change({ group: next, open: undefined })}
          columns={listed.columns}
          onColumns={(keys) => {
            keepColumns(project, keys);
            void change({ columns: keys ?? undefined }, true);
          }}
          inSight={inSight}
          onInSight={toggle}
          onExport={() => setDialog("export")}
          onKeys={() => setDialog("keys")}
          isSelecting={cursor.isSelecting}
          onSelecting={() => (cursor.isSelecting ? clearSelection() : cursor.setSelecting(true))}
        />
        <FilterBar ref={filterBar} project={project} value={q} onChange={setQuery} />
        {(cursor.isSelecting || isAnySelected(selection)) && filter && (
          <SelectionBar
            project={project}
            selection={selection}
            total={count}
            loaded={interactions}
            filter={filter}
            q={q}
            metrics={metrics}
            onAll={() => setSelection({ ...selection, isAll: true })}
            onClear={clearSelection}
            onExport={() => setDialog("export selection")}
          />
        )}
      </header>
      <div className={css.body}>
        {inSight.facets && (
          <FacetAside count={count} onBack={() => toggle("facets")}>
            {data && <FacetPanel {...{ project, filter, q, isListShown }} metrics={shown.metrics} onChange={setQuery} />}
          </FacetAside>
        )}
        <div className={css.list}>
          {inSight.chart && data && filter && (
            <Timeline
              project={project}
              filter={filter}
              q={q}
              isListShown={isListShown}
              metrics={metrics}
              metric={address.chart}
              onMetric={(metric) => change({ chart: metric }, true)}
              onRange={(range: TimeRange) => setQuery(withTime(q, range))}
            />
          )}
          {group ? (
            <Groups project={project} filter={filter} group={group} q={q} metrics={metrics} />
          ) : (
            <ListRows {...{ address, listed, cursor, place, shown }} onQuery={setQuery} onHover={fetchAhead} />
          )}
        </div>
        {open && <OpenPanel project={project} completionId={open} cursor={cursor} />}
      </div>
      <ListDialogs dialog={dialog} onClose={() => setDialog(null)} {...{ project, filter, selection }} />
    </main>
  );
}

type FacetAsideProps = { count: number | undefined; onBack: () => void; children: ReactNode };

/** The facets beside the list; on a telephone over it, with a button to go back. */
function FacetAside({ count, onBack, children }: FacetAsideProps) {
  return (
    <aside className={facetsCss.panel} aria-label="Facets">
      {children}
      <Button look="primary" className={facetsCss.back} onClick={onBack}>
        {count === undefined ? "Show the list" : `Show ${shownCount(count)} ${count === 1 ? "interaction" : "interactions"}`}
      </Button>
    </aside>
  );
}

type OpenPanelProps = { project: string; completionId: string; cursor: ListCursor };

/** The interaction that is open, beside the list. */
function OpenPanel({ project, completionId, cursor }: OpenPanelProps) {
  return (
    <SidePanel>
      <Suspense fallback={<Loading />}>
        <InteractionPanel project={project} completionId={completionId} onClose={() => cursor.show(null)} onStep={cursor.step} />
      </Suspense>
    </SidePanel>
  );
}

type ListDialogsProps = {
  dialog: ListDialog;
  project: string;
  filter: Filter | null;
  selection: Selection;
  onClose: () => void;
};

function ListDialogs({ dialog, project, filter, selection, onClose }: ListDialogsProps) {
  return (
    <>
      <KeysHelp open={dialog === "keys"} onClose={onClose} />
      {(dialog === "export" || dialog === "export selection") && filter && (
        <Suspense>
          <ExportDialog
            project={project}
            filter={dialog === "export" ? filter : filterOf(selection, filter)}
            open
            onClose={onClose}
          />
        </Suspense>
      )}
    </>
  );
}

/** Return the data and the actions of the cells. */
function useShown(metrics: readonly Metric[], q: string, setQuery: (next: string) => void): Shown {
  return useMemo(
    () => ({
      metrics: new Map(metrics.map((metric) => [metric.key, metric])),
      onLabel: (key: string, value: string) => setQuery(withRole(q, `label.${quoted(key)}:${quoted(value)}`, "only")),
    }),
    [metrics, q, setQuery],
  );
}

/** Return which parts beside the list are shown, as last chosen in this browser, and a function to toggle one. */
function useParts(): [Record<Part, boolean>, (part: Part) => void] {
  const [inSight, setInSight] = useState({ facets: isInSight("facets"), chart: isInSight("chart") });
  const toggle = (part: Part) => {
    keepInSight(part, !inSight[part]);
    setInSight({ ...inSight, [part]: !inSight[part] });
  };
  return [inSight, toggle];
}

type ListKeysOptions = {
  cursor: ListCursor;
  isOpen: boolean;
  filterBar: RefObject<{ focus: () => void } | null>;
  onFacets: () => void;
  onHelp: () => void;
};

function useListKeys({ cursor, isOpen, filterBar, onFacets, onHelp }: ListKeysOptions): void {
  const onCurrent = (act: (interaction: Interaction) => void) => () => {
    const interaction = cursor.current();
    if (interaction) act(interaction);
  };
  useKeys({
    j: () => cursor.step(1),
    ArrowDown: () => cursor.step(1),
    k: () => cursor.step(-1),
    ArrowUp: () => cursor.step(-1),
    Enter: onCurrent(cursor.show),
    Escape: () => {
      // Escape closes only the dialog.
      if (document.querySelector("[role=dialog]")) return;
      if (isOpen) cursor.show(null);
      else cursor.clearSelection();
    },
    x: onCurrent((interaction) => cursor.select(interaction, false)),
    X: onCurrent((interaction) => cursor.select(interaction, true)),
    F: onFacets,
    "/": () => filterBar.current?.focus(),
    "?": onHelp,
  });
}

const isAnySelected = (selection: Selection): boolean => selection.isAll || selection.ids.size > 0;

function filterOf(selection: Selection, filter: Filter): Filter {
  return selection.isAll ? filter : { completion_id: { in: [...selection.ids] } };
}
