import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { type FormEvent, useEffect, useState } from "react";
import { answer, api, type Schemas } from "~/api/client";
import { interactionQuery, metricsQuery } from "~/api/queries";
import { useMay } from "~/shell/useMay";
import { Button, Empty, ErrorNote, Field, Input, Kbd, Loading, notify, Page, Select } from "~/ui";
import { useKeys } from "~/ui/useKeys";
import { shownTime } from "~/ui/values";
import css from "./compare.module.css";
import { Queue } from "./Queue";
import { keepPreferenceMetric, preferenceMetric } from "./preferenceMetric";
import { Sides } from "./Sides";
import { type Choice, preference, Verdict } from "./Verdict";

/** Two completions beside each other; or, with none named, pairs of a filter one after the other. */
export function CompareScreen() {
  const { left } = useSearch({ from: "/inside/p/$project/compare" });
  return left ? <Two left={left} /> : <Queue />;
}

/** Which feedback key preferences stand under. */
export function MetricChoice({ project, value, onChange, bare = false }: MetricChoiceProps) {
  const { data: metrics } = useQuery(metricsQuery(project));
  const chosen = value ?? preferenceMetric(metrics) ?? "";
  useEffect(() => {
    if (chosen && value !== chosen) onChange(chosen);
  }, [chosen, value, onChange]);
  const choice = (
    <Select
      aria-label={bare ? "Feedback key" : undefined}
      value={chosen}
      onChange={(event) => {
        keepPreferenceMetric(event.target.value);
        onChange(event.target.value);
      }}
    >
      {metrics?.map(({ key, name }) => (
        <option key={key} value={key}>
          {name}
        </option>
      ))}
    </Select>
  );
  return bare ? choice : <Field label="Feedback key">{choice}</Field>;
}
type MetricChoiceProps = {
  project: string;
  value: string | undefined;
  onChange: (metric: string) => void;
  /** Without a name above it. */
  bare?: boolean;
};

function Two({ left }: { left: string }) {
  const { project } = useParams({ from: "/inside/p/$project/compare" });
  const { right, metric } = useSearch({ from: "/inside/p/$project/compare" });
  const navigate = useNavigate({ from: "/p/$project/compare" });
  const queries = useQueryClient();
  const may = useMay();
  const [differences, setDifferences] = useState(false);
  useKeys({ d: () => setDifferences(!differences) });
  const [details, setDetails] = useState("");
  const one = useQuery(interactionQuery(left));
  const other = useQuery({ ...interactionQuery(right ?? ""), enabled: Boolean(right) });
  const prefer = useMutation({
    mutationFn: (choice: Choice) =>
      answer(api.POST("/api/v1/comparison", { body: preference(metric ?? "", left, right ?? "", choice, details) })),
    onSuccess: () => {
      setDetails("");
      notify("The preference is logged");
      return queries.invalidateQueries({ queryKey: ["interaction"] });
    },
    onError: (error) => notify(error),
  });
  const change = (next: Record<string, string | undefined>) =>
    navigate({ search: (before) => ({ ...before, ...next }), replace: true });
  const error = one.error ?? other.error;
  const between = one.data?.preferences.filter((said) =>
    [said.preferred_completion, said.other_completion].includes(right ?? ""),
  );
  return (
    <Page
      title="Compare"
      about="Two completions side by side. What you choose is logged as a preference."
      actions={
        <>
          <Button aria-pressed={differences} onClick={() => setDifferences(!differences)} disabled={!right}>
            Differences <Kbd>d</Kbd>
          </Button>
          <Button onClick={() => navigate({ search: {} })}>Judge many</Button>
        </>
      }
    >
      {error && <ErrorNote error={error} />}
      {one.isPending && <Loading />}
      {one.data && !right && <Other project={project} hash={one.data.prompt_hash} left={left} />}
      {one.data && other.data && (
        <>
          <Sides left={one.data} right={other.data} blind={false} differences={differences} />
          {between?.map((said) => (
            <p key={said.comparison_id}>
              {said.metric}:{" "}
              {said.tied ? `both ${said.tied}` : said.preferred_completion === left ? "left is better" : "right is better"},{" "}
              said by {said.user ?? said.actor}, {shownTime(said.created_at)}
            </p>
          ))}
          {may("write") && (
            <div className={css.judge}>
              <Verdict onChoose={(choice) => prefer.mutate(choice)} disabled={!metric || prefer.isPending} />
              <div className={css.about}>
                <MetricChoice bare project={project} value={metric} onChange={(next) => change({ metric: next })} />
                <Input
                  aria-label="Why?"
                  placeholder="Why? Goes along with the verdict"
                  value={details}
                  onChange={(event) => setDetails(event.target.value)}
                />
              </div>
            </div>
          )}
        </>
      )}
    </Page>
  );
}

/** Choose what to compare with. */
function Other({ project, hash, left }: { project: string; hash: string; left: string }) {
  const navigate = useNavigate({ from: "/p/$project/compare" });
  const [id, setId] = useState("");
  const { data } = useQuery({
    queryKey: ["interactions-of", project, hash],
    queryFn: async ({ signal }) =>
      (await answer(
        api.POST("/api/v1/interactions/search", {
          body: { project, filter: { prompt_hash: { eq: hash } }, limit: 50 },
          signal,
        }),
      )) as Schemas["InteractionPage"],
    select: (page) => page.interactions.filter((one) => one.completion_id !== left),
  });
  const choose = (right: string) => navigate({ search: (before) => ({ ...before, right }) });
  function submit(event: FormEvent) {
    event.preventDefault();
    if (id.trim()) void choose(id.trim());
  }
  return (
    <>
      <h2>Compare with…</h2>
      {!data && <Loading lines={3} />}
      {data?.length === 0 && <Empty title="No other completion answers this prompt" />}
      <ul className={css.others}>
        {data?.map((one) => (
          <li key={one.completion_id}>
            <button type="button" onClick={() => choose(one.completion_id)}>
              <b>{one.model ?? "no model"}</b> <bdi>{one.completion}</bdi>
            </button>
          </li>
        ))}
      </ul>
      <form onSubmit={submit} className={css.byId}>
        <Field label="or with any completion, by its completion_id">
          <Input value={id} onChange={(event) => setId(event.target.value)} spellCheck={false} />
        </Field>
        <Button type="submit">Compare</Button>
      </form>
    </>
  );
}
