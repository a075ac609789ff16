import { useEffect, useRef, useState } from "react";
import UPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import css from "./charts.module.css";
import { aligned, type Series } from "./series";
import type { TrendChartProps } from "./TrendChart";

const COLOURS = ["--accent", "--blue", "--good", "--violet", "--warn", "--bad", "--muted", "--text"];
const HEIGHT = 220;
const colourOf = (index: number) => COLOURS[index % COLOURS.length] as string;

export default function DrawnTrend({ series, format, bars = false, label, onChoose }: TrendChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const [theme, setTheme] = useState(0);
  const latest = useRef(onChoose);
  latest.current = onChoose;

  // A canvas does not follow CSS variables, so it is redrawn when the theme changes.
  useEffect(() => {
    const again = () => setTheme((before) => before + 1);
    const system = matchMedia("(prefers-color-scheme: dark)");
    const observer = new MutationObserver(again);
    system.addEventListener("change", again);
    observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      system.removeEventListener("change", again);
      observer.disconnect();
    };
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another theme has other colours.
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const colour = (name: string) => resolved(element, name);
    const font = `12px ${getComputedStyle(element).fontFamily}`;
    const axis = { font, stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const told = document.createElement("div");
    told.className = css.told as string;
    told.hidden = true;
    // Without this, a single point would get an axis of years.
    const step = series[0]?.points[0] ? series[0].points[0].end - series[0].points[0].start : 3600;
    const [times] = aligned(series);
    const room = times.length > 2 ? step / 2 : step * 2;
    const chart = new UPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        cursor: { points: { size: 7 }, drag: { x: false, y: false } },
        legend: { show: series.length > 1, live: false },
        scales: {
          x: { range: () => [(times[0] ?? 0) - room, (times.at(-1) ?? 1) + room] },
          y: { range: (_, low, high) => range(...withIntervals(series, low ?? 0, high ?? 1), bars) },
        },
        hooks: {
          drawAxes: [(drawn) => drawIntervals(drawn, series, series.map((_, index) => colour(colourOf(index))))],
          setCursor: [(drawn) => tell(drawn, told, series, format)],
        },
        axes: [axis, { ...axis, size: 56, values: (_, values) => values.map((value) => format(value)) }],
        series: [
          {},
          ...series.map(({ name }, index) => ({
            label: name,
            stroke: colour(colourOf(index)),
            fill: bars ? `color-mix(in srgb, ${colour(colourOf(index))} 30%, transparent)` : undefined,
            width: 2,
            spanGaps: !bars,
            points: { show: !bars, size: 5 },
            paths: bars && UPlot.paths.bars ? UPlot.paths.bars({ size: [0.7, 40] }) : undefined,
          })),
        ],
      },
      aligned(series) as UPlot.AlignedData,
      element,
    );
    chart.over.append(told);
    chart.over.addEventListener("click", () => {
      const at = chart.cursor.idx;
      if (at === null || at === undefined) return;
      const time = chart.data[0][at];
      const near = series
        .map((one) => ({ one, point: one.points.find(({ start }) => start === time) }))
        .filter(({ point }) => point !== undefined)
        .sort((a, b) => distance(chart, a.point?.value) - distance(chart, b.point?.value))[0];
      if (near?.point) latest.current?.(near.one, near.point.start, near.point.end);
    });
    const resize = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      chart.destroy();
    };
  }, [series, format, bars, theme]);

  return <div ref={place} className={css.trend} role="img" aria-label={label} data-clickable={onChoose !== undefined} />;
}

/** Draw the intervals of means as bands behind the lines. */
function drawIntervals(chart: UPlot, series: Series[], colours: string[]): void {
  const { ctx } = chart;
  ctx.save();
  ctx.globalAlpha = series.length > 1 ? 0.1 : 0.18;
  for (const [index, { points }] of series.entries()) {
    const ends = points.flatMap(({ start, interval }) => (interval ? [{ start, low: interval[0], high: interval[1] }] : []));
    if (ends.length < 2) continue;
    const x = (time: number) => chart.valToPos(time, "x", true);
    const y = (value: number) => chart.valToPos(value, "y", true);
    ctx.beginPath();
    for (const { start, high } of ends) ctx.lineTo(x(start), y(high));
    for (const { start, low } of ends.toReversed()) ctx.lineTo(x(start), y(low));
    ctx.fillStyle = colours[index] as string;
    ctx.fill();
  }
  ctx.restore();
}

/** Return the lowest and the highest value that is drawn, including intervals. */
function withIntervals(series: Series[], low: number, high: number): [number, number] {
  const ends = series.flatMap(({ points }) => points.flatMap(({ interval }) => interval ?? []));
  return [Math.min(low, ...ends), Math.max(high, ...ends)];
}

/** Show the values of the nearest point in time beside the cursor. */
function tell(chart: UPlot, told: HTMLElement, series: Series[], format: (value: number) => string): void {
  const { idx, left = -1 } = chart.cursor;
  const time = idx === null || idx === undefined ? undefined : chart.data[0][idx];
  told.hidden = time === undefined || left < 0;
  if (told.hidden || time === undefined) return;
  const point = series.flatMap(({ points }) => points).find(({ start }) => start === time);
  const lines = series.flatMap(({ name, points }, index) => {
    const value = chart.data[index + 1]?.[idx as number];
    if (value === null || value === undefined) return [];
    const interval = points.find(({ start }) => start === time)?.interval;
    const between = interval ? ` (${interval.map(format).join(" – ")})` : "";
    return [`${series.length > 1 ? `${name}: ` : ""}${format(value)}${between}`];
  });
  told.replaceChildren(
    ...[spanOf(time, point?.end ?? time), ...lines].map((text) => {
      const line = document.createElement("div");
      line.textContent = text;
      return line;
    }),
  );
  const at = chart.valToPos(time, "x");
  const isRight = at > chart.over.clientWidth / 2;
  told.style.left = isRight ? "auto" : `${at + 12}px`;
  told.style.right = isRight ? `${chart.over.clientWidth - at + 12}px` : "auto";
}

/** Name an hour, a day, or a week by its first day. */
function spanOf(start: number, end: number): string {
  const begin = new Date(start * 1000);
  if (end - start < 82_800) {
    return begin.toLocaleString(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  }
  const day = begin.toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
  return end - start > 100_000 ? `Week of ${day}` : day;
}

function distance(chart: UPlot, value: number | undefined): number {
  return value === undefined ? Number.POSITIVE_INFINITY : Math.abs(chart.valToPos(value, "y") - (chart.cursor.top ?? 0));
}

/** Return the range of the axis: from zero for bars, with some margin for lines. */
function range(low: number, high: number, fromZero: boolean): [number, number] {
  if (fromZero) return [0, high * 1.08 || 1];
  const room = (high - low) * 0.12 || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

/** Return the value of a CSS variable in the current theme. */
function resolved(element: HTMLElement, name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  element.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}
