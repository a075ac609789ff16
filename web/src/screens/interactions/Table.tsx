import { useVirtualizer } from "@tanstack/react-virtual";
import { type CSSProperties, type ReactNode, type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import type { Interaction } from "~/api/client";
import { Skeleton } from "~/ui";
import { useNarrow } from "~/ui/useNarrow";
import { CellTools } from "./CellTools";
import type { Column, Shown } from "./columns";
import { Head, type Order } from "./Head";
import css from "./interactions.module.css";
import { Row } from "./Row";
import type { Selection } from "~/rules/selection";

const ROW = 36;
/** On a telephone a row has two lines. */
const TALL_ROW = 60;
/** So many milliseconds a pointer rests on a row before it counts: rows that only pass under it do not. */
const REST = 60;

type TableProps = {
  interactions: Interaction[];
  columns: Column[];
  shown: Shown;
  /** How many there are in all, where that is known. */
  count: number | undefined;
  chosen: string | null;
  selection: Selection;
  /** Whether a tap selects a row. */
  isSelecting: boolean;
  order: Order;
  /** Widths that were drawn, in pixels, by the key of the column. */
  widths: Readonly<Record<string, number>>;
  open: string | null;
  /** The query whose rows these are; null while they are those of another. */
  query: string | null;
  loading: boolean;
  more: boolean;
  onMore: () => void;
  /** Whether there are newer ones than those that were loaded. */
  before: boolean;
  onBefore: () => void;
  /** The pointer rests on one: it may be opened next. */
  onHover: (interaction: Interaction) => void;
  onOpen: (interaction: Interaction) => void;
  /** Where a row leads to, for another tab. */
  href: (interaction: Interaction) => string;
  /** One is selected, or with it all since the last one. */
  onSelect: (interaction: Interaction, isExtending: boolean) => void;
  onSelectAll: () => void;
  onOrder: (order: Order) => void;
  onWidth: (column: string, pixels: number | null) => void;
  /** Keep to what has a condition, or leave it out. */
  onCondition: (condition: string, role: "only" | "without") => void;
  onTop: (isTop: boolean) => void;
  /** Where the list was scrolled to when it was left, in pixels. */
  topOf: () => number;
  onScrolled: (top: number) => void;
  empty: ReactNode;
};

/** The list of interactions: only the rows that are seen stand in the page. */
export function Table(props: TableProps) {
  const { interactions, columns, chosen, loading, more, onMore, onTop } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const isNarrow = useNarrow();
  const height = isNarrow ? TALL_ROW : ROW;
  const virtual = useVirtualizer({
    count: interactions.length + (more || loading ? 1 : 0),
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: 6,
    getItemKey: (index) => interactions[index]?.completion_id ?? "more",
  });
  const seen = virtual.getVirtualItems();
  const last = seen.at(-1)?.index ?? 0;

  useEffect(() => {
    if (more && last >= interactions.length - 30) onMore();
  }, [more, last, interactions.length, onMore]);

  useSteadyPlace(scroller, height, props);
  const top = seen[0]?.index ?? 0;
  useEffect(() => {
    const isNear = (scroller.current?.scrollTop ?? 0) <= 30 * height;
    if (props.before && interactions.length && top <= 30 && isNear) props.onBefore();
  }, [props.before, props.onBefore, top, interactions.length, height]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: rows of another height are measured anew.
  useEffect(() => virtual.measure(), [height, virtual]);

  useRowInSight(scroller, virtual.scrollToIndex, props);
  const hover = useRest(props.onHover);

  const widthOf = ({ key, width }: Column) => (props.widths[key] === undefined ? width : `${props.widths[key]}px`);
  const template = `28px ${columns.map(widthOf).join(" ")}`;
  // Narrower than its columns at their narrowest, the table scrolls.
  const least = columns.reduce((sum, one) => sum + Number.parseInt(/\d+/.exec(widthOf(one))?.[0] ?? "0", 10) + 12, 52);
  const [pixels, setPixels] = useState<Readonly<Record<string, number>>>({});
  const areAllSelected = interactions.length > 0 && interactions.every((one) => props.selection.ids.has(one.completion_id));
  return (
    <div
      ref={scroller}
      className={css.table}
      role="grid"
      aria-label="Interactions"
      style={{ "--least": `${least}px` } as CSSProperties}
      aria-busy={props.query === null}
      data-query={props.query ?? undefined}
      aria-rowcount={props.count === undefined ? -1 : props.count + 1}
      aria-colcount={columns.length + 1}
      tabIndex={0}
      data-takes-focus
      data-selecting={props.isSelecting || undefined}
      onScroll={(event) => {
        onTop(event.currentTarget.scrollTop < height);
        // Rows of another list that stand in for those to come have no place of their own.
        if (props.query !== null) props.onScrolled(event.currentTarget.scrollTop);
      }}
    >
      <Head
        isNarrow={isNarrow}
        columns={columns}
        template={template}
        order={props.order}
        selected={areAllSelected ? "all" : props.selection.ids.size ? "some" : "none"}
        onSelectAll={props.onSelectAll}
        onOrder={props.onOrder}
        onWidth={props.onWidth}
        pixels={pixels}
        onPixels={setPixels}
      />
      {interactions.length === 0 && !loading ? (
        <div role="row">
          <div role="gridcell">{props.empty}</div>
        </div>
      ) : (
        <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {seen.map(({ index: at, key, start }) => {
            const one = interactions[at];
            return (
              <div key={key} role="presentation" className={css.place} style={{ top: start }}>
                {one ? (
                  <Row
                    interaction={one}
                    at={at}
                    isNarrow={isNarrow}
                    columns={columns}
                    shown={props.shown}
                    template={template}
                    pixels={pixels}
                    href={props.href}
                    isChosen={one.completion_id === chosen}
                    isOpen={one.completion_id === props.open}
                    isSelected={props.selection.isAll || props.selection.ids.has(one.completion_id)}
                    onHover={hover}
                    onOpen={props.onOpen}
                    onSelect={props.onSelect}
                  />
                ) : (
                  <div className={css.waiting} role="status" aria-label="Loading">
                    <Skeleton width="60%" />
                  </div>
                )}
              </div>
            );
          })}
        </div>
      )}
      <CellTools within={scroller} onCondition={props.onCondition} />
      {loading && interactions.length === 0 && (
        <div className={css.first} role="status" aria-label="Loading">
          {Array.from({ length: 16 }, (_, line) => (
            <Skeleton key={line} width={`${92 - ((line * 17) % 30)}%`} height={12} />
          ))}
        </div>
      )}
    </div>
  );
}

/** Return what to call when the pointer is on a row, or leaves it: once it rests there, `onRest` hears of it. */
function useRest(onRest: (interaction: Interaction) => void) {
  const resting = useRef(0);
  const hover = useCallback(
    (one: Interaction | null) => {
      clearTimeout(resting.current);
      if (one) resting.current = window.setTimeout(onRest, REST, one);
    },
    [onRest],
  );
  useEffect(() => () => clearTimeout(resting.current), []);
  return hover;
}

/** Keep what one reads where it is, whatever comes in above. */
function useSteadyPlace(
  scroller: RefObject<HTMLDivElement | null>,
  height: number,
  { interactions, before: hasBefore, query }: Pick<TableProps, "interactions" | "before" | "query">,
): void {
  const first = interactions[0]?.completion_id;
  const last = useRef<{ first?: string; hadBefore: boolean; query: string | null }>({ hadBefore: false, query: null });
  useLayoutEffect(() => {
    const element = scroller.current;
    const { first: old, hadBefore, query: oldQuery } = last.current;
    last.current = { first, hadBefore: hasBefore, query };
    if (!element || !old || old === first || oldQuery !== query || (element.scrollTop < height / 2 && !hadBefore)) return;
    const added = interactions.findIndex((one) => one.completion_id === old);
    if (added > 0) element.scrollTop += added * height;
  }, [first, interactions, hasBefore, query, height, scroller]);
}

type ToIndex = (index: number, options: { align: "auto" }) => void;

/** Have the chosen row in sight, and another list begin where it was left. */
function useRowInSight(
  scroller: RefObject<HTMLDivElement | null>,
  toIndex: ToIndex,
  props: Pick<TableProps, "interactions" | "chosen" | "query" | "topOf">,
): void {
  const { chosen } = props;
  // Whoever steps to a row sees it; when new ones push it down, nothing moves.
  const all = useRef(props.interactions);
  all.current = props.interactions;
  const goToChosen = useCallback(() => {
    const index = chosen === null ? -1 : all.current.findIndex((one) => one.completion_id === chosen);
    if (index >= 0) toIndex(index, { align: "auto" });
  }, [chosen, toIndex]);
  useEffect(goToChosen, [goToChosen]);

  // Another filter is read from its top, one that was gone back to from where it was left.
  const topOf = useRef(props.topOf);
  topOf.current = props.topOf;
  const shownQuery = useRef<string | null>(null);
  useLayoutEffect(() => {
    if (props.query === null || props.query === shownQuery.current) return;
    shownQuery.current = props.query;
    scroller.current?.scrollTo(0, topOf.current());
    goToChosen();
  }, [props.query, goToChosen, scroller]);
}
