import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, answer, api } from "~/api/client";
import { useMay } from "~/shell/useMay";
import { FilterBar } from "~/filter/FilterBar";
import { toFilter } from "~/filter/language";
import { Button, css as ui, Empty, ErrorNote, Input, Kbd, Loading, notify, Page } from "~/ui";
import { newId } from "~/ui/browser";
import { count } from "~/ui/values";
import { useKeys } from "~/ui/useKeys";
import { MetricChoice } from "./CompareScreen";
import css from "./compare.module.css";
import { type Pair, pairs } from "./pairs";
import { Sides } from "./Sides";
import { type Choice, preference, Verdict } from "./Verdict";

/** So many pairs are fetched before they are wanted. */
const AHEAD = 3;

/** Pairs of a filter, one after the other, blind to the model: for who judges a hundred in a sitting. */
export function Queue() {
  const { project } = useParams({ from: "/inside/p/$project/compare" });
  const search = useSearch({ from: "/inside/p/$project/compare" });
  const navigate = useNavigate({ from: "/p/$project/compare" });
  const may = useMay();
  const change = (next: Record<string, string | undefined>) =>
    navigate({ search: (before) => ({ ...before, ...next }), replace: true });
  const q = search.q ?? "";
  if (search.seed && search.metric) return <Sitting project={project} />;
  return (
    <Page
      title="Judge pairs"
      about="Two models' answers to the same prompt, side by side, without their names. Say which is better."
    >
      <section className={css.setUp}>
        <div>
          <h2>Which interactions?</h2>
          <FilterBar project={project} value={q} onChange={(next) => change({ q: next || undefined })} />
          <p className={ui.hint}>Prompts that at least two models have answered are paired. Empty: all of them.</p>
        </div>
        <MetricChoice project={project} value={search.metric} onChange={(metric) => change({ metric })} />
        <label>
          <input
            type="checkbox"
            checked={search.open !== "1"}
            onChange={(event) => change({ open: event.target.checked ? undefined : "1" })}
          />{" "}
          Blind: hide models and labels until you have judged
        </label>
        <label>
          <input
            type="checkbox"
            checked={search.again !== "1"}
            onChange={(event) => change({ again: event.target.checked ? undefined : "1" })}
          />{" "}
          Skip pairs that were judged under this key
        </label>
        <div>
          <Button
            look="primary"
            disabled={!search.metric || !may("write")}
            onClick={() => change({ seed: Math.random().toString(36).slice(2, 10) })}
          >
            Start
          </Button>
        </div>
        {!search.metric && (
          <p className={ui.hint}>
            A feedback key is needed first:{" "}
            <Link to="/p/$project/metrics" params={{ project }}>
              register one
            </Link>
            .
          </p>
        )}
      </section>
    </Page>
  );
}

type Judged = { pair: Pair; choice: Choice; comparison_id: string; details: string; failed?: unknown };

function Sitting({ project }: { project: string }) {
  const search = useSearch({ from: "/inside/p/$project/compare" });
  const navigate = useNavigate({ from: "/p/$project/compare" });
  const metric = search.metric ?? "";
  const blind = search.open !== "1";
  const may = useMay();
  const mayEdit = may("edit");
  const [details, setDetails] = useState("");
  const why = useRef<HTMLInputElement>(null);
  const [looked, setLooked] = useState(0);
  const [ready, setReady] = useState<Pair[]>([]);
  const [at, setAt] = useState(0);
  const [ended, setEnded] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [judged, setJudged] = useState<Map<number, Judged>>(new Map());
  const [differences, setDifferences] = useState(false);
  const source = useRef<AsyncGenerator<Pair> | null>(null);
  const busy = useRef(false);

  // Pairs are fetched ahead, so that the next one stands at once.
  useEffect(() => {
    source.current ??= pairs(
      { project, filter: toFilter(search.q ?? ""), metric, seed: search.seed ?? "", again: search.again === "1" },
      (prompts) => setLooked((before) => before + prompts),
    );
    if (busy.current || ended || ready.length > at + AHEAD) return;
    busy.current = true;
    source.current.next().then(
      ({ value, done }) => {
        busy.current = false;
        if (done) setEnded(true);
        else setReady((before) => [...before, value as Pair]);
      },
      (cause) => {
        busy.current = false;
        setError(cause);
        setEnded(true);
      },
    );
  }, [project, search, metric, ready, at, ended]);

  const unsent = [...judged.values()].filter(({ failed }) => failed !== undefined);
  useEffect(() => {
    if (!unsent.length) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, [unsent.length]);

  // What is said of one pair is sent in the order in which it was said; under an id of its own, so that sending it
  // again says it once.
  const sent = useRef(new Map<number, Promise<void>>());
  function send(index: number, one: Judged, old?: Judged) {
    setJudged((before) => new Map(before).set(index, one));
    const { pair, choice, comparison_id, details } = one;
    const body = preference(metric, pair.left.completion_id, pair.right.completion_id, choice, details);
    const sending = (sent.current.get(index) ?? Promise.resolve()).then(async () => {
      try {
        if (old) await takenBack(old.comparison_id);
        await answer(api.POST("/api/v1/comparison", { body: { ...body, comparison_id } }));
      } catch (cause) {
        notify(cause as Error);
        setJudged((before) => new Map(before).set(index, { ...one, failed: cause }));
      }
    });
    sent.current.set(index, sending);
  }
  const go = useCallback((index: number) => {
    setAt(index);
    setDetails("");
    const content = document.getElementById("content");
    content?.scrollTo(0, 0);
    // Arrows, space and page keys then scroll long answers.
    content?.focus({ preventScroll: true });
  }, []);
  function choose(choice: Choice) {
    const pair = ready[at];
    const old = judged.get(at);
    if (!pair || (old && !mayEdit)) return;
    if (!old || old.choice !== choice || details) {
      send(at, { pair, choice, comparison_id: newId(), details }, old);
    }
    go(at + 1);
  }
  useKeys({
    s: () => at < ready.length && go(at + 1),
    b: () => go(Math.max(0, at - 1)),
    d: () => setDifferences(!differences),
    w: () => why.current?.focus(),
  });

  const pair = ready[at];
  const done = judged.get(at);
  const before = judged.get(at - 1);
  return (
    <Page
      title="Judge pairs"
      about={
        <span role="status">
          {judged.size} judged under {metric}
        </span>
      }
      actions={
        <>
          {unsent.length > 0 && (
            <Button
              look="danger"
              onClick={() => {
                for (const [index, one] of judged) if (one.failed) send(index, { ...one, failed: undefined });
              }}
            >
              {unsent.length} not sent: try again
            </Button>
          )}
          <Button aria-pressed={differences} onClick={() => setDifferences(!differences)}>
            Differences <Kbd>d</Kbd>
          </Button>
          <Button onClick={() => navigate({ search: (now) => ({ ...now, seed: undefined }) })}>End</Button>
        </>
      }
    >
      {error !== null && <ErrorNote error={error} />}
      {blind && before && (
        <p className={ui.hint} role="status">
          The last: left was {before.pair.left.model}, right {before.pair.right.model}.
        </p>
      )}
      {pair ? (
        <>
          <Sides left={pair.left} right={pair.right} blind={blind && !done} differences={differences} />
          <div className={css.judge}>
            <Verdict onChoose={choose} chosen={done?.choice} disabled={done !== undefined && !mayEdit}>
              <Button look="plain" onClick={() => go(at + 1)}>
                Skip <Kbd>s</Kbd>
              </Button>
              <Button look="plain" disabled={at === 0} onClick={() => go(at - 1)}>
                Back <Kbd>b</Kbd>
              </Button>
            </Verdict>
            <Input
              ref={why}
              aria-label="Why?"
              placeholder="Why? w to write, Enter to return; goes along with the verdict"
              value={details}
              onChange={(event) => setDetails(event.target.value)}
              onKeyDown={(event) => {
                if (event.key !== "Enter" && event.key !== "Escape") return;
                event.preventDefault();
                event.stopPropagation();
                document.getElementById("content")?.focus({ preventScroll: true });
              }}
            />
          </div>
        </>
      ) : ended ? (
        <Summary project={project} metric={metric} judged={[...judged.values()]} />
      ) : (
        <>
          <Loading lines={8} />
          {looked > 200 && <p className={ui.hint}>Looking for pairs: {count(looked)} prompts so far.</p>}
        </>
      )}
    </Page>
  );
}

/** Take a verdict back; one that never arrived is none to take back. */
async function takenBack(comparison_id: string): Promise<void> {
  try {
    await answer(api.DELETE("/api/v1/preferences/{comparison_id}", { params: { path: { comparison_id } } }));
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
  }
}

/** What came of a sitting. */
function Summary({ project, metric, judged }: { project: string; metric: string; judged: Judged[] }) {
  const wins = new Map<string, number>();
  let ties = 0;
  for (const { pair, choice } of judged) {
    const winner = choice === "left" ? pair.left : choice === "right" ? pair.right : null;
    if (winner) wins.set(winner.model ?? "no model", (wins.get(winner.model ?? "no model") ?? 0) + 1);
    else ties += 1;
  }
  return (
    <Empty title={judged.length ? "That was the last pair" : "There is no pair to judge"}>
      {judged.length === 0 && (
        <p>A pair needs one prompt that two models have answered, and that nobody has judged under {metric}.</p>
      )}
      <ul className={css.summary}>
        {[...wins]
          .sort((one, other) => other[1] - one[1])
          .map(([model, number]) => (
            <li key={model}>
              {model}: {number} {number === 1 ? "win" : "wins"}
            </li>
          ))}
        {ties > 0 && <li>{ties} ties</li>}
      </ul>
      <Link to="/p/$project/ranking" params={{ project }} search={{ metric }}>
        See the ranking
      </Link>
    </Empty>
  );
}
