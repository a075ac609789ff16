"""The table of the fields of an interaction by which one can filter, list and group.

The filter compiler, plain parameters, facets and groups read this table, and so do the command line's options,
GraphQL's filters, an import and the page (scripts/web.py). The structs `Filter` and `FilterQuery` and the client's
`PlainFilters` are written out for the type checker; tests/test_reach.py checks that they match.
"""

from __future__ import annotations

from msgspec import Meta

from afterword.types.base import CALL_ID, OPERATION, SEARCH_WORDS, SESSION, TRACE_ID
from afterword.types.field import Field, Parameter, QueryWord

FIELDS: tuple[Field, ...] = (
    Field(
        name="label",
        compared_as="label",
        title="Labels",
        parameters=(
            Parameter(
                name="label", argument="labels", is_list=True, option="--label", metavar="KEY[=VALUE]",
                help="Has the label; several values of a key: any of them.",
            ),
        ),
        words=(QueryWord(
                name="label.", example="label.env:prod", means="has this label, or this label with any value"
            ),),
        graphql=("labels", "label"),
        is_facet=True,
    ),
    Field(
        name="model",
        compared_as="model",
        title="Model",
        description=Meta(description="The model's key."),
        columns=("interactions.model",),
        parameters=(
            Parameter(name="model", is_list=True, option="--model", help="Of this model, or any of several."),
        ),
        words=(QueryWord(name="model:", example="model:gpt-5,claude", means="completed by one of these models"),),
        graphql=("models", "model"),
        is_facet=True,
        group_by="model",
    ),
    Field(
        name="source",
        compared_as="source",
        title="Source",
        description=Meta(description="How it came."),
        columns=("interactions.source",),
        parameters=(
            Parameter(
                name="source", is_list=True, option="--source", metavar="SOURCE",
                help="How it came in, such as LIVE or OFFLINE.",
            ),
        ),
        words=(QueryWord(name="source:", example="source:LIVE", means="called through Afterword, or logged"),),
        graphql=("source",),
        is_facet=True,
    ),
    Field(
        name="operation",
        compared_as="operation",
        title="Operation",
        description=OPERATION,
        columns=("interactions.operation",),
        parameters=(
            Parameter(
                name="operation", is_list=True, option="--operation", metavar="OPERATION",
                help="What the model was asked for: chat, embeddings, speech, image_generations, ….",
            ),
        ),
        words=(
            QueryWord(
                name="operation:", example="operation:embeddings",
                means="what the model was asked for: chat, embeddings, speech, image_generations, …",
            ),
        ),
        graphql=("operation",),
        is_facet=True,
        group_by="operation",
    ),
    Field(
        name="state",
        compared_as="state",
        title="State",
        description=Meta(
            description="How the call went: `open`, `complete`, `failed`, `cancelled` or `interrupted`."
        ),
        columns=("calls.state",),
        parameters=(
            Parameter(
                name="state", is_list=True, option="--state", metavar="STATE",
                help="How the call went: complete, failed, cancelled, interrupted.",
            ),
        ),
        words=(QueryWord(name="state:", example="state:failed", means="how the call went"),),
        graphql=("state",),
        is_facet=True,
    ),
    Field(
        name="finish_reason",
        compared_as="call_text",
        title="Finish reason",
        description=Meta(description="Why the model ended."),
        columns=("calls.finish_reason",),
        parameters=(
            Parameter(
                name="finish_reason", is_list=True, option="--finish-reason", metavar="REASON",
                help="Why the answer ended: stop, length.",
            ),
        ),
        words=(QueryWord(name="finish:", example="finish:length", means="why the model stopped"),),
        graphql=("finishReason",),
        is_facet=True,
    ),
    Field(
        name="session_id",
        compared_as="session",
        title="Session",
        description=SESSION,
        columns=("interactions.session_id",),
        parameters=(Parameter(name="session_id", option="--session", help="Of this session."),),
        words=(QueryWord(name="session:", example="session:chat-42", means="of this session, by its name or id"),),
        graphql=("sessionId",),
        group_by="session",
    ),
    Field(
        name="user",
        compared_as="text",
        title="User",
        description=Meta(description="The end user."),
        columns=("interactions.user",),
        parameters=(Parameter(name="user", option="--user", help="Of this end user."),),
        words=(QueryWord(name="user:", example="user:anna", means="of this end user"),),
        graphql=("createdBy", "userId"),
        max_characters=1024,
        is_facet=True,
    ),
    Field(
        name="environment",
        compared_as="text",
        title="Environment",
        description=Meta(description="Where your product ran, such as `production`."),
        columns=("interactions.environment",),
        parameters=(
            Parameter(
                name="environment", is_list=True, option="--environment", metavar="NAME",
                help="Of this environment, such as production, or any of several.",
            ),
        ),
        words=(QueryWord(name="environment:", example="environment:production", means="where the product ran"),),
        graphql=("environment",),
        max_characters=200,
        is_facet=True,
        group_by="environment",
    ),
    Field(
        name="step",
        compared_as="text",
        title="Step",
        description=Meta(description="The name of the step of an agent's turn, such as `plan`."),
        columns=("interactions.step",),
        parameters=(
            Parameter(
                name="step", is_list=True, option="--step", metavar="NAME",
                help="Of a step of this name, such as plan, or of any of several.",
            ),
        ),
        words=(QueryWord(name="step:", example="step:plan", means="a step of this name in an agent's turn"),),
        graphql=("step",),
        max_characters=200,
        is_facet=True,
        group_by="step",
    ),
    Field(
        name="parent",
        compared_as="id",
        title="Parent",
        description=Meta(description="The completion_id of the interaction that it is a step of."),
        columns=("interactions.parent",),
        parameters=(
            Parameter(
                name="parent", is_list=True, option="--parent", metavar="COMPLETION_ID",
                help="A step of this interaction, or of any of several.",
            ),
        ),
        words=(QueryWord(name="parent:", example="parent:0192…", means="a step of this completion"),),
        graphql=("parent",),
    ),
    Field(
        name="request_id",
        compared_as="call_id",
        title="Request id",
        description=CALL_ID,
        columns=("calls.request_id", "calls.provider_request_id", "calls.response_id"),
        parameters=(
            Parameter(
                name="request_id", option="--request-id", metavar="ID",
                help="Of this call, by Afterword's id or the provider's.",
            ),
        ),
        words=(
            QueryWord(
                name="request:", example="request:req_01…", means="this call, by Afterword's or the provider's id"
            ),
        ),
        graphql=("requestId",),
    ),
    Field(
        name="trace_id",
        compared_as="call_id",
        title="Trace",
        description=TRACE_ID,
        columns=("calls.trace_id",),
        parameters=(Parameter(name="trace_id", option="--trace-id", metavar="ID", help="Of this trace."),),
        words=(QueryWord(name="trace:", example="trace:4bf92f35…", means="of this trace"),),
        graphql=("traceId",),
    ),
    Field(
        name="prompt_hash",
        compared_as="prompt_hash",
        title="Prompt hash",
        description=Meta(description="The prompt's hash."),
        columns=("interactions.prompt_hash",),
        parameters=(
            Parameter(name="prompt_hash", option="--prompt-hash", help="Of the prompt with this hash."),
        ),
        words=(QueryWord(name="prompt_hash:", example="prompt_hash:ab12…", means="answers exactly this prompt"),),
        graphql=("promptHash",),
        group_by="prompt",
    ),
    Field(
        name="timerange",
        compared_as="timerange",
        title="Time",
        columns=("interactions.created_at",),
        parameters=(
            Parameter(
                name="from", argument="from_", option="--from", metavar="TIME",
                help="From then on: 2026-11-23, or 'now - 1 month'.",
            ),
            Parameter(name="to", option="--to", metavar="TIME", help="Until before then."),
        ),
        words=(
            QueryWord(
                name="from:", example="from:7d", means="made since; 30m, 24h, 7d, 4w, or a day of your time zone"
            ),
            QueryWord(name="to:", example="to:2026-11-01", means="made before this day begins"),
        ),
        graphql=("timerange",),
    ),
    Field(
        name="feedback",
        compared_as="feedback",
        title="Feedback",
        parameters=(
            Parameter(
                name="feedback", is_list=True, option="--feedback", metavar="CONDITION",
                help="Has such feedback: 'CSAT>=4', 'accepted=true', CSAT.",
            ),
            Parameter(
                name="has_feedback", is_list=True, option="--has-feedback", metavar="METRIC",
                help="Has feedback under the metric.",
            ),
            Parameter(
                name="has_no_feedback", is_list=True, option="--has-no-feedback", metavar="METRIC",
                help="Has none under the metric.",
            ),
        ),
        words=(QueryWord(
                name="has:", example="has:CSAT", means="has feedback under this key; or tools, images, audio, files, …"
            ),),
        graphql=("feedbacks", "scores"),
        is_facet=True,
    ),
    Field(
        name="preference",
        compared_as="preference",
        title="Preferences",
        parameters=(
            Parameter(
                name="preference", is_list=True, option="--preference", metavar="METRIC",
                help="Takes part in a preference under the metric.",
            ),
        ),
        words=(QueryWord(
                name="preference:", example="preference:better", means="takes part in a preference under this key"
            ),),
        graphql=("comparisons",),
        is_facet=True,
    ),
    Field(
        name="outcome",
        compared_as="outcome",
        title="Outcomes",
        parameters=(
            Parameter(
                name="outcome", is_list=True, option="--outcome", metavar="CONDITION", prefix="session.",
                help="Its session has such an outcome: 'CSAT>=4', 'accepted=true', CSAT.",
            ),
            Parameter(
                name="has_outcome", is_list=True, option="--has-outcome", metavar="METRIC",
                help="Its session has an outcome under the metric.",
            ),
            Parameter(
                name="has_no_outcome", is_list=True, option="--has-no-outcome", metavar="METRIC",
                help="Its session has none under the metric.",
            ),
        ),
        words=(
            QueryWord(
                name="session.", example="session.accepted=true",
                means="the session has such an outcome; has:session.accepted for any",
            ),
        ),
        graphql=("outcomes",),
        is_facet=True,
    ),
    Field(
        name="has",
        compared_as="has",
        title="Holds",
        description=Meta(
            description="What it holds: `tools`, `reasoning` or `refusal` in the completion; `images`, `audio` or "
            "`files` anywhere."
        ),
        columns=("interactions.contents",),
        parameters=(
            Parameter(
                name="has", is_list=True, option="--has", metavar="WHAT",
                help="Holds tools, images, audio, files, reasoning or a refusal; any of several.",
            ),
        ),
        graphql=("has",),
    ),
    Field(
        name="tool",
        compared_as="tool",
        title="Tool",
        description=Meta(description="The name of a tool that the completion calls."),
        columns=("interactions.contents",),
        parameters=(
            Parameter(
                name="tool", is_list=True, option="--tool", metavar="NAME",
                help="Its completion calls this tool, or any of several.",
            ),
        ),
        words=(QueryWord(name="tool:", example="tool:weather", means="the completion calls this tool"),),
        graphql=("tool",),
    ),
    Field(
        name="text",
        compared_as="words",
        title="Text",
        description=SEARCH_WORDS,
        parameters=(
            Parameter(
                name="q", option="--q", metavar="WORDS",
                help="Words to find in prompt, completion, reasoning or details.",
            ),
            Parameter(name="repeats", is_flag=True, option="--repeats", help="Also turns that repeat the words."),
        ),
        words=(QueryWord(name="repeats:", example="refund repeats:true", means="also turns that repeat the words"),),
        graphql=("text",),
    ),
    Field(
        name="prompt",
        compared_as="phrase",
        title="Prompt",
        description=Meta(description="What the messages say, without reasoning; `eq` compares the text of the prompt."),
        columns=("interactions.prompt_text_hash",),
        words=(
            QueryWord(name="prompt:", example='prompt:"credit card"', means="the prompt contains these words"),
        ),
        graphql=("prompt",),
    ),
    Field(
        name="completion",
        compared_as="phrase",
        title="Completion",
        description=Meta(description="What the completion says, without reasoning; `eq` compares its text."),
        columns=("interactions.completion_text_hash",),
        words=(
            QueryWord(name="completion:", example="completion:sorry", means="the completion contains these words"),
        ),
        graphql=("completion",),
    ),
    Field(
        name="reasoning",
        compared_as="phrase",
        title="Reasoning",
        description=Meta(description="What the model thought; only `contains`."),
        words=(
            QueryWord(name="reasoning:", example="reasoning:refund", means="the reasoning contains these words"),
        ),
        graphql=("reasoning",),
    ),
    Field(
        name="details",
        compared_as="phrase",
        title="Details",
        description=Meta(
            description="The `details` of its feedback and preferences, and of the outcomes that its session was given "
            "while it was the newest turn; only `contains`."
        ),
        words=(
            QueryWord(name="details:", example="details:rude", means="what was written with feedback has these words"),
        ),
        graphql=("details",),
    ),
    Field(
        name="completion_id",
        compared_as="id",
        title="Completion id",
        description=Meta(description="The completion's id."),
        columns=("interactions.id",),
        words=(QueryWord(name="id:", example="id:0192…", means="this completion"),),
        graphql=("completionId",),
    ),
)  # fmt: skip
GROUPINGS: tuple[str, ...] = tuple(sorted(field.group_by for field in FIELDS if field.group_by))
"""The values of `group_by`, beside `label:KEY`."""
GROUP_BY = Meta(
    description=", ".join(f"`{word}`" for word in GROUPINGS)
    + " or `label:KEY`: answers groups in place of interactions."
)
TEXT_FIELDS: tuple[Field, ...] = tuple(field for field in FIELDS if field.compared_as == "text")
"""The plain texts that a caller can log with an interaction or send with a call."""
PARAMETERS: tuple[Parameter, ...] = tuple(parameter for field in FIELDS for parameter in field.parameters)


def described(name: str) -> Meta:
    """Return the description of a field in a filter tree."""
    return next(field.description for field in FIELDS if field.name == name and field.description)
