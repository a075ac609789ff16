import { Link } from "@tanstack/react-router";
import type { Metric } from "~/api/client";
import { quoted } from "~/rules/language";
import { css as ui, cx } from "~/ui";
import { count } from "~/ui/values";
import { ChangeNote, Figure, MeanChange } from "./Figure";
import { changeOf, type ModelFigures } from "./figures";
import css from "./overview.module.css";

type ModelTableProps = { project: string; span: string; models: ModelFigures[]; metrics: Metric[] };

/** The figures of each model, with links to its interactions. */
export function ModelTable({ project, span, models, metrics }: ModelTableProps) {
  return (
    <div className={ui.scroll}>
      <table className={cx(ui.table, ui.named)}>
        <thead>
          <tr>
            <th>Model</th>
            <th className={ui.number}>Interactions</th>
            <th className={ui.number}>Failed</th>
            {metrics.map(({ key, name }) => (
              <th key={key} className={cx(ui.number, css.figure)}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {models.map((figures) => (
            <ModelRow key={figures.model ?? ""} {...{ project, span, figures, metrics }} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

type ModelRowProps = { project: string; span: string; figures: ModelFigures; metrics: Metric[] };

function ModelRow({ project, span, figures, metrics }: ModelRowProps) {
  const { model, count: number, countBefore, failed, means } = figures;
  const link = (condition = "") => ({
    q: [model === null ? "" : `model:${quoted(model)}`, condition, `from:${span}`].filter(Boolean).join(" "),
  });
  return (
    <tr>
      <td className={ui.name} title={model ?? undefined}>
        {model === null ? (
          <i>no model named</i>
        ) : (
          <Link to="/p/$project/interactions" params={{ project }} search={link()}>
            {model}
          </Link>
        )}
      </td>
      <td className={ui.number}>
        {count(number)} <ChangeNote change={changeOf(number, countBefore)} isNeutral />
      </td>
      <td className={ui.number}>
        {failed === 0 ? (
          "0"
        ) : (
          <Link to="/p/$project/interactions" params={{ project }} search={link("state:failed")}>
            {count(failed)}
          </Link>
        )}
      </td>
      {metrics.map((metric, index) => (
        <td key={metric.key} className={cx(ui.number, css.figure)}>
          <Figure mean={means[index] ?? null} metric={metric} /> <MeanChange mean={means[index] ?? null} metric={metric} />
        </td>
      ))}
    </tr>
  );
}
