import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Trophy } from "lucide-react";
import { useMemo } from "react";
import { answer, api, type Schemas } from "~/api/client";
import { metricsQuery } from "~/api/queries";
import { Interval } from "~/charts/Interval";
import { FilterBar } from "~/filter/FilterBar";
import { quoted, readFilter } from "~/rules/language";
import { keepPreferenceMetric, preferenceMetric } from "~/screens/compare/preferenceMetric";
import { css as ui, cx, Empty, ErrorNote, Loading, Page, Select } from "~/ui";
import { count, percent } from "~/ui/values";
import css from "./ranking.module.css";

type Ranking = Schemas["Ranking"];
type Pair = Schemas["RankedPair"];

/** Models ranked by people's preferences. */
export function RankingScreen() {
  const { project } = useParams({ from: "/inside/p/$project/ranking" });
  const search = useSearch({ from: "/inside/p/$project/ranking" });
  const navigate = useNavigate({ from: "/p/$project/ranking" });
  const { data: metrics } = useQuery(metricsQuery(project));
  const q = search.q ?? "";
  const filter = useMemo(() => readFilter(q), [q]);
  const metric = search.metric ?? preferenceMetric(metrics);
  const change = (next: Record<string, string | undefined>) =>
    navigate({ search: (before) => ({ ...before, ...next }), replace: true });
  const { data, error } = useQuery({
    queryKey: ["statistics", "ranking", project, metric, filter],
    enabled: metric !== undefined && filter !== null,
    queryFn: ({ signal }) =>
      answer(api.POST("/api/v1/preferences/ranking", { body: { project, metric: metric ?? "", filter }, signal })),
  });
  return (
    <Page
      title="Ranking"
      about="Models by preferences: which completion people chose over which."
      actions={
        metric !== undefined && (
          <Select
            aria-label="Feedback key"
            className={css.metric}
            value={metric}
            onChange={(event) => {
              keepPreferenceMetric(event.target.value);
              void change({ metric: event.target.value });
            }}
          >
            {metrics?.map(({ key, name }) => (
              <option key={key} value={key}>
                {name}
              </option>
            ))}
          </Select>
        )
      }
    >
      <FilterBar project={project} value={q} onChange={(next) => change({ q: next || undefined })} />
      {error && <ErrorNote error={error} />}
      {!data && !error && metric && <Loading />}
      {(data?.models.length === 0 || (metrics && !metric)) && (
        <Empty title="No preferences between two models yet" icon={<Trophy size={22} aria-hidden />}>
          <p>Judge some pairs, or log preferences from your application.</p>
          <Link to="/p/$project/compare" params={{ project }} search={metric ? { metric } : {}} className={ui.button}>
            Judge pairs
          </Link>
        </Empty>
      )}
      {data && data.models.length > 0 && (
        <>
          <Models project={project} ranking={data} />
          <Pairs project={project} ranking={data} q={q} />
          <details>
            <summary>How this is computed</summary>
            <p className={css.how}>
              Ratings are the maximum of the likelihood of the Bradley–Terry model with ties as Davidson (1970) has them,
              with a weak prior that keeps them finite; on the scale of Elo, the mean of the models being 1,000 and 400
              more standing for ten wins to one. Lines are 95% confidence intervals. A pair's win rate counts a tie as half a win;
              its interval is Wilson's. Preferences between completions of one model are not counted.
            </p>
          </details>
        </>
      )}
    </Page>
  );
}

function Models({ project, ranking }: { project: string; ranking: Ranking }) {
  const from = Math.min(...ranking.models.map(({ low }) => low));
  const to = Math.max(...ranking.models.map(({ high }) => high));
  return (
    <div className={ui.scroll}>
      <table className={cx(ui.table, ui.named)}>
        <thead>
          <tr>
            <th className={ui.number}>Rank</th>
            <th>Model</th>
            <th className={ui.number}>Rating</th>
            <th className={css.plot}>95% confidence interval</th>
            <th className={ui.number}>Wins</th>
            <th className={ui.number}>Losses</th>
            <th className={ui.number}>Good ties</th>
            <th className={ui.number}>Bad ties</th>
          </tr>
        </thead>
        <tbody>
          {ranking.models.map((one) => (
            <tr key={one.model}>
              <td className={ui.number}>{one.rank}</td>
              <td className={ui.name} title={one.model}>
                <Link
                  to="/p/$project/interactions"
                  params={{ project }}
                  search={{ q: `model:${quoted(one.model)} preference:${quoted(ranking.metric)}` }}
                >
                  {one.model}
                </Link>
              </td>
              <td className={ui.number}>{Math.round(one.rating)}</td>
              <td>
                <Interval
                  low={one.low}
                  value={one.rating}
                  high={one.high}
                  from={from}
                  to={to}
                  label={`${Math.round(one.rating)}, between ${Math.round(one.low)} and ${Math.round(one.high)}`}
                />
              </td>
              <td className={ui.number}>{count(one.wins)}</td>
              <td className={ui.number}>{count(one.losses)}</td>
              <td className={ui.number}>{count(one.good_ties)}</td>
              <td className={ui.number}>{count(one.bad_ties)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** How often the model of the row was preferred to that of the column. */
function Pairs({ project, ranking, q }: { project: string; ranking: Ranking; q: string }) {
  const models = ranking.models.map(({ model }) => model);
  return (
    <section>
      <h2>Each against each</h2>
      <p className={ui.hint}>How often the model of the row was preferred to the model of the column.</p>
      <div className={ui.scroll}>
        <table className={`${ui.table} ${css.matrix}`}>
          <thead>
            <tr>
              <th />
              {models.map((model) => (
                <th key={model} title={model}>
                  {model}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {models.map((row) => (
              <tr key={row}>
                <th scope="row" title={row}>
                  {row}
                </th>
                {models.map((column) => (
                  <Cell
                    key={column}
                    pair={between(ranking.pairs, row, column)}
                    project={project}
                    query={`${q} model:${quoted(row)},${quoted(column)} preference:${quoted(ranking.metric)}`.trim()}
                  />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

type CellProps = { pair: Pair | null; project: string; query: string };

function Cell({ pair, project, query }: CellProps) {
  if (!pair) return <td className={css.nothing}>–</td>;
  const number = pair.wins + pair.losses + pair.good_ties + pair.bad_ties;
  const strength = Math.round(Math.abs(pair.win_rate - 0.5) * 60);
  const tone = pair.win_rate >= 0.5 ? "--good" : "--bad";
  const label = `${percent(pair.win_rate)} of ${number}, between ${percent(pair.low)} and ${percent(pair.high)}`;
  return (
    <td style={{ background: `color-mix(in oklab, var(${tone}) ${strength}%, transparent)` }}>
      <Link to="/p/$project/interactions" params={{ project }} search={{ q: query }} title={label}>
        <b>{Math.round(pair.win_rate * 100)} %</b>
        <small>
          {Math.round(pair.low * 100)}–{Math.round(pair.high * 100)} % of {count(number)}
        </small>
      </Link>
    </td>
  );
}

/** Return the pair from the side of `model`. */
function between(pairs: readonly Pair[], model: string, other: string): Pair | null {
  const found = pairs.find(
    (one) => (one.model === model && one.other_model === other) || (one.model === other && one.other_model === model),
  );
  if (!found || model === other) return null;
  if (found.model === model) return found;
  return {
    ...found,
    model,
    other_model: other,
    wins: found.losses,
    losses: found.wins,
    win_rate: 1 - found.win_rate,
    low: 1 - found.high,
    high: 1 - found.low,
  };
}
