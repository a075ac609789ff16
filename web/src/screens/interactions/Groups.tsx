import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Group as GroupIcon } from "lucide-react";
import { answer, api, type Filter, type Metric, type Schemas } from "~/api/client";
import { labelsQuery } from "~/api/queries";
import { quoted, withPart } from "~/filter/language";
import { Button, css as ui, Empty, ErrorNote, Loading, Menu, MenuChoice, MenuSeparator } from "~/ui";
import { count } from "~/ui/values";
import { shownValue } from "./columns";
import css from "./interactions.module.css";

type GroupPage = Schemas["GroupPage"];

/** What to group by. */
export function GroupChoice({ project, value, onChange }: GroupChoiceProps) {
  const plain: [string, string][] = [
    ["model", "Model"],
    ["prompt", "Prompt"],
    ["session", "Session"],
  ];
  return (
    <Menu
      align="end"
      trigger={
        <Button small aria-pressed={value !== undefined}>
          <GroupIcon size={14} aria-hidden />
          {value ? `By ${value.replace("label:", "")}` : "Group"}
        </Button>
      }
    >
      <MenuChoice checked={!value} onClick={() => onChange(undefined)}>
        One by one
      </MenuChoice>
      <MenuSeparator />
      {plain.map(([key, name]) => (
        <MenuChoice key={key} checked={value === key} onClick={() => onChange(key)}>
          {name}
        </MenuChoice>
      ))}
      <LabelChoices project={project} value={value} onChange={onChange} />
    </Menu>
  );
}

/** Label keys are asked for when the menu opens. */
function LabelChoices({ project, value, onChange }: GroupChoiceProps) {
  const { data: labels = [] } = useQuery(labelsQuery(project));
  return labels.slice(0, 30).map(({ key }) => (
    <MenuChoice key={key} checked={value === `label:${key}`} onClick={() => onChange(`label:${key}`)}>
      Label {key}
    </MenuChoice>
  ));
}
type GroupChoiceProps = { project: string; value: string | undefined; onChange: (group: string | undefined) => void };

type GroupsProps = { project: string; filter: Filter | null; group: string; q: string; metrics: Metric[] };

/** Groups of interactions, with how many there are and the mean of each feedback key. */
export function Groups({ project, filter, group, q, metrics }: GroupsProps) {
  const { data, error, isPending, hasNextPage, fetchNextPage, refetch } = useInfiniteQuery({
    queryKey: ["groups", project, filter, group],
    enabled: filter !== null,
    queryFn: async ({ pageParam, signal }) =>
      (await answer(
        api.POST("/api/v1/interactions/search", {
          body: { project, filter, group_by: group, limit: 100, cursor: pageParam },
          signal,
        }),
      )) as GroupPage,
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
  });
  if (error && !data) return <ErrorNote error={error} onRetry={() => refetch()} />;
  if (isPending || !data) return <Loading lines={10} />;
  const groups = data.pages.flatMap((page) => page.groups);
  if (!groups.length) return <Empty title="Nothing to group" />;
  const said = new Set(groups.flatMap((one) => one.metrics.map(({ metric }) => metric)));
  const shown = metrics.filter(({ key }) => said.has(key));
  return (
    <div className={css.groups}>
      <table className={ui.table}>
        <thead>
          <tr>
            <th>{group.startsWith("label:") ? group.slice(6) : `${group[0]?.toUpperCase()}${group.slice(1)}`}</th>
            <th className={ui.number}>Interactions</th>
            {shown.map((metric) => (
              <th key={metric.key} className={ui.number}>
                {metric.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {groups.map((one) => (
            <tr key={one.key ?? ""}>
              <td>
                <Link
                  to="/p/$project/interactions"
                  params={{ project }}
                  search={{ q: narrowed(q, group, one.session ?? one.key) }}
                >
                  {one.prompt ?? one.session ?? (one.key || (one.key === null ? "none" : "(empty)"))}
                </Link>
              </td>
              <td className={ui.number}>{count(one.count)}</td>
              {shown.map((metric) => {
                const its = one.metrics.find((found) => found.metric === metric.key);
                return (
                  <td key={metric.key} className={ui.number} title={its ? `${its.count} values` : undefined}>
                    {its ? shownMean(its.mean, metric) : ""}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      {hasNextPage && (
        <p style={{ padding: 12 }}>
          <Button onClick={() => fetchNextPage()}>More groups</Button>
        </p>
      )}
    </div>
  );
}

function shownMean(mean: number, metric: Metric) {
  return metric.kind === "bool" ? `${Math.round(mean * 1000) / 10} %` : shownValue(mean, metric);
}

function narrowed(q: string, group: string, key: string | null): string {
  if (group.startsWith("label:")) {
    const label = `label.${quoted(group.slice(6))}`;
    return withPart(q, key === null ? `-${label}` : `${label}:${quoted(key)}`);
  }
  const field = { model: "model", prompt: "prompt_hash", session: "session" }[group];
  return key === null ? q : withPart(q, `${field}:${quoted(key)}`);
}
