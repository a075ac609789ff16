import { useEffect, useRef, useState } from "react";
import UPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import css from "./charts.module.css";
import { aligned } from "./series";
import type { TrendChartProps } from "./TrendChart";

const COLOURS = ["--accent", "--blue", "--good", "--violet", "--warn", "--bad", "--muted", "--text"];
const HEIGHT = 220;

export default function DrawnTrend({ series, format, bars = false, label, onChoose }: TrendChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const [theme, setTheme] = useState(0);
  const latest = useRef(onChoose);
  latest.current = onChoose;

  // Canvas knows no CSS variables: it is drawn anew where the theme changes.
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

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const colour = (name: string) => resolved(element, name);
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const chart = new UPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        cursor: { points: { size: 7 }, drag: { x: false, y: false } },
        scales: { y: { range: (_, low, high) => range(low ?? 0, high ?? 1, bars) } },
        axes: [axis, { ...axis, size: 56, values: (_, values) => values.map((value) => format(value)) }],
        series: [
          { value: (_, time) => (time === null ? "" : new Date(time * 1000).toLocaleString()) },
          ...series.map(({ name }, index) => ({
            label: name,
            stroke: colour(COLOURS[index % COLOURS.length] as string),
            fill: bars ? `color-mix(in srgb, ${colour(COLOURS[index % COLOURS.length] as string)} 30%, transparent)` : undefined,
            width: 2,
            spanGaps: !bars,
            points: { show: !bars, size: 5 },
            paths: bars && UPlot.paths.bars ? UPlot.paths.bars({ size: [0.7, 40] }) : undefined,
            value: (_: UPlot, value: number | null) => (value === null ? "–" : format(value)),
          })),
        ],
      },
      aligned(series) as UPlot.AlignedData,
      element,
    );
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

function distance(chart: UPlot, value: number | undefined): number {
  return value === undefined ? Number.POSITIVE_INFINITY : Math.abs(chart.valToPos(value, "y") - (chart.cursor.top ?? 0));
}

/** Return what is shown of the axis: from nothing on for bars, with some room around lines. */
function range(low: number, high: number, fromZero: boolean): [number, number] {
  if (fromZero) return [0, high * 1.08 || 1];
  const room = (high - low) * 0.12 || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

/** Return what a variable of the style sheet comes to in the present theme. */
function resolved(element: HTMLElement, name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  element.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}
