import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { PRESETS, spanSeconds } from "~/rules/timeRange";
import { Button, css as ui, Empty, ErrorNote, Loading, Outdated, Page } from "~/ui";
import { ModelTable } from "./ModelTable";
import css from "./overview.module.css";
import { Tiles } from "./Tiles";
import { MAX_FEEDBACK_KEYS, useOverview } from "./useOverview";

const DEFAULT_SPAN = "7d";

/** The recent figures of a project by model, compared with the previous period. */
export function OverviewScreen() {
  const { project } = useParams({ from: "/inside/p/$project/overview" });
  const search = useSearch({ from: "/inside/p/$project/overview" });
  const navigate = useNavigate({ from: "/p/$project/overview" });
  const span = search.span && spanSeconds(search.span) !== null ? search.span : DEFAULT_SPAN;
  const { metrics, leftOut, figures, error, retry } = useOverview(project, span);
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
      {error !== null && (figures ? <Outdated error={error} onRetry={retry} /> : <ErrorNote error={error} onRetry={retry} />)}
      {metrics && (figures || error === null) && <Tiles total={figures?.total} metrics={metrics} />}
      {(!metrics || !figures) && error === null && <Loading lines={8} />}
      {metrics && figures && figures.models.length > 0 && (
        <ModelTable project={project} span={span} models={figures.models} metrics={metrics} />
      )}
      {figures?.models.length === 0 && (
        <Empty title="Nothing was logged in this time">
          <p>
            Choose a longer time, or{" "}
            <Link to="/p/$project/start" params={{ project }}>
              log something
            </Link>
            .
          </p>
        </Empty>
      )}
      {metrics && leftOut > 0 && (
        <p className={ui.hint}>
          Of the feedback keys the {MAX_FEEDBACK_KEYS} that are used most are shown; the others are on the page{" "}
          <Link to="/p/$project/metrics" params={{ project }}>
            Metrics
          </Link>
          .
        </p>
      )}
    </Page>
  );
}
