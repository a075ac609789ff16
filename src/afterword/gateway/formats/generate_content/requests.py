"""Requests of Google's generateContent, translated to chat.

Google's API takes the names of fields in camelCase and in snake_case. What chat has no word for stays where it was, so
that the log holds the whole request; `provider_request` takes out what providers of chat would refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from afterword import json_text
from afterword.errors import Invalid
from afterword.gateway.call_format import ChatProviderRequest
from afterword.gateway.provider import Body

TRANSLATED_FIELDS = frozenset({"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"})
GOOGLE_FIELDS = ("safetySettings", "cachedContent", "serviceTier", "processingOptions", "store")
"""Fields of a request that only Google's API knows."""
PARAMETERS = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "candidateCount": "n",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
}
"""Chat's word for each member of `generationConfig` that means the same."""
OTHER_CONFIG_FIELDS = ("responseMimeType", "responseSchema", "responseJsonSchema", "thinkingConfig")
UNKNOWN_PARAMETERS = frozenset({"top_k", "generationConfig"})
"""Parameters that OpenAI's chat API refuses."""
CALLING_MODES = {"AUTO": "auto", "ANY": "required", "VALIDATED": "auto", "NONE": "none"}
MAX_BUDGET_TOKENS = {"minimal": 512, "low": 2048, "medium": 8192}
"""The largest budget of thinking tokens that `reasoning_effort` stands for; beyond the last it is `high`."""
AUDIO_FORMATS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mp3": "mp3", "audio/mpeg": "mp3"}


def chat_request(body: Body) -> Body:
    """Translate a request. Raises `Invalid` without contents, or for contents of another form."""
    body = in_camel_case(body)
    request: Body = {name: value for name, value in body.items() if name not in TRANSLATED_FIELDS}
    contents = body.get("contents")
    if isinstance(contents, dict):
        contents = [contents]
    if not isinstance(contents, list) or not contents or not all(isinstance(content, dict) for content in contents):
        raise Invalid(
            f"contents is {contents!r:.80}, but must be a list of contents.",
            code="invalid_value",
            param="contents",
            hint="Give contents such as [{'role': 'user', 'parts': [{'text': 'Hello'}]}].",
        )
    messages: list[Body] = []
    if isinstance(system := body.get("systemInstruction"), dict):
        messages.append({"role": "system", "content": _content(_content_parts(system))})
    call_ids: dict[str, str] = {}
    for position, content in enumerate(contents):
        messages += _messages(content, position, call_ids)
    request["messages"] = messages
    _translate_tools(request, body)
    config = body.get("generationConfig")
    if isinstance(config, dict):
        _translate_config(request, in_camel_case(config))
    return request


def provider_request(body: Body, chat_request: Body) -> ChatProviderRequest:
    """Return the request for a provider of chat. Raises `Invalid` for tools that only Google has."""
    for tool in chat_request.get("tools") or ():
        if isinstance(tool, dict) and "function" not in tool:
            raise Invalid(
                f"The tool {next(iter(tool), '')!r} is Google's own, and the model's provider is not Google.",
                code="unsupported_tool",
                param="tools",
                hint="Give functionDeclarations, or call a model of the provider google.",
            )
    left_out = [name for name in (*GOOGLE_FIELDS, *UNKNOWN_PARAMETERS) if name in chat_request]
    request = {name: value for name, value in chat_request.items() if name not in left_out}
    request["messages"] = [_plain_message(message) for message in request["messages"]]
    return ChatProviderRequest(request, left_out)


def in_camel_case(body: Body) -> Body:
    """Return an object with the names of its members in camelCase."""
    return {_camel_case(name): value for name, value in body.items()}


def _camel_case(name: str) -> str:
    if "_" not in name or name in OWN_FIELDS:
        return name
    first, *others = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in others)


# ------------------------------------------------------------------------------------------------ messages


def _content_parts(content: Body) -> list[Body]:
    parts = content.get("parts")
    parts = parts if isinstance(parts, list) else [parts]
    return [
        in_camel_case(part) if isinstance(part, dict) else {"text": part}
        for part in parts
        if isinstance(part, dict | str)
    ]


def _messages(content: Body, position: int, call_ids: dict[str, str]) -> Iterator[Body]:
    """Yield the messages that a content stands for: each response of a function is a message of its own.

    `call_ids` holds the id of the last call of each function. Google's API pairs calls and responses by name.
    """
    parts = _content_parts(content)
    if content.get("role") == "model":
        yield assistant_message(parts, position, call_ids)
        return
    for part in parts:
        response = part.get("functionResponse")
        if isinstance(response, dict):
            name = str(response.get("name") or "")
            yield {
                "role": "tool",
                "tool_call_id": response.get("id") or call_ids.get(name) or name,
                "name": name,
                "content": _text_of_response(response.get("response")),
            }
    others = [part for part in parts if "functionResponse" not in part]
    if others or not parts:
        yield {"role": "user", "content": _content(others)}


def assistant_message(parts: Iterable[Body], position: int, call_ids: dict[str, str], call_count: int = 0) -> Body:
    """Return what a model said as a message of chat. `call_count` calls of it came before, in earlier chunks."""
    content: list[Body] = []
    thoughts: list[str] = []
    calls: list[Body] = []
    signatures: list[Body] = []
    for number, part in enumerate(parts):
        if isinstance(call := part.get("functionCall"), dict):
            name = str(call.get("name") or "")
            call_id = call_ids[name] = call.get("id") or f"call_{position}_{call_count + len(calls)}"
            arguments = json_text.encode(call.get("args") or {}).decode()
            calls.append({"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}})
        elif part.get("thought") and isinstance(part.get("text"), str):
            thoughts.append(part["text"])
        elif part.get("text") != "" or len(part) > 1:
            content.append(part)
        if signature := part.get("thoughtSignature"):
            signatures.append({"part": number, "thoughtSignature": signature})
    message: Body = {"role": "assistant", "content": _content(content) if content else None if calls else ""}
    lists = {"tool_calls": calls, "thought_signatures": signatures}
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    return message | {name: members for name, members in lists.items() if members}


def _content(parts: list[Body]) -> Any:
    """Return parts as content of chat: texts alone are one string."""
    if all(part.keys() - {"thoughtSignature"} == {"text"} and isinstance(part["text"], str) for part in parts):
        return "".join(part["text"] for part in parts)
    return [_chat_part(part) for part in parts]


def _chat_part(part: Body) -> Body:
    """Return a part as one of chat; one that chat has no word for stays as it is."""
    if isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    inline = part.get("inlineData")
    if isinstance(inline, dict):
        inline = in_camel_case(inline)
        mime, data = str(inline.get("mimeType") or ""), inline.get("data")
        address = f"data:{mime};base64,{data}"
        if mime.startswith("image/"):
            return {"type": "image_url", "image_url": {"url": address}}
        if mime in AUDIO_FORMATS:
            return {"type": "input_audio", "input_audio": {"data": data, "format": AUDIO_FORMATS[mime]}}
        return {"type": "file", "file": {"filename": inline.get("displayName") or "file", "file_data": address}}
    file = part.get("fileData")
    if isinstance(file, dict):
        file = in_camel_case(file)
        mime, address = str(file.get("mimeType") or ""), file.get("fileUri")
        if isinstance(address, str) and mime.startswith("image/"):
            return {"type": "image_url", "image_url": {"url": address}}
    for name in ("executableCode", "codeExecutionResult"):
        if isinstance(member := part.get(name), dict):
            language = str(member.get("language") or "").lower()
            code = str(member.get("code") or member.get("output") or "").rstrip("\n")
            return {"type": "text", "text": f"```{language}\n{code}\n```"}
    return part


def _text_of_response(response: Any) -> str:
    """Return what a function returned, as text: Google's clients wrap a text as `{"result": ...}`."""
    if isinstance(response, dict) and len(response) == 1:
        [(name, value)] = response.items()
        if name in ("result", "output") and isinstance(value, str):
            return value
    return response if isinstance(response, str) else json_text.encode(response).decode()


def _plain_message(message: Body) -> Body:
    """Return a message without what only Google's API knows."""
    return {name: value for name, value in message.items() if name not in ("thought_signatures", "reasoning_content")}


# ------------------------------------------------------------------------------------------------ parameters


def _translate_tools(request: Body, body: Body) -> None:
    tools: list[Any] = []
    for tool in _objects(body.get("tools")):
        tool = in_camel_case(tool)
        declarations = _objects(tool.pop("functionDeclarations", None))
        tools += [
            {"type": "function", "function": _function(in_camel_case(declaration))} for declaration in declarations
        ]
        if tool:
            tools.append(tool)
    if tools:
        request["tools"] = tools
    tool_config = body.get("toolConfig")
    config = in_camel_case(tool_config).get("functionCallingConfig") if isinstance(tool_config, dict) else None
    if not isinstance(config, dict):
        return
    config = in_camel_case(config)
    names = config.get("allowedFunctionNames")
    names = names if isinstance(names, list) else []
    mode = str(config.get("mode") or "AUTO").upper()
    if mode == "ANY" and len(names) == 1:
        request["tool_choice"] = {"type": "function", "function": {"name": names[0]}}
    elif mode == "ANY" and names:
        functions = [{"type": "function", "function": {"name": name}} for name in names]
        allowed = {"mode": "required", "tools": functions}
        request["tool_choice"] = {"type": "allowed_tools", "allowed_tools": allowed}
    else:
        request["tool_choice"] = CALLING_MODES.get(mode, "auto")


def _objects(values: Any) -> list[Body]:
    """Return the objects of a list; none of anything else."""
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _function(declaration: Body) -> Body:
    function = {name: declaration[name] for name in ("name", "description") if declaration.get(name) is not None}
    schema = declaration.get("parametersJsonSchema") or declaration.get("parameters")
    if isinstance(schema, dict):
        function["parameters"] = _json_schema(schema)
    return function


def _json_schema(schema: Any) -> Any:
    """Return Google's Schema as JSON Schema: its types are upper case, and `nullable` is a member."""
    if isinstance(schema, list):
        return [_json_schema(element) for element in schema]
    if not isinstance(schema, dict):
        return schema
    translated: Body = {}
    for name, value in in_camel_case(schema).items():
        if name == "type" and isinstance(value, str):
            translated["type"] = value.lower()
        elif name == "properties" and isinstance(value, dict):
            translated["properties"] = {member: _json_schema(inner) for member, inner in value.items()}
        elif name in ("items", "anyOf"):
            translated[name] = _json_schema(value)
        elif name not in ("nullable", "propertyOrdering"):
            translated[name] = value
    if schema.get("nullable") and isinstance(translated.get("type"), str):
        translated["type"] = [translated["type"], "null"]
    return translated


def _translate_config(request: Body, config: Body) -> None:
    request |= {PARAMETERS[name]: value for name, value in config.items() if name in PARAMETERS and value is not None}
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if isinstance(schema, dict):
        form = {"name": "answer", "schema": _json_schema(schema)}
        request["response_format"] = {"type": "json_schema", "json_schema": form}
    elif config.get("responseMimeType") == "application/json":
        request["response_format"] = {"type": "json_object"}
    thinking = config.get("thinkingConfig")
    if isinstance(thinking, dict) and (effort := _reasoning_effort(in_camel_case(thinking))):
        request["reasoning_effort"] = effort
    others = {
        name: value for name, value in config.items() if name not in PARAMETERS and name not in OTHER_CONFIG_FIELDS
    }
    if others:
        request["generationConfig"] = others


def _reasoning_effort(thinking: Body) -> str | None:
    """Return chat's word for how much a request lets the model think; None if it leaves that to the model."""
    if isinstance(level := thinking.get("thinkingLevel"), str):
        return level.lower()
    budget = thinking.get("thinkingBudget")
    if not isinstance(budget, int) or budget < 0:
        return None
    if budget == 0:
        return "none"
    return next((word for word, limit in MAX_BUDGET_TOKENS.items() if budget <= limit), "high")


OWN_FIELDS = frozenset({"session_id", "ab_campaign"})
"""Afterword's own fields of two words, whose names stay as they are."""
