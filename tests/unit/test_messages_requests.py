"""Requests of Anthropic's Messages API as requests of chat: nothing is lost, and what chat lacks is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from afterword.errors import Invalid
from afterword.gateway.formats.messages.chat_provider_requests import chat_provider_request
from afterword.gateway.formats.messages.chat_requests import chat_request
from afterword.gateway.formats.messages.native_requests import native_request
from afterword.gateway.providers.anthropic_requests import messages_request
from afterword.types import Target

CLAUDE = Target(provider="anthropic", key="claude", model="claude-sonnet-4-6")
MARK = {"type": "ephemeral"}
PIXEL = {
    "type": "base64",
    "media_type": "image/gif",
    "data": "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
THOUGHT = {"type": "thinking", "thinking": "Let me look.", "signature": "sig"}
HIDDEN_THOUGHT = {"type": "redacted_thinking", "data": "x"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "heron"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
QUESTION = [{"role": "user", "content": "Weather in Paris?"}]
TURNS: list[dict[str, Any]] = [
    *QUESTION,
    {
        "role": "assistant",
        "content": [THOUGHT, HIDDEN_THOUGHT, SEARCH, FOUND, {"type": "text", "text": "I look."}, CALL],
    },
    {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "toolu_1",
                "content": [{"type": "text", "text": "Rain"}, {"type": "image", "source": PIXEL}],
                "is_error": True,
                "cache_control": MARK,
            },
            {"type": "text", "text": "And this?", "cache_control": MARK},
            {"type": "image", "source": {"type": "url", "url": "https://birds.example/heron.png"}},
            {
                "type": "document",
                "source": PDF,
                "title": "birds.pdf",
                "context": "A book",
                "citations": {"enabled": True},
            },
        ],
    },
]


def chat(messages: Any = QUESTION, **fields: Any) -> dict[str, Any]:
    return chat_request({"model": "m", "max_tokens": 9, "messages": messages, **fields})


def sent(messages: Any = QUESTION, **fields: Any) -> dict[str, Any]:
    return chat_provider_request(chat(messages, **fields)).body


def test_turns_become_messages_of_chat():
    system, question, answer, result, user = chat(
        TURNS, system=[{"type": "text", "text": "Kind.", "cache_control": MARK}]
    )["messages"]
    assert system == {"role": "system", "content": [{"type": "text", "text": "Kind.", "cache_control": MARK}]}
    assert question == QUESTION[0]
    assert answer == {
        "role": "assistant",
        "content": "I look.",
        "reasoning_content": "Let me look.",
        "thinking_blocks": [THOUGHT, HIDDEN_THOUGHT],
        "provider_blocks": [SEARCH, FOUND],
        "tool_calls": [
            {"id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
        ],
    }
    image = {"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{PIXEL['data']}"}}
    assert result == {
        "role": "tool",
        "tool_call_id": "toolu_1",
        "content": [{"type": "text", "text": "Rain"}, image],
        "is_error": True,
        "cache_control": MARK,
    }
    assert user["content"][1] == {"type": "image_url", "image_url": {"url": "https://birds.example/heron.png"}}
    assert user["content"][2]["file"] == {
        "filename": "birds.pdf",
        "file_data": f"data:application/pdf;base64,{PDF['data']}",
    }
    assert user["content"][2]["citations"] == {"enabled": True}


@pytest.mark.parametrize(
    "turns",
    [
        TURNS,
        [{"role": "user", "content": [{"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}}]}],
        [{"role": "user", "content": [{"type": "search_result", "source": "s", "title": "t", "content": []}]}],
        [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "file_1"}}]}],
        [*QUESTION, {"role": "assistant", "content": [{**CALL, "cache_control": MARK}]}],
    ],
    ids=["turns", "document", "search result", "file", "marked call"],
)
def test_a_request_comes_back_from_chat_as_it_was(turns: list[dict[str, Any]]):
    body = {
        "messages": turns,
        "system": [{"type": "text", "text": "Kind."}],
        "tools": [{"name": "weather", "description": "w", "input_schema": SCHEMA, "cache_control": MARK}],
        "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        "stop_sequences": ["END"],
        "max_tokens": 99,
        "metadata": {"user_id": "ann"},
        "service_tier": "standard_only",
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    }
    back = messages_request(CLAUDE, chat_request({"model": "m", **body})).body
    assert back.pop("model") == CLAUDE.model
    for turn in back["messages"]:
        if isinstance(turn["content"], list) and turn["content"][0].keys() == {"type", "text"}:
            turn["content"] = turn["content"][0]["text"]
    assert back == body


@pytest.mark.parametrize("name", ["max_tokens", "messages"])
def test_a_required_field_that_is_missing_is_named(name: str):
    body = {"model": "m", "max_tokens": 9, "messages": QUESTION}
    del body[name]
    with pytest.raises(Invalid) as refusal:
        chat_request(body)
    assert (refusal.value.param, refusal.value.message) == (name, f"{name}: Field required.")


@pytest.mark.parametrize("messages", ["hi", ["hi"], {}, [QUESTION]])
def test_messages_that_are_no_list_of_objects_are_refused(messages: Any):
    with pytest.raises(Invalid) as refusal:
        chat(messages)
    assert refusal.value.param == "messages"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"tool_choice": {"type": "any"}}, {"tool_choice": "required"}),
        ({"tool_choice": {"type": "none"}}, {"tool_choice": "none"}),
        (
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"reasoning_effort": "low"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 8192}}, {"reasoning_effort": "medium"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 31999}}, {"reasoning_effort": "high"}),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, {"reasoning_effort": "high"}),
        ({"thinking": {"type": "adaptive"}}, {}),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, {}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
        ({"top_k": 5, "temperature": 0.5, "stream": True}, {"top_k": 5, "temperature": 0.5, "stream": True}),
    ],
)
def test_parameters_get_chats_words(fields: dict[str, Any], expected: dict[str, Any]):
    request = chat(**fields)
    for name in ("model", "messages", "max_tokens"):
        del request[name]
    assert request == expected


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (SCHEMA, False),
        ({**SCHEMA, "additionalProperties": False}, True),
        ({"type": "array", "items": {"type": "object", "properties": {}, "additionalProperties": False}}, True),
        ({**SCHEMA, "required": [], "additionalProperties": False}, False),
    ],
)
@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_a_schema_is_strict_where_openai_takes_it_so(place: str, schema: dict[str, Any], strict: bool):
    form = {"type": "json_schema", "schema": schema}
    request = chat(**{place: form if place == "output_format" else {"format": form}})
    assert request["response_format"]["json_schema"] == {"name": "answer", "schema": schema, "strict": strict}


SESSION = "b4e5aaaa-9a3e-47c4-84ad-3a70f38c676e"
CLAUDE_CODE_IDS = json.dumps({"device_id": "d1", "account_uuid": "", "session_id": SESSION})


@pytest.mark.parametrize(
    ("user_id", "user", "session"),
    [
        ("ann", "ann", None),
        (f"user_0784_account_261d_session_{SESSION}", "user_0784_account_261d", SESSION),
        (f"user_0784_account__session_{SESSION}", "user_0784_account", SESSION),
        (CLAUDE_CODE_IDS, "d1", SESSION),
        ('{"not": "theirs"}', '{"not": "theirs"}', None),
        ("{broken", "{broken", None),
        (None, None, None),
        (7, 7, None),
    ],
)
def test_user_id_tells_user_and_claude_codes_session(user_id: Any, user: Any, session: str | None):
    request = chat(metadata={"user_id": user_id})
    assert (request.get("user"), request.get("session_id")) == (user, session)


def test_a_session_of_the_callers_own_wins_and_other_metadata_are_labels():
    request = chat(metadata={"user_id": CLAUDE_CODE_IDS, "app": "demo"}, session_id="mine", user="bob")
    assert (request["session_id"], request["user"], request["metadata"]) == ("mine", "bob", {"app": "demo"})


@pytest.mark.parametrize("content", [None, 7, ["text"], [{"type": "image"}], [{"type": "image", "source": {}}], [{}]])
def test_content_of_an_unexpected_form_is_kept(content: Any):
    for role in ("user", "assistant"):
        assert chat([{"role": role, "content": content}])["messages"]


# ------------------------------------------------------------------------------------------------ providers of chat


def test_a_provider_of_chat_gets_only_what_chat_has():
    request = chat_provider_request(
        chat(
            TURNS,
            cache_control=MARK,
            context_management={"edits": []},
            tools=[{"name": "weather", "input_schema": SCHEMA, "cache_control": MARK}],
        )
    )
    assert request.left_out == ["cache_control", "context_management"]
    assert "cache_control" not in json.dumps(request.body)
    _, answer, result, media, user = request.body["messages"]
    assert answer.keys() == {"role", "content", "tool_calls"}
    assert result["content"] == [{"type": "text", "text": "Error:"}, {"type": "text", "text": "Rain"}]
    assert [part["type"] for part in media["content"]] == ["text", "image_url"]
    assert [part["type"] for part in user["content"]] == ["text", "image_url", "file"]


def test_results_of_tools_stay_together_before_their_images():
    results = [
        {"type": "tool_result", "tool_use_id": id_, "content": [{"type": "image", "source": PIXEL}]}
        for id_ in ("a", "b")
    ]
    messages = sent([{"role": "user", "content": results}])["messages"]
    assert [message["role"] for message in messages] == ["tool", "tool", "user"]
    assert [part["type"] for part in messages[2]["content"]] == ["text", "image_url"] * 2


def test_documents_and_search_results_are_put_into_words():
    blocks = [
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "Herons wade."},
            "title": "Birds",
        },
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "Owls fly."}]}},
        {
            "type": "search_result",
            "source": "https://a.example",
            "title": "Kites",
            "content": [{"type": "text", "text": "Kites soar."}],
        },
    ]
    [message] = sent([{"role": "user", "content": blocks}])["messages"]
    texts = [part["text"] for part in message["content"]]
    assert texts == ["Birds", "Herons wade.", "Owls fly.", "Kites (https://a.example)", "Kites soar."]


def test_thoughts_go_back_to_the_model_of_chat_that_had_them():
    unsigned = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    text = {"type": "text", "text": "Yes."}
    [_, own] = sent([*QUESTION, {"role": "assistant", "content": [unsigned, text]}])["messages"]
    [_, claudes] = sent([*QUESTION, {"role": "assistant", "content": [THOUGHT, text]}])["messages"]
    assert own == {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}
    assert claudes == {"role": "assistant", "content": "Yes."}


@pytest.mark.parametrize(
    ("fields", "param", "word"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]", "web_search_20250305"),
        ({"mcp_servers": [{"type": "url", "url": "https://a", "name": "a"}]}, "mcp_servers", "mcp_servers"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}
                ]
            },
            "messages",
            "'file'",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]}]},
            "messages",
            "container_upload",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "url", "url": "u"}}]}]},
            "messages",
            "'url'",
        ),
    ],
)
def test_what_only_anthropic_can_do_is_refused_by_name(fields: dict[str, Any], param: str, word: str):
    with pytest.raises(Invalid) as refusal:
        sent(**{"messages": QUESTION, **fields})
    assert refusal.value.param == param
    assert word in refusal.value.message
    assert "anthropic" in str(refusal.value.hint)


# ------------------------------------------------------------------------------------------------ Anthropic itself


def test_anthropic_gets_a_request_as_it_came():
    body = {"model": "m", "messages": TURNS, "tools": [{"type": "web_search_20250305", "name": "web_search"}], "new": 1}
    assert native_request(body) == body
    assert native_request({"messages": "odd"}) == {"messages": "odd"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"store": False, "user": "ann"}, {"metadata": {"user_id": "ann"}}),
        ({"user": "ann", "metadata": {"user_id": "bob", "app": "demo"}}, {"metadata": {"user_id": "bob"}}),
        ({"metadata": {"app": "demo"}}, {"metadata": {}}),
    ],
)
def test_anthropic_gets_no_fields_of_the_log(fields: dict[str, Any], expected: dict[str, Any]):
    assert native_request(fields) == expected


def test_anthropic_gets_no_thoughts_and_ids_that_it_would_refuse():
    unsigned = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    messages = [
        {"role": "assistant", "content": [unsigned, {**CALL, "id": "functions.weather:0"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "functions.weather:0", "content": "Rain"}]},
    ]
    answer, result = native_request({"messages": messages})["messages"]
    assert answer["content"] == [{**CALL, "id": "functions_weather_0"}]
    assert result["content"][0]["tool_use_id"] == "functions_weather_0"
