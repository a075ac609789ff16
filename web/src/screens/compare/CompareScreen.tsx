import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { answer, api, type Schemas } from "~/api/client";
import { interactionQuery } from "~/api/queries";
import { useAct } from "~/api/useAct";
import { completionWords } from "~/rules/words";
import { useMay } from "~/shell/useMay";
import { Button, Empty, ErrorNote, Field, Input, Kbd, Loading, Page } from "~/ui";
import { newId } from "~/ui/browser";
import { findDraft, keepDraft, useDraft } from "~/ui/useDraft";
import { useKeys } from "~/ui/useKeys";
import { shownTime } from "~/ui/values";
import css from "./compare.module.css";
import { MetricChoice } from "./MetricChoice";
import { Queue } from "./Queue";
import { Sides } from "./Sides";
import { Verdict } from "./Verdict";
import { type Choice, choiceOf } from "~/rules/verdicts";
import { sendVerdict } from "./sendVerdict";

/** Two completions side by side; without completions in the address, pairs of a filter one after the other. */
export function CompareScreen() {
  const { left } = useSearch({ from: "/inside/p/$project/compare" });
  return left ? <Two left={left} /> : <Queue />;
}

function Two({ left }: { left: string }) {
  const { project } = useParams({ from: "/inside/p/$project/compare" });
  const { right, metric } = useSearch({ from: "/inside/p/$project/compare" });
  const navigate = useNavigate({ from: "/p/$project/compare" });
  const may = useMay();
  const [differences, setDifferences] = useState(false);
  useKeys({ d: () => setDifferences(!differences) });
  const about = `verdict.${left}.${right}.${metric}`;
  const [draft, setDraft] = useDraft(about);
  const one = useQuery(interactionQuery(left));
  const other = useQuery({ ...interactionQuery(right ?? ""), enabled: Boolean(right) });
  const error = one.error ?? other.error;
  const between = one.data?.preferences.filter((said) =>
    [said.preferred_completion, said.other_completion].includes(right ?? ""),
  );
  const [comparison_id] = useState(newId);
  // Another verdict of the same person changes the first and is not a second vote, even if it is sent twice.
  const own = between?.find((said) => said.metric === metric && said.mine && said.user === null);
  const send = useAct(
    ({ choice, details }: { choice: Choice; details: string }) =>
      sendVerdict(
        metric ?? "",
        { left, right: right ?? "" },
        { choice, details, comparison_id: own?.comparison_id ?? comparison_id },
        !own,
      ),
    { done: own ? "The preference is changed" : "The preference is logged", outdated: [["interaction"]] },
  );
  function choose(choice: Choice) {
    if (send.isPending) return;
    const details = findDraft(about) ?? own?.details ?? "";
    keepDraft(about, null);
    send.mutate({ choice, details });
  }
  function attach() {
    const typed = findDraft(about);
    if (typed === null || !own || send.isPending) return;
    setDraft(null);
    send.mutate({ choice: choiceOf(own, left), details: typed });
  }
  const change = (next: Record<string, string | undefined>) =>
    navigate({ search: (before) => ({ ...before, ...next }), replace: true });
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
        <div data-judges className={css.judging}>
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
              <Verdict
                onChoose={choose}
                chosen={own && choiceOf(own, left)}
                disabled={!metric || send.isPending}
              />
              <div className={css.about}>
                <MetricChoice bare project={project} value={metric} onChange={(next) => change({ metric: next })} />
                <Input
                  aria-label="Comment"
                  placeholder={own ? "Comment (optional)" : "Comment (optional): goes along with the verdict"}
                  value={draft ?? own?.details ?? ""}
                  onChange={(event) => setDraft(event.target.value)}
                  onBlur={(event) => {
                    if (!event.relatedTarget?.hasAttribute("aria-pressed")) attach();
                  }}
                  onKeyDown={(event) => {
                    if (event.key === "Enter" && !event.nativeEvent.isComposing) event.currentTarget.blur();
                  }}
                />
              </div>
            </div>
          )}
        </div>
      )}
    </Page>
  );
}

/** Choose the completion to compare with. */
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
              <b>{one.model ?? "no model"}</b> <bdi>{completionWords(one)}</bdi>
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
