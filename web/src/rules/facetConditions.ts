// Turns the value of a facet into the query condition that finds it.

import type { Metric, Schemas } from "~/api/client";
import { FACETS } from "~/api/generated/fields";
import { parts, quoted, withoutPart, withPart } from "./language";

const FACET_OF_KIND = new Map(FACETS.map((facet) => [facet.kind as string, facet]));

type Facet = Schemas["Facet"];
type Value = Facet["values"][number]["value"];
type Metrics = ReadonlyMap<string, Metric>;

/** Return the display name of a facet. */
export function facetName({ kind, key }: Facet, metrics: Metrics): string {
  if (kind === "label") return key ?? "";
  if (kind === "feedback") return metrics.get(key ?? "")?.name ?? key ?? "";
  if (kind === "outcome") return `${metrics.get(key ?? "")?.name ?? key}: outcomes`;
  if (kind === "preference") return `${metrics.get(key ?? "")?.name ?? key}: preferences`;
  return FACET_OF_KIND.get(kind)?.title ?? kind;
}

/** Return the display name of a value of a facet. */
export function valueName({ kind, key }: Facet, value: Value, metrics: Metrics): string {
  if (kind === "feedback" || kind === "outcome") {
    return metrics.get(key ?? "")?.kind === "bool" ? (value ? "yes" : "no") : String(value);
  }
  return String(value) || "(empty)";
}

/** Return the condition for any value of a facet; null if all interactions have one. */
export function anyOf({ kind, key }: Facet): string | null {
  if (kind === "label") return `label.${quoted(key ?? "")}`;
  if (kind === "feedback") return `has:${quoted(key ?? "")}`;
  if (kind === "outcome") return `has:session.${quoted(key ?? "")}`;
  return kind === "preference" ? `preference:${quoted(key ?? "")}` : null;
}

/** Return the condition for this value of a facet. */
export function conditionOf(facet: Facet, value: Value, metrics: Metrics): string {
  const { kind, key } = facet;
  if (kind === "label") return `label.${quoted(key ?? "")}:${quoted(String(value))}`;
  if (kind === "feedback" || kind === "outcome") {
    const isBool = metrics.get(key ?? "")?.kind === "bool";
    return `${kind === "outcome" ? "session." : ""}${quoted(key ?? "")}=${isBool ? Boolean(value) : value}`;
  }
  return kind === "preference" ? (anyOf(facet) as string) : `${FACET_OF_KIND.get(kind)?.word ?? kind}:${quoted(String(value))}`;
}

export type ConditionRole = "only" | "without" | null;

/** Return a function that tells whether a query requires a condition or excludes it. The query is parsed once. */
export function rolesIn(query: string): (condition: string) => ConditionRole {
  const conditions = partsOrNone(query);
  return (condition) => {
    if (conditions.has(condition)) return "only";
    return conditions.has(`-${condition}`) ? "without" : null;
  };
}

/** Tell whether a query requires a condition or excludes it. */
export const roleOf = (query: string, condition: string): ConditionRole => rolesIn(query)(condition);

function partsOrNone(query: string): ReadonlySet<string> {
  try {
    return new Set(query.trim() ? parts(query) : []);
  } catch {
    return new Set();
  }
}

/** Return the query with a condition in this role instead of its earlier role; the same role again removes it. */
export function withRole(query: string, condition: string, role: "only" | "without"): string {
  const before = roleOf(query, condition);
  const rest = before === null ? query : withoutPart(query, before === "only" ? condition : `-${condition}`);
  if (before === role) return rest;
  return withPart(rest, role === "only" ? condition : `-${condition}`);
}
