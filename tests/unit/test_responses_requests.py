"""Requests of OpenAI's Responses API in the form of chat, for the log and for providers of chat."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from afterword.errors import Invalid
from afterword.gateway.formats.responses.conversations import conversation_items
from afterword.gateway.formats.responses.requests import chat_request, native_request, provider_request
from afterword.gateway.formats.responses.sealing import sealed

CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": '{"at":"sky"}'}
CHAT_CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":"sky"}'}}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "blue"}
THOUGHT = {"type": "thinking", "thinking": "Look up.", "signature": "sig"}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Look up."}]}
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True, "description": "Looks."}


def answer(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def messages(input_: Any, **more: Any) -> list[dict[str, Any]]:
    return chat_request({"model": "m", "input": input_, **more})["messages"]


def test_a_text_with_instructions_is_two_messages():
    assert messages("Hi", instructions="Be short.") == [
        {"role": "system", "content": "Be short.", "id": "instructions"},
        {"role": "user", "content": "Hi"},
    ]


def test_parts_are_those_of_chat():
    parts = [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"},
    ]
    assert messages([{"role": "user", "content": parts}])[0]["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"}},
    ]


def test_items_of_one_answer_are_one_message():
    said = messages([{"role": "user", "content": "Look"}, REASONING, answer("I look."), CALL, OUTPUT])
    assert said[1:] == [
        {"role": "assistant", "content": "I look.", "reasoning_content": "Look up.", "tool_calls": [CHAT_CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "blue"},
    ]


def test_answers_in_a_row_are_messages_of_their_own():
    assert [message["content"] for message in messages([answer("One"), answer("Two")])] == ["One", "Two"]


def test_reasoning_of_earlier_turns_does_not_go_to_providers_of_chat():
    said = messages([REASONING, answer("One"), {"role": "user", "content": "Go on"}])
    assert "reasoning_content" not in said[0]


def test_output_of_a_tool_may_have_parts():
    output = {**OUTPUT, "output": [{"type": "input_text", "text": "blue"}, {"type": "input_text", "text": "red"}]}
    assert messages([CALL, output])[1]["content"] == [{"type": "text", "text": "blue"}, {"type": "text", "text": "red"}]


def test_a_custom_tool_is_a_function_with_one_text():
    request = chat_request(
        {
            "input": [
                {"type": "custom_tool_call", "call_id": "c", "name": "sql", "input": "select 1"},
                {"type": "custom_tool_call_output", "call_id": "c", "output": "1"},
            ],
            "tools": [{"type": "custom", "name": "sql", "description": "Runs SQL."}],
            "tool_choice": {"type": "custom", "name": "sql"},
        }
    )
    assert request["messages"][0]["tool_calls"][0]["function"] == {"name": "sql", "arguments": '{"input":"select 1"}'}
    assert request["tools"][0]["function"]["parameters"]["required"] == ["input"]
    assert request["tool_choice"] == {"type": "function", "function": {"name": "sql"}}


def test_calls_that_the_caller_runs_are_calls_and_results():
    shell = {"type": "local_shell_call", "id": "lsh_1", "call_id": "c", "action": {"type": "exec", "command": ["ls"]}}
    said = messages([shell, {"type": "local_shell_call_output", "call_id": "c", "output": "a.txt"}])
    assert said[0]["tool_calls"][0]["function"]["name"] == "local_shell"
    assert said[0]["response_items"] == [shell]
    assert said[1] == {"role": "tool", "tool_call_id": "c", "content": "a.txt"}


def test_items_without_a_form_in_chat_are_kept_beside_the_message():
    said = messages([SEARCH, answer("Found."), {"role": "user", "content": "Where?"}])
    assert said[0] == {"role": "assistant", "content": "Found.", "response_items": [SEARCH, answer("Found.")]}


def test_thoughts_of_anthropic_come_back_from_the_reasoning_item():
    reasoning = {**REASONING, "encrypted_content": sealed({"thinking_blocks": [THOUGHT]})}
    said = messages([reasoning, CALL, OUTPUT])
    assert said[0]["thinking_blocks"] == [THOUGHT]
    assert "response_items" not in said[0]


def test_parameters_have_the_names_of_chat():
    schema = {"type": "json_schema", "name": "bird", "schema": {"type": "object"}, "strict": True}
    request = chat_request(
        {
            "input": "Hi",
            "tools": [LOOK],
            "tool_choice": {"type": "function", "name": "look"},
            "parallel_tool_calls": False,
            "text": {"format": schema, "verbosity": "low"},
            "reasoning": {"effort": "low", "summary": "auto"},
            "max_output_tokens": 50,
            "top_logprobs": 2,
            "temperature": 0.5,
            "safety_identifier": "ann",
            "store": False,
        }
    )
    request.pop("messages")
    assert request == {
        "tools": [{"type": "function", "function": {name: LOOK[name] for name in LOOK if name != "type"}}],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "bird", "schema": {"type": "object"}, "strict": True},
        },
        "verbosity": "low",
        "reasoning": {"effort": "low", "summary": "auto"},
        "reasoning_effort": "low",
        "max_tokens": 50,
        "top_logprobs": 2,
        "logprobs": True,
        "temperature": 0.5,
        "safety_identifier": "ann",
        "user": "ann",
        "store": False,
    }


def test_without_tools_nothing_is_said_about_them():
    request = chat_request({"input": "Hi", "tools": [], "tool_choice": "auto", "parallel_tool_calls": True})
    assert request.keys() == {"messages"}


@pytest.mark.parametrize(
    ("fields", "session"),
    [
        ({"conversation": "conv_1"}, "conv_1"),
        ({"conversation": {"id": "conv_1"}}, "conv_1"),
        ({"prompt_cache_key": "0192d3a4-5b6c-7d8e-9f00-112233445566"}, "0192d3a4-5b6c-7d8e-9f00-112233445566"),
        ({"prompt_cache_key": "support-bot"}, None),
        ({"conversation": "conv_1", "session_id": "mine"}, "mine"),
    ],
)
def test_the_conversation_is_the_session(fields: dict[str, Any], session: str | None):
    assert chat_request({"input": "Hi", **fields}).get("session_id") == session


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"background": True}, "background"),
        ({"input": 7}, "input"),
        ({"input": []}, "input"),
    ],
)
def test_what_is_not_served_is_refused_by_name(fields: dict[str, Any], param: str):
    with pytest.raises(Invalid) as refused:
        chat_request({"input": "Hi", **fields})
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("fields", "param", "word"),
    [
        ({"tools": [LOOK, {"type": "web_search"}]}, "tools[1]", "web_search"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "prompt"),
        ({"conversation": "conv_1"}, "conversation", "conversation"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]", "item_reference"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "https://a/b"}]}]},
         "input[0].content[0].file_url", "file"),
    ],
)  # fmt: skip
def test_what_chat_cannot_do_is_refused_by_name(fields: dict[str, Any], param: str, word: str):
    body = {"input": "Hi", **fields}
    translated = chat_request(body)
    with pytest.raises(Invalid) as refused:
        provider_request(body, translated)
    assert refused.value.param == param
    assert word in refused.value.message


def test_providers_of_chat_get_what_they_know():
    body = {
        "input": [SEARCH, answer("Found."), {"role": "user", "content": "Where?"}],
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k",
        "max_tool_calls": 3,
        "temperature": 0,
    }
    request, left_out = provider_request(body, chat_request(body))
    assert request == {
        "messages": [{"role": "assistant", "content": "Found."}, {"role": "user", "content": "Where?"}],
        "temperature": 0,
    }
    assert sorted(left_out) == ["max_tool_calls", "prompt_cache_key"]


def test_a_provider_of_the_form_gets_no_ids_of_afterwords():
    own = {**REASONING, "id": f"rs_{uuid4()}", "encrypted_content": sealed({"thinking_blocks": [THOUGHT]})}
    theirs = {**REASONING, "encrypted_content": "gAAA"}
    request = native_request({"input": [own, {**CALL, "id": f"fc_{uuid4()}_2"}, theirs], "tools": [LOOK]})
    plain = {name: value for name, value in REASONING.items() if name != "id"}
    assert request["input"] == [plain, {name: value for name, value in CALL.items() if name != "id"}, theirs]


def test_a_stored_conversation_goes_on_without_its_instructions():
    asked = messages(
        [{"role": "user", "content": "Look"}, SEARCH, CALL, OUTPUT, {"role": "system", "content": "Be kind."}],
        instructions="Be short.",
    )
    completion = {"role": "assistant", "content": "Blue."}
    again = messages(conversation_items([*asked, completion]))
    assert again == [*asked[1:], completion]
