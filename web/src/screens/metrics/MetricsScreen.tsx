import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Pencil, Plus, Trash2 } from "lucide-react";
import { useMemo, useState } from "react";
import { answer, api, type Filter, type Metric, type Schemas } from "~/api/client";
import { metricsQuery } from "~/api/queries";
import { useMay } from "~/shell/useMay";
import { MIN_VALUES } from "~/charts/confidence";
import { Distribution } from "~/charts/Distribution";
import { drawnKeys, type Series, seriesOf } from "~/charts/series";
import { TrendChart } from "~/charts/TrendChart";
import { FilterBar } from "~/filter/FilterBar";
import { quoted, readFilter, withPart } from "~/rules/language";
import { Button, Chip, Confirm, css as ui, Empty, ErrorNote, IconButton, Loading, notify, Page, Select } from "~/ui";
import { count, duration, measured, percent } from "~/ui/values";
import { MetricForm } from "./MetricForm";
import css from "./metrics.module.css";
import { Numbers } from "./Numbers";
import { SeriesChoice, SplitChoice, Splits } from "./Splits";

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const MILLISECONDS = new Set(["latency", "ttft", "provider_time"]);

/** Feedback keys and system metrics: number of values, distribution, and trend. */
export function MetricsScreen() {
  const { project } = useParams({ from: "/inside/p/$project/metrics" });
  const search = useSearch({ from: "/inside/p/$project/metrics" });
  const navigate = useNavigate({ from: "/p/$project/metrics" });
  const may = useMay();
  const { data: metrics, error } = useQuery(metricsQuery(project, "all"));
  const [form, setForm] = useState<"new" | Metric | null>(null);
  const q = search.q ?? "";
  const filter = useMemo(() => readFilter(q), [q]);
  const change = (next: Record<string, string | undefined>) =>
    navigate({ search: (before) => ({ ...before, ...next }), replace: true });
  const mayEdit = may("edit");
  const chosen = metrics?.find(({ key }) => key === search.metric) ?? metrics?.[0];
  const own = metrics?.filter(({ category }) => category === "user") ?? [];
  const system = metrics?.filter(({ category }) => category === "system") ?? [];

  return (
    <Page
      title="Metrics"
      about="What people and programs thought, and what was measured."
      actions={
        mayEdit && (
          <Button look="primary" onClick={() => setForm("new")}>
            <Plus size={15} aria-hidden /> Register a key
          </Button>
        )
      }
    >
      {error && <ErrorNote error={error} />}
      {!metrics && !error && <Loading />}
      {metrics && (
        <div className={css.split}>
          <nav aria-label="Metrics" className={css.list}>
            <h2>Feedback keys</h2>
            {own.length === 0 && <p className={ui.hint}>None yet: feedback is logged under registered keys.</p>}
            {own.map((metric) => (
              <Choice key={metric.key} metric={metric} isChosen={metric === chosen} onChoose={change} />
            ))}
            <h2>Measured for each call</h2>
            {system.map((metric) => (
              <Choice key={metric.key} metric={metric} isChosen={metric === chosen} onChoose={change} />
            ))}
          </nav>
          <div className={css.detail}>
            <FilterBar project={project} value={q} onChange={(next) => change({ q: next || undefined })} />
            {chosen && filter && (
              <Detail
                key={chosen.key}
                project={project}
                metric={chosen}
                filter={filter}
                q={q}
                search={search}
                onChange={change}
                onEdit={mayEdit && chosen.category === "user" ? () => setForm(chosen) : undefined}
              />
            )}
          </div>
        </div>
      )}
      {form && (
        <MetricForm
          project={project}
          metric={form === "new" ? null : form}
          onClose={() => setForm(null)}
          onSaved={(key) => {
            setForm(null);
            void change({ metric: key });
          }}
        />
      )}
    </Page>
  );
}

type ChoiceProps = { metric: Metric; isChosen: boolean; onChoose: (next: Record<string, string>) => void };

function Choice({ metric, isChosen, onChoose }: ChoiceProps) {
  return (
    <button
      type="button"
      className={ui.choice}
      aria-current={isChosen ? "true" : undefined}
      onClick={() => onChoose({ metric: metric.key })}
      title={metric.description || undefined}
    >
      <span className={css.name}>{metric.name}</span>
      {metric.project === null && metric.category === "user" && <Chip>shared</Chip>}
      <small>{metric.kind}</small>
    </button>
  );
}

type DetailProps = {
  project: string;
  metric: Metric;
  filter: Filter;
  q: string;
  search: Record<string, string | undefined>;
  onChange: (next: Record<string, string | undefined>) => void;
  onEdit: (() => void) | undefined;
};

function Detail({ project, metric, filter, q, search, onChange, onEdit }: DetailProps) {
  const navigate = useNavigate();
  const [table, setTable] = useState(false);
  const interval = (search.interval ?? "day") as "minute" | "hour" | "day" | "week";
  const split = search.split;
  const path = { metric: metric.key };
  const body = { project, filter, split_by: split ?? null };
  const statistics = useQuery({
    queryKey: ["statistics", project, metric.key, filter, split],
    queryFn: ({ signal }) =>
      answer(api.POST("/api/v1/metrics/{metric}/statistics", { params: { path }, body, signal })),
  });
  const format = formatOf(metric);
  const isShare = metric.kind === "bool";
  const { trend, keys, drawn, means, counts } = useTrend({ project, metric, filter, split, interval, chosen: search.series });

  const show = (conditions: string[]) =>
    navigate({
      to: "/p/$project/interactions",
      params: { project },
      search: { q: conditions.reduce((before, one) => withPart(before, one), q) },
    });
  const showPoint = (series: Series, start: number, end: number) => {
    const at = (seconds: number) => new Date(seconds * 1000).toISOString();
    void show([...ofSplit(split, series.key), `has:${quoted(metric.key)}`, `from:"${at(start)}"`, `to:"${at(end)}"`]);
  };
  const found = statistics.data;
  return (
    <>
      <MetricHead project={project} metric={metric} onEdit={onEdit} onDeleted={() => onChange({ metric: undefined })} />
      {statistics.error && <ErrorNote error={statistics.error} />}
      {!found && !statistics.error && <Loading lines={4} />}
      {found?.count === 0 && (
        <Empty title="No value yet">
          <p>
            {q ? "Nothing that matches the filter has one." : `Log one with POST /api/v1/feedback, or rate an interaction.`}
          </p>
        </Empty>
      )}
      {found && found.count > 0 && (
        <>
          <Figures statistics={found} isBool={isShare} format={format} />
          <section className={css.tools} aria-label="Over time">
            <h2>Over time</h2>
            <Select
              aria-label="Interval"
              value={interval}
              onChange={(event) => onChange({ interval: event.target.value })}
            >
              <option value="minute">by minute</option>
              <option value="hour">by hour</option>
              <option value="day">by day</option>
              <option value="week">by week</option>
            </Select>
            <SplitChoice
              project={project}
              value={split}
              onChange={(next) => onChange({ split: next, series: undefined })}
            />
            <Button small aria-pressed={table} onClick={() => setTable(!table)}>
              Table
            </Button>
          </section>
          {trend.error && <ErrorNote error={trend.error} />}
          {keys.length > 1 && (
            <SeriesChoice keys={keys} drawn={drawn} onChange={(series) => onChange({ series })} />
          )}
          {means && counts && !table && (
            <div className={css.charts}>
              <TrendChart
                title={`${isShare ? "Share of yes" : "Mean"}, with its 95% confidence interval from ${MIN_VALUES} values on`}
                series={means}
                format={format}
                label={`${metric.name} over time`}
                onChoose={showPoint}
              />
              <TrendChart
                title="Values"
                series={counts}
                format={count}
                bars={counts.length === 1}
                label="Values over time"
                onChoose={showPoint}
              />
            </div>
          )}
          {means && counts && table && <Numbers means={means} counts={counts} format={format} />}
          <div className={css.below}>
            <section>
              <h2>Distribution</h2>
              <Distribution
                bins={found.distribution}
                format={metric.kind === "bool" ? (value) => (value ? "yes" : "no") : format}
                onChoose={({ start, end }, isLast) => {
                  const key = quoted(metric.key);
                  void show(start === end ? [`${key}=${start}`] : [`${key}>=${start}`, `${key}${isLast ? "<=" : "<"}${end}`]);
                }}
              />
            </section>
            {found.splits && found.splits.length > 0 && (
              <Splits
                metric={metric}
                split={split ?? ""}
                splits={found.splits}
                format={format}
                onShow={(key) => show([...ofSplit(split, key), `has:${quoted(metric.key)}`])}
              />
            )}
          </div>
        </>
      )}
    </>
  );
}

type MetricHeadProps = {
  project: string;
  metric: Metric;
  onEdit: (() => void) | undefined;
  onDeleted: () => void;
};

/** The name and description of a metric, with buttons to change or delete it if that is allowed. */
function MetricHead({ project, metric, onEdit, onDeleted }: MetricHeadProps) {
  const queries = useQueryClient();
  const [deleting, setDeleting] = useState(false);
  const remove = useMutation({
    mutationFn: () =>
      answer(api.DELETE("/api/v1/metrics/{metric}", { params: { path: { metric: metric.key }, query: { project } } })),
    onSuccess: () => {
      notify(`${metric.key} is deleted`);
      onDeleted();
      return queries.invalidateQueries({ queryKey: ["metrics", project] });
    },
    onError: (error) => notify(error),
  });
  return (
    <>
      <header className={css.about}>
        <h2>{metric.name}</h2>
        {metric.key !== metric.name && <code>{metric.key}</code>}
        <Chip>{metric.scoring_type === "higher_is_better" ? "higher is better" : "lower is better"}</Chip>
        {onEdit && (
          <>
            <IconButton small label="Change" onClick={onEdit}>
              <Pencil size={14} aria-hidden />
            </IconButton>
            <IconButton small label="Delete" onClick={() => setDeleting(true)}>
              <Trash2 size={14} aria-hidden />
            </IconButton>
          </>
        )}
        {metric.description && <p>{metric.description}</p>}
      </header>
      <Confirm
        title={`Delete ${metric.key}?`}
        what="No more feedback can be logged under it. What was logged is kept, and hidden."
        act="Delete"
        open={deleting}
        onClose={() => setDeleting(false)}
        onConfirm={() => remove.mutate()}
      />
    </>
  );
}

type FiguresProps = { statistics: Schemas["MetricSummary"]; isBool: boolean; format: (value: number) => string };

function Figures({ statistics, isBool, format }: FiguresProps) {
  return (
    <dl className={css.figures}>
      <Figure name="values" value={count(statistics.count)} />
      <Figure name={isBool ? "share of yes" : "mean"} value={format(statistics.mean ?? 0)} />
      {!isBool && (
        <>
          <Figure name="lowest" value={format(statistics.min ?? 0)} />
          <Figure name="highest" value={format(statistics.max ?? 0)} />
          <Figure name="standard deviation" value={statistics.stddev === null ? "–" : format(statistics.stddev)} />
        </>
      )}
    </dl>
  );
}

type TrendOptions = {
  project: string;
  metric: Metric;
  filter: Filter;
  split: string | undefined;
  interval: "minute" | "hour" | "day" | "week";
  /** The chosen series, in the form of the address. */
  chosen: string | undefined;
};

/** Fetch the trend of a metric, and choose the drawn series. */
function useTrend({ project, metric, filter, split, interval, chosen }: TrendOptions) {
  const trend = useQuery({
    queryKey: ["statistics", "trend", project, metric.key, filter, split, interval],
    queryFn: ({ signal }) =>
      answer(
        api.POST("/api/v1/metrics/{metric}/timeseries", {
          params: { path: { metric: metric.key } },
          body: { project, filter, split_by: split ?? null, interval, timezone: ZONE },
          signal,
        }),
      ),
  });
  const keys = useMemo(() => trend.data?.series.map(({ key }) => key) ?? [], [trend.data]);
  const drawn = useMemo(() => drawnKeys(keys, chosen), [keys, chosen]);
  const isBool = metric.kind === "bool";
  const means = useMemo(
    () => trend.data && seriesOf(trend.data, isBool ? "share" : "mean", drawn),
    [trend.data, isBool, drawn],
  );
  const counts = useMemo(() => trend.data && seriesOf(trend.data, "count", drawn), [trend.data, drawn]);
  return { trend, keys, drawn, means, counts };
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function ofSplit(split: string | undefined, key: string | null): string[] {
  if (!split || key === null) return [];
  return [split === "model" ? `model:${quoted(key)}` : `label.${quoted(split.slice(6))}:${quoted(key)}`];
}

function formatOf(metric: Metric): (value: number) => string {
  if (metric.kind === "bool") return percent;
  return MILLISECONDS.has(metric.key) && metric.category === "system" ? duration : measured;
}
