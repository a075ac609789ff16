import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { type PointerEvent, useMemo, useRef, useState } from "react";
import { answer, api, type Filter, type Metric } from "~/api/client";
import { barsOf, type Bar, draggedRange, intervalFor } from "~/charts/timeline";
import { facetsQuery } from "~/filter/facets";
import { momentOf, splitTime, type TimeRange } from "~/rules/timeRange";
import { Select } from "~/ui";
import { count, duration, measured, percent } from "~/ui/values";
import css from "./timeline.module.css";
import { useSettled } from "./useSettled";

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
/** Pixels that a pointer may move during a click. */
const CLICK = 4;

type TimelineProps = {
  project: string;
  filter: Filter;
  /** Whether the rows of this filter are shown. */
  isListShown: boolean;
  q: string;
  metrics: readonly Metric[];
  metric: string | undefined;
  onMetric: (metric: string | undefined) => void;
  onRange: (range: TimeRange) => void;
};

/** The number of interactions and failures over time, and the mean of a metric. A range can be selected by dragging. */
export function Timeline({ filter, q, isListShown, ...props }: TimelineProps) {
  const wanted = useMemo(() => ({ filter, q }), [filter, q]);
  const settled = useSettled(wanted, isListShown);
  if (!settled) return <section className={css.timeline} aria-label="Over time" aria-busy="true" />;
  return <SettledTimeline {...props} {...settled} />;
}

type SettledTimelineProps = Omit<TimelineProps, "isListShown">;

function SettledTimeline({ project, filter, q, metrics, metric: key, onMetric, onRange }: SettledTimelineProps) {
  const { range } = splitTime(q);
  const { data: facets } = useQuery(facetsQuery(project, filter));
  const now = Date.now();
  const from = range.from ? momentOf(range.from, now) : null;
  const until = (range.to ? momentOf(range.to, now) : null) ?? now;
  const oldest = facets?.complete && facets.since ? Date.parse(facets.since) : null;
  const begin = from ?? oldest;
  const interval = begin === null ? "day" : intervalFor(until - begin);
  const isKnown = from !== null || facets !== undefined;
  const metric = metrics.find((one) => one.key === key);
  const trend = (path?: string) => ({
    queryKey: ["statistics", "timeline", project, filter, interval, path ?? null],
    enabled: isKnown,
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    queryFn: ({ signal }: { signal: AbortSignal }) => {
      const body = { project, filter, interval, timezone: ZONE };
      return path === undefined
        ? answer(api.POST("/api/v1/interactions/timeseries", { body: { ...body, failures: true }, signal }))
        : answer(api.POST("/api/v1/metrics/{metric}/timeseries", { params: { path: { metric: path } }, body, signal }));
    },
  });
  const volume = useQuery(trend());
  const means = useQuery({ ...trend(metric?.key ?? ""), enabled: isKnown && metric !== undefined });
  const bars = useMemo(
    () => (volume.data ? barsOf(volume.data, metric ? means.data : undefined) : []),
    [volume.data, means.data, metric],
  );
  if (!bars.length && !volume.isPending) return null;
  const total = bars.reduce((sum, { count: number }) => sum + number, 0);
  const failedTotal = bars.reduce((sum, bar) => sum + bar.failed, 0);
  return (
    <section className={css.timeline} aria-label="Over time">
      <Chart
        bars={bars}
        from={begin ?? bars[0]?.start ?? now}
        to={Math.max(range.to ? until : now, bars.at(-1)?.end ?? 0)}
        metric={metric}
        label={`${count(total)} interactions by ${interval}${failedTotal ? `, ${count(failedTotal)} failed` : ""}`}
        onRange={(start, end) => onRange({ from: new Date(start).toISOString(), to: new Date(end).toISOString() })}
      />
      <div className={css.legend}>
        <span>
          <i className={css.volume} /> by {interval}
        </span>
        {failedTotal > 0 && (
          <span>
            <i className={css.failed} /> failed
          </span>
        )}
        <Select aria-label="Metric over time" value={metric?.key ?? ""} onChange={(event) => onMetric(event.target.value || undefined)}>
          <option value="">no metric</option>
          {metrics.map((one) => (
            <option key={one.key} value={one.key}>
              {one.name}
            </option>
          ))}
        </Select>
      </div>
    </section>
  );
}

type ChartProps = {
  bars: Bar[];
  from: number;
  to: number;
  metric: Metric | undefined;
  label: string;
  onRange: (from: number, to: number) => void;
};

function Chart({ bars, from, to, metric, label, onRange }: ChartProps) {
  const area = useRef<HTMLDivElement>(null);
  const [drag, setDrag] = useState<{ start: number; now: number } | null>(null);
  const [near, setNear] = useState<Bar | null>(null);
  const most = Math.max(...bars.map((bar) => bar.count), 1);
  const means = bars.flatMap(({ mean }) => (mean === null ? [] : [mean]));
  const [low, high] = [Math.min(...means), Math.max(...means)];
  const x = (time: number) => ((time - from) / (to - from || 1)) * 100;
  const y = (mean: number) => 92 - (high > low ? ((mean - low) / (high - low)) * 84 : 42);

  function timeAt(event: PointerEvent): number {
    const box = area.current?.getBoundingClientRect();
    if (!box) return from;
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return from + share * (to - from);
  }
  function onPointerMove(event: PointerEvent) {
    const time = timeAt(event);
    setNear(bars.find(({ start, end }) => time >= start && time < end) ?? null);
    if (drag) setDrag({ ...drag, now: time });
  }
  function onPointerUp(event: PointerEvent) {
    if (!drag) return;
    const end = timeAt(event);
    const width = area.current?.clientWidth ?? 1;
    const isClick = Math.abs(end - drag.start) < (CLICK / width) * (to - from);
    setDrag(null);
    if (isClick && !bars.some(({ start, end: last }) => end >= start && end < last)) return;
    const range = draggedRange(bars, drag.start, isClick ? drag.start : end);
    onRange(range.from, range.to);
  }
  const line = bars.flatMap(({ start, end, mean }) => (mean === null ? [] : [`${x((start + end) / 2)},${y(mean)}`]));
  return (
    <div
      ref={area}
      className={css.chart}
      role="img"
      aria-label={label}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        const time = timeAt(event);
        setDrag({ start: time, now: time });
      }}
      onPointerMove={onPointerMove}
      onPointerUp={onPointerUp}
      onPointerCancel={() => setDrag(null)}
      onPointerLeave={() => setNear(null)}
    >
      <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
        {bars.map(({ start, end, count: number, failed }) => {
          const left = x(start);
          const width = Math.max(x(end) - left, 0.1) * 0.86;
          const height = (number / most) * 96;
          const red = (failed / most) * 96;
          return (
            <g key={start}>
              <rect className={css.volume} x={left} width={width} y={100 - height} height={Math.max(height, 1.5)} />
              {failed > 0 && <rect className={css.failed} x={left} width={width} y={100 - red} height={Math.max(red, 3)} />}
            </g>
          );
        })}
        {line.length > 0 && <polyline className={css.mean} points={line.join(" ")} vectorEffect="non-scaling-stroke" />}
        {drag && (
          <rect
            className={css.dragged}
            x={x(Math.min(drag.start, drag.now))}
            width={Math.abs(x(drag.now) - x(drag.start))}
            y={0}
            height={100}
          />
        )}
      </svg>
      {near && (
        <div className={css.told} style={x(near.start) > 60 ? { right: `${100 - x(near.start)}%` } : { left: `${x(near.end)}%` }}>
          <div>{new Date(near.start).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })}</div>
          <div>
            {count(near.count)}
            {near.failed > 0 && `, ${count(near.failed)} failed`}
          </div>
          {metric && near.mean !== null && (
            <div>
              {metric.name} {formatted(near.mean, metric)}
            </div>
          )}
        </div>
      )}
    </div>
  );
}

const MILLISECONDS = new Set(["latency", "ttft", "provider_time"]);

function formatted(mean: number, metric: Metric): string {
  if (metric.kind === "bool") return percent(mean);
  return metric.category === "system" && MILLISECONDS.has(metric.key) ? duration(mean) : measured(mean);
}
