// The only access to the server: typed calls of the public REST API, with errors as one kind of exception.

import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./generated/rest";
import { isAway, reportAway } from "./connection";
import { parseJson } from "./json";

export type Schemas = components["schemas"];
export type Interaction = Schemas["Interaction"];
export type Feedback = Schemas["Feedback"];
export type Preference = Schemas["Preference"];
export type Metric = Schemas["Metric"];
export type Filter = Schemas["Filter"];
export type Message = Record<string, unknown>;

/** A call that the server refused, with the server's message. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code: string = "",
    readonly hint: string = "",
    readonly param: string = "",
  ) {
    super(message);
  }
}

let csrfToken: string | null = null;

/** Store the CSRF token that every changing call of this session must carry. */
export function keepToken(token: string | null): void {
  csrfToken = token;
}

/** Return the CSRF token, for calls that are made outside this tab. */
export const heldToken = (): string | null => csrfToken;

/** Return the headers of a changing call made without the typed client, such as a stream. */
export function changingHeaders(): Record<string, string> {
  return csrfToken ? { "x-csrf-token": csrfToken } : {};
}

const client = createClient<paths>({
  baseUrl: "",
  // Lists are sent as repeated parameters.
  querySerializer: { array: { style: "form", explode: true } },
});

client.use({
  onRequest({ request }) {
    if (csrfToken && request.method !== "GET") request.headers.set("x-csrf-token", csrfToken);
    return request;
  },
});

type Call = (path: string, init?: object) => Promise<Answer<unknown>>;

/** Answers are read as text for `answer` to parse, because the client's own parser would round long numbers. */
const asText =
  (call: unknown): unknown =>
  (path: string, init?: object) =>
    (call as Call)(path, { ...init, parseAs: "text" });

const { GET, POST, PUT, PATCH, DELETE } = client;

/** The calls of the REST API. Pass each to `answer`. */
export const api = {
  GET: asText(GET),
  POST: asText(POST),
  PUT: asText(PUT),
  PATCH: asText(PATCH),
  DELETE: asText(DELETE),
} as Pick<Client<paths>, "GET" | "POST" | "PUT" | "PATCH" | "DELETE">;

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** Return the answer of a call. Throws `ApiError` if the server refuses it or cannot be reached. */
export async function answer<T>(call: Promise<Answer<T>>): Promise<T> {
  let given: Answer<T>;
  try {
    given = await call;
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    reportAway();
    throw new ApiError(0, "The server cannot be reached.", "unreachable", "Check that it runs, then try again.");
  }
  const { status } = given.response;
  if (isAway(status)) reportAway();
  if (given.error !== undefined || !given.response.ok) throw errorOf(status, given.error);
  return (typeof given.data === "string" && given.data ? parseJson(given.data) : undefined) as T;
}

/** Read the server's error object. */
export function errorOf(status: number, body: unknown): ApiError {
  const error = (body as { error?: Record<string, string> } | undefined)?.error;
  if (!error?.message) return new ApiError(status, `The server answered with status ${status}.`);
  return new ApiError(status, error.message, error.code ?? "", error.hint ?? "", error.param ?? "");
}
