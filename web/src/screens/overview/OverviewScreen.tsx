import { useQueries, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { answer, api, type Filter, type Metric, type Schemas } from "~/api/client";
import { metricsQuery } from "~/api/queries";
import { useVocabulary } from "~/filter/facets";
import { quoted } from "~/filter/language";
import { PRESETS, spanSeconds } from "~/filter/timeRange";
import { Button, css as ui, cx, Empty, ErrorNote, Loading, Page } from "~/ui";
import { count, duration, inShort, measured, percent } from "~/ui/values";
import { changeOf, type Change, countsOf, meansOf, type ModelFigures, together } from "./figures";
import css from "./overview.module.css";

/** So many feedback keys have a column: those that were used most. */
const MOST_METRICS = 4;
const DEFAULT_SPAN = "7d";

/** How a project did lately, by model, against the same time before. */
export function OverviewScreen() {
  const { project } = useParams({ from: "/inside/p/$project/overview" });
  const search = useSearch({ from: "/inside/p/$project/overview" });
  const navigate = useNavigate({ from: "/p/$project/overview" });
  const span = search.span && spanSeconds(search.span) !== null ? search.span : DEFAULT_SPAN;
  const { data: all } = useQuery(metricsQuery(project, "all"));
  const vocabulary = useVocabulary(project);
  const own = vocabulary.metrics.filter(({ category }) => category === "user").slice(0, MOST_METRICS);
  const system = (all ?? []).filter(({ category }) => category === "system");
  const metrics = [...system.filter(({ key }) => ["latency", "total_tokens"].includes(key)), ...own];
  const seconds = spanSeconds(span) ?? 0;
  const now: Filter = { timerange: { from: `now - ${seconds} seconds` } };
  const before: Filter = { timerange: { from: `now - ${2 * seconds} seconds`, to: `now - ${seconds} seconds` } };
  const failed = (time: Filter): Filter => ({ and: [time, { state: { eq: "failed" } }] });

  const volumes = useQueries({
    queries: [now, before, failed(now), failed(before)].map((filter) => ({
      queryKey: ["statistics", "overview", project, "volume", filter],
      staleTime: 60_000,
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        answer(
          api.POST("/api/v1/interactions/timeseries", {
            body: { project, filter, split_by: "model", interval: "week" },
            signal,
          }),
        ),
    })),
  });
  const summaries = useQueries({
    queries: metrics.flatMap(({ key }) =>
      [now, before].map((filter) => ({
        queryKey: ["statistics", "overview", project, key, filter],
        staleTime: 60_000,
        queryFn: ({ signal }: { signal: AbortSignal }) =>
          answer(
            api.POST("/api/v1/metrics/{metric}/statistics", {
              params: { path: { metric: key } },
              body: { project, filter, split_by: "model" },
              signal,
            }),
          ),
      })),
    ),
  });
  const error = [...volumes, ...summaries].find((one) => one.error)?.error;
  const [current, previous, failures, failuresBefore] = volumes.map(({ data }) => data && countsOf(data));
  const of = (index: number): Schemas["MetricSummary"] | undefined => summaries[index]?.data;
  const figures =
    current &&
    together(
      { now: current, before: previous ?? new Map(), failed: failures ?? new Map(), failedBefore: failuresBefore ?? new Map() },
      metrics.map((_, index) => ({ now: meansOf(of(2 * index)), before: meansOf(of(2 * index + 1)) })),
    );
  return (
    <Page
      title="Overview"
      about="Volume, failures, latency, tokens and feedback by model, against the same time before."
      actions={
        <div className={css.spans} role="group" aria-label="Time">
          {PRESETS.map(([preset, name]) => (
            <Button
              key={preset}
              small
              aria-pressed={preset === span}
              onClick={() => navigate({ search: { ...search, span: preset }, replace: true })}
            >
              {name}
            </Button>
          ))}
        </div>
      }
    >
      {error && !figures && <ErrorNote error={error} />}
      {!figures && !error && <Loading />}
      {figures && figures.models.length === 0 && (
        <Empty title="Nothing was logged in this time">
          <p>Choose a longer time, or log something.</p>
        </Empty>
      )}
      {figures && figures.models.length > 0 && (
        <>
          <Tiles total={figures.total} metrics={metrics} />
          <Models project={project} span={span} models={figures.models} metrics={metrics} />
          {vocabulary.metrics.filter(({ category }) => category === "user").length > MOST_METRICS && (
            <p className={ui.hint}>
              Of the feedback keys the {MOST_METRICS} that are used most are shown; the others are on the page{" "}
              <Link to="/p/$project/metrics" params={{ project }}>
                Metrics
              </Link>
              .
            </p>
          )}
        </>
      )}
    </Page>
  );
}

function Tiles({ total, metrics }: { total: ModelFigures; metrics: Metric[] }) {
  return (
    <dl className={css.tiles}>
      <Tile name="Interactions" value={inShort(total.count)} change={changeOf(total.count, total.countBefore)} />
      <Tile
        name="Failed"
        value={percent(total.failed / (total.count || 1))}
        change={changeOf(total.failed / (total.count || 1), total.countBefore ? total.failedBefore / total.countBefore : null)}
        isLowerBetter
      />
      {metrics.map((metric, index) => {
        const { now, before } = total.means[index] ?? { now: null, before: null };
        return (
          <Tile
            key={metric.key}
            name={metric.kind === "bool" ? `${metric.name}: yes` : metric.name}
            value={now === null ? "–" : formatted(now, metric)}
            change={changeOf(now, before)}
            isLowerBetter={metric.scoring_type === "lower_is_better"}
            isNeutral={metric.key === "total_tokens"}
          />
        );
      })}
    </dl>
  );
}

type TileProps = { name: string; value: string; change: Change | null; isLowerBetter?: boolean; isNeutral?: boolean };

function Tile({ name, value, change, isLowerBetter, isNeutral }: TileProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value} <ChangeNote change={change} isLowerBetter={isLowerBetter} isNeutral={isNeutral ?? name === "Interactions"} />
      </dd>
    </div>
  );
}

type ChangeNoteProps = { change: Change | null; isLowerBetter?: boolean | undefined; isNeutral?: boolean | undefined };

function ChangeNote({ change, isLowerBetter, isNeutral }: ChangeNoteProps) {
  if (change === null) return null;
  const isUp = change.share > 0;
  const changed = percent(Math.abs(change.share));
  const tone = isNeutral || Math.abs(change.share) < 0.02 ? "" : isUp !== Boolean(isLowerBetter) ? css.better : css.worse;
  return (
    <small className={cx(css.change, tone)} title="Against the same time before">
      {changed === percent(0) ? "±" : isUp ? "+" : "−"}
      {changed}
    </small>
  );
}

type ModelsProps = { project: string; span: string; models: ModelFigures[]; metrics: Metric[] };

function Models({ project, span, models, metrics }: ModelsProps) {
  const link = (model: string | null, more = "") => ({
    q: [model === null ? "" : `model:${quoted(model)}`, more, `from:${span}`].filter(Boolean).join(" "),
  });
  return (
    <div className={ui.scroll}>
      <table className={cx(ui.table, ui.named)}>
        <thead>
          <tr>
            <th>Model</th>
            <th className={ui.number}>Interactions</th>
            <th className={ui.number}>Failed</th>
            {metrics.map(({ key, name }) => (
              <th key={key} className={ui.number}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {models.map((one) => (
            <tr key={one.model ?? ""}>
              <td className={ui.name} title={one.model ?? undefined}>
                {one.model === null ? (
                  <i>no model named</i>
                ) : (
                  <Link to="/p/$project/interactions" params={{ project }} search={link(one.model)}>
                    {one.model}
                  </Link>
                )}
              </td>
              <td className={ui.number}>
                {count(one.count)} <ChangeNote change={changeOf(one.count, one.countBefore)} isNeutral />
              </td>
              <td className={ui.number}>
                {one.failed === 0 ? (
                  "0"
                ) : (
                  <Link to="/p/$project/interactions" params={{ project }} search={link(one.model, "state:failed")}>
                    {count(one.failed)}
                  </Link>
                )}
              </td>
              {metrics.map((metric, index) => {
                const { now, before } = one.means[index] ?? { now: null, before: null };
                return (
                  <td key={metric.key} className={ui.number}>
                    {now === null ? "–" : formatted(now, metric)}{" "}
                    <ChangeNote
                      change={changeOf(now, before)}
                      isLowerBetter={metric.scoring_type === "lower_is_better"}
                      isNeutral={metric.key === "total_tokens"}
                    />
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function formatted(value: number, metric: Metric): string {
  if (metric.kind === "bool") return percent(value);
  return metric.category === "system" && metric.key === "latency" ? duration(value) : measured(value);
}
