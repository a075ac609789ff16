import { ChartColumn, Download, ListChecks, ListTree, Pause, Play } from "lucide-react";
import { Button, Hint, IconButton } from "~/ui";
import { count as shownCount } from "~/ui/values";
import { ColumnChoice } from "./ColumnChoice";
import type { Column } from "./columns";
import { GroupChoice } from "./GroupChoice";
import css from "./interactions.module.css";
import type { Part } from "./kept";
import { Views } from "./Views";

type ListToolsProps = {
  project: string;
  /** The number of interactions that match the filter, once it is known. */
  count: number | "loading" | undefined;
  live: boolean;
  connected: boolean;
  onLive: () => void;
  group: string | undefined;
  onGroup: (group: string | undefined) => void;
  columns: Column[];
  onColumns: (keys: string | null) => void;
  inSight: Record<Part, boolean>;
  onInSight: (part: Part) => void;
  onExport: () => void;
  onKeys: () => void;
  isSelecting: boolean;
  onSelecting: () => void;
};

/** The line above the list: the number of interactions, and the controls of the view. */
export function ListTools(props: ListToolsProps) {
  const { project, count, live, connected, inSight, onInSight } = props;
  const liveness = live ? (connected ? "Live" : "Connecting…") : "Paused";
  return (
    <div className={css.tools}>
      <h1>Interactions</h1>
      <span className={css.count} role="status">
        {count === "loading" ? "Loading…" : count === undefined ? "" : shownCount(count)}
      </span>
      {/* Groups are counted once and not updated live. */}
      {!props.group && (
        <Button
          small
          look="plain"
          className={css.live}
          aria-pressed={live}
          onClick={props.onLive}
          aria-label={`${liveness}: ${live ? "pause" : "go live"}`}
        >
          <span className={css.dot} data-on={live && connected} />
          <span className={css.wideOnly}>{liveness}</span>
          {live ? <Pause size={12} aria-hidden /> : <Play size={12} aria-hidden />}
        </Button>
      )}
      {!props.group && (
        <span className={css.narrowOnly}>
          <IconButton small label="Select" aria-pressed={props.isSelecting} onClick={props.onSelecting}>
            <ListChecks size={15} aria-hidden />
          </IconButton>
        </span>
      )}
      <IconButton small label="Facets" aria-pressed={inSight.facets} onClick={() => onInSight("facets")}>
        <ListTree size={15} aria-hidden />
      </IconButton>
      <span className={css.wideOnly}>
        <IconButton small label="Chart" aria-pressed={inSight.chart} onClick={() => onInSight("chart")}>
          <ChartColumn size={15} aria-hidden />
        </IconButton>
      </span>
      <GroupChoice project={project} value={props.group} onChange={props.onGroup} />
      <Views project={project} />
      <span className={css.wideOnly}>
        <ColumnChoice project={project} columns={props.columns} onChange={props.onColumns} />
      </span>
      <IconButton small label="Export these" onClick={props.onExport}>
        <Download size={15} aria-hidden />
      </IconButton>
      <span className={css.wideOnly}>
        <Hint text="Keys: ?">
          <Button small look="plain" onClick={props.onKeys} aria-label="Keys">
            ?
          </Button>
        </Hint>
      </span>
    </div>
  );
}
