import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { FilterBar } from "~/filter/FilterBar";
import { useMay } from "~/shell/useMay";
import { Button, css as ui, Page } from "~/ui";
import { newId } from "~/ui/browser";
import { count } from "~/ui/values";
import css from "./compare.module.css";
import { Judging } from "./Judging";
import { MetricChoice } from "./MetricChoice";
import { storedSessions } from "./storedSessions";

/** Pairs of a filter, one after the other, with hidden models, for people who judge many in a sitting. */
export function Queue() {
  const { project } = useParams({ from: "/inside/p/$project/compare" });
  const search = useSearch({ from: "/inside/p/$project/compare" });
  const navigate = useNavigate({ from: "/p/$project/compare" });
  const may = useMay();
  const change = (next: Record<string, string | undefined>) =>
    navigate({ search: (before) => ({ ...before, ...next }), replace: true });
  if (search.seed && search.metric) return <Judging key={search.seed} project={project} />;
  const unfinished = storedSessions()
    .filter((kept) => kept.project === project && !kept.sitting.isEnded && kept.sitting.entries.some(({ judged }) => judged))
    .slice(0, 3);
  const mayJudge = may("write") && may("read");
  return (
    <Page
      title="Judge pairs"
      about="Two models' answers to the same prompt, side by side, without their names. Say which is better."
    >
      <div className={css.setUp}>
        {unfinished.length > 0 && (
          <section className={css.card} aria-label="Unfinished">
            <h2>Go on where you left off</h2>
            {unfinished.map(({ id, search, sitting }) => (
              <div key={id} className={css.resume}>
                <span>
                  <b>{search.metric}</b>, {count(sitting.entries.filter(({ judged }) => judged).length)} judged
                  {search.q && <small>{search.q}</small>}
                </span>
                <Button onClick={() => navigate({ search })}>Go on</Button>
              </div>
            ))}
          </section>
        )}
        <section className={css.card} aria-label="A new sitting">
          <div>
            <h2>Which interactions?</h2>
            <FilterBar project={project} value={search.q ?? ""} onChange={(next) => change({ q: next || undefined })} />
            <p className={ui.hint}>Prompts that at least two models have answered are paired. Empty: all of them.</p>
          </div>
          <MetricChoice project={project} value={search.metric} onChange={(metric) => change({ metric })} />
          <div className={css.options}>
            <label>
              <input
                type="checkbox"
                checked={search.open !== "1"}
                onChange={(event) => change({ open: event.target.checked ? undefined : "1" })}
              />
              <span>
                Blind <small>Models, labels and feedback are hidden until the sitting ends.</small>
              </span>
            </label>
            <label>
              <input
                type="checkbox"
                checked={search.again !== "1"}
                onChange={(event) => change({ again: event.target.checked ? undefined : "1" })}
              />
              <span>
                Skip pairs that were judged under this key <small>By anyone. You are not given a pair that someone else has open.</small>
              </span>
            </label>
          </div>
          <div className={css.start}>
            <Button
              look="primary"
              disabled={!search.metric || !mayJudge}
              onClick={() => navigate({ search: (before) => ({ ...before, seed: newId() }) })}
            >
              Start
            </Button>
            {!mayJudge && <p className={ui.hint}>Your key may not rate in this project.</p>}
            {!search.metric && (
              <p className={ui.hint}>
                A feedback key is needed first:{" "}
                <Link to="/p/$project/metrics" params={{ project }}>
                  register one
                </Link>
                .
              </p>
            )}
          </div>
        </section>
      </div>
    </Page>
  );
}
