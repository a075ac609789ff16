import { lazy, Suspense } from "react";
import { loadPart } from "~/shell/loadPart";
import { Skeleton } from "~/ui";
import css from "./charts.module.css";
import type { Series } from "./series";

const Drawn = lazy(loadPart(() => import("./DrawnTrend")));

export type TrendChartProps = {
  series: Series[];
  /** Formats a value. */
  format: (value: number) => string;
  /** Draw bars, for counts, instead of lines. */
  bars?: boolean;
  label: string;
  /** Called with the series of a chosen point, and its start and end in seconds. */
  onChoose?: (series: Series, start: number, end: number) => void;
};

/** Values over time, with a title. The code of the drawing is loaded when it is first visible. */
export function TrendChart({ title, ...props }: TrendChartProps & { title: string }) {
  return (
    <figure>
      <figcaption className={css.title}>{title}</figcaption>
      <Suspense fallback={<Skeleton height={220} />}>
        <Drawn {...props} />
      </Suspense>
    </figure>
  );
}
