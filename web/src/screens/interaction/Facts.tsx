import { Link } from "@tanstack/react-router";
import { ChevronRight } from "lucide-react";
import type { ReactNode } from "react";
import type { Interaction } from "~/api/client";
import { quoted } from "~/filter/language";
import { cx } from "~/ui";
import { bytes, count, duration, fullTime, measured } from "~/ui/values";
import css from "./interaction.module.css";

/** Timings are milliseconds, but for rates. */
const RATES = new Set(["tokens_per_second"]);

/** What is known of an interaction beside its texts. */
export function Facts({ project, interaction }: { project: string; interaction: Interaction }) {
  const filtered = (q: string, text: string) => (
    <Link to="/p/$project/interactions" params={{ project }} search={{ q }}>
      {text}
    </Link>
  );
  const { call, user, session_id, model } = interaction;
  const facts: [string, ReactNode][] = [
    ["completion_id", <code key="id">{interaction.completion_id}</code>],
    ["time", fullTime(interaction.created_at)],
    ["model", model && filtered(`model:${quoted(model)}`, model)],
    ["session", filtered(`session:${session_id}`, session_id)],
    ["user", user && filtered(`user:${quoted(user)}`, user)],
    ["source", interaction.source],
    ["finish reason", call?.finish_reason],
    ["request id", call?.request_id],
    ["size", bytes(interaction.size)],
  ];
  const timings = Object.entries(interaction.timings ?? {}).map(([name, value]): [string, ReactNode] => [
    name,
    typeof value !== "number" ? shown(value) : RATES.has(name) ? measured(value) : duration(value),
  ]);
  const usage = Object.entries(interaction.usage ?? {}).map(([name, value]): [string, ReactNode] => [
    name,
    typeof value === "number" ? count(value) : shown(value),
  ]);
  const parameters = Object.entries(interaction.parameters ?? {}).map(([name, value]): [string, ReactNode] => [
    name,
    shown(value),
  ]);
  return (
    <details className={cx(css.fold, css.section)}>
      <summary>
        <ChevronRight size={14} aria-hidden />
        Facts <small>{summary(interaction)}</small>
      </summary>
      <dl className={css.facts}>
        {[...facts, ...usage, ...timings, ...parameters].map(([name, value]) =>
          value ? (
            <div key={name} style={{ display: "contents" }}>
              <dt>{name.replaceAll("_", " ")}</dt>
              <dd>{value}</dd>
            </div>
          ) : null,
        )}
      </dl>
    </details>
  );
}

function shown(value: unknown): ReactNode {
  return <code>{typeof value === "string" ? value : JSON.stringify(value)}</code>;
}

function summary({ usage, timings }: Interaction): string {
  const tokens = usage?.total_tokens;
  const latency = timings?.latency;
  const parts = [
    typeof tokens === "number" && `${count(tokens)} tokens`,
    typeof latency === "number" && duration(latency),
  ];
  return parts.filter(Boolean).join(", ");
}
