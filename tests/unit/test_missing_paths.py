"""A provider without the path of the caller's form is told from one that lacks the model, by their real answers."""

from __future__ import annotations

from typing import Any

import pytest

from afterword.gateway.call_format import FormatCall
from afterword.gateway.failures import error_in_answer, refusal
from afterword.gateway.http import Address, Http, Timeouts
from afterword.gateway.native import NativeCalls
from afterword.gateway.provider import ProviderError
from afterword.types import Target

TARGET = Target(provider="open_ai", key="mine", model="qwen3:4b")
ADDRESS = Address("mine", "http://localhost:8000/v1/responses", {})


class ResponsesForm:
    """What the gateway asks of a form to find providers that speak it."""

    operation = "responses"


@pytest.fixture
def native_calls() -> NativeCalls:
    return NativeCalls(Http(Timeouts(1, 1, 1), 1))


@pytest.fixture
def call() -> FormatCall:
    form: Any = ResponsesForm()
    return FormatCall(form, {}, {}, {})


def refused(status: int, body: str) -> ProviderError:
    return refusal(ADDRESS, status, body.encode(), {})


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(refused(404, '{"detail":"Not Found"}'), id="vllm"),
        pytest.param(refused(404, "404 page not found"), id="ollama"),
        pytest.param(
            refused(404, '{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}'), id="llama.cpp"
        ),
        pytest.param(
            refused(404, '{"error":{"message":"Unknown request URL: POST /v1/responses.","code":"unknown_url"}}'),
            id="groq",
        ),
        pytest.param(refused(404, '{"message":"no Route matched with those values"}'), id="kong"),
        pytest.param(refused(405, '{"detail":"Method Not Allowed"}'), id="method"),
        pytest.param(refused(501, ""), id="not implemented"),
        pytest.param(
            error_in_answer(ADDRESS, {"error": "Unexpected endpoint or method. (POST /v1/responses)"}), id="lm studio"
        ),
    ],
)
def test_missing_path_of_form_is_remembered(native_calls: NativeCalls, call: FormatCall, error: ProviderError):
    assert native_calls.takes(TARGET, call)
    assert native_calls.remember_missing_path(TARGET, call, error)
    assert not native_calls.takes(TARGET, call)
    changed = Target(provider="open_ai", key="mine", model="qwen3:4b", endpoint="http://elsewhere/v1")
    assert native_calls.takes(changed, call)


@pytest.mark.parametrize(
    "error",
    [
        refused(404, '{"error":{"message":"The model `gpt-9` does not exist","code":"model_not_found"}}'),
        refused(404, '{"error":{"message":"model \\"qwen3:4b\\" not found, try pulling it first"}}'),
        refused(404, '{"error":{"message":"Response with id \'resp_1\' not found.","param":"response_id"}}'),
        refused(400, '{"error":{"message":"Previous response with id \'resp_1\' not found."}}'),
        refused(429, '{"error":{"message":"Slow down."}}'),
        refused(500, "Not Found"),
    ],
    ids=lambda error: f"{error.status}",
)
def test_other_refusals_are_no_missing_path(native_calls: NativeCalls, call: FormatCall, error: ProviderError):
    assert not native_calls.remember_missing_path(TARGET, call, error)
    assert native_calls.takes(TARGET, call)


def test_provider_without_form_is_called_by_chat(native_calls: NativeCalls, call: FormatCall):
    assert not native_calls.takes(Target(provider="echo", key="echo", model="echo"), call)
