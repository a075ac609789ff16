// Streamed calls of the chat API.

import { ApiError, changingHeaders, errorOf } from "~/api/client";
import { jsonText, parseJson } from "~/api/json";
import { serverSentEvents, textOf } from "~/api/serverSentEvents";

export type Delta = { completionId?: string; sessionId?: string; text: string };

/** Yield the JSON of each event of a stream. Throws `ApiError` for an event that is an error. */
export async function* events(chunks: AsyncIterable<string>): AsyncGenerator<Record<string, unknown>> {
  for await (const { data } of serverSentEvents(chunks)) {
    if (data === "[DONE]") return;
    const read = parseJson(data) as Record<string, unknown>;
    if (read.error) throw errorOf(500, read);
    yield read;
  }
  throw new ApiError(0, "The answer broke off.", "incomplete", "Send it again.");
}

/** Make a call; yield the events of its answer. */
export async function* chat(body: Record<string, unknown>, signal: AbortSignal): AsyncGenerator<Delta> {
  const answer = await fetch("/api/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json", ...changingHeaders() },
    // Integers of a logged conversation may be too long for JavaScript.
    body: jsonText({ ...body, stream: true }),
    signal,
  });
  if (!answer.ok || !answer.body) throw errorOf(answer.status, await answer.json().catch(() => null));
  for await (const event of events(textOf(answer.body))) {
    const [choice] = (event.choices ?? []) as { completion_id?: string; delta?: { content?: string | null } }[];
    yield {
      completionId: choice?.completion_id,
      sessionId: typeof event.session_id === "string" ? event.session_id : undefined,
      text: choice?.delta?.content ?? "",
    };
  }
}
