import type { Schemas } from "~/api/client";
import { count as shownCount, percent } from "~/ui/values";
import css from "./charts.module.css";

type Bin = Schemas["Bin"];
type DistributionProps = {
  bins: Bin[];
  /** Formats a value. */
  format: (value: number) => string;
  onChoose?: (bin: Bin, isLast: boolean) => void;
};

/** The distribution of values: a bar for each bin. A click on a bar shows its interactions. */
export function Distribution({ bins, format, onChoose }: DistributionProps) {
  const most = Math.max(...bins.map(({ count }) => count), 1);
  const all = bins.reduce((sum, { count }) => sum + count, 0);
  return (
    <ul className={css.bins}>
      {bins.map((bin, index) => {
        const name = bin.start === bin.end ? format(bin.start) : `${format(bin.start)} – ${format(bin.end)}`;
        return (
          <li key={bin.start}>
            <button
              type="button"
              disabled={!onChoose || bin.count === 0}
              onClick={() => onChoose?.(bin, index === bins.length - 1)}
              title={`${name}: ${shownCount(bin.count)} (${percent(bin.count / (all || 1))})`}
            >
              <span>{name}</span>
              <span className={css.track}>
                <span style={{ width: `${(bin.count / most) * 100}%` }} />
              </span>
              <span className={css.number}>{shownCount(bin.count)}</span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}
