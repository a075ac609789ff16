import type { Series } from "~/charts/series";
import { css as ui } from "~/ui";
import { count } from "~/ui/values";

type NumbersProps = { means: Series[]; counts: Series[]; format: (value: number) => string };

/** The numbers of the charts as a table, also for screen readers. */
export function Numbers({ means, counts, format }: NumbersProps) {
  return (
    <div className={ui.scroll}>
      <table className={ui.table}>
        <thead>
          <tr>
            <th>From</th>
            <th>Series</th>
            <th className={ui.number}>Mean</th>
            <th className={ui.number}>95% interval</th>
            <th className={ui.number}>Values</th>
          </tr>
        </thead>
        <tbody>
          {means.flatMap((series, index) =>
            series.points.map((point) => (
              <tr key={`${series.name} ${point.start}`}>
                <td>{new Date(point.start * 1000).toLocaleString()}</td>
                <td>{series.name}</td>
                <td className={ui.number}>{format(point.value)}</td>
                <td className={ui.number}>{point.interval?.map(format).join(" – ") ?? "–"}</td>
                <td className={ui.number}>
                  {count(counts[index]?.points.find(({ start }) => start === point.start)?.value ?? 0)}
                </td>
              </tr>
            )),
          )}
        </tbody>
      </table>
    </div>
  );
}
