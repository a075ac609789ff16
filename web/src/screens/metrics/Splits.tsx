import { Split } from "lucide-react";
import type { Metric, Schemas } from "~/api/client";
import { MOST_DRAWN, toggledSeries } from "~/charts/series";
import { LabelKeyChoice } from "~/filter/LabelKeyChoice";
import { Button, css as ui, Popover } from "~/ui";
import { count } from "~/ui/values";
import css from "./metrics.module.css";

/** The server's limit of splits: the model or label values with the most values under the metric. */
const MOST_SPLITS = 50;

type SplitChoiceProps = { project: string; value: string | undefined; onChange: (split: string | undefined) => void };

const SPLITS = [
  [undefined, "All together"],
  ["model", "By model"],
] as const;

/** Choose how to split the values: by model, or by the values of a label. */
export function SplitChoice({ project, value, onChange }: SplitChoiceProps) {
  const name = value === undefined ? "All together" : `By ${value.replace("label:", "")}`;
  return (
    <Popover
      label="Split by"
      align="end"
      trigger={
        <Button aria-label={`Split: ${name}`}>
          <Split size={14} aria-hidden /> {name}
        </Button>
      }
    >
      {(close) => (
        <LabelKeyChoice
          project={project}
          value={value}
          plain={SPLITS}
          onChange={(next) => {
            onChange(next);
            close();
          }}
        />
      )}
    </Popover>
  );
}

type SeriesChoiceProps = {
  keys: (string | null)[];
  drawn: (string | null)[];
  onChange: (series: string) => void;
};

/** Choose which lines are drawn. */
export function SeriesChoice({ keys, drawn, onChange }: SeriesChoiceProps) {
  return (
    <div className={css.series} role="group" aria-label="Series">
      {keys.map((key) => (
        <Button
          key={key ?? ""}
          small
          aria-pressed={drawn.includes(key)}
          disabled={drawn.length === 1 && drawn.includes(key)}
          onClick={() => onChange(toggledSeries(drawn, key))}
        >
          {key === null ? "none" : key || "(empty)"}
        </Button>
      ))}
      {(keys.length > MOST_DRAWN || keys.length === MOST_SPLITS) && (
        <span className={ui.hint}>
          {count(drawn.length)} of {count(keys.length)} are drawn, {MOST_DRAWN} at most
          {keys.length === MOST_SPLITS && "; there may be more than these, which have the most values"}.
        </span>
      )}
    </div>
  );
}

type SplitsProps = {
  metric: Metric;
  split: string;
  splits: Schemas["SplitSummary"][];
  format: (value: number) => string;
  onShow: (key: string | null) => void;
};

/** The values of each model, or of each value of a label. */
export function Splits({ metric, split, splits, format, onShow }: SplitsProps) {
  const isBool = metric.kind === "bool";
  const name = split.replace("label:", "");
  return (
    <section>
      <h2>By {name}</h2>
      <div className={ui.scroll}>
        <table className={ui.table}>
          <thead>
            <tr>
              <th>{name === "model" ? "Model" : name}</th>
              <th className={ui.number}>{isBool ? "Share of yes" : "Mean"}</th>
              <th className={ui.number}>Values</th>
              {!isBool && (
                <>
                  <th className={ui.number}>Lowest</th>
                  <th className={ui.number}>Highest</th>
                  <th className={ui.number}>Std. deviation</th>
                </>
              )}
            </tr>
          </thead>
          <tbody>
            {splits.map((one) => (
              <tr key={one.key ?? ""}>
                <td>
                  <button type="button" className={css.link} onClick={() => onShow(one.key)}>
                    {one.key ?? "none"}
                  </button>
                </td>
                <td className={ui.number}>{format(one.mean)}</td>
                <td className={ui.number}>{count(one.count)}</td>
                {!isBool && (
                  <>
                    <td className={ui.number}>{format(one.min)}</td>
                    <td className={ui.number}>{format(one.max)}</td>
                    <td className={ui.number}>{one.stddev === null ? "–" : format(one.stddev)}</td>
                  </>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {splits.length === MOST_SPLITS && (
        <p className={ui.hint}>These {MOST_SPLITS} have the most values. Filter by the label to see another.</p>
      )}
    </section>
  );
}
