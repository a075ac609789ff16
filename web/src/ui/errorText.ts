// Error texts for people. The server's errors are written for programmers, with paths and fields.

import { ApiError } from "~/api/client";

export type ErrorText = { message: string; hint: string };

/** Hints for this page by error code, if the server's hint is about API calls. */
const HINTS: Record<string, string> = {
  project_not_found: "Choose another project at the top left.",
  project_archived: "An administrator can bring it back on the page Projects.",
  metric_not_found: "Register the feedback key on the page Metrics, or choose another.",
  metric_exists: "Choose another key, or change the one that exists on the page Metrics.",
  metric_is_measured: "Choose a feedback key: the server measures this one by itself.",
  model_not_found: "The page Models shows which models there are.",
  model_exists: "Choose another key, or change the model on the page Models.",
  model_not_callable: "An administrator can register it with its provider on the page Models.",
  completion_not_found: "It was deleted, or lies in another project.",
  role_not_allowed: "Ask an administrator for this right, or sign in with another key.",
  key_of_some_projects: "Ask an administrator whose key is for all projects.",
  invalid_api_key: "Check the key, or ask an administrator for another.",
  csrf_token_missing: "Load this page again.",
  csrf_token_wrong: "Load this page again.",
  invalid_cursor: "Load this page again.",
  dataset_not_found: "The page Datasets shows which there are.",
  ab_test_not_found: "The page A/B tests shows which there are.",
};

/** Matches texts that are useful only to callers of the API. */
const FOR_CALLERS =
  /\b(GET|POST|PUT|PATCH|DELETE|HEAD) \/|\/api\/|`|\{"|\w\(\.\.\.\)|\bafterword \w+ |base_url|X-CSRF|Authorization|Retry-After|Content-|csrf_token|cursor\b/;

/** Return the message and the hint of an error. */
export function errorText(error: unknown): ErrorText {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof ApiError)) return { message, hint: "" };
  const hint = HINTS[error.code] ?? (FOR_CALLERS.test(error.hint) ? "" : error.hint);
  return { message: plain(message), hint };
}

/** Return why the server refused a field of a form, if its error names the field or a part of it. */
export function fieldError(error: unknown, field: string): string | undefined {
  if (!(error instanceof ApiError) || !error.param.startsWith(field)) return undefined;
  if (!/^([.[]|$)/.test(error.param.slice(field.length))) return undefined;
  return errorText(error).message;
}

function plain(message: string): string {
  const text = message
    .replace(/^EntityNotFound: /, "")
    .replace("project (use_case)", "project")
    .replace(/, or this key may not see it\.$/, ", or you may not see it.")
    .replace(/^(?!filter\b)[a-z_]+\.([a-z_]+) is /, "$1 is ")
    .replace(/\bfilter((?:\.\w+|\[\d+\])+)/g, (_, path: string) => `In the filter: ${placeOf(path)}`);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Return a readable name of a path in the filter tree: `.and[0].timerange.from` is `timerange from`. */
function placeOf(path: string): string {
  const words = path.match(/[a-z_]+/g) ?? [];
  return words.filter((word) => !["and", "or", "not", "eq", "in", "neq", "value"].includes(word)).join(" ") || "a condition";
}
