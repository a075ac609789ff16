import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Interaction } from "~/api/client";
import { TEXT_FIELDS } from "~/api/generated/fields";
import { interactionQuery } from "~/api/queries";
import { jsonText } from "~/api/json";
import { quoted } from "~/rules/language";
import { CopyButton } from "~/ui";
import { bytes, count, duration, fullTime } from "~/ui/values";
import { Fold } from "./Fold";
import { JsonTree } from "./JsonTree";
import css from "./sections.module.css";
import { Title } from "./FeedbackSection";
import { Text } from "./Text";

const SOURCES: Record<Interaction["source"], string> = {
  LIVE: "LIVE, called through Afterword",
  OFFLINE: "OFFLINE, logged",
  AUTOMATION: "AUTOMATION",
  DATASET: "DATASET",
  EVALUATION: "EVALUATION",
};

const MOST_SHOWN = 300;

type Fact = [name: string, value: ReactNode];

/** The facts of an interaction beside its texts. */
export function Facts({ project, interaction }: { project: string; interaction: Interaction }) {
  const filtered = (q: string, text: string) => (
    <Link to="/p/$project/interactions" params={{ project }} search={{ q }} title="Show all of these">
      {text}
    </Link>
  );
  const { call, session, session_id, model, prompt_hash, usage, timings, parameters } = interaction;
  const told = (interaction.facts ?? {}) as Record<string, unknown>;
  const facts: Fact[] = [
    ["model", model && filtered(`model:${quoted(model)}`, model)],
    ["provider’s model", call?.provider_model],
    ["time", fullTime(interaction.created_at)],
    ...TEXT_FIELDS.map(({ name, title, word }): Fact => {
      const text = interaction[name];
      return [title.toLowerCase(), text && filtered(`${word}:${quoted(text)}`, text)];
    }),
    ["parent", interaction.parent && <Parent key="parent" project={project} parent={interaction.parent} />],
    ["session", filtered(`session:${quoted(session ?? session_id)}`, session ?? session_id)],
    ["source", SOURCES[interaction.source]],
    ["operation", interaction.operation && filtered(`operation:${interaction.operation}`, interaction.operation)],
    ["finish reason", call?.finish_reason],
    ["size", bytes(interaction.size)],
    ["prompt hash", filtered(`prompt_hash:${quoted(prompt_hash)}`, prompt_hash)],
    ["completion id", <Copied key="id" text={interaction.completion_id} />],
    ["request id", call?.request_id && <Copied key="id" text={call.request_id} />],
    ["provider’s request id", call?.provider_request_id && <Copied key="id" text={call.provider_request_id} />],
    ["response id", call?.response_id && <Copied key="id" text={call.response_id} />],
    ["trace", call?.trace_id && filtered(`trace:${quoted(call.trace_id)}`, call.trace_id)],
    ["streamed", typeof call?.streamed === "boolean" && (call.streamed ? "yes" : "no")],
  ];
  return (
    <Fold
      className={css.section}
      open
      title={
        <>
          <Title name="Facts" /> <small>{summary(interaction)}</small>
        </>
      }
    >
      {() => (
        <div className={css.facts}>
          <Group facts={facts} />
          {timings && <Timings timings={timings} />}
          {usage && <Group name="Usage" facts={flat(usage)} />}
          {parameters && <Group name="Parameters" facts={flat(withoutTools(parameters))} />}
          {Object.entries(told).map(([part, members]) => (
            <Group key={part} name={TOLD[part] ?? part} facts={flat({ [part]: members }).map(withoutFirst)} />
          ))}
        </div>
      )}
    </Fold>
  );
}

/** A link to the interaction that this one is a step of; it may not be logged yet, or may have been deleted. */
function Parent({ project, parent }: { project: string; parent: string }) {
  const { data, error } = useQuery({ ...interactionQuery(parent), retry: false });
  if (error && !data) return <span>{parent} (missing)</span>;
  return (
    <Link to="/p/$project/interactions/$completionId" params={{ project, completionId: parent }}>
      {parent}
    </Link>
  );
}

/** Headings for further data of the provider, by its place in the answer. */
const TOLD: Record<string, string> = {
  answer: "Told with the answer",
  choice: "Told with this choice",
  left_out: "Left out, as it was too large",
};

/** Leave out the tools, which are shown above the conversation. */
function withoutTools({ tools: _tools, functions: _functions, ...others }: Record<string, unknown>): Record<string, unknown> {
  return others;
}

/** Drop the first part of the name, which is already the heading. */
const withoutFirst = ([name, value]: Fact): Fact => [name.slice(name.indexOf(SEPARATOR) + SEPARATOR.length), value];

function Copied({ text }: { text: string }) {
  return (
    <span className={css.copied}>
      <code>{text}</code> <CopyButton text={text} />
    </span>
  );
}

function Group({ name, facts }: { name?: string; facts: Fact[] }) {
  const known = facts.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  if (!known.length) return null;
  return (
    <section>
      {name && <h4>{name}</h4>}
      <dl>
        {known.map(([key, value]) => (
          <div key={key}>
            <dt>{key.replaceAll("_", " ")}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

const SEPARATOR = " · ";

/** Return the members of an object as flat facts; nested members have both names. */
function flat(from: Record<string, unknown>, within = ""): Fact[] {
  return Object.entries(from).flatMap(([key, value]): Fact[] => {
    const name = within + key;
    if (value === null) return [];
    if (typeof value === "object" && !Array.isArray(value) && within === "") return flat(value as Record<string, unknown>, key + SEPARATOR);
    return [[name, <Value key={name} value={value} />]];
  });
}

/** A value. Long ones are folded; numbers keep all digits, because they may be ids or seeds. */
function Value({ value }: { value: unknown }) {
  const text = typeof value === "string" ? value : (jsonText(value) ?? "");
  if (text.length <= MOST_SHOWN) return <code>{text}</code>;
  return (
    <Fold title={<code>{`${text.slice(0, MOST_SHOWN)}…`}</code>}>
      {() => (typeof value === "string" ? <Text text={value} look="raw" /> : <JsonTree name="The value" value={value} />)}
    </Fold>
  );
}

/** Tell whether a timing is a duration, not a rate or a count. */
const isDuration = (name: string, value: unknown): value is number =>
  typeof value === "number" && value >= 0 && !/per_|count|tokens/.test(name);

const NAMES: Record<string, string> = { ttft: "first word", latency: "in all", provider_time: "provider" };

/** Durations as bars relative to the longest, so that one sees what took the time. */
function Timings({ timings }: { timings: Record<string, unknown> }) {
  const durations = Object.entries(timings).filter((one): one is [string, number] => isDuration(...one));
  const longest = Math.max(1, ...durations.map(([, value]) => value));
  durations.sort(([, one], [, other]) => one - other);
  const rest = Object.fromEntries(Object.entries(timings).filter((one) => !isDuration(...one)));
  return (
    <section>
      <h4>Timings</h4>
      <dl>
        {durations.map(([name, value]) => (
          <div key={name}>
            <dt title={name}>{NAMES[name] ?? name.replaceAll("_", " ")}</dt>
            <dd className={css.timing}>
              <span className={css.bar} aria-hidden>
                <span style={{ width: `${Math.max(1, (value / longest) * 100)}%` }} />
              </span>
              {duration(value)}
            </dd>
          </div>
        ))}
        {flat(rest).map(([name, value]) => (
          <div key={name}>
            <dt>{name.replaceAll("_", " ")}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function summary({ usage, timings }: Interaction): string {
  const tokens = usage?.total_tokens;
  const latency = timings?.latency;
  return [
    typeof tokens === "number" && `${count(tokens)} tokens`,
    typeof latency === "number" && duration(latency),
  ]
    .filter(Boolean)
    .join(", ");
}
