import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { answer, api, type Schemas } from "~/api/client";
import { Button, Chip, css as ui, Empty, ErrorNote, Loading, Page } from "~/ui";
import { newId } from "~/ui/browser";
import { count } from "~/ui/values";
import css from "./compare.module.css";
import type { Entry } from "~/rules/judgingQueue";
import { CHOICES } from "./Verdict";

const A_CALL = 200;

type SummaryProps = {
  project: string;
  metric: string;
  entries: readonly Entry[];
};

/** The results of a sitting. Only now are the models shown, and verdicts can no longer be changed. */
export function Summary({ project, metric, entries }: SummaryProps) {
  const navigate = useNavigate({ from: "/p/$project/compare" });
  const judged = entries.flatMap(({ left, right, judged }) => (judged ? [{ left, right, ...judged }] : []));
  const ids = judged.flatMap(({ left, right }) => [left, right]);
  const { data: models, error } = useQuery({
    queryKey: ["models-of-pairs", project, ids],
    queryFn: async ({ signal }) => {
      const found = new Map<string, string>();
      for (let from = 0; from < ids.length; from += A_CALL) {
        const filter = { completion_id: { in: ids.slice(from, from + A_CALL) } };
        const page = (await answer(
          api.POST("/api/v1/interactions/search", { body: { project, filter, limit: A_CALL }, signal }),
        )) as Schemas["InteractionPage"];
        for (const { completion_id, model } of page.interactions) found.set(completion_id, model ?? "no model");
      }
      return found;
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
  const modelOf = (id: string) => models?.get(id) ?? "deleted";
  const results = new Map<string, { wins: number; losses: number; ties: number }>();
  for (const { left, right, choice } of judged) {
    for (const id of [left, right]) {
      const model = modelOf(id);
      const result = results.get(model) ?? { wins: 0, losses: 0, ties: 0 };
      const isTie = choice === "good" || choice === "bad";
      if (isTie) result.ties += 1;
      else if ((choice === "left") === (id === left)) result.wins += 1;
      else result.losses += 1;
      results.set(model, result);
    }
  }
  return (
    <Page
      title="The sitting is over"
      about={
        <span role="status">
          {count(judged.length)} judged under {metric}
        </span>
      }
      actions={
        <>
          <Link to="/p/$project/ranking" params={{ project }} search={{ metric }} className={ui.button}>
            See the ranking
          </Link>
          <Button look="primary" onClick={() => navigate({ search: (now) => ({ ...now, seed: newId() }) })}>
            Judge more
          </Button>
        </>
      }
    >
      {error && <ErrorNote error={error} />}
      {judged.length === 0 && <Empty title="Nothing was judged in this sitting" />}
      {judged.length > 0 && !models && !error && <Loading lines={4} />}
      {models && judged.length > 0 && (
        <>
          <table className={ui.table}>
            <thead>
              <tr>
                <th>Model</th>
                <th className={ui.number}>Better</th>
                <th className={ui.number}>Worse</th>
                <th className={ui.number}>Ties</th>
              </tr>
            </thead>
            <tbody>
              {[...results]
                .sort((one, other) => other[1].wins - one[1].wins)
                .map(([model, { wins, losses, ties }]) => (
                  <tr key={model}>
                    <td>{model}</td>
                    <td className={ui.number}>{count(wins)}</td>
                    <td className={ui.number}>{count(losses)}</td>
                    <td className={ui.number}>{count(ties)}</td>
                  </tr>
                ))}
            </tbody>
          </table>
          <section>
            <h2>What you said</h2>
            <div className={ui.scroll}>
              <table className={ui.table}>
                <thead>
                  <tr>
                    <th>Left</th>
                    <th>Right</th>
                    <th>Verdict</th>
                    <th>Comment</th>
                    <th aria-label="Actions" />
                  </tr>
                </thead>
                <tbody>
                  {judged.map(({ left, right, choice, details, comparison_id }) => (
                    <tr key={comparison_id}>
                      <td className={choice === "left" ? css.winner : undefined}>{modelOf(left)}</td>
                      <td className={choice === "right" ? css.winner : undefined}>{modelOf(right)}</td>
                      <td>
                        <Chip>{CHOICES.find(([one]) => one === choice)?.[1]}</Chip>
                      </td>
                      <td dir="auto">{details}</td>
                      <td>
                        <Link to="/p/$project/compare" params={{ project }} search={{ left, right, metric }}>
                          Compare
                        </Link>
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </section>
        </>
      )}
    </Page>
  );
}
