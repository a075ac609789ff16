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
/** Milliseconds that a pointer must rest on a row before the row is prefetched. */
const REST = 60;

type TableProps = {
  interactions: Interaction[];
  columns: Column[];
  shown: Shown;
  /** The total number of interactions, if known. */
  count: number | undefined;
  chosen: string | null;
  selection: Selection;
  /** Whether a tap selects a row. */
  isSelecting: boolean;
  order: Order;
  /** Widths set by dragging, in pixels, by the key of the column. */
  widths: Readonly<Record<string, number>>;
  open: string | null;
  /** The query of these rows; null while rows of another query are shown. */
  query: string | null;
  loading: boolean;
  more: boolean;
  onMore: () => void;
  /** Whether there are newer interactions than the loaded ones. */
  before: boolean;
  onBefore: () => void;
  /** Called when the pointer rests on an interaction, which may be opened next. */
  onHover: (interaction: Interaction) => void;
  onOpen: (interaction: Interaction) => void;
  /** The address of a row, for another tab. */
  href: (interaction: Interaction) => string;
  /** Called when an interaction is selected, or with `isExtending` all rows since the last one. */
  onSelect: (interaction: Interaction, isExtending: boolean) => void;
  onSelectAll: () => void;
  onOrder: (order: Order) => void;
  onWidth: (column: string, pixels: number | null) => void;
  /** Filter by a condition, or exclude it. */
  onCondition: (condition: string, role: "only" | "without") => void;
  onTop: (isTop: boolean) => void;
  /** The scroll position of the list when it was left, in pixels. */
  topOf: () => number;
  onScrolled: (top: number) => void;
  empty: ReactNode;
};

/** The list of interactions. Only the visible rows are in the page. */
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

  // biome-ignore lint/correctness/useExhaustiveDependencies: rows of another height must be measured again.
  useEffect(() => virtual.measure(), [height, virtual]);

  useRowInSight(scroller, virtual.scrollToIndex, props);
  const hover = useRest(props.onHover);

  const widthOf = ({ key, width }: Column) => (props.widths[key] === undefined ? width : `${props.widths[key]}px`);
  const template = `28px ${columns.map(widthOf).join(" ")}`;
  // If the columns do not fit at their minimum widths, the table scrolls.
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
        // Placeholder rows of another query have no scroll position of their own.
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

/** Return a function to call when the pointer enters or leaves a row. `onRest` is called once it rests on one. */
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

/** Keep the visible rows in place when rows are inserted above. */
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

/** Scroll to the chosen row, and start another list at its last scroll position. */
function useRowInSight(
  scroller: RefObject<HTMLDivElement | null>,
  toIndex: ToIndex,
  props: Pick<TableProps, "interactions" | "chosen" | "query" | "topOf">,
): void {
  const { chosen } = props;
  // Scroll only when another row is chosen, not when new rows push it down.
  const all = useRef(props.interactions);
  all.current = props.interactions;
  const goToChosen = useCallback(() => {
    const index = chosen === null ? -1 : all.current.findIndex((one) => one.completion_id === chosen);
    if (index >= 0) toIndex(index, { align: "auto" });
  }, [chosen, toIndex]);
  useEffect(goToChosen, [goToChosen]);

  // A new query starts at its top; going back restores the earlier scroll position.
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
