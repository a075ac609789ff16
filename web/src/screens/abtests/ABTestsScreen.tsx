import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { FlaskConical, Plus } from "lucide-react";
import { useState } from "react";
import { answer, api, type Schemas } from "~/api/client";
import { metricsQuery } from "~/api/queries";
import { useMay } from "~/shell/useMay";
import { useAct } from "~/api/useAct";
import { Interval } from "~/charts/Interval";
import { Button, Chip, Confirm, CopyButton, css as ui, cx, Empty, ErrorNote, Loading, Page } from "~/ui";
import { count, measured, percent, Time } from "~/ui/values";
import { ABTestForm } from "./ABTestForm";

type ABTest = Schemas["ABTest"];

const SAID = {
  warmup: ["warming up", "blue"],
  in_progress: ["in progress", "blue"],
  done: ["decided", "good"],
  cancelled: ["cancelled", undefined],
} as const;

/** The A/B tests of a project: start, watch and end them. */
export function ABTestsScreen() {
  const { project } = useParams({ from: "/inside/p/$project/ab-tests" });
  const { test } = useSearch({ from: "/inside/p/$project/ab-tests" });
  const navigate = useNavigate({ from: "/p/$project/ab-tests" });
  const may = useMay();
  const [form, setForm] = useState(false);
  const { data: tests, error } = useQuery({
    queryKey: ["ab-tests", project],
    queryFn: ({ signal }) => answer(api.GET("/api/v1/ab-tests", { params: { query: { project } }, signal })),
    select: (found) => found.ab_tests ?? [],
  });
  const mayEdit = may("edit");
  const chosen = tests?.find(({ key }) => key === test) ?? tests?.[0];
  return (
    <Page
      title="A/B tests"
      about="Which of several models people are happiest with, told from feedback on real calls. Looking often does no harm."
      actions={
        mayEdit && (
          <Button look="primary" onClick={() => setForm(true)}>
            <Plus size={15} aria-hidden /> New test
          </Button>
        )
      }
    >
      {error && <ErrorNote error={error} />}
      {!tests && !error && <Loading />}
      {tests?.length === 0 && (
        <Empty title="No A/B test yet" icon={<FlaskConical size={22} aria-hidden />}>
          <p>Calls that name no model are shared out among the models of a test, until one is clearly better.</p>
        </Empty>
      )}
      {tests && tests.length > 0 && (
        <div className={ui.scroll}>
          <table className={cx(ui.table, ui.cards)}>
            <thead>
              <tr>
                <th>Test</th>
                <th>Status</th>
                <th>Metric</th>
                <th>Models</th>
                <th className={ui.number}>Feedback</th>
                <th>Started</th>
              </tr>
            </thead>
            <tbody>
              {tests.map((one) => {
                const [said, tone] = SAID[one.status];
                return (
                  <tr key={one.id} aria-current={one === chosen ? "true" : undefined}>
                    <td>
                      <Button small look="plain" onClick={() => navigate({ search: { test: one.key } })}>
                        {one.name}
                      </Button>
                    </td>
                    <td>
                      <Chip tone={tone}>{said}</Chip>
                    </td>
                    <td data-name="metric">
                      {one.metric} {one.level === "session" && <Chip>of sessions</Chip>}
                    </td>
                    <td data-name="models">{one.models.join(", ")}</td>
                    <td className={ui.number} data-name="feedback">
                      {count(one.feedbacks)}
                      {one.level === "session" && (one.feedbacks === 1 ? " session" : " sessions")}
                    </td>
                    <td data-name="started">
                      <Time iso={one.created_at} />
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {chosen && <Watched key={chosen.key} project={project} test={chosen.key} mayEdit={mayEdit ?? false} />}
      {form && <ABTestForm project={project} onClose={() => setForm(false)} />}
    </Page>
  );
}

/** The result of a test so far. */
function Watched({ project, test, mayEdit }: { project: string; test: string; mayEdit: boolean }) {
  const [ending, setEnding] = useState(false);
  const { data: metrics = [] } = useQuery(metricsQuery(project));
  const { data, error } = useQuery({
    queryKey: ["ab-test", test],
    queryFn: ({ signal }) => answer(api.GET("/api/v1/ab-tests/{test}", { params: { path: { test } }, signal })),
    refetchInterval: ({ state }) => (state.data && isRunning(state.data) ? 10_000 : false),
  });
  const cancel = useAct(
    () => answer(api.POST("/api/v1/ab-tests/{test}/cancel", { params: { path: { test } } })),
    { done: "The test is ended", outdated: [["ab-tests", project], ["ab-test", test]] },
  );
  if (error && !data) return <ErrorNote error={error} />;
  if (!data) return <Loading lines={4} />;
  const variants = data.report?.variants ?? [];
  const mixedSessions = data.report?.mixed_sessions ?? 0;
  const intervals = variants.flatMap(({ interval }) => (interval ? [interval] : []));
  const from = Math.min(...intervals.map(({ start }) => start));
  const to = Math.max(...intervals.map(({ end }) => end));
  const isShare = data.feedback_type === "preference" || metrics.find(({ key }) => key === data.metric)?.kind === "bool";
  const format = isShare ? percent : measured;
  return (
    <section className={ui.card} style={{ display: "grid", gap: 14, padding: "16px 18px" }} aria-label={data.name}>
      <header className={ui.head}>
        <div>
          <h2>{data.name}</h2>
          <p>{inWords(data, format)}</p>
        </div>
        {mayEdit && isRunning(data) && (
          <Button look="danger" onClick={() => setEnding(true)}>
            End it
          </Button>
        )}
      </header>
      <div className={ui.scroll}>
        <table className={cx(ui.table, ui.cards)}>
          <thead>
            <tr>
              <th>Model</th>
              <th className={ui.number}>{data.level === "session" ? "Sessions" : "Feedback"}</th>
              <th className={ui.number}>{data.feedback_type === "preference" ? "Win rate" : "Mean"}</th>
              <th>95% confidence interval, valid at any time</th>
            </tr>
          </thead>
          <tbody>
            {variants.map((one) => (
              <tr key={one.model}>
                <td>
                  {one.model} {data.winner === one.model && <Chip tone="good">winner</Chip>}
                </td>
                <td className={ui.number} data-name={data.level === "session" ? "sessions" : "feedback"}>
                  {count(one.feedbacks)}
                </td>
                <td className={ui.number} data-name={data.feedback_type === "preference" ? "win rate" : "mean"}>
                  {one.mean === null ? "–" : format(one.mean)}
                </td>
                <td style={{ minWidth: 200, flex: "1 0 100%" }}>
                  {one.interval ? (
                    <>
                      <Interval
                        low={one.interval.start}
                        value={one.interval.middle}
                        high={one.interval.end}
                        from={from}
                        to={to}
                        label={`between ${format(one.interval.start)} and ${format(one.interval.end)}`}
                      />
                      <small className={ui.hint} aria-hidden>
                        {format(one.interval.start)} to {format(one.interval.end)}
                      </small>
                    </>
                  ) : (
                    <span className={ui.hint}>from 30 {counted(data)} on</span>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {mixedSessions > 0 && (
        <p className={ui.hint}>
          Left out: {count(mixedSessions)} {mixedSessions === 1 ? "session that was" : "sessions that were"} answered by
          several of the models.
        </p>
      )}
      {isRunning(data) && <Snippet project={project} />}
      <Confirm
        title={`End ${data.name}?`}
        what="No more calls take part, and no winner is named. What was logged stays."
        act="End the test"
        open={ending}
        onClose={() => setEnding(false)}
        onConfirm={() => cancel.mutate(undefined)}
      />
    </section>
  );
}

function Snippet({ project }: { project: string }) {
  const code = `client.chat.completions.create(model="${project}", messages=[…])`;
  return (
    <p className={ui.hint}>
      Calls that name the project alone take part: <code>{code}</code> <CopyButton text={code} />
    </p>
  );
}

function isRunning(test: ABTest): boolean {
  return test.status === "warmup" || test.status === "in_progress";
}

/** Return the word for what a test counts. */
const counted = (test: ABTest): string => (test.level === "session" ? "sessions with an outcome" : "feedbacks");

/** Return the result of a test in words for people without knowledge of statistics. */
function inWords(test: ABTest, format: (value: number) => string): string {
  const p = test.report?.p_value;
  const best = test.report?.variants.toSorted((one, other) => (other.mean ?? 0) - (one.mean ?? 0))[0];
  if (test.winner) return `${test.winner} is better: at most ${format(test.alpha)} of such decisions are wrong.`;
  if (test.status === "cancelled") return "It was ended before one of the models was clearly better.";
  if (test.status === "warmup") return `Each model needs 30 ${counted(test)} under ${test.metric} before anything can be said.`;
  if (!best || p === null || p === undefined) return "Nothing can be said yet.";
  const chance = p < 0.2 ? "it may well be better" : "this may be chance";
  return `${best.model} leads; ${chance} (p = ${p.toPrecision(2)}; it is decided below ${test.alpha}).`;
}
