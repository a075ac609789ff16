"""Texts of the OpenAPI document and the reference: the introduction, tags, model calls and examples.

`EXAMPLES` holds a body for each route that takes one. Fields are described where they are declared, in `types/`.
"""

from __future__ import annotations

from typing import Any

from afterword import types as t
from afterword.types import base

ABOUT = """\
Afterword keeps what language models said and what people thought of it.

**Keys.** Every call but `GET /health` and `GET /ready` carries `Authorization: Bearer KEY`; `x-api-key` and \
`x-goog-api-key` are taken as well. What lies in projects \
that the key is not for is answered with 404, as what does not exist.

**Errors.** Every error is `{"error": {"message", "type", "code", "param", "hint"}}`: what was wrong, in words and as \
a code, the field that it was about, and what to do next. Unknown fields and parameters are refused by name.

**Repeating is safe** where you choose the id (`completion_id`, `feedback_id`, `comparison_id`, `outcome_id`): the \
same again gives the same answer, other content under the same id gives 409. What was answered is on disk.

**Times** are given as RFC 3339, as a date, as seconds or milliseconds since 1970 or in words such as `now - 1 month`; \
they are answered as RFC 3339 in UTC.

**Base addresses.** Models are called and listed under `/v1`, `/openai/v1` and `/openai`, too, as under `/api/v1`; \
Azure's clients call them under `/openai/deployments/MODEL`. What else stands below them in OpenAI's or Anthropic's \
API is answered with 404 and `not_served`, in the client's own form.

**Lists** end where `next` is null; give it as `cursor` to go on.
"""

PATH_PARAMETERS = {
    "comparison_id": base.COMPARISON_ID.description,
    "completion_id": base.COMPLETION_ID.description,
    "dataset": "A dataset, by id, or by key in the project.",
    "feedback_id": base.FEEDBACK_ID.description,
    "file": "The hash and the extension, as the interaction links to it.",
    "key_id": "The id of an API key, as `GET /api/v1/keys` lists it.",
    "method": "`generateContent`, or `streamGenerateContent` for a stream of events with `alt=sse`.",
    "metric": base.METRIC.description,
    "model": base.MODEL.description,
    "outcome_id": base.OUTCOME_ID.description,
    "project": "A project, by key or id.",
    "response_id": "The response: `resp_` and the completion_id.",
    "session_id": "The session: its id, or what the caller named it.",
    "team": "A team, by key or id.",
    "test": "The test, by key or id.",
    "user": "A user, by id or address.",
    "view_id": "The id of a saved view.",
}

TAGS = {
    "interactions": "Messages in, completion out: log them, find them, label them, delete them.",
    "sessions": "The turns of a conversation, or the steps of an agent: interactions that share a session_id.",
    "feedback": "What people and programs thought of a completion: values, preferences, outcomes of sessions.",
    "metrics": "The feedback keys: what is measured, bool or scalar, and which way is better.",
    "projects": "Spaces of their own: interactions, metrics and labels of one are seen from no other.",
    "calls": "OpenAI's API over every registered model: each call is an interaction, found under its `completion_id`.",
    "telemetry": "OpenTelemetry's protocol, OTLP: spans of calls become interactions, evaluations become feedback.",
    "ab-tests": "Which of several models people are happiest with, told from the feedback on calls that these share.",
    "models": "What completions come from: register models of any provider, and attach them to projects.",
    "keys": "The API keys that calls are made with, and what each may do.",
    "datasets": "Files of prompts, completions, feedback and preferences: uploaded, or made of interactions.",
    "people": "Users, teams and roles, and the teams that projects are shared with.",
    "images": "Images, audio and files taken out of messages, kept once by their content.",
    "server": "How the server is.",
}

_COMPLETION = "0192d3a4-5b6c-7d8e-9f00-112233445566"
_OTHER_COMPLETION = "0192d3a4-5b6c-7d8e-9f00-665544332211"
_SESSION = "0192d3a4-5b6c-7d8e-9f00-aabbccddeeff"

CALL_HEADERS = {
    "x-afterword-completion-id": "An id of your own for the first choice: a UUID that no interaction has. Further "
    "choices get the ids after it.",
    "x-afterword-session": "The session, as `session_id` in the body.",
    "x-afterword-user": "The end user of your product, as `user` in the body.",
    "x-afterword-environment": "Where your product ran, as `environment` in the body.",
    "x-afterword-parent": "The interaction that the call is a step of, as `parent` in the body.",
    "x-afterword-step": "The name of the step, as `step` in the body.",
    "x-afterword-label-KEY": "A label. HTTP has no capital letters in names: write them as %XX.",
    "x-afterword-store": "`false` logs nothing of the call; it wins over `store` in the body.",
    "baggage": "W3C baggage: `session.id`, `user.id`, `deployment.environment.name`, `afterword.label.KEY` are read.",
    "traceparent": "W3C trace context: the trace is the session where nothing else names one.",
}
"""The headers that a model call may have."""
ANSWER_HEADERS = {
    "x-afterword-completion-id": "The completion_id of the first choice.",
    "x-afterword-session-id": "The session that the call belongs to.",
    "x-request-id": "The request's id, kept with the interaction.",
}

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
    "responses": (
        "Have a model respond",
        "OpenAI's Responses API. A provider that speaks it gets the call as it is; for any other it is translated to "
        "chat. The answer's `id` is `resp_` and the completion_id, which stands beside it with the `session_id`. With "
        "`stream: true` it is a stream of the API's events. `previous_response_id` goes on from what is logged: its "
        "conversation is sent again before the new input, without its `instructions`, and the call stands in the same "
        "session. `store: false` is for the provider: the call is logged all the same, unless the header "
        "`x-afterword-store: false` says otherwise.",
        {"model": "default/echo", "input": "Why is the sky blue?"},
    ),
    "embeddings": (
        "Turn texts into vectors",
        "`input` is a text or a list of texts. The call is an interaction of the operation `embeddings`: its messages "
        "are the texts, its completion tells how many vectors came. The vectors are not stored.",
        {"model": "default/echo", "input": ["sky", "sea"]},
    ),
    "moderations": (
        "Have texts judged",
        "Passed on to a provider with OpenAI's API, and logged: the messages are the texts, the completion says what "
        "was flagged, `facts` has the whole result.",
        {"model": "default/guard", "input": "I will find you."},
    ),
    "speech": (
        "Have a text spoken",
        "Passed on to a provider with OpenAI's API; the audio is sent as it arrives, and kept with the interaction. "
        "The `completion_id` is in the header `x-afterword-completion-id`.",
        {"model": "default/speaker", "input": "The sky is blue.", "voice": "alloy"},
    ),
    "transcriptions": (
        "Have audio written down",
        "A form with a `file`, passed on to a provider with OpenAI's API. The audio is kept with the interaction; the "
        "completion is the text. Labels are given in headers.",
        {"model": "default/listener", "file": "…", "language": "en"},
    ),
    "translations": (
        "Have audio written down in English",
        "As `POST /audio/transcriptions`, in English.",
        {"model": "default/listener", "file": "…"},
    ),
    "image_generations": (
        "Have an image made",
        "Passed on to a provider with OpenAI's API, and logged: the message is the prompt, the completion has the "
        "images. An image that comes as an address is kept as that. With `stream: true` partial images are events.",
        {"model": "default/painter", "prompt": "A blue sky"},
    ),
    "image_edits": (
        "Have images changed",
        "A form with an `image` (or several), a `prompt` and perhaps a `mask`, passed on and logged with the images.",
        {"model": "default/painter", "image": "…", "prompt": "More clouds"},
    ),
    "image_variations": (
        "Have an image varied",
        "A form with an `image`, passed on and logged with the images.",
        {"model": "default/painter", "image": "…"},
    ),
    "messages": (
        "Call a model in the form of Anthropic's Messages API",
        "For Anthropic's clients, whose base address is the server's own, without a path. A model of Anthropic's gets "
        "the request unchanged, and the answer is its own but for the ids. Any other model gets it translated to chat. "
        "The answer's `id` is `msg_` and the completion_id, which stands beside it with the `session_id`. Errors have "
        "Anthropic's form. With `stream: true` it is a stream of Anthropic's events.",
        {
            "model": "default/echo",
            "max_tokens": 256,
            "messages": [{"role": "user", "content": "Why is the sky blue?"}],
        },
    ),
    "generate_content": (
        "Call a model in the form of Google's generateContent",
        "For Google's clients, whose base address is the server's own, without a path. A model of Google's gets the "
        "request unchanged, and the answer is its own but for the ids. Any other model gets it translated to chat. "
        "The answer's `responseId` is the completion_id. Errors have Google's form.",
        {"contents": [{"role": "user", "parts": [{"text": "Why is the sky blue?"}]}]},
    ),
    "count_content_tokens": (
        "Count the tokens of a request of generateContent",
        "A model of Google's is asked for the count. For any other model it is estimated, as the usage of a call is "
        "where the provider reports none: four bytes of the messages are a token. Nothing is logged.",
        {"contents": [{"role": "user", "parts": [{"text": "Why is the sky blue?"}]}]},
    ),
    "count_tokens": (
        "Count the tokens of a request of the Messages API",
        "A model of Anthropic's is asked for the count. For any other model it is estimated, as the usage of a call is "
        "where the provider reports none: four bytes of the messages are a token. Nothing is logged.",
        {"model": "default/echo", "messages": [{"role": "user", "content": "Why is the sky blue?"}]},
    ),
}
"""The summary, description and example body of each model call."""

TELEMETRY: dict[str, tuple[str, str, dict[str, Any]]] = {
    "traces": (
        "Take spans of OpenTelemetry",
        "An ExportTraceServiceRequest, as protobuf or JSON. Spans of calls of models become interactions; others are "
        "counted at `/metrics`. A span that was sent before changes nothing. What was rejected is told in the answer's "
        "`partialSuccess`; all else is on disk. The key may also be sent as `x-api-key`, or as the password of Basic "
        "authentication. Errors are a google.rpc.Status.",
        {
            "resourceSpans": [
                {
                    "scopeSpans": [
                        {
                            "spans": [
                                {
                                    "traceId": "5b8efff798038103d269b633813fc60c",
                                    "spanId": "eee19b7ec3c1b174",
                                    "name": "chat gpt-mini",
                                    "startTimeUnixNano": "1790000000000000000",
                                    "endTimeUnixNano": "1790000001000000000",
                                    "attributes": [
                                        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                                        {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-mini"}},
                                    ],
                                }
                            ]
                        }
                    ]
                }
            ]
        },
    ),
    "logs": (
        "Take log records of OpenTelemetry",
        "An ExportLogsServiceRequest, as protobuf or JSON. Records that tell what was said in a call complete its "
        "interaction, and `gen_ai.evaluation.result` becomes feedback; what comes before the span of its call waits on "
        "disk. Other records are counted. Key, answer and errors are as for traces.",
        {
            "resourceLogs": [
                {
                    "scopeLogs": [
                        {
                            "logRecords": [
                                {
                                    "eventName": "gen_ai.evaluation.result",
                                    "traceId": "5b8efff798038103d269b633813fc60c",
                                    "spanId": "eee19b7ec3c1b174",
                                    "attributes": [
                                        {"key": "gen_ai.evaluation.name", "value": {"stringValue": "relevance"}},
                                        {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 0.9}},
                                    ],
                                }
                            ]
                        }
                    ]
                }
            ]
        },
    ),
}
"""The summary, description and example body of each signal of OTLP."""

FAILURES = {
    429: "The provider takes no more calls now; `Retry-After` is its own.",
    502: "The provider refused its key, failed, or sent something that is not an answer.",
    504: "The provider did not answer in time.",
}
"""Statuses that only model calls answer with."""

EXAMPLES: dict[type, Any] = {
    t.RecordedCall: {
        "completion_id": "01890a5d-ac96-774b-bcce-b302099a8057",
        "operation": "chat",
        "request": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Where is the Louvre?"}]},
        "answer": {"choices": [{"index": 0, "message": {"role": "assistant", "content": "In Paris."}}]},
        "latency": 0.8,
    },
    t.LiteLLMCall: {
        "id": "chatcmpl-AbC123",
        "call_type": "acompletion",
        "status": "success",
        "model": "gpt-4o",
        "startTime": 1796072709.5,
        "endTime": 1796072710.25,
        "messages": [{"role": "user", "content": "Where is the Louvre?"}],
        "response": {
            "id": "chatcmpl-AbC123",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "In Paris."}}],
        },
        "request_tags": ["shop"],
    },
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
    t.SessionSearch: {"filter": {"not": {"outcome": {"metric": "resolved"}}}, "min_turns": 2},
    t.Watches: {
        "watches": [
            {"name": "physics", "filter": {"label": {"key": "topic", "value": {"eq": "physics"}}}},
            {"name": "support", "project": "support"},
        ]
    },
    t.NewFacets: {"filter": {"label": {"key": "env", "value": {"eq": "prod"}}}, "limit": 5},
    t.LabelChange: {"set": {"reviewed": "yes"}, "remove": ["draft"]},
    t.NewFeedback: {"completion_id": _COMPLETION, "metric": "CSAT", "value": 5, "user": "customer-17"},
    t.FeedbackChange: {"value": 4, "details": "On second thoughts."},
    t.NewPreference: {"metric": "helpful", "preferred_completion": _COMPLETION, "other_completion": _OTHER_COMPLETION},
    t.PreferenceChange: {"tied": "good", "details": "On second thoughts."},
    t.NextPairs: {"metric": "helpful", "sitting": _SESSION, "limit": 3},
    t.NewOutcome: {"session_id": _SESSION, "metric": "resolved", "value": True},
    t.OutcomeChange: {"value": False, "details": "The customer called again."},
    t.NewMetric: {"key": "CSAT", "kind": "scalar", "unit": "stars", "description": "How content the customer was."},
    t.LinkedMetric: {"metric": "CSAT"},
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
    t.DatasetOfInteractions: {
        "key": "good-answers",
        "kind": "feedback",
        "filter": {"feedback": {"metric": "CSAT", "value": {"gte": 4}}},
        "sample": {"type": "random", "size": 1000},
    },
    t.DatasetOfUpload: {"session_id": _SESSION, "key": "good-answers"},
    t.NewUpload: {"total_parts_count": 3, "content_type": "application/jsonl"},
    t.UploadId: {"session_id": _SESSION},
    t.NewTeam: {"key": "support", "name": "Customer support"},
    t.NewTeamRole: {"key": "rater", "name": "Rater", "permissions": ["project:read", "project:log"]},
    t.NewUser: {"name": "Ada", "email": "ada@example.com", "teams": [{"team": "support", "role": "rater"}]},
    t.NewMember: {"user": "ada@example.com", "role": "power_user"},
    t.NewShareList: {"shares": [{"team": "support", "role": "power_user", "is_owner": True}]},
    t.NewABTest: {"key": "mini-or-large", "metric": "CSAT", "models": ["gpt-mini", "gpt-large"], "project": "support"},
    t.NewSummary: {"filter": {"label": {"key": "env", "value": {"eq": "prod"}}}, "split_by": "model"},
    t.NewCountTrend: {"filter": {"timerange": {"from": "now - 30 days"}}, "interval": "hour", "failures": True},
    t.NewTrend: {"filter": {"timerange": {"from": "now - 30 days"}}, "interval": "day", "timezone": "Europe/Paris"},
    t.NewRanking: {"metric": "better", "filter": {"label": {"key": "env", "value": {"eq": "prod"}}}},
    t.NewSavedView: {"name": "Unhappy in production", "search": "?q=label.env:prod CSAT<3"},
    t.SavedViewChange: {"name": "Unhappy"},
    t.NewSession: {"api_key": "aw_..."},
    t.NewApiKey: {"name": "web shop", "role": "ingest", "projects": ["support"]},
}
"""An example body for each struct that a route takes."""
