import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { ExternalLink, MessageSquare, Plus, RotateCw, SlidersHorizontal } from "lucide-react";
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { inlineInteractionQuery, metricsQuery, projectModelsQuery } from "~/api/queries";
import { preferenceMetric } from "~/screens/compare/preferenceMetric";
import { Verdict } from "~/screens/compare/Verdict";
import { useOwnVerdict } from "~/screens/compare/useOwnVerdict";
import { MessageView } from "~/screens/interaction/Conversation";
import { RatingForm } from "~/screens/interaction/RatingForm";
import { Button, cx, css as ui, Empty, ErrorNote, Field, Input, Loading, Page, Popover, Select, Textarea } from "~/ui";
import { useMay } from "~/shell/useMay";
import css from "./chat.module.css";
import { Compose } from "./Compose";
import { type Settings, type Talk, talkOf, type Turn, useTalks } from "./useTalks";

/** Try one or two models at once, and rate their answers. */
export function ChatScreen() {
  const { project } = useParams({ from: "/inside/p/$project/chat" });
  const { from } = useSearch({ from: "/inside/p/$project/chat" });
  // Another project has other models, and another interaction starts a new conversation.
  return <Chat key={`${project} ${from ?? ""}`} project={project} from={from} />;
}

const NO_SETTINGS: Settings = { system: "", temperature: "", parameters: {} };

function Chat({ project, from }: { project: string; from: string | undefined }) {
  const search = useSearch({ from: "/inside/p/$project/chat" });
  const navigate = useNavigate({ from: "/p/$project/chat" });
  const may = useMay();
  const { data: attached, error } = useQuery(projectModelsQuery(project));
  const { talks, isBusy, ask, begin, stop } = useTalks(project);
  const [settings, setSettings] = useState(NO_SETTINGS);
  const { failure, model: loggedModel } = useLogged(from, begin, setSettings);
  const usable = attached?.filter(({ enabled }) => enabled) ?? [];
  const logged = usable.find(({ model }) => model === loggedModel)?.model;
  const first = search.model ?? logged ?? usable[0]?.model ?? "";
  const models = [first, ...(search.other ? [search.other] : [])];
  const mayCall = may("call");
  const change = (next: Record<string, string | undefined>) =>
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true });

  if (attached && usable.length === 0) {
    return (
      <Page title="Chat">
        <Empty title="No model can be called here" icon={<MessageSquare size={22} aria-hidden />}>
          <p>Attach a model to this project, or register one.</p>
          <Link to="/p/$project/models" params={{ project }} className={ui.button}>
            Models
          </Link>
        </Empty>
      </Page>
    );
  }
  // Without a model, a message that is sent at once would go nowhere.
  if (!first) return <Page title="Chat">{error ? <ErrorNote error={error} /> : <Loading lines={4} />}</Page>;
  const shown = talks.slice(0, models.length);
  const last = shown[0]?.turns.at(-1);
  const isPair = shown.length === 2 && shown.every(({ turns }) => turns.at(-1)?.completionId && !turns.at(-1)?.isBusy);
  return (
    <main className={css.screen}>
      <header className={css.bar}>
        <h1>Chat</h1>
        <ModelSelect label="Model" value={first} models={usable} onChange={(model) => change({ model })} />
        <ModelSelect
          label="Beside it"
          value={search.other ?? ""}
          models={usable}
          none="Compare with…"
          onChange={(other) => change({ other: other || undefined })}
        />
        <SettingsButton settings={settings} onChange={setSettings} />
        {talks.length > 0 && (
          <Button
            onClick={() => {
              stop();
              begin([]);
              setSettings(NO_SETTINGS);
              change({ from: undefined });
            }}
          >
            <Plus size={14} aria-hidden /> New chat
          </Button>
        )}
      </header>
      <Talks project={project} talks={shown} models={models} isBusy={isBusy} mayRate={may("write")}>
        {failure !== null && <ErrorNote error={failure} />}
      </Talks>
      <footer className={css.foot}>
        {isPair && <PairVerdict project={project} talks={shown} />}
        {last && !isBusy && mayCall && (
          <div className={css.again}>
            <Button small look="plain" onClick={() => ask(models, null, settings)}>
              <RotateCw size={13} aria-hidden /> Answer again{models.length === 1 && last.model !== first ? ` with ${first}` : ""}
            </Button>
          </div>
        )}
        <Compose project={project} isBusy={isBusy} mayCall={mayCall} onSend={(message) => ask(models, message, settings)} onStop={stop} />
      </footer>
    </main>
  );
}

/** Start with a logged interaction, if the address names one. */
function useLogged(from: string | undefined, begin: (talks: Talk[]) => void, onSettings: (settings: Settings) => void) {
  const { data, error } = useQuery({ ...inlineInteractionQuery(from ?? ""), enabled: from !== undefined });
  const latest = useRef({ begin, onSettings });
  latest.current = { begin, onSettings };
  useEffect(() => {
    if (!data) return;
    const { talk, settings } = talkOf(data);
    latest.current.begin([talk]);
    latest.current.onSettings(settings);
  }, [data]);
  return { failure: error, model: data?.model };
}

type TalksProps = {
  project: string;
  talks: readonly Talk[];
  models: readonly string[];
  isBusy: boolean;
  mayRate: boolean;
  children: React.ReactNode;
};

/** The conversations, each in a column. A column scrolls with new text while it is at its end. */
function Talks({ project, talks, models, isBusy, mayRate, children }: TalksProps) {
  const place = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const columns = talks.length;
  // biome-ignore lint/correctness/useExhaustiveDependencies: other columns need a new observer.
  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return;
    // Texts grow while they arrive, and when they are rendered.
    const observer = new ResizeObserver(() => {
      if (isAtEnd.current) element.scrollTo({ top: element.scrollHeight });
    });
    for (const column of element.children) observer.observe(column);
    return () => observer.disconnect();
  }, [columns]);
  return (
    <div
      ref={place}
      className={css.talks}
      data-columns={models.length}
      tabIndex={0}
      role="region"
      aria-label="Conversation"
      onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < 60;
      }}
    >
      {children}
      {talks.length === 0 && (
        <Empty title={`Ask ${models.join(" and ")}`} icon={<MessageSquare size={22} aria-hidden />}>
          <p>What comes is logged as an interaction like any other call, and can be rated here.</p>
        </Empty>
      )}
      {talks.map((talk, column) => (
        // Columns never change their order.
        <section key={column} className={css.talk} aria-label={models[column]}>
          {models.length > 1 && <h2>{models[column]}</h2>}
          {talk.turns.map((turn, index) => (
            <TurnView
              key={index}
              project={project}
              turn={turn}
              isRated={mayRate && !isBusy && index === talk.turns.length - 1}
            />
          ))}
        </section>
      ))}
      {talks.length > 0 && talks.length < models.length && (
        <section className={css.talk} aria-label={`${models[1]}, not asked yet`}>
          <h2>{models[1]}</h2>
          <p className={css.waiting}>It is asked with your next message, and knows what was said before.</p>
        </section>
      )}
    </div>
  );
}

function TurnView({ project, turn, isRated }: { project: string; turn: Turn; isRated: boolean }) {
  const { message, model, completionId, failure, isBusy } = turn;
  return (
    <div className={cx(css.turn, message.role === "user" && css.asked)}>
      <MessageView message={message} look={isBusy ? "plain" : "rendered"} isCompletion={model !== null} />
      {failure !== undefined && <ErrorNote error={failure} />}
      {completionId && !isBusy && (
        <div className={css.below}>
          <Link to="/p/$project/interactions/$completionId" params={{ project, completionId }} className={ui.hint}>
            {model} <ExternalLink size={11} aria-label="Open the interaction" />
          </Link>
          {isRated && (
            <div className={css.rate}>
              <RatingForm project={project} completionId={completionId} />
            </div>
          )}
        </div>
      )}
    </div>
  );
}

/** The verdict on which of two answers is better. */
function PairVerdict({ project, talks }: { project: string; talks: readonly Talk[] }) {
  const { data: metrics = [] } = useQuery(metricsQuery(project));
  const chosen = preferenceMetric(metrics);
  const metric = metrics.find(({ key }) => key === chosen);
  const [left = "", right = ""] = talks.map(({ turns }) => turns.at(-1)?.completionId ?? "");
  const verdict = useOwnVerdict(metric?.key ?? "", left, right);
  if (!metric) return null;
  return (
    <Verdict onChoose={verdict.choose} chosen={verdict.chosen} disabled={verdict.isPending}>
      <span className={ui.hint}>under {metric.name}</span>
    </Verdict>
  );
}

function SettingsButton({ settings, onChange }: { settings: Settings; onChange: (settings: Settings) => void }) {
  const names = Object.keys(settings.parameters);
  const isChanged = settings.system.trim() !== "" || settings.temperature !== "" || names.length > 0;
  return (
    <Popover
      label="Settings"
      align="end"
      trigger={
        <Button aria-pressed={isChanged}>
          <SlidersHorizontal size={14} aria-hidden /> Settings
        </Button>
      }
    >
      <div className={css.settings}>
        <Field label="System prompt" isOptional>
          <Textarea rows={6} value={settings.system} onChange={(event) => onChange({ ...settings, system: event.target.value })} />
        </Field>
        <Field label="Temperature" isOptional>
          <Input
            type="number"
            step="0.1"
            min={0}
            max={2}
            placeholder="the model's own"
            value={settings.temperature}
            onChange={(event) => onChange({ ...settings, temperature: event.target.value })}
          />
        </Field>
        {names.length > 0 && (
          <p className={ui.hint}>
            Also sent, as in the interaction that this began with: {names.join(", ")}.{" "}
            <Button small onClick={() => onChange({ ...settings, parameters: {} })}>
              Leave them out
            </Button>
          </p>
        )}
      </div>
    </Popover>
  );
}

type ModelSelectProps = {
  label: string;
  value: string;
  models: { model: string }[];
  none?: string;
  onChange: (model: string) => void;
};

function ModelSelect({ label, value, models, none, onChange }: ModelSelectProps) {
  return (
    <Select aria-label={label} value={value} onChange={(event) => onChange(event.target.value)}>
      {none && <option value="">{none}</option>}
      {models.map(({ model }) => (
        <option key={model}>{model}</option>
      ))}
    </Select>
  );
}
