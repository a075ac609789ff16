"""The names that the conventions of tracing have for the same facts about a call of a model.

Of several names the first that a span has counts. The conventions are those of OpenTelemetry for generative AI
(`gen_ai.*`, current and earlier ones), OpenLLMetry (`llm.*`, `traceloop.*`), OpenInference (`llm.*`, `input.value`),
Langfuse (`langfuse.*`), the AI SDK of Vercel (`ai.*`) and MLflow (`mlflow.*`).
"""

from __future__ import annotations

CALL_OPERATIONS = frozenset({"chat", "completion", "generate_content", "responses", "text_completion"})
"""The values of `gen_ai.operation.name` that are calls of a model with messages and a completion."""
CALL_KINDS = {
    "openinference.span.kind": frozenset({"llm"}),
    "langfuse.observation.type": frozenset({"generation"}),
    "mlflow.spanType": frozenset({"chat_model", "llm"}),
    "llm.request.type": frozenset({"chat", "completion"}),
    "traceloop.span.kind": frozenset[str](),
}
"""The attributes that tell what a span is, with their values for calls of models, in lower case."""

FACTS: dict[str, tuple[str, ...]] = {
    "model": ("gen_ai.request.model", "llm.request.model", "ai.model.id"),
    "provider_model": (
        "gen_ai.response.model",
        "llm.response.model",
        "ai.response.model",
        "llm.model_name",
        "langfuse.observation.model.name",
        "mlflow.llm.model",
    ),
    "response_id": ("gen_ai.response.id", "llm.response.id", "ai.response.id"),
    "provider": (
        "gen_ai.provider.name",
        "gen_ai.system",
        "llm.provider",
        "llm.system",
        "ai.model.provider",
        "mlflow.llm.provider",
    ),
    "session": (
        "gen_ai.conversation.id",
        "session.id",
        "langfuse.session.id",
        "traceloop.association.properties.session_id",
        "ai.telemetry.metadata.sessionId",
        "mlflow.trace.session",
    ),
    "user": (
        "user.id",
        "enduser.id",
        "langfuse.user.id",
        "traceloop.association.properties.user_id",
        "ai.telemetry.metadata.userId",
        "mlflow.trace.user",
        "gen_ai.user",
        "llm.user",
    ),
    "environment": ("deployment.environment.name", "deployment.environment", "langfuse.environment"),
    "project": ("afterword.project",),
    "streamed": ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming"),
    "error": ("error.type", "exception.type"),
}

USAGE: dict[str, tuple[str, ...]] = {
    "prompt_tokens": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens",
        "llm.token_count.prompt",
        "ai.usage.inputTokens",
        "ai.usage.promptTokens",
    ),
    "completion_tokens": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
        "llm.token_count.completion",
        "ai.usage.outputTokens",
        "ai.usage.completionTokens",
    ),
    "total_tokens": (
        "gen_ai.usage.total_tokens",
        "llm.usage.total_tokens",
        "llm.token_count.total",
        "ai.usage.totalTokens",
    ),
}
USAGE_DETAILS: dict[tuple[str, str], tuple[str, ...]] = {
    ("prompt_tokens_details", "cached_tokens"): (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "llm.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
        "ai.usage.cachedInputTokens",
    ),
    ("prompt_tokens_details", "cache_creation_tokens"): (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    ("completion_tokens_details", "reasoning_tokens"): (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "llm.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
        "ai.usage.reasoningTokens",
    ),
}
USAGE_OBJECTS = ("langfuse.observation.usage_details", "mlflow.chat.tokenUsage")
"""Attributes that hold the usage as JSON."""
USAGE_OBJECT_NAMES = {
    "input": "prompt_tokens",
    "input_tokens": "prompt_tokens",
    "output": "completion_tokens",
    "output_tokens": "completion_tokens",
    "total": "total_tokens",
}

FIRST_TOKEN_SECONDS = (
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.response.time_to_first_token",
    "gen_ai.server.time_to_first_token",
)
FIRST_TOKEN_MILLISECONDS = ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk")
FIRST_TOKEN_TIMES = ("langfuse.observation.completion_start_time",)
FIRST_TOKEN_EVENTS = frozenset(
    {
        "First Token Stream Event",
        "gen_ai.content.completion.chunk",
        "llm.content.completion.chunk",
        "ai.stream.firstChunk",
    }
)
"""The names of events whose first one is the time of the first token."""

FINISH_REASONS = (
    "gen_ai.response.finish_reasons",
    "llm.response.finish_reason",
    "llm.finish_reason",
    "ai.response.finishReason",
    "langfuse.observation.metadata.finish_reason",
)
FINISH_REASON_WORDS = {"tool_call": "tool_calls", "tool-calls": "tool_calls", "content-filter": "content_filter"}
"""OpenAI's words for finish reasons that conventions spell in another way."""

PARAMETER_PREFIXES = ("gen_ai.request.", "gen_ai.openai.request.", "openai.request.", "ai.settings.")
PARAMETER_NAMES = {
    "stop_sequences": "stop",
    "choice.count": "n",
    "maxTokens": "max_tokens",
    "maxOutputTokens": "max_tokens",
    "topP": "top_p",
    "topK": "top_k",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
    "stopSequences": "stop",
}
"""OpenAI's names of parameters that conventions spell in another way."""
PARAMETER_OBJECTS = ("llm.invocation_parameters", "langfuse.observation.model.parameters")
"""Attributes that hold parameters as a JSON object."""
NON_PARAMETERS = frozenset({"model", "messages", "input", "prompt", "stream", "stream_options", "user", "tools"})
TOOLS = ("gen_ai.tool.definitions", "ai.prompt.tools", "mlflow.chat.tools")
NUMBERED_TOOLS = {"llm.tools": "tool.json_schema", "llm.request.functions": "", "gen_ai.request.tools": ""}
"""The prefixes of numbered tools, with the member that holds the definition as JSON; "": each field has a member."""

REQUESTS = ("input.value", "mlflow.spanInputs", "langfuse.observation.input")
ANSWERS = ("output.value", "mlflow.spanOutputs")
"""Attributes that may hold the whole request and the whole answer as JSON."""

METADATA_PREFIXES = (
    "afterword.label.",
    "langfuse.trace.metadata.",
    "langfuse.observation.metadata.",
    "traceloop.association.properties.",
    "ai.telemetry.metadata.",
    "metadata.",
)
METADATA_OBJECTS = ("metadata", "langfuse.trace.metadata", "langfuse.observation.metadata")
TAGS = ("tag.tags", "langfuse.trace.tags")
LABELLED_RESOURCES = ("service.name",)
"""Attributes of the resource that become labels."""
UNNAMED_SERVICE = "unknown_service"
"""The beginning of the service's name where the application gives none."""

CONTENT_PREFIXES = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.request.tools",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompts",
    "llm.choices",
    "llm.completions",
    "llm.tools",
    "llm.request.functions",
    "llm.token_count.",
    "input.",
    "output.",
    "langfuse.",
    "mlflow.",
    "ai.",
)
"""The beginnings of attributes that are not kept as attributes: what they say is read, or repeats what is."""

DETAILS_EVENT = "gen_ai.client.inference.operation.details"
"""The event that holds the content of a call in the attributes of the current convention."""
ROLE_OF_EVENT = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
CHOICE_EVENT = "gen_ai.choice"
PROMPT_EVENT, COMPLETION_EVENT = "gen_ai.content.prompt", "gen_ai.content.completion"
CONTENT_EVENTS = frozenset({DETAILS_EVENT, CHOICE_EVENT, PROMPT_EVENT, COMPLETION_EVENT, *ROLE_OF_EVENT})
EVALUATION_EVENT = "gen_ai.evaluation.result"
