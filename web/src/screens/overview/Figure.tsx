import type { Metric } from "~/api/client";
import { css as ui, cx } from "~/ui";
import { duration, measured, percent } from "~/ui/values";
import { type Change, changeOf, type Mean } from "./figures";
import css from "./overview.module.css";

/** A mean under a metric; a placeholder of the same height while it is being fetched (null). */
export function Figure({ mean, metric }: { mean: Mean | null; metric: Metric }) {
  if (mean === null) return <LoadingFigure />;
  if (mean.now === null) return "–";
  if (metric.kind === "bool") return percent(mean.now);
  return metric.category === "system" && metric.key === "latency" ? duration(mean.now) : measured(mean.now);
}

/** How much a mean has changed. */
export function MeanChange({ mean, metric }: { mean: Mean | null; metric: Metric }) {
  if (mean === null) return null;
  return (
    <ChangeNote
      change={changeOf(mean.now, mean.before)}
      isLowerBetter={metric.scoring_type === "lower_is_better"}
      isNeutral={metric.key === "total_tokens"}
    />
  );
}

export function LoadingFigure() {
  return <span role="img" aria-label="Loading" className={cx(ui.skeleton, css.loading)} />;
}

type ChangeNoteProps = { change: Change | null; isLowerBetter?: boolean; isNeutral?: boolean };

export function ChangeNote({ change, isLowerBetter = false, isNeutral = false }: ChangeNoteProps) {
  if (change === null) return null;
  const isUp = change.share > 0;
  const changed = percent(Math.abs(change.share));
  const tone = isNeutral || Math.abs(change.share) < 0.02 ? "" : isUp !== isLowerBetter ? css.better : css.worse;
  return (
    <small className={cx(css.change, tone)} title="Against the same time before">
      {changed === percent(0) ? "±" : isUp ? "+" : "−"}
      {changed}
    </small>
  );
}
