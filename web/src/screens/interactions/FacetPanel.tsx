import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Minus } from "lucide-react";
import { memo, useDeferredValue, useMemo, useState } from "react";
import type { Filter, Metric } from "~/api/client";
import { labelsQuery } from "~/api/queries";
import { type Facet, facetsQuery } from "~/filter/facets";
import { type ConditionRole, conditionOf, facetName, rolesIn, valueName, withRole } from "~/rules/facetConditions";
import { ErrorNote, Input, Loading } from "~/ui";
import { count, fullTime, inShort } from "~/ui/values";
import css from "./facets.module.css";
import { useSettled } from "./useSettled";

type FacetPanelProps = {
  project: string;
  filter: Filter | null;
  /** Whether the rows of this filter are shown. */
  isListShown: boolean;
  q: string;
  metrics: ReadonlyMap<string, Metric>;
  onChange: (query: string) => void;
};

/** The number of facets of each kind that are open at first. */
const OPEN: Partial<Record<Facet["kind"], number>> = { model: 1, label: 4, feedback: 3, outcome: 1, state: 1 };
/** With fewer facets, no search field is shown. */
const MANY = 10;
const MOST_VALUES = 1_000;

/** The facets of the current filter, with counts: filter by a value, or exclude it. */
export const FacetPanel = memo(function FacetPanel({ project, isListShown, metrics, onChange, ...props }: FacetPanelProps) {
  const [text, setText] = useState("");
  const filter = useSettled(props.filter, isListShown);
  const q = useDeferredValue(props.q);
  const roleOf = useMemo(() => rolesIn(q), [q]);
  const { data, error, refetch, isPlaceholderData } = useQuery({
    ...facetsQuery(project, filter),
    placeholderData: keepPreviousData,
  });
  const isStale = isPlaceholderData || filter !== props.filter;
  const typed = text.trim().toLowerCase();
  const { data: labels = [] } = useQuery({ ...labelsQuery(project), enabled: typed !== "" && (data?.facets_left_out ?? 0) > 0 });
  if (error && !data) return <ErrorNote error={error} onRetry={() => refetch()} />;
  if (!data) {
    return (
      <div className={css.facets}>
        <Loading lines={12} />
      </div>
    );
  }
  const facets = data.facets.filter((facet) => facet.kind !== "source" || facet.values.length > 1);
  const fitting = facets.filter((facet) => facetName(facet, metrics).toLowerCase().includes(typed));
  const others = labels
    .filter(({ key }) => key.toLowerCase().includes(typed))
    .filter(({ key }) => !facets.some((facet) => facet.kind === "label" && facet.key === key));
  const opened = new Map<string, number>();
  const isOpen = (facet: Facet) => {
    const before = opened.get(facet.kind) ?? 0;
    opened.set(facet.kind, before + 1);
    return typed !== "" || before < (OPEN[facet.kind] ?? 0);
  };
  const more = { project, filter, q, roleOf, metrics, onChange };
  return (
    <div className={css.facets} aria-busy={isStale} data-stale={isStale || undefined}>
      {(facets.length > MANY || data.facets_left_out > 0) && (
        <Input
          type="search"
          aria-label="Search facets"
          placeholder={`Search ${count(facets.length + data.facets_left_out)} facets`}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      )}
      {!data.complete && data.since && (
        <p className={css.note} title={`Made since ${fullTime(data.since)}`}>
          Counts are of the newest {count(data.interactions)}.
        </p>
      )}
      {fitting.map((facet) => (
        <FacetValues key={`${facet.kind}:${facet.key}:${typed !== ""}`} facet={facet} isOpen={isOpen(facet)} {...more} />
      ))}
      {others.slice(0, MANY).map(({ key, count: number }) => (
        <FacetValues
          key={`other:${key}`}
          facet={{ kind: "label", key, count: number, values: [], values_left_out: 1 }}
          isOpen={false}
          {...more}
        />
      ))}
      {typed === "" && data.facets_left_out > 0 && (
        <p className={css.note}>{count(data.facets_left_out)} more facets: search for them above.</p>
      )}
      {others.length > MANY && <p className={css.note}>{count(others.length - MANY)} more: type on to find them.</p>}
      {facets.length === 0 && <p className={css.note}>Nothing to count.</p>}
      {typed !== "" && fitting.length + others.length === 0 && <p className={css.note}>No facet fits.</p>}
    </div>
  );
});

type FacetValuesProps = Pick<FacetPanelProps, "project" | "filter" | "q" | "onChange"> & {
  roleOf: (condition: string) => ConditionRole;
  facet: Facet;
  isOpen: boolean;
  metrics: ReadonlyMap<string, Metric>;
};

/** One facet, closed or with its values. */
export function FacetValues({ isOpen, ...props }: FacetValuesProps) {
  const { facet, metrics } = props;
  const [open, setOpen] = useState(isOpen);
  const [all, setAll] = useState(facet.values.length === 0);
  return (
    <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)} className={css.facet}>
      <summary>
        <span className={css.name}>{facetName(facet, metrics)}</span>
        <small>{inShort(facet.count)}</small>
      </summary>
      {/* Only open facets have a query: a hundred queries would make every cache change a hundred times as expensive. */}
      {open && <ValueList {...props} all={all} onAll={() => setAll(true)} />}
    </details>
  );
}

type ValueListProps = Omit<FacetValuesProps, "isOpen"> & {
  /** Whether to show all values, not only the most frequent ones. */
  all: boolean;
  onAll: () => void;
};

function ValueList({ project, filter, q, roleOf, facet, metrics, onChange, all, onAll }: ValueListProps) {
  const only = facet.key === null ? facet.kind : `${facet.kind}:${facet.key}`;
  const whole = useQuery({ ...facetsQuery(project, filter, { limit: MOST_VALUES, only }), enabled: all && filter !== null });
  const shown = (all && whole.data?.facets[0]) || facet;
  const most = Math.max(...shown.values.map((one) => one.count), 1);
  return (
    <ul aria-label={facetName(facet, metrics)}>
      {shown.values.map(({ value, count: number }) => {
        const condition = conditionOf(facet, value, metrics);
        const role = roleOf(condition);
        const word = valueName(facet, value, metrics);
        return (
          <li key={String(value)} data-role={role ?? undefined}>
            <button
              type="button"
              className={css.value}
              aria-pressed={role === "only"}
              title={word}
              onClick={() => onChange(withRole(q, condition, "only"))}
            >
              <span className={css.bar} style={{ width: `${(number / most) * 100}%` }} />
              <span className={css.name}>{word}</span>
              <small>{inShort(number)}</small>
            </button>
            <button
              type="button"
              className={css.without}
              aria-pressed={role === "without"}
              aria-label={`Without ${word}`}
              title={`Without ${word}`}
              onClick={() => onChange(withRole(q, condition, "without"))}
            >
              <Minus size={12} aria-hidden />
            </button>
          </li>
        );
      })}
      {shown.values_left_out > 0 && (
        <li>
          {all ? (
            <span className={css.note}>
              {whole.isFetching ? "Counting…" : `${count(shown.values_left_out)} more: type them into the filter`}
            </span>
          ) : (
            <button type="button" className={css.more} onClick={onAll}>
              {count(shown.values_left_out)} more
            </button>
          )}
        </li>
      )}
    </ul>
  );
}
