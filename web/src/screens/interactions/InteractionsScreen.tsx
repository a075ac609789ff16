import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useLocation, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { ArrowUp } from "lucide-react";
import { lazy, Suspense, useCallback, useMemo, useRef, useState } from "react";
import type { Filter, Interaction } from "~/api/client";
import { interactionQuery, metricsQuery } from "~/api/queries";
import { withRole } from "~/filter/facetParts";
import { FilterBar } from "~/filter/FilterBar";
import { quoted, readFilter } from "~/filter/language";
import { type TimeRange, withTime } from "~/filter/timeRange";
import { loadPart } from "~/shell/loadPart";
import { Button, cx, Empty, ErrorNote, Loading, Outdated } from "~/ui";
import { announce } from "~/ui/announce";
import { useKeys } from "~/ui/useKeys";
import { useHidden } from "~/ui/removals";
import { count as shownCount, spokenName } from "~/ui/values";
import { chosenColumns, needsWhole } from "./columns";
import { FacetPanel } from "./FacetPanel";
import facetsCss from "./facets.module.css";
import { Groups } from "./Groups";
import type { Order } from "./Head";
import css from "./interactions.module.css";
import { KeysHelp } from "./KeysHelp";
import { isInSight, keepColumns, keepInSight, keepWidths, keptColumns, keptWidths, type Part } from "./kept";
import { ListTools } from "./ListTools";
import { useLiveList } from "./liveList";
import { countQuery, type ListOptions, listQuery, type Pages, rows } from "./pages";
import { SelectionBar } from "./SelectionBar";
import { SidePanel } from "./SidePanel";
import { allOrNone, extended, NOTHING, toggled } from "./selection";
import { Table } from "./Table";
import { Timeline } from "./Timeline";
import { usePlace } from "./usePlace";

const InteractionPanel = lazy(
  loadPart(async () => ({ default: (await import("~/screens/interaction/InteractionPanel")).InteractionPanel })),
);
const StartScreen = lazy(loadPart(async () => ({ default: (await import("~/screens/start/StartScreen")).StartScreen })));
const ExportDialog = lazy(
  loadPart(async () => ({ default: (await import("~/screens/datasets/ExportDialog")).ExportDialog })),
);

/** The interactions of a project. Nothing of one project is seen in the next. */
export function InteractionsScreen() {
  const { project } = useParams({ from: "/inside/p/$project/interactions" });
  return <Interactions key={project} project={project} />;
}

/** A list that can be filtered, grouped and watched, and one of its interactions beside it. */
function Interactions({ project }: { project: string }) {
  const search = useSearch({ from: "/inside/p/$project/interactions" });
  const navigate = useNavigate({ from: "/p/$project/interactions" });
  const queries = useQueryClient();
  const filterBar = useRef<{ focus: () => void }>(null);
  const { pathname } = useLocation();
  const place = usePlace(search.q ?? "");
  const [chosen, setChosen] = useState<string | null>(search.open ?? place.chosen);
  const [selection, setSelection] = useState(NOTHING);
  const [inSight, setInSight] = useState({ facets: isInSight("facets"), chart: isInSight("chart") });
  const [widths, setWidths] = useState(keptWidths);
  const [isTop, setTop] = useState(true);
  const [fresh, setFresh] = useState<ReadonlySet<string>>(new Set());
  const [live, setLive] = useState(true);
  const [dialog, setDialog] = useState<"keys" | "export" | "export selection" | null>(null);

  const q = search.q ?? "";
  const filter = useMemo(() => readFilter(q), [q]);
  const group = search.group;
  const open = search.open ?? null;
  const { at } = search;
  const order: Order = search.order === "created_at" ? "created_at" : "-created_at";
  const columnKeys = search.columns ?? keptColumns(project);
  const options: ListOptions = {
    ...(order === "created_at" && { order }),
    ...(needsWhole(columnKeys) && { view: "full" as const }),
  };
  const query = listQuery(project, filter, at, options);
  const list = useInfiniteQuery(query);
  const { data, error, isFetching, isFetchingNextPage, isFetchingPreviousPage, refetch, isPlaceholderData } = list;
  const { hasNextPage, fetchNextPage, hasPreviousPage, fetchPreviousPage } = list;
  const hidden = useHidden();
  const loaded = useMemo(() => rows(data as Pages | undefined), [data]);
  const interactions = useMemo(() => loaded.filter(({ completion_id }) => !hidden.has(completion_id)), [loaded, hidden]);
  const columns = useMemo(
    () => chosenColumns(columnKeys, interactions),
    [columnKeys, interactions],
  );
  const { data: countWithHidden } = useQuery({ ...countQuery(project, filter), enabled: data !== undefined && !isPlaceholderData });
  const count = countWithHidden === undefined ? undefined : countWithHidden - (loaded.length - interactions.length);
  const { data: metrics = [] } = useQuery(metricsQuery(project, "all"));

  const change = useCallback(
    (next: Record<string, string | undefined>, replace = false) =>
      navigate({ search: (before) => ({ ...before, ...next }), replace }),
    [navigate],
  );
  const setQuery = useCallback(
    (next: string) => {
      setSelection(NOTHING);
      return change({ q: next || undefined, at: undefined });
    },
    [change],
  );
  const top = useRef(isTop);
  top.current = isTop;
  const listed = useRef(interactions);
  listed.current = interactions;

  const connected = useLiveList({
    project,
    filter,
    at,
    options,
    on: live && !group && order === "-created_at",
    isTop: () => top.current,
    onArrived: (ids) => !top.current && setFresh((before) => new Set([...before, ...ids])),
  });

  const shown = useMemo(
    () => ({
      metrics: new Map(metrics.map((metric) => [metric.key, metric])),
      onLabel: (key: string, value: string) =>
        setQuery(withRole(q, `label.${quoted(key)}:${quoted(value)}`, "only")),
    }),
    [metrics, q, setQuery],
  );
  const fetchAhead = useCallback(
    (one: Interaction) => void queries.prefetchQuery({ ...interactionQuery(one.completion_id), staleTime: 60_000 }),
    [queries],
  );
  const choose = useCallback(
    (one: Interaction) => {
      setChosen(one.completion_id);
      place.onChosen(one.completion_id);
      fetchAhead(one);
    },
    [fetchAhead, place.onChosen],
  );
  const show = useCallback(
    (one: Interaction | null) => {
      if (one) choose(one);
      void change({ open: one?.completion_id }, open !== null);
    },
    [change, choose, open],
  );
  const select = useCallback((one: Interaction, isExtending: boolean) => {
    const ids = listed.current.map(({ completion_id }) => completion_id);
    setSelection((before) => (isExtending ? extended(before, ids, one.completion_id) : toggled(before, one.completion_id)));
    setChosen(one.completion_id);
  }, []);
  const selectAll = useCallback(
    () => setSelection((before) => allOrNone(before, listed.current.map(({ completion_id }) => completion_id))),
    [],
  );
  const address = useRef(search);
  address.current = search;
  const href = useCallback(
    (one: Interaction) => {
      const { q: query, columns: chosenKeys, order: by } = address.current;
      const parameters = Object.entries({ q: query, columns: chosenKeys, order: by, open: one.completion_id });
      return `${pathname}?${new URLSearchParams(parameters.filter((pair): pair is [string, string] => Boolean(pair[1])))}`;
    },
    [pathname],
  );
  const setWidth = useCallback((column: string, pixels: number | null) => {
    setWidths((before) => {
      const { [column]: _, ...others } = before;
      const next = pixels === null ? others : { ...others, [column]: pixels };
      keepWidths(next);
      return next;
    });
  }, []);
  // A page that was refused is not asked for again by itself.
  const hasMore = hasNextPage && !list.isFetchNextPageError;
  const onCondition = useCallback(
    (condition: string, role: "only" | "without") => setQuery(withRole(q, condition, role)),
    [q, setQuery],
  );
  const toggle = (part: Part) => {
    keepInSight(part, !inSight[part]);
    setInSight({ ...inSight, [part]: !inSight[part] });
  };
  const onMore = useCallback(() => void (!isFetchingNextPage && fetchNextPage()), [isFetchingNextPage, fetchNextPage]);
  const onBefore = useCallback(
    () => void (!isFetchingPreviousPage && fetchPreviousPage()),
    [isFetchingPreviousPage, fetchPreviousPage],
  );
  const step = useCallback(
    (by: 1 | -1) => {
      const at = listed.current.findIndex((one) => one.completion_id === (open ?? chosen));
      const next = listed.current[at < 0 ? 0 : at + by];
      if (!next) return;
      if (open) show(next);
      else {
        choose(next);
        announce(spokenName(next));
      }
    },
    [open, chosen, show, choose],
  );

  useKeys({
    j: () => step(1),
    ArrowDown: () => step(1),
    k: () => step(-1),
    ArrowUp: () => step(-1),
    Enter: () => {
      const one = listed.current.find(({ completion_id }) => completion_id === chosen);
      if (one) show(one);
    },
    Escape: () => {
      // It closes the dialog, and nothing else with it.
      if (document.querySelector("[role=dialog]")) return;
      if (open) show(null);
      else setSelection(NOTHING);
    },
    x: () => {
      const one = listed.current.find(({ completion_id }) => completion_id === chosen);
      if (one) select(one, false);
    },
    X: () => {
      const one = listed.current.find(({ completion_id }) => completion_id === chosen);
      if (one) select(one, true);
    },
    F: () => toggle("facets"),
    "/": () => filterBar.current?.focus(),
    "?": () => setDialog("keys"),
  });

  function onTop(now: boolean) {
    setTop(now);
    if (now && fresh.size) setFresh(new Set());
  }

  const isNew = q === "" && data !== undefined && loaded.length === 0;
  if (isNew && !isPlaceholderData) {
    return (
      <Suspense fallback={<Loading />}>
        <StartScreen />
      </Suspense>
    );
  }

  const hasSelection = selection.isAll || selection.ids.size > 0;
  const chosenFilter: Filter = selection.isAll ? (filter ?? {}) : { completion_id: { in: [...selection.ids] } };
  return (
    <main className={css.screen}>
      <header className={css.bar}>
        <ListTools
          project={project}
          count={isPlaceholderData ? "loading" : count}
          live={live && order === "-created_at"}
          connected={connected}
          onLive={() => (order === "-created_at" ? setLive(!live) : void change({ order: undefined }))}
          group={group}
          onGroup={(next) => change({ group: next, open: undefined })}
          columns={columns}
          onColumns={(keys) => {
            keepColumns(project, keys);
            void change({ columns: keys ?? undefined }, true);
          }}
          inSight={inSight}
          onInSight={toggle}
          onExport={() => setDialog("export")}
          onKeys={() => setDialog("keys")}
        />
        <FilterBar ref={filterBar} project={project} value={q} onChange={setQuery} />
        {hasSelection && filter && (
          <SelectionBar
            project={project}
            selection={selection}
            total={count}
            loaded={interactions}
            filter={filter}
            q={q}
            metrics={metrics}
            onAll={() => setSelection({ ...selection, isAll: true })}
            onClear={() => setSelection(NOTHING)}
            onExport={() => setDialog("export selection")}
          />
        )}
      </header>
      <div className={css.body}>
        {inSight.facets && (
          <aside className={facetsCss.panel} aria-label="Facets">
            {data && <FacetPanel project={project} filter={filter} q={q} metrics={shown.metrics} onChange={setQuery} />}
            <Button look="primary" className={facetsCss.back} onClick={() => toggle("facets")}>
              {count === undefined ? "Show the list" : `Show ${shownCount(count)} ${count === 1 ? "interaction" : "interactions"}`}
            </Button>
          </aside>
        )}
        <div className={css.list}>
          {inSight.chart && data && filter && (
            <Timeline
              project={project}
              filter={filter}
              q={q}
              metrics={metrics}
              metric={search.chart}
              onMetric={(metric) => change({ chart: metric }, true)}
              onRange={(range: TimeRange) => setQuery(withTime(q, range))}
            />
          )}
          {group ? (
            <Groups project={project} filter={filter} group={group} q={q} metrics={metrics} />
          ) : error && !data ? (
            <div style={{ padding: 16 }}>
              <ErrorNote error={error} onRetry={() => refetch()} />
            </div>
          ) : (
            <div className={css.rows}>
              {error && <Outdated error={error} onRetry={() => (list.isFetchNextPageError ? fetchNextPage() : refetch())} />}
              {hasPreviousPage && (
                <Button
                  look="primary"
                  small
                  className={css.pill}
                  onClick={() => {
                    place.onScrolled(0);
                    void change({ at: undefined });
                  }}
                >
                  <ArrowUp size={13} aria-hidden /> To the newest
                </Button>
              )}
              {fresh.size > 0 && !hasPreviousPage && (
                <Button
                  look="primary"
                  small
                  className={cx(css.pill)}
                  onClick={() => document.querySelector("[role=grid]")?.scrollTo({ top: 0 })}
                >
                  <ArrowUp size={13} aria-hidden />
                  {`${fresh.size} new`}
                </Button>
              )}
              <Table
                key={`${at} ${order}`}
                interactions={interactions}
                columns={columns}
                shown={shown}
                count={count}
                chosen={chosen}
                selection={selection}
                order={order}
                widths={widths}
                open={open}
                query={data === undefined || isPlaceholderData ? null : q}
                loading={isFetching && interactions.length === 0}
                more={hasMore}
                before={hasPreviousPage && !list.isFetchPreviousPageError}
                onBefore={onBefore}
                onMore={onMore}
                onHover={fetchAhead}
                onOpen={show}
                href={href}
                onSelect={select}
                onSelectAll={selectAll}
                onOrder={(next) => change({ order: next === "created_at" ? next : undefined, at: undefined })}
                onWidth={setWidth}
                onCondition={onCondition}
                onTop={onTop}
                topOf={place.topOf}
                onScrolled={place.onScrolled}
                empty={
                  <Empty title="Nothing matches this filter">
                    <Button onClick={() => setQuery("")}>Clear the filter</Button>
                  </Empty>
                }
              />
            </div>
          )}
        </div>
        {open && (
          <SidePanel>
            <Suspense fallback={<Loading />}>
              <InteractionPanel project={project} completionId={open} onClose={() => show(null)} onStep={step} />
            </Suspense>
          </SidePanel>
        )}
      </div>
      <KeysHelp open={dialog === "keys"} onClose={() => setDialog(null)} />
      {(dialog === "export" || dialog === "export selection") && filter && (
        <Suspense>
          <ExportDialog
            project={project}
            filter={dialog === "export" ? filter : chosenFilter}
            open
            onClose={() => setDialog(null)}
          />
        </Suspense>
      )}
    </main>
  );
}

