import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { ImagePlus, MessageSquare, Send, Square, X } from "lucide-react";
import { type ClipboardEvent, type KeyboardEvent, useRef, useState } from "react";
import type { Message } from "~/api/client";
import { metricsQuery, projectModelsQuery } from "~/api/queries";
import { useAct } from "~/api/useAct";
import { Verdict } from "~/screens/compare/Verdict";
import { type Choice, sendVerdict } from "~/screens/compare/verdicts";
import { useMay } from "~/shell/useMay";
import { MessageView } from "~/screens/interaction/Conversation";
import { RatingForm } from "~/screens/interaction/RatingForm";
import { Button, css as ui, Empty, ErrorNote, Field, IconButton, Input, Loading, notify, Page, Select, Textarea } from "~/ui";
import { newId } from "~/ui/browser";
import { useDraft } from "~/ui/useDraft";
import css from "./chat.module.css";
import { chat } from "./stream";

const MOST_IMAGE_BYTES = 10_000_000;

type Turn = { message: Message; completionId?: string; failure?: unknown; busy?: boolean };
type Talk = { model: string; sessionId?: string; turns: Turn[] };

/** Try one or two models at once, and rate what comes. */
export function ChatScreen() {
  const { project } = useParams({ from: "/inside/p/$project/chat" });
  const search = useSearch({ from: "/inside/p/$project/chat" });
  const navigate = useNavigate({ from: "/p/$project/chat" });
  const may = useMay();
  const { data: attached, error } = useQuery(projectModelsQuery(project));
  const { data: metrics = [] } = useQuery(metricsQuery(project));
  const [talks, setTalks] = useState<Talk[]>([]);
  const [draft, setDraft] = useDraft(`chat.${project}`);
  const text = draft ?? "";
  const setText = (next: string) => setDraft(next || null);
  const [images, setImages] = useState<string[]>([]);
  const [system, setSystem] = useState("");
  const [temperature, setTemperature] = useState("");
  const stop = useRef<AbortController | null>(null);
  const file = useRef<HTMLInputElement>(null);
  const usable = attached?.filter(({ enabled }) => enabled) ?? [];
  const first = search.model ?? usable[0]?.model ?? "";
  const models = [first, ...(search.other ? [search.other] : [])];
  const busy = talks.some(({ turns }) => turns.at(-1)?.busy);
  const metric = metrics.find(({ key }) => key === localStorage.getItem("afterword.preference-metric")) ?? metrics[0];

  const change = (next: Record<string, string | undefined>) => {
    setTalks([]);
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true });
  };
  const [left = "", right = ""] = talks.map(({ turns }) => turns.at(-1)?.completionId ?? "");
  const [verdict, setVerdict] = useState<{ left: string; comparison_id: string; choice: Choice } | null>(null);
  // Another click changes the verdict, and is no second vote.
  const own = verdict?.left === left ? verdict : null;
  const prefer = useAct(
    ({ choice, comparison_id }: { choice: Choice; comparison_id: string }) =>
      sendVerdict(metric?.key ?? "", { left, right }, { choice, comparison_id, details: "" }, own === null),
    {
      done: own ? "The preference is changed" : "The preference is logged",
      onDone: (_, given) => setVerdict({ left, ...given }),
    },
  );
  const choose = (choice: Choice) =>
    choice !== own?.choice && prefer.mutate({ choice, comparison_id: own?.comparison_id ?? newId() });

  function edit(index: number, turn: (before: Turn) => Turn, more: Partial<Talk> = {}) {
    setTalks((before) =>
      before.map((talk, at) =>
        at === index ? { ...talk, ...more, turns: [...talk.turns.slice(0, -1), turn(talk.turns.at(-1) as Turn)] } : talk,
      ),
    );
  }

  async function send() {
    if ((!text.trim() && !images.length) || busy) return;
    const parts = images.map((url) => ({ type: "image_url", image_url: { url } }));
    const asked: Message = { role: "user", content: parts.length ? [{ type: "text", text }, ...parts] : text };
    const begun = talks.length ? talks : models.map((model): Talk => ({ model, turns: [] }));
    const empty: Turn = { message: { role: "assistant", content: "" }, busy: true };
    setTalks(begun.map((talk) => ({ ...talk, turns: [...talk.turns, { message: asked }, empty] })));
    setText("");
    setImages([]);
    const { signal } = (stop.current = new AbortController());
    await Promise.all(
      begun.map(async (talk, index) => {
        const history = talk.turns.filter(({ failure }) => !failure).map(({ message }) => message);
        const body = {
          model: `${project}/${talk.model}`,
          messages: [...(system.trim() ? [{ role: "system", content: system }] : []), ...history, asked],
          ...(talk.sessionId ? { session_id: talk.sessionId } : {}),
          ...(temperature ? { temperature: Number(temperature) } : {}),
        };
        try {
          let said = "";
          for await (const { completionId, sessionId, text: piece } of chat(body, signal)) {
            said += piece;
            const content = said;
            edit(
              index,
              (turn) => ({ ...turn, message: { role: "assistant", content }, completionId: completionId ?? turn.completionId }),
              sessionId ? { sessionId } : {},
            );
          }
          edit(index, (turn) => ({ ...turn, busy: false }));
        } catch (failure) {
          edit(index, (turn) => ({ ...turn, busy: false, failure: signal.aborted ? undefined : failure }));
        }
      }),
    );
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      void send();
    } else if (event.key === "Escape") stop.current?.abort();
  }
  async function attach(files: Iterable<File>) {
    for (const one of files) {
      if (!/^image\/(png|jpeg|gif|webp)$/.test(one.type)) notify(`${one.name || "This"} is no PNG, JPEG, GIF or WebP image.`);
      else if (one.size > MOST_IMAGE_BYTES) notify(`${one.name} is larger than 10 MB.`);
      else {
        const url = await dataUri(one);
        setImages((before) => [...before, url]);
      }
    }
  }
  const onPaste = (event: ClipboardEvent) => void attach(event.clipboardData.files);

  if (attached && usable.length === 0) {
    return (
      <Page title="Chat">
        <Empty title="No model can be called here" icon={<MessageSquare size={22} aria-hidden />}>
          <Link to="/p/$project/models" params={{ project }} className={ui.button}>
            Models
          </Link>
        </Empty>
      </Page>
    );
  }
  // Without a model, what is written at once would be sent to none.
  if (!first) return <Page title="Chat">{error ? <ErrorNote error={error} /> : <Loading lines={4} />}</Page>;
  const bothDone = talks.length === 2 && talks.every(({ turns }) => turns.at(-1)?.completionId && !turns.at(-1)?.busy);
  return (
    <main className={css.screen}>
      <header className={css.bar}>
        <h1>Chat</h1>
        <ModelSelect label="Model" value={first} models={usable} onChange={(model) => change({ model })} />
        <ModelSelect
          label="Beside it"
          value={search.other ?? ""}
          models={usable}
          none="one model only"
          onChange={(other) => change({ other: other || undefined })}
        />
        <details className={css.settings}>
          <summary className={ui.button}>Settings</summary>
          <div>
            <Field label="System prompt">
              <Textarea value={system} onChange={(event) => setSystem(event.target.value)} />
            </Field>
            <Field label="Temperature">
              <Input
                type="number"
                step="0.1"
                min={0}
                max={2}
                placeholder="the model's own"
                value={temperature}
                onChange={(event) => setTemperature(event.target.value)}
              />
            </Field>
          </div>
        </details>
        {talks.length > 0 && <Button onClick={() => setTalks([])}>New chat</Button>}
      </header>
      <div className={css.talks} style={{ gridTemplateColumns: `repeat(${models.length}, minmax(0, 1fr))` }}>
        {talks.length === 0 && (
          <Empty title="Say something" icon={<MessageSquare size={22} aria-hidden />}>
            <p>What comes is logged as an interaction like any other call, and can be rated here.</p>
          </Empty>
        )}
        {talks.map((talk) => (
          <section key={talk.model} className={css.talk} aria-label={talk.model}>
            {models.length > 1 && <h2>{talk.model}</h2>}
            {talk.turns.map((turn, index) => (
              <div key={`${index}`} className={css.turn}>
                <MessageView
                  message={turn.message}
                  look={turn.busy ? "raw" : "rendered"}
                  isCompletion={turn.message.role === "assistant"}
                />
                {turn.failure !== undefined && <ErrorNote error={turn.failure} />}
                {turn.completionId && !turn.busy && (
                  <>
                    <Link
                      to="/p/$project/interactions/$completionId"
                      params={{ project, completionId: turn.completionId }}
                      className={ui.hint}
                    >
                      Open the interaction
                    </Link>
                    {index === talk.turns.length - 1 && may("write") && (
                      <RatingForm project={project} completionId={turn.completionId} />
                    )}
                  </>
                )}
              </div>
            ))}
          </section>
        ))}
      </div>
      <footer className={css.foot}>
        {bothDone && metric && (
          <Verdict onChoose={choose} chosen={own?.choice} disabled={prefer.isPending}>
            <span className={ui.hint}>under {metric.name}</span>
          </Verdict>
        )}
        {images.length > 0 && (
          <div className={css.images}>
            {images.map((url, index) => (
              <span key={`${index}`}>
                <img src={url} alt={`Attached ${index + 1}`} />
                <IconButton small label="Take it away" onClick={() => setImages(images.toSpliced(index, 1))}>
                  <X size={12} aria-hidden />
                </IconButton>
              </span>
            ))}
          </div>
        )}
        <div className={css.compose}>
          <input
            ref={file}
            type="file"
            accept="image/png,image/jpeg,image/gif,image/webp"
            multiple
            className={ui.srOnly}
            tabIndex={-1}
            aria-label="Images"
            onChange={(event) => {
              void attach(event.target.files ?? []);
              event.target.value = "";
            }}
          />
          <IconButton label="Attach images" onClick={() => file.current?.click()}>
            <ImagePlus size={16} aria-hidden />
          </IconButton>
          <Textarea
            aria-label="Message"
            placeholder="Message — Enter sends, Shift+Enter makes a new line"
            rows={2}
            value={text}
            autoFocus
            onChange={(event) => setText(event.target.value)}
            onKeyDown={onKeyDown}
            onPaste={onPaste}
            onDrop={(event) => {
              event.preventDefault();
              void attach(event.dataTransfer.files);
            }}
          />
          {busy ? (
            <Button onClick={() => stop.current?.abort()}>
              <Square size={14} aria-hidden /> Stop
            </Button>
          ) : (
            <Button look="primary" onClick={send} disabled={!may("call")}>
              <Send size={14} aria-hidden /> Send
            </Button>
          )}
        </div>
      </footer>
    </main>
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

function dataUri(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
