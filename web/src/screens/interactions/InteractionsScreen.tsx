import { keepPreviousData, useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { ArrowUp, Columns2, Database, Download, Pause, Play } from "lucide-react";
import { lazy, Suspense, useCallback, useMemo, useRef, useState } from "react";
import type { Interaction } from "~/api/client";
import { useLive } from "~/api/live";
import { interactionQuery, metricsQuery } from "~/api/queries";
import { FilterBar } from "~/filter/FilterBar";
import { quoted, readFilter, withPart } from "~/filter/language";
import { Button, cx, Empty, ErrorNote, Hint, IconButton, Loading } from "~/ui";
import { announce } from "~/ui/announce";
import { count as shownCount, spokenName } from "~/ui/values";
import { ColumnChoice } from "./ColumnChoice";
import { chosenColumns } from "./columns";
import { GroupChoice, Groups } from "./Groups";
import css from "./interactions.module.css";
import { KeysHelp } from "./KeysHelp";
import { countQuery, listQuery, type Pages, rows, upserted, without } from "./pages";
import { SidePanel } from "./SidePanel";
import { Table } from "./Table";
import { useKeys } from "~/ui/useKeys";
import { Views } from "./Views";

const InteractionPanel = lazy(async () => {
  const { InteractionPanel } = await import("~/screens/interaction/InteractionPanel");
  return { default: InteractionPanel };
});
const StartScreen = lazy(async () => {
  const { StartScreen } = await import("~/screens/start/StartScreen");
  return { default: StartScreen };
});
const ExportDialog = lazy(async () => {
  const { ExportDialog } = await import("~/screens/datasets/ExportDialog");
  return { default: ExportDialog };
});

/** The interactions of a project: a list that can be filtered, grouped and watched, and one of them beside it. */
export function InteractionsScreen() {
  const { project } = useParams({ from: "/inside/p/$project/interactions" });
  const search = useSearch({ from: "/inside/p/$project/interactions" });
  const navigate = useNavigate({ from: "/p/$project/interactions" });
  const queries = useQueryClient();
  const filterBar = useRef<{ focus: () => void }>(null);
  const [chosen, setChosen] = useState<string | null>(search.open ?? null);
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const [isTop, setTop] = useState(true);
  const [fresh, setFresh] = useState<ReadonlySet<string>>(new Set());
  const [live, setLive] = useState(true);
  const [dialog, setDialog] = useState<"keys" | "export" | null>(null);

  const q = search.q ?? "";
  const filter = useMemo(() => readFilter(q), [q]);
  const group = search.group;
  const open = search.open ?? null;
  const { at } = search;
  const query = listQuery(project, filter, at);
  const list = useInfiniteQuery({ ...query, placeholderData: keepPreviousData });
  const { data, error, isFetching, isFetchingNextPage, isFetchingPreviousPage, refetch, isPlaceholderData } = list;
  const { hasNextPage, fetchNextPage, hasPreviousPage, fetchPreviousPage } = list;
  const interactions = useMemo(() => rows(data as Pages | undefined), [data]);
  const columns = useMemo(
    () => chosenColumns(search.columns ?? keptColumns(project), interactions),
    [search.columns, project, interactions],
  );
  const { data: count } = useQuery({ ...countQuery(project, filter), enabled: data !== undefined && !isPlaceholderData });
  const { data: metrics = [] } = useQuery(metricsQuery(project, "all"));

  const change = useCallback(
    (next: Record<string, string | undefined>, replace = false) =>
      navigate({ search: (before) => ({ ...before, ...next }), replace }),
    [navigate],
  );
  const setQuery = useCallback((next: string) => change({ q: next || undefined }), [change]);
  const top = useRef(isTop);
  top.current = isTop;
  const listed = useRef(interactions);
  listed.current = interactions;

  const connected = useLive(project, filter, live && !group, {
    onInteraction(changed) {
      const known = listed.current.some((row) => row.completion_id === changed.completion_id);
      queries.setQueryData<Pages>(query.queryKey, (pages) => pages && upserted(pages, changed));
      void queries.invalidateQueries({ queryKey: ["interaction", changed.completion_id] });
      if (!known) {
        void queries.invalidateQueries({ queryKey: ["interactions-count", project] });
        if (!top.current) setFresh((before) => new Set(before).add(changed.completion_id));
      }
    },
    onDeleted: (id) => queries.setQueryData<Pages>(query.queryKey, (pages) => pages && without(pages, id)),
    onMissed: () => {
      if (top.current) void refetch();
      else setFresh((before) => new Set(before).add("missed"));
    },
  });

  const shown = useMemo(
    () => ({
      metrics: new Map(metrics.map((metric) => [metric.key, metric])),
      onLabel: (key: string, value: string) => setQuery(withPart(q, `label.${quoted(key)}:${quoted(value)}`)),
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
      fetchAhead(one);
    },
    [fetchAhead],
  );
  const show = useCallback(
    (one: Interaction | null) => {
      if (one) choose(one);
      void change({ open: one?.completion_id }, open !== null);
    },
    [change, choose, open],
  );
  const mark = useCallback((one: Interaction) => {
    setMarked((before) => {
      const next = new Set(before);
      if (!next.delete(one.completion_id)) next.add(one.completion_id);
      return next;
    });
  }, []);
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
    Escape: () => (open ? show(null) : setMarked(new Set())),
    x: () => {
      const one = listed.current.find(({ completion_id }) => completion_id === chosen);
      if (one) mark(one);
    },
    "/": () => filterBar.current?.focus(),
    "?": () => setDialog("keys"),
  });

  function onTop(now: boolean) {
    setTop(now);
    if (now && fresh.size) {
      if (fresh.has("missed")) void refetch();
      setFresh(new Set());
    }
  }

  const isNew = q === "" && data !== undefined && interactions.length === 0 && !isFetching;
  if (isNew && !isPlaceholderData) {
    return (
      <Suspense fallback={<Loading />}>
        <StartScreen />
      </Suspense>
    );
  }

  const [left, right] = [...marked];
  return (
    <main className={css.screen}>
      <header className={css.bar}>
        <div className={css.tools}>
          <h1>Interactions</h1>
          <span className={css.count} role="status">
            {count === undefined ? "" : shownCount(count)}
          </span>
          {left && (
            <>
              <span className={css.faint}>{marked.size} marked</span>
              <Button
                small
                disabled={marked.size !== 2}
                onClick={() => navigate({ to: "/p/$project/compare", params: { project }, search: { left, right } })}
              >
                <Columns2 size={14} aria-hidden /> Compare
              </Button>
              <Button
                small
                onClick={() =>
                  navigate({ to: "/p/$project/datasets", params: { project }, search: { ids: [...marked].join(",") } })
                }
              >
                <Database size={14} aria-hidden /> Dataset
              </Button>
            </>
          )}
          <Button
            small
            look="plain"
            className={css.live}
            aria-pressed={live}
            onClick={() => setLive(!live)}
            aria-label={live ? "Live: pause" : "Paused: go live"}
          >
            <span className={css.dot} data-on={live && connected} />
            <span className={css.wideOnly}>{live ? "Live" : "Paused"}</span>
            {live ? <Pause size={12} aria-hidden /> : <Play size={12} aria-hidden />}
          </Button>
          <GroupChoice project={project} value={group} onChange={(next) => change({ group: next, open: undefined })} />
          <Views project={project} />
          <span className={css.wideOnly}>
            <ColumnChoice
              columns={columns}
              onChange={(keys) => {
                keepColumns(project, keys);
                void change({ columns: keys ?? undefined }, true);
              }}
            />
          </span>
          <IconButton small label="Export these" onClick={() => setDialog("export")}>
            <Download size={15} aria-hidden />
          </IconButton>
          <span className={css.wideOnly}>
            <Hint text="Keys: ?">
              <Button small look="plain" onClick={() => setDialog("keys")} aria-label="Keys">
                ?
              </Button>
            </Hint>
          </span>
        </div>
        <FilterBar ref={filterBar} project={project} value={q} onChange={setQuery} />
      </header>
      <div className={css.body}>
        <div className={css.list}>
          {group ? (
            <Groups project={project} filter={filter} group={group} q={q} metrics={metrics} />
          ) : error ? (
            <div style={{ padding: 16 }}>
              <ErrorNote error={error} onRetry={() => refetch()} />
            </div>
          ) : (
            <>
              {hasPreviousPage && (
                <Button look="primary" small className={css.pill} onClick={() => change({ at: undefined })}>
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
                  {fresh.has("missed") ? "New interactions" : `${fresh.size} new`}
                </Button>
              )}
              <Table
                key={at}
                interactions={interactions}
                columns={columns}
                shown={shown}
                count={count}
                chosen={chosen}
                marked={marked}
                open={open}
                query={data === undefined || isPlaceholderData ? null : q}
                loading={isFetching && interactions.length === 0}
                more={hasNextPage}
                before={hasPreviousPage}
                onBefore={onBefore}
                onMore={onMore}
                onHover={fetchAhead}
                onOpen={show}
                onMark={mark}
                onTop={onTop}
                empty={
                  <Empty title="Nothing matches this filter">
                    <Button onClick={() => setQuery("")}>Clear the filter</Button>
                  </Empty>
                }
              />
            </>
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
      {dialog === "export" && filter && (
        <Suspense>
          <ExportDialog project={project} filter={filter} open onClose={() => setDialog(null)} />
        </Suspense>
      )}
    </main>
  );
}


const KEPT = "afterword.columns.";

function keptColumns(project: string): string | null {
  return localStorage.getItem(KEPT + project);
}

function keepColumns(project: string, keys: string | null): void {
  if (keys === null) localStorage.removeItem(KEPT + project);
  else localStorage.setItem(KEPT + project, keys);
}
