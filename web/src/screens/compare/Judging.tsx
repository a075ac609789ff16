import { useNavigate, useSearch } from "@tanstack/react-router";
import { type Ref, useMemo, useRef, useState } from "react";
import type { Judged } from "~/rules/judgingQueue";
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

/** A sitting: one pair after the other, until none is left or the judge ends it. */
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
    // With the focus here, arrows, space and page keys scroll long answers.
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
            <CommentLine
              ref={comment}
              isJudged={entry.judged !== undefined}
              last={last}
              value={draft ?? entry.judged?.details ?? ""}
              onChange={setDraft}
              onLeave={attach}
            />
          </div>
        </div>
      ) : session.isExhausted ? (
        <NoPair
          metric={metric}
          judged={judged}
          wereHeld={session.wereHeld}
          onBack={at > 0 ? back : null}
          onLookAgain={judging.lookAgain}
          onEnd={judging.end}
          onChooseOthers={() => navigate({ search: (now) => ({ ...now, seed: undefined }) })}
        />
      ) : (
        judging.error === null && <PairsLoading areSearched={judging.looks > 2} />
      )}
    </Page>
  );
}

function PairsLoading({ areSearched }: { areSearched: boolean }) {
  return (
    <>
      <Loading lines={8} />
      {areSearched && <p className={ui.hint}>Looking for pairs that nobody has judged…</p>}
    </>
  );
}

type CommentLineProps = {
  ref: Ref<HTMLInputElement>;
  isJudged: boolean;
  /** The verdict on the previous pair. */
  last: Judged | undefined;
  value: string;
  onChange: (comment: string) => void;
  onLeave: () => void;
};

/** The comment on a pair, and the verdict on the previous one. */
function CommentLine({ ref, isJudged, last, value, onChange, onLeave }: CommentLineProps) {
  return (
    <div className={css.comment}>
      <Input
        ref={ref}
        aria-label="Comment"
        placeholder={isJudged ? "Comment (optional)" : "Comment (optional): goes along with the verdict"}
        value={value}
        onChange={(event) => onChange(event.target.value)}
        onBlur={(event) => {
          // A click on a verdict sends verdict and comment together.
          if (!event.relatedTarget?.hasAttribute("aria-pressed")) onLeave();
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
  );
}

type NoPairProps = {
  metric: string;
  judged: number;
  wereHeld: boolean;
  onBack: (() => void) | null;
  onLookAgain: () => void;
  onEnd: () => void;
  onChooseOthers: () => void;
};

/** Shown without a pair to judge: why, and what can be done next. */
function NoPair({ metric, judged, wereHeld, onBack, onLookAgain, onEnd, onChooseOthers }: NoPairProps) {
  return (
    <Empty title={judged ? "That was the last pair" : "There is no pair to judge"}>
      {wereHeld ? (
        <p>Other people have some pairs open now. What they leave, you can judge.</p>
      ) : (
        judged === 0 && (
          <p>A pair needs one prompt that two models have answered, and that nobody has judged under {metric}.</p>
        )
      )}
      <div className={ui.actions}>
        {onBack && (
          <Button onClick={onBack}>
            Back <Kbd>b</Kbd>
          </Button>
        )}
        <Button onClick={onLookAgain}>Look again</Button>
        {judged > 0 ? (
          <Button look="primary" onClick={onEnd}>
            End the sitting
          </Button>
        ) : (
          <Button onClick={onChooseOthers}>Choose others</Button>
        )}
      </div>
    </Empty>
  );
}
