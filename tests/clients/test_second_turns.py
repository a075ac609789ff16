"""An answer goes back with the next turn, as each client sends it: strict providers find nothing of ours in it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.timeout(900), pytest.mark.thorough]

SCRIPTS = {
    "openai": """
        from openai import OpenAI

        client = OpenAI()

        def turn(messages, stream, tools):
            if not stream:
                answer = client.chat.completions.create(model=given["model"], messages=messages, tools=tools or None)
                return answer.choices[0].message.model_dump(exclude_none=True)
            with client.chat.completions.stream(model=given["model"], messages=messages, tools=tools or []) as events:
                for _ in events:
                    pass
                message = events.get_final_completion().choices[0].message.model_dump(exclude_none=True)
            message.pop("parsed", None)
            for call in message.get("tool_calls", ()):
                call["function"].pop("parsed_arguments", None)
            return message
        """,
    "litellm": """
        import litellm

        def turn(messages, stream, tools):
            answer = litellm.completion(
                model="openai/" + given["model"], api_base=os.environ["OPENAI_BASE_URL"],
                messages=messages, stream=stream, tools=tools or None,
            )
            if stream:
                answer = litellm.stream_chunk_builder(list(answer), messages=messages)
            return answer.choices[0].message.model_dump()
        """,
    "langchain": """
        from langchain_core.messages import ToolMessage
        from langchain_openai import ChatOpenAI

        def turn(messages, stream, tools):
            model = ChatOpenAI(model=given["model"])
            model = model.bind_tools(tools) if tools else model
            if not stream:
                return model.invoke(messages)
            whole = None
            for part in model.stream(messages):
                whole = part if whole is None else whole + part
            return whole
        """,
}
CONVERSATION = """
weather = {"type": "function", "function": {"name": "get_weather", "description": "x", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}}}}
tools = [weather] if given["tools"] else []
for stream in (False, True):
    messages = [{"role": "user", "content": "Hello there"}]
    answer = turn(messages, stream, tools)
    messages.append(answer)
    if tools:
        messages.append({"role": "tool", "tool_call_id": "call_1", "content": "Rain"})
    turn([*messages, {"role": "user", "content": "the-second-turn"}], stream, tools)
print(json.dumps("done"))
"""


@pytest.mark.parametrize("tools", [False, True], ids=["text", "tools"])
@pytest.mark.parametrize(
    "client", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("openai", "litellm", "langchain")]
)
def test_a_second_turn_holds_nothing_of_ours(run_with: Callable[..., Any], gateway: Any, client: str, tools: bool):
    model = gateway.model("strict-tools" if tools else "strict-good")
    script = textwrap.dedent(SCRIPTS[client]) + CONVERSATION
    assert run_with(client, script, model=model, tools=tools) == "done"
    assert len(gateway.upstream.seen("the-second-turn")) == 2
    assert gateway.count() == 4
