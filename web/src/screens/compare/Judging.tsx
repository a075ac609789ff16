import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useRef, useState } from "react";
import { toFilter } from "~/rules/language";
import { preloadMarkdown } from "~/screens/interaction/Markdown";
import { Button, Empty, ErrorNote, css as ui, Input, Kbd, Loading, Page } from "~/ui";
import { findDraft, keepDraft, useDraft } from "~/ui/useDraft";
import { useKeys } from "~/ui/useKeys";
import { count } from "~/ui/values";
import css from "./compare.module.css";
import { PairSides } from "./PairSides";
import { Summary } from "./Summary";
import { useJudgingSession } from "./useJudgingSession";
import { CHOICES, JUDGES, Verdict } from "./Verdict";
import type { Choice } from "~/rules/verdicts";

preloadMarkdown();

/** A sitting: one pair after the other, until none is left or whoever judges has had enough. */
export function Judging({ project }: { project: string }) {
  const search = useSearch({ from: "/inside/p/$project/compare" });
  const navigate = useNavigate({ from: "/p/$project/compare" });
  const metric = search.metric ?? "";
  const id = search.seed ?? "";
  const filter = useMemo(() => toFilter(search.q ?? ""), [search.q]);
  const judging = useJudgingSession({ id, project, filter, metric, again: search.again === "1", search });
  const { session } = judging;
  const { entries, at } = session;
  const [differences, setDifferences] = useState(false);
  const entry = entries[at];
  const about = `verdict.${id}.${at}`;
  const [draft, setDraft] = useDraft(about);
  const comment = useRef<HTMLInputElement>(null);
  const judged = entries.filter((one) => one.judged).length;
  const last = entries[at - 1]?.judged;

  function toTop() {
    const content = document.getElementById("content");
    content?.scrollTo(0, 0);
    // Arrows, space and page keys then scroll long answers.
    content?.focus({ preventScroll: true });
  }
  function choose(choice: Choice) {
    judging.judge(choice, findDraft(about) ?? entry?.judged?.details ?? "");
    keepDraft(about, null);
    judging.go(null);
    toTop();
  }
  /** Attach a comment that was typed after the verdict, when its box is left. */
  function attach() {
    const typed = findDraft(about);
    if (typed === null || !entry?.judged) return;
    judging.judge(entry.judged.choice, typed);
    setDraft(null);
  }
  function skip() {
    judging.skip();
    toTop();
  }
  function back() {
    judging.go(Math.max(0, at - 1));
    toTop();
  }
  useKeys({ s: () => entry && skip(), b: back }, { within: JUDGES });
  useKeys({
    d: () => setDifferences(!differences),
    w: () => comment.current?.focus(),
  });

  if (session.isEnded) {
    return <Summary project={project} metric={metric} entries={entries} />;
  }
  return (
    <Page
      title="Judge pairs"
      about={
        <span role="status">
          {count(judged)} judged under {metric}
        </span>
      }
      actions={
        <>
          <Button aria-pressed={differences} onClick={() => setDifferences(!differences)} disabled={!entry}>
            Differences <Kbd>d</Kbd>
          </Button>
          {(entry ?? !session.isExhausted) && <Button onClick={judging.end}>End the sitting</Button>}
        </>
      }
    >
      {judging.error !== null && <ErrorNote error={judging.error} onRetry={judging.retry} />}
      {entry ? (
        <div data-judges className={css.judging}>
          <PairSides
            key={`${entry.left} ${entry.right}`}
            pair={entry}
            blind={search.open !== "1"}
            differences={differences}
            onSkip={skip}
          />
          <div className={css.judge}>
            <Verdict onChoose={choose} chosen={entry.judged?.choice}>
              <span className={css.aside}>
                <Button look="plain" onClick={skip}>
                  {entry.judged ? "Next" : "Skip"} <Kbd>s</Kbd>
                </Button>
                <Button look="plain" disabled={at === 0} onClick={back}>
                  Back <Kbd>b</Kbd>
                </Button>
              </span>
            </Verdict>
            <div className={css.comment}>
              <Input
                ref={comment}
                aria-label="Comment"
                placeholder={entry.judged ? "Comment (optional)" : "Comment (optional): goes along with the verdict"}
                value={draft ?? entry.judged?.details ?? ""}
                onChange={(event) => setDraft(event.target.value)}
                onBlur={(event) => {
                  // A click on a verdict sends both at once.
                  if (!event.relatedTarget?.hasAttribute("aria-pressed")) attach();
                }}
                onKeyDown={(event) => {
                  if (event.nativeEvent.isComposing || !["Enter", "Escape"].includes(event.key)) return;
                  event.preventDefault();
                  event.stopPropagation();
                  document.getElementById("content")?.focus({ preventScroll: true });
                }}
              />
              <span className={css.last}>
                {last ? (
                  <>
                    Last: {CHOICES.find(([choice]) => choice === last.choice)?.[1].toLowerCase()}. <Kbd>b</Kbd> to change it
                  </>
                ) : (
                  <>
                    <Kbd>w</Kbd> to comment
                  </>
                )}
              </span>
            </div>
          </div>
        </div>
      ) : session.isExhausted ? (
        <Empty title={judged ? "That was the last pair" : "There is no pair to judge"}>
          {session.wereHeld ? (
            <p>Other people have some pairs open now. What they leave, you can judge.</p>
          ) : (
            judged === 0 && (
              <p>A pair needs one prompt that two models have answered, and that nobody has judged under {metric}.</p>
            )
          )}
          <div className={ui.actions}>
            {at > 0 && (
              <Button onClick={back}>
                Back <Kbd>b</Kbd>
              </Button>
            )}
            <Button onClick={judging.lookAgain}>Look again</Button>
            {judged > 0 ? (
              <Button look="primary" onClick={judging.end}>
                End the sitting
              </Button>
            ) : (
              <Button onClick={() => navigate({ search: (now) => ({ ...now, seed: undefined }) })}>Choose others</Button>
            )}
          </div>
        </Empty>
      ) : (
        judging.error === null && (
          <>
            <Loading lines={8} />
            {judging.looks > 2 && <p className={ui.hint}>Looking for pairs that nobody has judged…</p>}
          </>
        )
      )}
    </Page>
  );
}
