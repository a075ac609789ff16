"""Google's generateContent, to chat and back."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from afterword.errors import Invalid
from afterword.gateway.call_format import AnswerIds, FormatEvent
from afterword.gateway.formats.generate_content import GenerateContentFormat
from afterword.ids import uuid7

FORM = GenerateContentFormat()
FIRST = uuid7()
IDS = AnswerIds(FIRST, lambda index: UUID(int=FIRST.int + index))
PIXEL = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def text(role: str, said: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": said}]}


REQUESTS = [
    (
        {
            "contents": [
                {
                    "role": "model",
                    "parts": [
                        {"executableCode": {"language": "PYTHON", "code": "print(2)"}},
                        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2\n"}},
                    ],
                }
            ]
        },
        {
            "messages": [
                {
                    "role": "assistant",
                    "content": [
                        {"type": "text", "text": "```python\nprint(2)\n```"},
                        {"type": "text", "text": "```\n2\n```"},
                    ],
                }
            ]
        },
    ),
    (
        {"contents": text("user", "Hi"), "systemInstruction": {"parts": [{"text": "Be "}, {"text": "kind"}]}},
        {"messages": [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hi"}]},
    ),
    (
        {
            "contents": [
                text("user", "Hi"),
                {"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": "Yes"}]},
            ]
        },
        {
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Yes", "reasoning_content": "hm"},
            ]
        },
    ),
    (
        {"contents": [{"parts": [{"text": "What?"}, {"inline_data": {"mime_type": "image/gif", "data": PIXEL}}]}]},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What?"},
                        {"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{PIXEL}"}},
                    ],
                }
            ]
        },
    ),
    (
        {
            "contents": [
                {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {"city": "Paris"}}}]},
                {
                    "role": "user",
                    "parts": [{"functionResponse": {"name": "weather", "response": {"result": "rain"}}}],
                },
            ]
        },
        {
            "messages": [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_0_0",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city":"Paris"}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "call_0_0", "name": "weather", "content": "rain"},
            ]
        },
    ),
    (
        {
            "contents": text("user", "Hi"),
            "generationConfig": {
                "temperature": 0.5,
                "max_output_tokens": 9,
                "stopSequences": ["x"],
                "responseMimeType": "application/json",
                "responseSchema": {"type": "OBJECT", "properties": {"type": {"type": "STRING", "nullable": True}}},
                "thinkingConfig": {"thinkingBudget": 0},
                "speechConfig": {"languageCode": "de"},
            },
            "labels": {"app": "shop"},
        },
        {
            "messages": [{"role": "user", "content": "Hi"}],
            "temperature": 0.5,
            "max_tokens": 9,
            "stop": ["x"],
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "answer",
                    "schema": {"type": "object", "properties": {"type": {"type": ["string", "null"]}}},
                },
            },
            "reasoning_effort": "none",
            "generationConfig": {"speechConfig": {"languageCode": "de"}},
            "labels": {"app": "shop"},
        },
    ),
    (
        {
            "contents": text("user", "Hi"),
            "tools": [
                {"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]},
                {"googleSearch": {}},
            ],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        },
        {
            "messages": [{"role": "user", "content": "Hi"}],
            "tools": [
                {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
                {"googleSearch": {}},
            ],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
        },
    ),
]


@pytest.mark.parametrize(
    ("body", "expected"), REQUESTS, ids=["code that ran", "system", "thoughts", "image", "tools", "config", "choice"]
)
def test_requests_are_translated_to_chat(body: dict[str, Any], expected: dict[str, Any]):
    assert FORM.chat_request(body) == expected


@pytest.mark.parametrize("contents", [None, [], "Hi", ["Hi"]])
def test_a_request_without_contents_is_refused_by_name(contents: Any):
    with pytest.raises(Invalid) as refusal:
        FORM.chat_request({"contents": contents})
    assert refusal.value.param == "contents"


def test_providers_of_chat_get_nothing_that_only_google_knows():
    body = {
        "contents": [text("model", "Yes"), text("user", "Hi")],
        "safetySettings": [{"category": "X"}],
        "generationConfig": {"topK": 3, "topP": 0.5},
    }
    request, left_out = FORM.provider_request(body, FORM.chat_request(body))
    assert request.keys() == {"messages", "top_p"}
    assert sorted(left_out) == ["safetySettings", "top_k"]
    search = {"contents": text("user", "Hi"), "tools": [{"googleSearch": {}}]}
    translated = FORM.chat_request(search)
    with pytest.raises(Invalid, match="googleSearch"):
        FORM.provider_request(search, translated)


CHAT_ANSWER = {
    "id": "up-1",
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "It rains",
                "reasoning_content": "hm",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {
        "prompt_tokens": 5,
        "completion_tokens": 7,
        "total_tokens": 12,
        "completion_tokens_details": {"reasoning_tokens": 3},
    },
}
GOOGLE_ANSWER = {
    "candidates": [
        {
            "content": {
                "parts": [
                    {"text": "hm", "thought": True},
                    {"text": "It rains"},
                    {"functionCall": {"id": "c1", "name": "weather", "args": {"city": "Paris"}}},
                ],
                "role": "model",
            },
            "index": 0,
            "finishReason": "STOP",
            "completion_id": str(FIRST),
        }
    ],
    "modelVersion": "m",
    "responseId": str(FIRST),
    "usageMetadata": {
        "promptTokenCount": 5,
        "candidatesTokenCount": 4,
        "totalTokenCount": 12,
        "thoughtsTokenCount": 3,
    },
    "session_id": str(FIRST),
}


def test_answers_of_chat_are_answers_of_google_and_back():
    assert FORM.answer(CHAT_ANSWER, {}, IDS) == GOOGLE_ANSWER
    back = FORM.chat_answer(json.loads(json.dumps(GOOGLE_ANSWER)))
    assert back["choices"][0]["message"] == CHAT_ANSWER["choices"][0]["message"]
    assert back["choices"][0]["finish_reason"] == "tool_calls"
    assert back["usage"] == CHAT_ANSWER["usage"]


def test_a_stream_of_chat_sends_texts_at_once_and_calls_whole():
    writer = FORM.event_writer({}, IDS)
    fragments: list[dict[str, Any]] = [
        {"delta": {"role": "assistant", "content": "It "}},
        {"delta": {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "weather", "arguments": '{"ci'}}]}},
        {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": 'ty":"Paris"}'}}]}},
        {"delta": {}, "finish_reason": "tool_calls"},
    ]
    events = [
        [event.body for event in writer.take({"model": "m", "choices": [{"index": 0, **fragment}]})]
        for fragment in fragments
    ]
    assert [len(found) for found in events] == [1, 0, 0, 0]
    [last] = writer.end(CHAT_ANSWER["usage"])
    [one] = last.body["candidates"]
    assert one["content"]["parts"][0]["functionCall"] == {"id": "c1", "name": "weather", "args": {"city": "Paris"}}
    assert one["finishReason"] == "STOP"
    assert last.body["usageMetadata"]["totalTokenCount"] == 12


def test_googles_own_stream_is_read_for_the_log():
    log = FORM.event_log()
    call = {"functionCall": {"name": "f", "args": {}}}
    first, second, last = (
        {"candidates": [{"content": {"parts": [{"text": "It "}]}, "index": 0}]},
        {"candidates": [{"content": {"parts": [call, call]}, "index": 0}]},
        {"candidates": [{"content": {"parts": [call]}, "index": 0, "finishReason": "STOP"}], "usageMetadata": {}},
    )
    chunks = [chunk for body in (first, second, last) for chunk in log.take(FormatEvent("", body))]
    assert log.is_finished
    calls = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert [(call["index"], call["id"]) for call in calls] == [(0, "call_0_0"), (1, "call_0_1"), (2, "call_0_2")]


def test_a_prompt_that_google_blocked_is_a_filtered_choice():
    answer = FORM.chat_answer({"promptFeedback": {"blockReason": "SAFETY"}})
    assert [choice["finish_reason"] for choice in answer["choices"]] == ["content_filter"]
