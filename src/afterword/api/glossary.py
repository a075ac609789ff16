"""What the words of the wire mean, for the OpenAPI document and the reference: once for each word.

`WORDS` describes a field wherever it stands; `Struct.field` describes it in one struct, and an empty text says that the
struct's own description is enough. `EXAMPLES` holds a body for each route that takes one.
"""

from __future__ import annotations

from typing import Any

from afterword import types as t

ABOUT = """\
Afterword keeps what language models said and what people thought of it.

**Keys.** Every call but `GET /health` carries `Authorization: Bearer KEY`. What lies in projects that the key is not \
for is answered with 404, as what does not exist.

**Errors.** Every error is `{"error": {"message", "type", "code", "param", "hint"}}`: what was wrong, in words and as \
a code, the field that it was about, and what to do next. Unknown fields and parameters are refused by name.

**Repeating is safe** where you choose the id (`completion_id`, `feedback_id`, `comparison_id`): the same again gives \
the same answer, other content under the same id gives 409. What was answered is on disk.

**Times** are given as RFC 3339, as a date, as epoch milliseconds or in words such as `now - 1 month`; they are \
answered as RFC 3339 in UTC.

**Lists** end where `next` is null; give it as `cursor` to go on.
"""

TAGS = {
    "interactions": "Messages in, completion out: log them, find them, label them, delete them.",
    "feedback": "What people and programs thought of a completion: values, preferences, outcomes of sessions.",
    "metrics": "The feedback keys: what is measured, bool or scalar, and which way is better.",
    "projects": "Spaces of their own: interactions, metrics and labels of one are seen from no other.",
    "calls": "OpenAI's API over every registered model: each call is an interaction, found under its `completion_id`.",
    "models": "What completions come from: register models of any provider, and attach them to projects.",
    "datasets": "JSON lines to train on and to evaluate with: upload them, whole or in parts, make them of "
    "interactions, download them.",
    "keys": "The API keys that calls are made with, and what each may do.",
    "images": "Images taken out of messages, kept once by their content.",
    "server": "How the server is.",
}

WORDS = {
    "completion_id": "The id of a completion: all later facts refer to it. Not the `id` of a chat response.",
    "session_id": "The session that the interaction belongs to. Made when none is given.",
    "feedback_id": "The id of a feedback.",
    "comparison_id": "The id of a preference.",
    "outcome_id": "The id of an outcome.",
    "key_id": "The id of an API key, as `GET /api/v1/keys` lists it.",
    "feedback_ids": "The ids of the feedback given inline, in their order.",
    "project": "A project, by key or id. The default is the key's own single project, else `default`.",
    "metric": "A feedback key, by key or id.",
    "messages": "The messages that the completion answers. Each is kept as sent: `role`, `content` and whatever else "
    "it carries. Images are `image_url` parts with a data URI.",
    "completion": "What the model answered: the text, or a whole assistant message.",
    "labels": "Up to 64 labels, key to value: keys of 1 to 128 characters, values of up to 1,024.",
    "feedbacks": "Values given together with the interaction, stored all or nothing with it.",
    "user": "The end user of your product: any string.",
    "actor": "The name of the API key that gave it.",
    "source": "How it came: LIVE (a call through the gateway), OFFLINE (logged), AUTOMATION, DATASET or EVALUATION.",
    "usage": "Token counts and the like: any JSON object, kept as sent.",
    "timings": "Durations: any JSON object, kept as sent.",
    "parameters": "Sampling parameters: any JSON object, kept as sent.",
    "created_at": "When it happened. The default is now.",
    "prompt_hash": "The hash of roles, texts and images: the same for the same prompt.",
    "details": "Why, in words.",
    "reason": "Why, as a word to filter by.",
    "prompt_mismatch": "True where the two completions did not answer the same messages.",
    "tied": "`good` or `bad` where both completions are equally good or bad; null where one is preferred.",
    "size": "The size in bytes of what was logged, as JSON.",
    "next": "The `cursor` of the page after this one; null where the list ends.",
    "previous": "The `cursor` of the page before this one; null where the list begins.",
    "cursor": "Where to go on: the `next` or `previous` of an earlier answer.",
    "limit": "How many a page holds.",
    "order": "`-created_at`: the newest first. `created_at`: the oldest first.",
    "view": "`short`: prompt and completion are cut to 300 characters, messages left out. `full`: everything.",
    "images": "`links`: images as `/images/...`. `inline`: as the data URIs that were sent.",
    "group_by": "`model`, `prompt`, `session` or `label:KEY`: answers groups in place of interactions.",
    "kind": "`bool`: true or false. `scalar`: any finite number.",
    "scoring_type": "Which way is better.",
    "unit": "What the number counts, such as `ms` or `stars`.",
    "archived": "An archived project is kept and can be read, but takes nothing new.",
    "role": "`admin`: everything. `member`: read, call models, log, rate, register. `inference`: call models, log and "
    "rate, read nothing. `ingest`: log and rate, read nothing. `viewer`: read.",
    "prefix": "The first characters of the key, to tell it apart.",
    "expires_at": "When the key stops working; null for never.",
    "revoked_at": "When the key was revoked; null while it works.",
    "last_used": "The time of the newest interaction that carries it.",
    "api_key": "The key itself. It is shown this once.",
    "line": "The line of the batch, from 1.",
    "status": "The HTTP status that the line would have had on its own.",
    "prompt": "The text of the messages that the completion answers.",
    "from": "The earliest `created_at`, inclusive: RFC 3339, a date, epoch milliseconds, or such as `now - 1 week`.",
    "to": "The latest `created_at`, exclusive; in the same forms as `from`.",
    "description": "What it is, in words.",
    "model": "A model, by key or id.",
    "provider": "Whose API it speaks: `open_ai` (any compatible endpoint, too), `anthropic`, `google`, `azure`, or "
    "`echo`, which says again what it is told. Null: logged-only.",
    "external_model_id": "What the provider calls it.",
    "endpoint": "The base URL of the API; null for the provider's own.",
    "has_api_key": "Whether an API key is kept for it.",
    "headers": "Headers that its provider is sent with each call.",
    "extra_params": "Fields that are laid over every request; null takes one away.",
    "fallback": "The model that is called where this one fails before its first word.",
    "make_default": "Make it what is called in the project where no model is named.",
    "is_default": "Whether it is called where no model is named.",
    "enabled": "Whether the project may call it.",
    "owned_by": "The provider.",
    "created": "When it was registered, in seconds since 1970.",
    "object": "What OpenAI's API calls this.",
    "dataset": "A dataset, by key or id.",
    "download_url": "Where its lines are, below the server's address.",
    "completion_ids": "The interactions, by their completion_id; all that match where it is left out.",
    "exclude": "Interactions to leave out, by their completion_id.",
    "sample": "All that match, some by chance, or the last ones.",
    "total_parts_count": "How many parts the file comes in, 1 to 10,000.",
    "completed_parts": "The numbers of the parts that have come.",
    "part_number": "The number of the part, from 1.",
    # ------------------------------------------------------------------------------------ in one place
    "Dataset.kind": "What all lines have: `prompt`, `completion` (with the prompt), `feedback` (on the completion) or "
    "`preference` (between two completions).",
    "Dataset.source": "`uploaded`, or `filtered`: made of interactions.",
    "Dataset.status": "`ready`; `pending` while it is filled. What fails is not kept.",
    "Dataset.error": "Why it failed.",
    "Dataset.lines": "How many lines it has, empty ones not counted.",
    "Dataset.size": "The bytes of the file.",
    "Dataset.metrics": "What it holds under each feedback key.",
    "Dataset.project": "The key of its project.",
    "Dataset.created_at": "When it was made.",
    "DatasetMetric.metric": "The feedback key.",
    "DatasetMetric.values": "How many values.",
    "DatasetMetric.preferences": "How many preferences.",
    "DatasetList.datasets": "The datasets, the newest first.",
    "DatasetFromInteractions.kind": "What makes a line: `prompt`, `completion`, `feedback` or `preference`.",
    "DatasetFromInteractions.key": "The default is the name, with hyphens.",
    "DatasetFromInteractions.name": "The default is the key.",
    "DatasetFromInteractions.filter": "Which interactions; all where it is left out.",
    "DatasetFromInteractions.metrics": "The feedback keys that count; all where it is left out.",
    "Sample.type": "`all`, `random` or `last`.",
    "Sample.size": "The most lines. Needed for `random` and `last`.",
    "NewUpload.content_type": "What the file is; `application/jsonl` where it is left out.",
    "NewUpload.metadata": "Whatever the client says of the file. It is not kept.",
    "UploadSession.session_id": "The id to send the parts under.",
    "UploadAbort.session_id": "The id that the upload began with.",
    "UploadQuery.session_id": "The id that the upload began with.",
    "PartQuery.session_id": "The id that the upload began with.",
    "DatasetFromUpload.session_id": "The id that the upload began with.",
    "UploadPart.size": "Its bytes.",
    "DatasetUploadQuery.key": "The key: unique in the project. The default is the name, with hyphens.",
    "DatasetUploadQuery.name": "The name. The default is the key.",
    "DownloadQuery.format": "`recipe`: lines in their normal shape. `original`: the bytes that came.",
    "file": "The hash and the extension, as the interaction links to it.",
    "Preference.preferred_completion": "The completion that was preferred; in a tie, the one that was named first.",
    "Preference.other_completion": "The other completion.",
    "Interaction.call": "How the call went, where the gateway made it; null where it was only logged.",
    "Call.state": "`open` (under way), `complete`, `failed`, `cancelled` (the caller hung up) or `interrupted` (the "
    "server stopped).",
    "Call.finish_reason": "The provider's word; or `error`, `cancelled`, `interrupted`.",
    "Call.error": "What the caller was told: `{status, type, code, message}`.",
    "Call.request_id": "The `x-request-id` of the answer.",
    "Model.projects": "The projects that may call it.",
    "Model.headers": "The names of the headers that its provider is sent; their values are never shown.",
    "Model.created_at": "When it was registered.",
    "NewModel.key": "The default is the name in small letters, with hyphens.",
    "NewModel.name": "The default is the key.",
    "NewModel.api_key": "The provider's API key. It is kept encrypted, and never shown.",
    "ModelChange.api_key": "Another API key of the provider; null takes it away.",
    "NewModel.project": "A project to attach it to.",
    "ModelList.models": "The models, those that can be called first.",
    "ModelList.data": "Those that the key may call, as OpenAI's API lists them.",
    "ModelStatus.status": "`online`, `offline`, or `unknown` for a logged-only model.",
    "ModelStatus.checked_at": "When the provider was looked at.",
    "ModelStatus.error": "Why it is offline.",
    "ProjectModel.created_at": "When it was attached.",
    "ProjectModel.model": "The model's key.",
    "ProjectModel.project": "The project's key.",
    "ProjectModelList.models": "The models, the default first.",
    "ModelsQuery.project": "Only the models of this project.",
    "Group.count": "How many interactions.",
    "MetricStatistics.count": "How many values.",
    "MetricStatistics.min": "The least value.",
    "MetricStatistics.max": "The greatest value.",
    "LabelKey.count": "On how many interactions.",
    "LabelValue.count": "On how many interactions.",
    "LabelValue.value": "The value.",
    "Deleted.deleted": "True.",
    "Health.version": "The server's version.",
    "Health.status": "`ok`, or `degraded` while the server cannot write.",
    "SearchHealth.waiting": "How many interactions wait to be indexed for text search.",
    "InteractionPage.count": "The exact size of the whole set, where `count` was asked for; else null.",
    "GroupPage.count": "The number of all groups, where `count` was asked for; else null.",
    "MetricStatistics.stddev": "The sample standard deviation; null for fewer than two values.",
    "MetricStatistics.mean": "Over a bool key: the share of true.",
    "Group.key": "The model's key, the prompt's hash, the session's id or the label's value; null where there is none.",
    "Group.prompt": "The prompt, cut to 300 characters, when grouped by prompt.",
    "Interaction.project": "The key of its project.",
    "Interaction.message": "The whole assistant message, where more than a text was logged.",
    "Interaction.completion": "The text of the completion.",
    "Interaction.messages": "The messages as sent; null in the short view.",
    "Interaction.feedback": "All feedback on this completion, the newest first.",
    "Interaction.labels": "The labels, key to value.",
    "Interaction.created_at": "When it happened.",
    "Interaction.model": "The key of the model that wrote it; null where none was named.",
    "Interaction.session_id": "The session that it belongs to.",
    "NewInteraction.model": "The model that wrote it. A key not seen before is registered.",
    "NewInteraction.completion_id": "Your own id for it: the same again answers as the first time, other content "
    "under it is refused with 409.",
    "NewFeedback.feedback_id": "Your own id for it: the same again answers as the first time.",
    "NewPreference.comparison_id": "Your own id for it: the same again answers as the first time.",
    "NewPreference.preferred_completion": "A completion_id, or `{text, model}` together with `messages`.",
    "NewPreference.other_completion": "A completion_id, or `{text, model}` together with `messages`.",
    "NewPreference.messages": "What both texts answer. Needed with texts, ignored with ids.",
    "NewPreference.labels": "Labels for completions that are given as texts.",
    "NewOutcome.session_id": "The session that the value is about.",
    "Feedback.created_at": "When it was given.",
    "Feedback.metric": "The feedback key.",
    "Preference.created_at": "When it was given.",
    "Preference.metric": "The feedback key.",
    "MetricStatistics.metric": "The feedback key.",
    "Feedback.value": "The value; a bool one is 0.0 or 1.0.",
    "NewText.text": "The text of the completion.",
    "NewText.model": "The model that wrote it.",
    "NewApiKey.projects": "The projects that the key is for, by key or id; null for all.",
    "NewApiKey.name": "Whose key it is, or what for. Its feedback is shown under this name.",
    "ApiKey.projects": "The keys of the projects that it is for; null for all.",
    "ApiKey.created_at": "When it was created.",
    "CreatedApiKey.projects": "The keys of the projects that it is for; null for all.",
    "CreatedApiKey.created_at": "When it was created.",
    "Project.created_at": "When it was created.",
    "Metric.project": "The key of its project.",
    "Metric.created_at": "When it was registered.",
    "NewProject.name": "The default is the key.",
    "NewMetric.name": "The default is the key.",
    "LabelChange.set": "Labels to add or to give a new value.",
    "LabelChange.remove": "Label keys to take away.",
    "LabelList.labels": "The label keys, each with its values.",
    "Labels.labels": "The labels, key to value.",
    "FeedbackCondition.reasons": "At least one of these reasons.",
    "FeedbackCondition.user": "Given by this user.",
    "FeedbackCondition.value": "A feedback whose value meets all of these.",
    "TimeRange.from": "The earliest time, inclusive.",
    "TimeRange.to": "The latest time, exclusive.",
    "Filter.prompt": "The text of the prompt.",
    "Filter.completion": "The text of the completion.",
    "Search.filter": "Which interactions; all where it is left out.",
    "Search.count": "Count the whole set exactly.",
    "ListQuery.count": "Count the whole set exactly.",
    "ListQuery.label": "`KEY`, or `KEY:VALUE`. Several values of one key mean any of them, several keys all of them.",
    "ListQuery.model": "A model's key. Several mean any of them.",
    "ListQuery.source": "LIVE, OFFLINE, AUTOMATION, DATASET or EVALUATION. Several mean any of them.",
    "ListQuery.state": "`open`, `complete`, `failed`, `cancelled` or `interrupted`. Several mean any of them; what was "
    "only logged is complete.",
    "ListQuery.finish_reason": "Why the model ended, such as `stop` or `length`. Several mean any of them.",
    "MetricsQuery.category": "`user`: the feedback keys. `system`: what the server measures of calls. `all`: both.",
    "Metric.category": "`user`: a feedback key. `system`: measured by the server, for each call of a model.",
    "Filter.state": "How the call went: `open`, `complete`, `failed`, `cancelled` or `interrupted`.",
    "Filter.finish_reason": "Why the model ended.",
    "ListQuery.feedback": "`METRIC`, or a comparison such as `CSAT>=4`, `accepted=true`, `score!=0.5`.",
    "ListQuery.has_feedback": "A feedback key under which there is feedback.",
    "ListQuery.has_no_feedback": "A feedback key under which there is none.",
    "ListQuery.preference": "A feedback key under which there is a preference.",
    "ListQuery.q": 'Words to find in prompt or completion: all of them; "in quotes" next to each other; with * their '
    "beginnings.",
    "ListQuery.user": "The end user.",
    "ListQuery.session_id": "The session.",
    "ListQuery.prompt_hash": "The hash of the prompt, as an interaction shows it.",
    "ProjectsQuery.archived": "List archived projects, too.",
    "BatchQuery.project": "The project of every line that names none.",
    "CallRequest.model": "`PROJECT/MODEL`, `PROJECT` for its default model, or `MODEL` with a key of one project.",
    "CallRequest.messages": "The conversation. Images are `image_url` parts, or Adaptive's `image` parts.",
    "CallRequest.prompt": "The text to go on with, or a list of texts.",
    "CallRequest.input": "The texts to turn into vectors.",
    "CallRequest.stream": "Answer as a stream of events.",
    "CallRequest.stream_options": "`include_usage`: end with a chunk that holds the usage.",
    "CallRequest.n": "How many completions.",
    "CallRequest.labels": "Labels for the interactions. Not sent to the provider.",
    "CallRequest.metadata": "The same as `labels`, by OpenAI's name.",
    "CallRequest.session_id": "The session that the call belongs to. Made when none is given. Not sent on.",
    "CallRequest.user": "The end user of your product: any string. Not sent on.",
    "CallRequest.store": "False: keep nothing of the call.",
    "CallRequest.ab_campaign": "The A/B test that the call belongs to. Not sent on.",
    "choices": "The completions.",
    "index": "Its place among the choices.",
    "finish_reason": "Why the model ended, such as `stop`, `length` or `tool_calls`; null in all chunks but the last.",
    "message": "What the model said.",
    "delta": "What the model said since the last chunk.",
    "ChatMessage.role": "Who speaks.",
    "content": "The text.",
    "tool_calls": "The calls of tools that the model asks for, as the provider gave them.",
    "refusal": "Why the model refused, in its own words.",
    "reasoning_content": "What the model thought, where the provider tells.",
    "text": "The text.",
    "data": "The vectors, in the order of the texts.",
    "embedding": "The vector, or its base64.",
    "prompt_tokens": "Tokens of the prompt.",
    "completion_tokens": "Tokens of the completion.",
    "total_tokens": "Both together.",
    "estimated": "True where the provider told none and these were counted from the texts.",
    # Conditions say in their own structs what they take.
    "Filter.model": "The model's key.",
    "Filter.source": "How it came.",
    "Filter.prompt_hash": "The prompt's hash.",
    "Filter.session_id": "The session.",
    "Filter.user": "The end user.",
    "Filter.completion_id": "The completion's id.",
}

_COMPLETION = "0192d3a4-5b6c-7d8e-9f00-112233445566"
_OTHER = "0192d3a4-5b6c-7d8e-9f00-665544332211"
_SESSION = "0192d3a4-5b6c-7d8e-9f00-aabbccddeeff"

CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "chat": (
        "Call a chat model",
        "What the body holds beyond the fields below goes to the provider as it is: tools, response_format, seed, "
        "whatever it takes. The answer is the provider's own, with `completion_id` and `model` on each choice and a "
        "`session_id`. With `stream: true` it is a stream of events: `completion_id` in each chunk, `[DONE]` at the "
        "end, an event with `error` where it failed. Except with `store: false`, each choice is an interaction before "
        "its answer, or its first chunk, leaves.",
        {
            "model": "default/echo",
            "messages": [{"role": "user", "content": "Why is the sky blue?"}],
            "labels": {"topic": "physics"},
        },
    ),
    "completions": (
        "Have a model go on with a text",
        "OpenAI's older form: `prompt` in place of `messages`, and choices with `text`. Everything else as for chat.",
        {"model": "default/echo", "prompt": "Once upon a time"},
    ),
    "embeddings": (
        "Turn texts into vectors",
        "`input` is a text or a list of texts. Nothing is stored of these calls; they are counted at `/metrics`.",
        {"model": "default/echo", "input": ["sky", "sea"]},
    ),
}
"""Of each face: what it does, the rest that is to be said of it, and a body."""

FAILURES = {
    429: "The provider takes no more calls now; `Retry-After` is its own.",
    502: "The provider refused its key, failed, or answered what is no answer.",
    504: "The provider did not answer in time.",
}
"""What statuses of calls mean that no other route has."""

FILES = {"images": "The image.", "datasets": "The lines."}
"""What answers that are no JSON are, by the tag of their route."""

LINES = '{"messages": [{"role": "user", "content": "Why is the sky blue?"}], "completion": "It scatters light."}\n'
"""A body of JSON lines."""

EXAMPLES: dict[type, Any] = {
    t.NewInteraction: {
        "messages": [{"role": "user", "content": "Why is the sky blue?"}],
        "completion": "Because air scatters short waves of light more than long ones.",
        "model": "my-model",
        "labels": {"topic": "physics"},
    },
    t.Search: {
        "filter": {
            "and": [
                {"label": {"key": "topic", "value": {"eq": "physics"}}},
                {"not": {"text": "refraction"}},
                {"timerange": {"from": "now - 1 month"}},
            ]
        },
        "limit": 20,
    },
    t.LabelChange: {"set": {"reviewed": "yes"}, "remove": ["draft"]},
    t.NewFeedback: {"completion_id": _COMPLETION, "metric": "CSAT", "value": 5, "user": "customer-17"},
    t.FeedbackChange: {"value": 4, "details": "On second thoughts."},
    t.NewPreference: {"metric": "helpful", "preferred_completion": _COMPLETION, "other_completion": _OTHER},
    t.NewOutcome: {"session_id": _SESSION, "metric": "resolved", "value": True},
    t.NewMetric: {"key": "CSAT", "kind": "scalar", "unit": "stars", "description": "How content the customer was."},
    t.MetricChange: {"description": "How content the customer was, 1 to 5."},
    t.NewProject: {"key": "support", "name": "Customer support"},
    t.ProjectChange: {"archived": True},
    t.NewModel: {
        "key": "gpt-mini",
        "provider": "open_ai",
        "external_model_id": "gpt-4o-mini",
        "api_key": "sk-...",
        "project": "support",
    },
    t.ModelChange: {"extra_params": {"temperature": 0}},
    t.NewProjectModel: {"model": "gpt-mini", "make_default": True},
    t.ProjectModelChange: {"enabled": False},
    t.DatasetFromInteractions: {
        "key": "rated-well",
        "kind": "feedback",
        "filter": {"feedback": {"metric": "CSAT", "value": {"gte": 4}}},
        "sample": {"type": "last", "size": 1000},
    },
    t.NewUpload: {"total_parts_count": 3},
    t.UploadAbort: {"session_id": _SESSION},
    t.DatasetFromUpload: {"session_id": _SESSION, "key": "support-2026-11"},
    t.NewApiKey: {"name": "web shop", "role": "ingest", "projects": ["support"]},
}
"""A body for each struct that a route takes, as a caller would send it."""
