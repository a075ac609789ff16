// One or two conversations with models, side by side: both get the same prompts, each has its own history.

import { useRef, useState } from "react";
import { answer, api, type Interaction, type Message } from "~/api/client";
import { completionMessage } from "~/rules/parts";
import { chat } from "./stream";

export type Turn = {
  message: Message;
  /** The model of an answer; null for a prompt. */
  model: string | null;
  completionId?: string | undefined;
  failure?: unknown;
  isBusy?: boolean;
};
export type Talk = { sessionId?: string; turns: Turn[] };
export type Settings = { system: string; temperature: string; parameters: Record<string, unknown> };

/** Parameters of a logged call that are not carried over: transport, and those in the settings. */
const NOT_CARRIED = new Set(["stream", "stream_options", "n", "temperature", "messages", "model", "user", "metadata", "store"]);

/** Return a logged interaction as the start of a conversation. */
export function talkOf(interaction: Interaction): { talk: Talk; settings: Settings } {
  const messages = interaction.messages ?? [{ role: "user", content: interaction.prompt }];
  const [first] = messages;
  const system = first && ["system", "developer"].includes(String(first.role)) && typeof first.content === "string" ? first.content : "";
  const asked = (system ? messages.slice(1) : messages).map((message): Turn => ({ message, model: null }));
  const answered: Turn = {
    message: completionMessage(interaction),
    model: interaction.model ?? null,
    completionId: interaction.completion_id,
  };
  const { temperature, ...parameters } = (interaction.parameters ?? {}) as Record<string, unknown>;
  return {
    talk: { turns: interaction.completion || interaction.message ? [...asked, answered] : asked },
    settings: {
      system,
      temperature: typeof temperature === "number" ? String(temperature) : "",
      parameters: Object.fromEntries(Object.entries(parameters).filter(([name]) => !NOT_CARRIED.has(name))),
    },
  };
}

/** Return the turns up to the last prompt, so that it can be answered again. */
export function withoutAnswer(turns: readonly Turn[]): Turn[] {
  return turns.slice(0, turns.findLastIndex(({ message }) => message.role !== "assistant") + 1);
}

/** Return the messages to send to a model. */
export function messagesOf(turns: readonly Turn[], system: string): Message[] {
  const said = turns.filter(({ failure }) => failure === undefined).map(({ message }) => message);
  return system.trim() ? [{ role: "system", content: system }, ...said] : said;
}

export function useTalks(project: string) {
  const [talks, setTalks] = useState<Talk[]>([]);
  const stop = useRef<AbortController | null>(null);
  const isBusy = talks.some(({ turns }) => turns.at(-1)?.isBusy);

  function edit(index: number, change: Partial<Turn>, more: Partial<Talk> = {}) {
    setTalks((before) =>
      before.map((talk, at) => {
        const last = talk.turns.at(-1);
        return at === index && last ? { ...talk, ...more, turns: [...talk.turns.slice(0, -1), { ...last, ...change }] } : talk;
      }),
    );
  }

  /** Send the question to each model; without one, repeat the last. A model that is added gets the earlier history. */
  async function ask(models: readonly string[], question: Message | null, settings: Settings) {
    if (isBusy) return;
    const begun = models.map((model, index): Talk & { model: string } => {
      const { turns = [], sessionId } = talks[index] ?? { turns: talks[0]?.turns };
      const asked = question ? [...turns, { message: question, model: null }] : withoutAnswer(turns);
      return { model, turns: asked, ...(sessionId ? { sessionId } : {}) };
    });
    setTalks(
      begun.map(({ model, turns, ...talk }) => ({
        ...talk,
        turns: [...turns, { message: { role: "assistant", content: "" }, model, isBusy: true }],
      })),
    );
    stop.current = new AbortController();
    const { signal } = stop.current;
    await Promise.all(
      begun.map(async ({ model, turns, sessionId }, index) => {
        const body = {
          ...settings.parameters,
          model: `${project}/${model}`,
          messages: messagesOf(turns, settings.system),
          ...(sessionId ? { session_id: sessionId } : {}),
          ...(settings.temperature ? { temperature: Number(settings.temperature) } : {}),
        };
        try {
          let text = "";
          let completionId: string | undefined;
          for await (const delta of chat(body, signal)) {
            text += delta.text;
            completionId ??= delta.completionId;
            edit(
              index,
              { message: { role: "assistant", content: text }, completionId },
              delta.sessionId ? { sessionId: delta.sessionId } : {},
            );
          }
          // Tool calls and refusals are not texts; the logged message has them.
          if (!text && completionId) edit(index, { message: await loggedMessage(completionId) });
          edit(index, { isBusy: false });
        } catch (failure) {
          edit(index, { isBusy: false, ...(signal.aborted ? {} : { failure }) });
        }
      }),
    );
  }
  return { talks, isBusy, ask, begin: setTalks, stop: () => stop.current?.abort() };
}

async function loggedMessage(completion_id: string): Promise<Message> {
  const logged = await answer(api.GET("/api/v1/interactions/{completion_id}", { params: { path: { completion_id } } }));
  return completionMessage(logged);
}
