// What the table can show of an interaction, and which of it someone has chosen.

import { ThumbsDown, ThumbsUp } from "lucide-react";
import type { ReactNode } from "react";
import type { Interaction, Metric } from "~/api/client";
import { Chip } from "~/ui";
import { duration, fullTime, inShort, measured, shownTime } from "~/ui/values";
import css from "./interactions.module.css";

export type Shown = {
  metrics: Map<string, Metric>;
  /** Narrow the list to what has this label. */
  onLabel: (key: string, value: string) => void;
};

export type Column = {
  key: string;
  name: string;
  /** As CSS grid has it. */
  width: string;
  number?: boolean;
  /** Whether it holds several small things in a row. */
  chips?: boolean;
  /** Whether an interaction has it: a usual column that none has is left out. */
  has?: (interaction: Interaction) => boolean;
  show: (interaction: Interaction, shown: Shown) => ReactNode;
};

const faint = (text: string | null | undefined) => (text ? <span title={text}>{text}</span> : null);

export const COLUMNS: readonly Column[] = [
  {
    key: "time",
    name: "Time",
    width: "112px",
    show: (one) => (
      <time dateTime={one.created_at} title={fullTime(one.created_at)} className={css.faint}>
        {shownTime(one.created_at)}
      </time>
    ),
  },
  { key: "model", name: "Model", width: "minmax(90px, 150px)", show: (one) => faint(one.model) },
  {
    key: "prompt",
    name: "Prompt",
    width: "minmax(160px, 3fr)",
    show: (one) => (
      <>
        {(one.image_urls ?? []).slice(0, 2).map((url) => (
          <img key={url} src={url} alt="" loading="lazy" className={css.thumbnail} />
        ))}
        {(one.image_urls?.length ?? 0) > 2 && <span className={css.faint}>+{(one.image_urls?.length ?? 0) - 2} </span>}
        <bdi>{one.prompt.trim()}</bdi>
      </>
    ),
  },
  {
    key: "completion",
    name: "Completion",
    width: "minmax(160px, 3fr)",
    show: (one) => <Completion interaction={one} />,
  },
  {
    key: "labels",
    name: "Labels",
    width: "minmax(120px, 2.3fr)",
    chips: true,
    show: (one, { onLabel }) =>
      Object.entries(one.labels).map(([key, value]) => (
        <button
          key={key}
          type="button"
          tabIndex={-1}
          className={css.label}
          title={`${key}: ${value}`}
          onClick={(event) => {
            event.stopPropagation();
            onLabel(key, value);
          }}
        >
          {key}
          <b>{value}</b>
        </button>
      )),
  },
  {
    key: "feedback",
    name: "Feedback",
    width: "minmax(130px, 2fr)",
    chips: true,
    show: (one, { metrics }) => <Values interaction={one} metrics={metrics} />,
  },
  {
    key: "tokens",
    name: "Tokens",
    width: "66px",
    number: true,
    has: (one) => typeof one.usage?.total_tokens === "number",
    show: (one) => {
      const tokens = one.usage?.total_tokens;
      return typeof tokens === "number" ? inShort(tokens) : null;
    },
  },
  {
    key: "latency",
    name: "Latency",
    width: "72px",
    number: true,
    has: (one) => typeof one.timings?.latency === "number",
    show: (one) => {
      const latency = one.timings?.latency;
      return typeof latency === "number" ? duration(latency) : null;
    },
  },
  { key: "user", name: "User", width: "minmax(70px, 120px)", show: (one) => faint(one.user) },
  {
    key: "session",
    name: "Session",
    width: "90px",
    show: (one) => <code title={one.session ?? one.session_id}>{one.session ?? one.session_id.slice(-8)}</code>,
  },
  { key: "source", name: "Source", width: "88px", show: (one) => <Chip>{one.source.toLowerCase()}</Chip> },
  { key: "state", name: "State", width: "88px", show: (one) => <State interaction={one} /> },
];

const DEFAULT = ["time", "model", "prompt", "completion", "labels", "feedback", "tokens", "latency"];

/** Return the columns of these keys, in their order; where there are none, the usual ones that some row has. */
export function chosenColumns(keys: string | null | undefined, rows: readonly Interaction[]): Column[] {
  const known = named(keys?.split(",") ?? []);
  if (known.length) return known;
  return named(DEFAULT).filter(({ has }) => !has || rows.length === 0 || rows.some(has));
}

function named(keys: string[]): Column[] {
  return keys.map((key) => COLUMNS.find((column) => column.key === key)).filter((column) => column !== undefined);
}

/** The kind of value in words: 4.5, or yes and no of a bool one. Where a "no" is good, a thumb down would say that it is bad. */
export function shownValue(value: number, metric: Metric | undefined, inDigits = measured): ReactNode {
  if (metric?.kind !== "bool") return inDigits(value);
  if (value === 1) return isHigherBetter(metric) ? <ThumbsUp size={12} aria-label="yes" /> : "yes";
  if (value === 0) return isHigherBetter(metric) ? <ThumbsDown size={12} aria-label="no" /> : "no";
  return `${Math.round(value * 100)} %`;
}

function Completion({ interaction }: { interaction: Interaction }) {
  const state = interaction.call?.state;
  if (state && state !== "complete") return <State interaction={interaction} />;
  return <bdi>{interaction.completion.trim()}</bdi>;
}

function State({ interaction }: { interaction: Interaction }) {
  const state = interaction.call?.state;
  if (!state) return <span className={css.faint}>logged</span>;
  const tones = { failed: "bad", cancelled: "warn", interrupted: "warn", open: "blue", complete: undefined } as const;
  return (
    <>
      <Chip tone={tones[state]}>{state === "open" ? "answering…" : state}</Chip>{" "}
      {state !== "complete" && <bdi>{interaction.completion.trim()}</bdi>}
    </>
  );
}

function Values({ interaction, metrics }: { interaction: Interaction; metrics: Map<string, Metric> }) {
  const means = new Map<string, number[]>();
  for (const { metric, value } of interaction.feedback) means.set(metric, [...(means.get(metric) ?? []), value]);
  const id = interaction.completion_id;
  return (
    <>
      {[...means].map(([key, values]) => {
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
        const metric = metrics.get(key);
        const tone = metric?.kind === "bool" ? (mean >= 0.5 === isHigherBetter(metric) ? "good" : "bad") : undefined;
        return (
          <Chip key={key} tone={tone} title={`${key}: ${values.join(", ")}`}>
            {key} <b>{shownValue(mean, metric)}</b>
            {values.length > 1 && ` ×${values.length}`}
          </Chip>
        );
      })}
      {interaction.preferences.map((one) => {
        const outcome = one.tied ? `${one.tied} tie` : one.preferred_completion === id ? "won" : "lost";
        const tone = one.tied ? undefined : outcome === "won" ? "good" : "bad";
        return (
          <Chip key={one.comparison_id} tone={tone} title={`${one.metric}: ${outcome}`}>
            {one.metric} <b>{outcome}</b>
          </Chip>
        );
      })}
    </>
  );
}

/** Tell which way a metric is better. */
export function isHigherBetter(metric: Metric): boolean {
  return metric.scoring_type === "higher_is_better";
}
