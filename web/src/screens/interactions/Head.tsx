import { ArrowDown, ArrowUp } from "lucide-react";
import { type KeyboardEvent, type PointerEvent, useEffect, useRef } from "react";
import { cx, css as ui } from "~/ui";
import type { Column } from "./columns";
import css from "./interactions.module.css";

export type Order = "-created_at" | "created_at";

type HeadProps = {
  isNarrow: boolean;
  columns: Column[];
  template: string;
  order: Order;
  selected: "all" | "some" | "none";
  onSelectAll: () => void;
  onOrder: (order: Order) => void;
  onWidth: (column: string, pixels: number | null) => void;
  /** The current cell widths of each column, in pixels. */
  pixels: Readonly<Record<string, number>>;
  onPixels: (pixels: Record<string, number>) => void;
};

const NARROWEST = 48;
const STEP = 16;

/** The column heads: sort by a column with an index, and drag the columns to other widths. */
export function Head(props: HeadProps) {
  const { isNarrow, columns, template, order, selected, onSelectAll, onOrder, onWidth, pixels, onPixels } = props;
  const row = useRef<HTMLDivElement>(null);
  const all = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (all.current) all.current.indeterminate = selected === "some";
  }, [selected]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another template has other widths.
  useEffect(() => {
    const element = row.current;
    if (!element || isNarrow) return;
    const measure = () => {
      const cells = [...element.querySelectorAll<HTMLElement>("[data-key]")];
      onPixels(Object.fromEntries(cells.map((cell) => [cell.dataset.key, Math.floor(cell.getBoundingClientRect().width)])));
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, [isNarrow, template, onPixels]);

  return (
    <div
      ref={row}
      className={isNarrow ? ui.srOnly : css.head}
      role="row"
      aria-rowindex={1}
      style={{ gridTemplateColumns: template }}
    >
      <span role="columnheader" aria-label="Selected" className={css.selectAll}>
        <input
          ref={all}
          type="checkbox"
          aria-label="Select all that are loaded"
          checked={selected === "all"}
          onChange={onSelectAll}
        />
      </span>
      {columns.map((column) => (
        <span
          key={column.key}
          data-key={column.key}
          role="columnheader"
          aria-sort={column.sorts ? (order === "-created_at" ? "descending" : "ascending") : undefined}
          className={cx(css.headCell, column.number && css.number)}
          title={column.sorts ? undefined : `${column.name}. The list is in the order of time: no other has an index.`}
        >
          {column.sorts ? (
            <button
              type="button"
              className={css.sort}
              title={order === "-created_at" ? "Newest first" : "Oldest first"}
              onClick={() => onOrder(order === "-created_at" ? "created_at" : "-created_at")}
            >
              {column.name}
              {order === "-created_at" ? <ArrowDown size={12} aria-hidden /> : <ArrowUp size={12} aria-hidden />}
            </button>
          ) : (
            column.name
          )}
          <Grip name={column.name} width={pixels[column.key] ?? 0} onWidth={(to) => onWidth(column.key, to)} />
        </span>
      ))}
    </div>
  );
}

type GripProps = { name: string; width: number; onWidth: (pixels: number | null) => void };

/** The right edge of a head: dragging changes the width of the column, a double click resets it. */
function Grip({ name, width, onWidth }: GripProps) {
  const widthOf = (target: EventTarget & HTMLElement) => target.parentElement?.getBoundingClientRect().width ?? 0;
  function onPointerMove(event: PointerEvent<HTMLElement>) {
    if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
    const left = event.currentTarget.parentElement?.getBoundingClientRect().left ?? 0;
    onWidth(Math.max(NARROWEST, Math.round(event.clientX - left)));
  }
  function onKeyDown(event: KeyboardEvent<HTMLElement>) {
    const by = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    onWidth(Math.max(NARROWEST, Math.round(widthOf(event.currentTarget) + by)));
  }
  return (
    <span
      role="separator"
      aria-orientation="vertical"
      aria-label={`Width of ${name}`}
      aria-valuenow={width}
      aria-valuetext={`${width} pixels`}
      tabIndex={0}
      className={css.columnGrip}
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove={onPointerMove}
      onKeyDown={onKeyDown}
      onDoubleClick={() => onWidth(null)}
    />
  );
}
