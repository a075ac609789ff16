import { lazy, Suspense } from "react";
import { loadPart } from "~/shell/loadPart";
import { Skeleton } from "~/ui";
import css from "./charts.module.css";
import type { Series } from "./series";

const Drawn = lazy(loadPart(() => import("./DrawnTrend")));

export type TrendChartProps = {
  series: Series[];
  /** How a value is shown. */
  format: (value: number) => string;
  /** Bars, for counts; else lines. */
  bars?: boolean;
  label: string;
  /** Someone chose a point: which series, and when it begins and ends, in seconds. */
  onChoose?: (series: Series, start: number, end: number) => void;
};

/** Values over time, under what they are. The drawing is loaded when first seen. */
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
