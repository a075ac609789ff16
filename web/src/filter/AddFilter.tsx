import { ChevronLeft, ListFilter } from "lucide-react";
import { type FormEvent, type ReactNode, useState } from "react";
import type { Metric } from "~/api/client";
import { TEXT_FIELDS } from "~/api/generated/fields";
import { Button, css as ui, Field, Input, Popover, Select } from "~/ui";
import { Chooser } from "~/ui/Chooser";
import { inShort } from "~/ui/values";
import { useVocabulary } from "./facets";
import css from "./filter.module.css";
import { parts, quoted, withPart } from "~/rules/language";
import { SOURCES, STATES } from "~/rules/suggestions";

type AddFilterProps = { project: string; value: string; onChange: (query: string) => void };
type KindProps = { project: string; add: (part: string) => void };

const KINDS = {
  label: "Label",
  feedback: "Feedback",
  outcome: "Outcome of the session",
  preference: "Preference",
  model: "Model",
  call: "Source and state",
  text: "Text, user, session",
} as const;

/** Adds conditions to the query by mouse. */
export function AddFilter({ project, value, onChange }: AddFilterProps) {
  const [kind, setKind] = useState<keyof typeof KINDS>("label");
  const Form = FORMS[kind];
  return (
    <Popover
      label="Add a filter"
      align="end"
      trigger={
        <Button>
          <ListFilter size={14} aria-hidden />
          Add filter
        </Button>
      }
    >
      {(close) => {
        const add = (part: string) => {
          onChange(withPart(value, part));
          close();
        };
        return (
          <div className={css.add}>
            <Field label="Filter by">
              <Select value={kind} onChange={(event) => setKind(event.target.value as keyof typeof KINDS)}>
                {Object.entries(KINDS).map(([key, name]) => (
                  <option key={key} value={key}>
                    {name}
                  </option>
                ))}
              </Select>
            </Field>
            <Form project={project} add={add} />
            {value && <Joined value={value} onChange={onChange} close={close} />}
          </div>
        );
      }}
    </Popover>
  );
}

/** Turn the conditions of the query into alternatives (OR), or negate them. */
function Joined({ value, onChange, close }: { value: string; onChange: (query: string) => void; close: () => void }) {
  const join = (query: string) => {
    onChange(query);
    close();
  };
  return (
    <div className={css.joined}>
      <span className={ui.hint}>All conditions so far:</span>
      <Button small onClick={() => join(parts(value).join(" OR "))}>
        any of them
      </Button>
      <Button small onClick={() => join(`-(${value})`)}>
        not these
      </Button>
    </div>
  );
}

function LabelForm({ project, add }: KindProps) {
  const { labels } = useVocabulary(project);
  const [key, setKey] = useState<string | null>(null);
  const chosen = labels.find((one) => one.key === key);
  if (!chosen) {
    const keys = labels.map((one) => ({ value: one.key, count: one.count }));
    return <Chooser what="label keys" choices={keys} onChoose={setKey} />;
  }
  const label = `label.${quoted(chosen.key)}`;
  return (
    <>
      <Button small onClick={() => setKey(null)} aria-label={`Another key than ${chosen.key}`}>
        <ChevronLeft size={13} aria-hidden /> {chosen.key}
      </Button>
      <Chooser what="values" choices={chosen.values} onChoose={(value) => add(`${label}:${quoted(value)}`)}>
        <li>
          <button type="button" className={ui.choice} onClick={() => add(label)}>
            any value <small>{inShort(chosen.count)}</small>
          </button>
        </li>
      </Chooser>
    </>
  );
}

function FeedbackForm({ project, add }: KindProps) {
  const { metrics } = useVocabulary(project);
  return <RatingCondition metrics={metrics} word="" add={add} />;
}

function OutcomeForm({ project, add }: KindProps) {
  const { metrics } = useVocabulary(project);
  return <RatingCondition metrics={metrics.filter(({ category }) => category === "user")} word="session." add={add} />;
}

type RatingConditionProps = { metrics: Metric[]; word: "" | "session."; add: (part: string) => void };

/** The form for a condition on values under a feedback key; `word` stands before the key in the query. */
function RatingCondition({ metrics, word, add }: RatingConditionProps) {
  const [key, setKey] = useState("");
  const [how, setHow] = useState("has");
  const [value, setValue] = useState("");
  const metric = metrics.find((one) => one.key === key);
  const isBool = metric?.kind === "bool";
  const compares = how !== "has" && how !== "not";
  const part = () => {
    if (how === "has") return `has:${word}${quoted(key)}`;
    if (how === "not") return `-has:${word}${quoted(key)}`;
    return `${word}${quoted(key)}${isBool ? "=" : how}${isBool ? how : value}`;
  };
  return (
    <Adding ready={Boolean(metric) && (!compares || isBool || value !== "")} onAdd={() => add(part())}>
      <Field label="Feedback key">
        <Select
          value={key}
          onChange={(event) => {
            setKey(event.target.value);
            setHow("has");
          }}
        >
          <option value="">Choose…</option>
          {metrics.map((one) => (
            <option key={one.key} value={one.key}>
              {one.name}
            </option>
          ))}
        </Select>
      </Field>
      <Field label="Condition">
        <Select value={how} onChange={(event) => setHow(event.target.value)}>
          <option value="has">has any</option>
          <option value="not">has none</option>
          {isBool ? (
            <>
              <option value="true">is yes</option>
              <option value="false">is no</option>
            </>
          ) : (
            [">=", "<=", ">", "<", "=", "!="].map((sign) => <option key={sign}>{sign}</option>)
          )}
        </Select>
      </Field>
      {compares && !isBool && (
        <Field label="Value">
          <Input type="number" step="any" value={value} onChange={(event) => setValue(event.target.value)} />
        </Field>
      )}
    </Adding>
  );
}

function PreferenceForm({ project, add }: KindProps) {
  const { metrics } = useVocabulary(project);
  const own = metrics.filter(({ category }) => category === "user").map(({ key, name }) => ({ value: key, name }));
  return <Chooser what="feedback keys" choices={own} onChoose={(key) => add(`preference:${quoted(key)}`)} />;
}

function ModelForm({ project, add }: KindProps) {
  const { models } = useVocabulary(project);
  const choices = models.map((value) => ({ value }));
  return <Chooser what="models" choices={choices} onChoose={(key) => add(`model:${quoted(key)}`)} />;
}

function CallForm({ project, add }: KindProps) {
  const { values } = useVocabulary(project);
  const words = [
    ...STATES.map((state) => `state:${state}`),
    ...SOURCES.map((source) => `source:${source}`),
    ...(values.finish ?? []).map((reason) => `finish:${quoted(reason)}`),
  ];
  return <Chooser what="conditions" choices={words.map((value) => ({ value }))} onChoose={add} />;
}

function TextForm({ add }: KindProps) {
  const [field, setField] = useState("text");
  const [value, setValue] = useState("");
  return (
    <Adding ready={value.trim() !== ""} onAdd={() => add(`${field}:${quoted(value.trim())}`)}>
      <Field label="Where">
        <Select value={field} onChange={(event) => setField(event.target.value)}>
          <option value="text">prompt or completion</option>
          <option value="prompt">prompt, these words together</option>
          <option value="completion">completion, these words together</option>
          {TEXT_FIELDS.map(({ word, title }) => (
            <option key={word} value={word}>
              {title.toLowerCase()} is
            </option>
          ))}
          <option value="session">session is</option>
          <option value="id">completion_id is</option>
        </Select>
      </Field>
      <Field label="Text">
        <Input value={value} onChange={(event) => setValue(event.target.value)} />
      </Field>
    </Adding>
  );
}

const FORMS = {
  label: LabelForm,
  feedback: FeedbackForm,
  outcome: OutcomeForm,
  preference: PreferenceForm,
  model: ModelForm,
  call: CallForm,
  text: TextForm,
};

function Adding({ ready, onAdd, children }: { ready: boolean; onAdd: () => void; children: ReactNode }) {
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onAdd();
  };
  return (
    <form className={css.adding} onSubmit={submit}>
      {children}
      <Button look="primary" type="submit" disabled={!ready}>
        Add
      </Button>
    </form>
  );
}
