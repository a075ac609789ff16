// The columns of the table, and the viewer's choice of them.

import { ThumbsDown, ThumbsUp } from "lucide-react";
import type { ReactNode } from "react";
import type { Interaction, Metric } from "~/api/client";
import { TEXT_FIELDS } from "~/api/generated/fields";
import { quoted } from "~/rules/language";
import { Chip } from "~/ui";
import { duration, fullTime, inShort, measured, shownTime } from "~/ui/values";
import { Chips, type ChipItem } from "./Chips";
import { Completion, State } from "./Completion";
import css from "./interactions.module.css";
import { atPath } from "./jsonPath";
import { Thumbnail } from "./Thumbnail";

export type Shown = {
  metrics: Map<string, Metric>;
  /** Filter the list by this label. */
  onLabel: (key: string, value: string) => void;
};

export type Column = {
  key: string;
  name: string;
  /** The width in the form of CSS grid. */
  width: string;
  number?: boolean;
  /** Whether its cells hold chips. */
  chips?: boolean;
  /** Whether the list can be sorted by it, because an index has its order. */
  sorts?: boolean;
  /** Whether an interaction has a value. A default column is hidden if no row has one. */
  has?: (interaction: Interaction) => boolean;
  /** `pixels` is the width of the cell, if known. */
  show: (interaction: Interaction, shown: Shown, pixels: number | undefined) => ReactNode;
};

/** A value by which the list can be filtered, or which can be excluded. */
function filterable(text: string | null | undefined, condition: string): ReactNode {
  return text ? (
    <span title={text} data-condition={`${condition}:${quoted(text)}`}>
      {text}
    </span>
  ) : null;
}

export const COLUMNS: readonly Column[] = [
  {
    key: "time",
    name: "Time",
    width: "112px",
    sorts: true,
    show: (one) => (
      <time dateTime={one.created_at} title={fullTime(one.created_at)} className={css.faint}>
        {shownTime(one.created_at)}
      </time>
    ),
  },
  { key: "model", name: "Model", width: "minmax(90px, 150px)", show: (one) => filterable(one.model, "model") },
  {
    key: "prompt",
    name: "Prompt",
    width: "minmax(130px, 3fr)",
    show: (one) => (
      <>
        {(one.image_urls ?? []).slice(0, 1).map((url) => (
          <Thumbnail key={url} url={url} />
        ))}
        {(one.image_urls?.length ?? 0) > 1 && <span className={css.faint}>+{(one.image_urls?.length ?? 0) - 1} </span>}
        <bdi>{one.prompt.trim()}</bdi>
      </>
    ),
  },
  {
    key: "completion",
    name: "Completion",
    width: "minmax(130px, 3fr)",
    show: (one) => <Completion interaction={one} />,
  },
  {
    key: "labels",
    name: "Labels",
    width: "minmax(120px, 2.3fr)",
    chips: true,
    show: (one, { onLabel }, pixels) => (
      <Chips
        pixels={pixels}
        items={Object.entries(one.labels).map(([key, value]) => ({
          text: `${key} ${value}`,
          chip: (
            <button
              key={key}
              type="button"
              tabIndex={-1}
              className={css.label}
              title={`${key}: ${value}`}
              data-condition={labelCondition(key, value)}
              onClick={(event) => {
                event.stopPropagation();
                onLabel(key, value);
              }}
            >
              {key}
              <b>{value}</b>
            </button>
          ),
        }))}
      />
    ),
  },
  {
    key: "feedback",
    name: "Feedback",
    width: "minmax(130px, 2fr)",
    chips: true,
    show: (one, { metrics }, pixels) => <Chips pixels={pixels} items={valueChips(one, metrics)} />,
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
  ...TEXT_FIELDS.map(({ name, title, word }) => ({
    key: word,
    name: title,
    width: "minmax(70px, 120px)",
    show: (one: Interaction) => filterable(one[name], word),
  })),
  {
    key: "session",
    name: "Session",
    width: "90px",
    show: (one) => (
      <code title={one.session ?? one.session_id} data-condition={`session:${quoted(one.session ?? one.session_id)}`}>
        {one.session ?? one.session_id.slice(-8)}
      </code>
    ),
  },
  { key: "source", name: "Source", width: "88px", show: (one) => <span data-condition={`source:${one.source}`}><Chip>{one.source.toLowerCase()}</Chip></span> },
  { key: "state", name: "State", width: "88px", show: (one) => <State interaction={one} /> },
];

const DEFAULT = ["time", "model", "prompt", "completion", "labels", "feedback", "tokens", "latency"];

/** Return the columns of these keys, in their order; without keys, the default columns that some row has. */
export function chosenColumns(keys: string | null | undefined, rows: readonly Interaction[]): Column[] {
  const known = named(keys?.split(",") ?? []);
  if (known.length) return known;
  return named(DEFAULT).filter(({ has }) => !has || rows.length === 0 || rows.some(has));
}

function named(keys: string[]): Column[] {
  return keys.map(columnOf).filter((column) => column !== undefined);
}

/** Return a column by its key: a default one, or that of a label, a feedback key, or a path in the JSON. */
function columnOf(key: string): Column | undefined {
  const usual = COLUMNS.find((column) => column.key === key);
  const [kind, of] = [key.slice(0, key.indexOf(":")), decodeURIComponent(key.slice(key.indexOf(":") + 1))];
  if (usual || !of) return usual;
  if (kind === "label") {
    return {
      key,
      name: of,
      width: "minmax(80px, 1fr)",
      show: (one) => {
        const value = one.labels[of];
        return value === undefined ? null : (
          <span title={value} data-condition={labelCondition(of, value)}>
            {value || "(empty)"}
          </span>
        );
      },
    };
  }
  if (kind === "feedback") {
    return {
      key,
      name: of,
      width: "90px",
      number: true,
      show: (one, { metrics }) => {
        const values = one.feedback.filter(({ metric }) => metric === of).map(({ value }) => value);
        const metric = metrics.get(of);
        return values.length ? (
          <span data-condition={feedbackCondition(of, values, metric)}>{shownValue(meanOf(values), metric)}</span>
        ) : null;
      },
    };
  }
  if (kind !== "json") return undefined;
  return {
    key,
    name: of,
    width: "minmax(90px, 1fr)",
    show: (one) => {
      const value = atPath(one, of);
      const text = value === undefined || value === null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
      return <span title={text}>{text}</span>;
    },
  };
}

/** Paths that only the full view has. */
const WHOLE = /^json:(%24\.)?(parameters|facts|messages|message|outcomes|ab_campaign)/;

/** Tell whether any column needs data that only the full view has. */
export function needsWhole(keys: string | null | undefined): boolean {
  return (keys?.split(",") ?? []).some((key) => WHOLE.test(key));
}

/** Return the key of a column that shows a label, the values under a feedback key, or the value at a path. */
export function keyOf(kind: "label" | "feedback" | "json", of: string): string {
  // Keys are separated by commas in the address.
  return `${kind}:${encodeURIComponent(of)}`;
}

const labelCondition = (key: string, value: string) => `label.${quoted(key)}:${quoted(value)}`;
/** A single value can be a condition. For several values, the condition is only that there are some. */
const feedbackCondition = (key: string, values: number[], metric: Metric | undefined) =>
  values.length === 1
    ? `${quoted(key)}=${metric?.kind === "bool" ? values[0] === 1 : values[0]}`
    : `has:${quoted(key)}`;
const meanOf = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Show a value: 4.5, or yes and no of a bool key. If "no" is good, words replace the thumbs, which would mislead. */
export function shownValue(value: number, metric: Metric | undefined, inDigits = measured): ReactNode {
  if (metric?.kind !== "bool") return inDigits(value);
  if (value === 1) return isHigherBetter(metric) ? <ThumbsUp size={12} aria-label="yes" /> : "yes";
  if (value === 0) return isHigherBetter(metric) ? <ThumbsDown size={12} aria-label="no" /> : "no";
  return `${Math.round(value * 100)} %`;
}

function valueChips(interaction: Interaction, metrics: Map<string, Metric>): ChipItem[] {
  const values = new Map<string, number[]>();
  for (const { metric, value } of interaction.feedback) values.set(metric, [...(values.get(metric) ?? []), value]);
  const id = interaction.completion_id;
  const rated = [...values].map(([key, given]) => {
    const mean = meanOf(given);
    const metric = metrics.get(key);
    const isBool = metric?.kind === "bool";
    const tone = isBool ? (mean >= 0.5 === isHigherBetter(metric) ? ("good" as const) : ("bad" as const)) : undefined;
    return {
      text: `${key} ${isBool ? "xx" : measured(mean)}${given.length > 1 ? " ×9" : ""}`,
      chip: (
        <span key={key} data-condition={feedbackCondition(key, given, metric)}>
          <Chip tone={tone} title={`${key}: ${given.join(", ")}`}>
            {key} <b>{shownValue(mean, metric)}</b>
            {given.length > 1 && ` ×${given.length}`}
          </Chip>
        </span>
      ),
    };
  });
  const compared = interaction.preferences.map((one) => {
    const outcome = one.tied ? `${one.tied} tie` : one.preferred_completion === id ? "won" : "lost";
    const tone = one.tied ? undefined : outcome === "won" ? ("good" as const) : ("bad" as const);
    return {
      text: `${one.metric} ${outcome}`,
      chip: (
        <span key={one.comparison_id} data-condition={`preference:${quoted(one.metric)}`}>
          <Chip tone={tone} title={`${one.metric}: ${outcome}`}>
            {one.metric} <b>{outcome}</b>
          </Chip>
        </span>
      ),
    };
  });
  return [...rated, ...compared];
}

/** Tell whether a higher value of a metric is better. */
export function isHigherBetter(metric: Metric): boolean {
  return metric.scoring_type === "higher_is_better";
}
