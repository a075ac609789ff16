import type { ReactNode } from "react";
import type { Metric } from "~/api/client";
import { inShort, percent } from "~/ui/values";
import { ChangeNote, Figure, LoadingFigure, MeanChange } from "./Figure";
import { changeOf, type ModelFigures } from "./figures";
import css from "./overview.module.css";

type TilesProps = {
  /** The figures of all models together; undefined while they are being fetched. */
  total: ModelFigures | undefined;
  metrics: Metric[];
};

/** The figures of all models together, one per tile. */
export function Tiles({ total, metrics }: TilesProps) {
  const share = total && total.failed / (total.count || 1);
  const shareBefore = total?.countBefore ? total.failedBefore / total.countBefore : null;
  return (
    <dl className={css.tiles} aria-busy={total === undefined || total.means.includes(null)}>
      <Tile
        name="Interactions"
        value={total ? inShort(total.count) : <LoadingFigure />}
        change={total && <ChangeNote change={changeOf(total.count, total.countBefore)} isNeutral />}
      />
      <Tile
        name="Failed"
        value={share === undefined ? <LoadingFigure /> : percent(share)}
        change={share !== undefined && <ChangeNote change={changeOf(share, shareBefore)} isLowerBetter />}
      />
      {metrics.map((metric, index) => {
        const mean = total?.means[index] ?? null;
        return (
          <Tile
            key={metric.key}
            name={metric.kind === "bool" ? `${metric.name}: yes` : metric.name}
            value={<Figure mean={mean} metric={metric} />}
            change={<MeanChange mean={mean} metric={metric} />}
          />
        );
      })}
    </dl>
  );
}

function Tile({ name, value, change }: { name: string; value: ReactNode; change: ReactNode }) {
  return (
    <div>
      <dt title={name}>{name}</dt>
      <dd className={css.value}>{value}</dd>
      <dd className={css.against}>{change}</dd>
    </div>
  );
}
