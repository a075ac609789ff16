import css from "./charts.module.css";

type IntervalProps = { low: number; value: number; high: number; from: number; to: number; label: string };

/** A value with its confidence interval, as a dot on a line. */
export function Interval({ low, value, high, from, to, label }: IntervalProps) {
  const at = (number: number) => `${((number - from) / (to - from || 1)) * 100}%`;
  return (
    <div className={css.interval} role="img" aria-label={label} title={label}>
      <span className={css.reach} style={{ left: at(low), right: `calc(100% - ${at(high)})` }} />
      <span className={css.dot} style={{ left: at(value) }} />
    </div>
  );
}
