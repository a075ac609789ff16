import { X } from "lucide-react";
import type { Metric } from "~/api/client";
import { Fold } from "~/screens/interaction/Fold";
import { css as ui, IconButton, Input, Select } from "~/ui";
import { FormCheck, FormField, FormGroup, type FormValues } from "~/ui/form";
import { type Choices, rulesInWords, takesFeedback, takesSeed, type ThresholdChoice, thresholdProblem, type Votes } from "./choices";
import css from "./datasets.module.css";

const VOTES: Record<Votes, string> = {
  agreed: "only what all agree on",
  majority: "what more than half gave",
  all: "what each person gave, by itself",
};

type RulesProps = { form: FormValues<Choices>; metrics: readonly Metric[] };

/** What is seldom needed, folded: which lines are taken, how they are split, and how feedback counts. */
export function Rules({ form, metrics }: RulesProps) {
  const words = rulesInWords(form.values);
  return (
    <Fold
      className={css.rules}
      title={
        <>
          <b>Rules</b>
          <span className={ui.hint}>{words.length ? words.join(" · ") : "sample, duplicates, split and more"}</span>
        </>
      }
    >
      {() => (
        <div className={css.ruleList}>
          <LineRules form={form} />
          <SplitRule form={form} />
          {takesFeedback(form.values.kind) && <FeedbackRules form={form} metrics={metrics} />}
          <FurtherRules form={form} />
        </div>
      )}
    </Fold>
  );
}

function LineRules({ form: { values, text } }: { form: FormValues<Choices> }) {
  return (
    <>
      <FormGroup name="sample" legend="Lines">
        <div className={css.inLine}>
          <Select {...text("sampling")} aria-label="Which lines">
            <option value="all">all</option>
            <option value="random">some at random</option>
            <option value="last">the newest</option>
          </Select>
          {values.sampling !== "all" && (
            <Input type="number" min={1} required aria-label="How many lines" {...text("size")} />
          )}
        </div>
      </FormGroup>
      <FormField name="duplicates" label="Duplicates">
        <Select {...text("duplicates")}>
          <option value="keep">keep</option>
          <option value="exact">leave out</option>
          <option value="near">leave out, near ones too</option>
        </Select>
      </FormField>
    </>
  );
}

function SplitRule({ form: { values, text } }: { form: FormValues<Choices> }) {
  return (
    <>
      <FormGroup name="split" legend="Split into training, validation and test">
        <div className={css.inLine}>
          <Select {...text("splitBy")} aria-label="Split by">
            <option value="">no split</option>
            <option value="session">by session</option>
            <option value="user">by user</option>
            <option value="prompt">by prompt</option>
          </Select>
          {values.splitBy && (
            <>
              <Percent label="Validation, %" {...text("validation")} />
              <Percent label="Test, %" {...text("test")} />
            </>
          )}
        </div>
      </FormGroup>
      {takesSeed(values) && (
        <FormField name="seed" label="Seed" hint="The same seed draws and splits the same way again.">
          <Input type="number" min={0} required {...text("seed")} />
        </FormField>
      )}
    </>
  );
}

function Percent({ label, ...input }: { label: string } & Pick<React.ComponentProps<"input">, "value" | "onChange">) {
  return (
    <label className={css.percent}>
      <span>{label}</span>
      <Input type="number" min={0} max={100} step="any" required {...input} />
    </label>
  );
}

function FeedbackRules({ form, metrics }: RulesProps) {
  const { values, set, text } = form;
  const scalars = metrics.filter(({ key, kind }) => kind === "scalar" && !values.thresholds.some(({ metric }) => metric === key));
  const change = (metric: string, part: Partial<ThresholdChoice>) =>
    set({ thresholds: values.thresholds.map((one) => (one.metric === metric ? { ...one, ...part } : one)) });
  return (
    <>
      <FormField name="votes" label="Where people disagree">
        <Select {...text("votes")}>
          {Object.entries(VOTES).map(([votes, words]) => (
            <option key={votes} value={votes}>
              {words}
            </option>
          ))}
        </Select>
      </FormField>
      {(scalars.length > 0 || values.thresholds.length > 0) && (
        <fieldset className={css.thresholds}>
          <legend>Numbers as yes and no</legend>
          {values.thresholds.map((threshold) => (
            <Threshold
              key={threshold.metric}
              threshold={threshold}
              onChange={(part) => change(threshold.metric, part)}
              onRemove={() => set({ thresholds: values.thresholds.filter(({ metric }) => metric !== threshold.metric) })}
            />
          ))}
          {scalars.length > 0 && (
            <Select
              aria-label="Add a feedback key"
              value=""
              onChange={({ target }) =>
                set({ thresholds: [...values.thresholds, { metric: target.value, trueFrom: "", falseTo: "" }] })
              }
            >
              <option value="">Add a feedback key…</option>
              {scalars.map(({ key, name }) => (
                <option key={key} value={key}>
                  {name}
                </option>
              ))}
            </Select>
          )}
        </fieldset>
      )}
    </>
  );
}

type ThresholdProps = {
  threshold: ThresholdChoice;
  onChange: (part: Partial<ThresholdChoice>) => void;
  onRemove: () => void;
};

function Threshold({ threshold, onChange, onRemove }: ThresholdProps) {
  const { metric, trueFrom, falseTo } = threshold;
  const problem = thresholdProblem(threshold);
  return (
    <FormGroup name={`thresholds.${metric}`} legend={metric}>
      <div className={css.inLine}>
        <label className={css.percent}>
          <span>yes from</span>
          <Input type="number" step="any" required value={trueFrom} onChange={({ target }) => onChange({ trueFrom: target.value })} />
        </label>
        <label className={css.percent}>
          <span>no up to</span>
          <Input type="number" step="any" required value={falseTo} onChange={({ target }) => onChange({ falseTo: target.value })} />
        </label>
        <IconButton label={`Remove ${metric}`} onClick={onRemove}>
          <X size={14} aria-hidden />
        </IconButton>
      </div>
      {problem && <p className={ui.hint}>{problem}</p>}
    </FormGroup>
  );
}

function FurtherRules({ form: { values, flag } }: { form: FormValues<Choices> }) {
  const { kind } = values;
  if (kind === "prompt") return null;
  return (
    <div className={css.checks}>
      {kind === "preference" && (
        <FormCheck {...flag("derivesPairs")}>Also pairs of answers to the same prompt, one rated up and one down</FormCheck>
      )}
      {kind === "feedback" && (
        <FormCheck {...flag("withTies")}>Also ties: a good one is a yes for both answers, a bad one a no</FormCheck>
      )}
      <FormCheck {...flag("withUnfinished")}>Also answers that failed or were cut off</FormCheck>
    </div>
  );
}
