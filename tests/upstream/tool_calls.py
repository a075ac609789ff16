"""Messages that call tools: whole, and in parts as a stream has them."""

from __future__ import annotations

from typing import Any

WEATHER = {"name": "get_weather", "arguments": '{"city":"Paris"}'}
AGENT_CALL_TURNS = 9


def message_of(calls: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a message that is nothing but calls."""
    return {"role": "assistant", "content": None, "tool_calls": calls, "refusal": None}


def weather_message() -> dict[str, Any]:
    """Return a call of the weather in Paris."""
    return message_of([_call("call_1", WEATHER)])


def agent_message(body: dict[str, Any]) -> dict[str, Any]:
    """Return the next message of an agent: its tools by turns, one more at once in the fifth turn; then an answer."""
    turn = sum(message["role"] == "assistant" for message in body["messages"])
    if turn >= AGENT_CALL_TURNS:
        return {"role": "assistant", "content": "Pack a raincoat.", "refusal": None}
    tools = [tool["function"] for tool in body["tools"]]
    functions = [tools[number % len(tools)] for number in ((turn, turn + 1) if turn == 4 else (turn,))]
    return message_of(
        [_call(f"call_{turn}_{function['name']}", _agent_function(function, turn)) for function in functions]
    )


def parts_of(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the deltas of calls: each begins with its name, and its arguments come in pieces."""
    parts: list[dict[str, Any]] = []
    for index, call in enumerate(calls):
        arguments = call["function"]["arguments"]
        head = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        pieces = [
            {"index": index, "function": {"arguments": arguments[at : at + 6]}} for at in range(0, len(arguments), 6)
        ]
        parts += [{"tool_calls": [part]} for part in (head, *pieces)]
    return parts


def _call(call_id: str, function: dict[str, Any]) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": function}


def _agent_function(function: dict[str, Any], turn: int) -> dict[str, Any]:
    """Return the function with the arguments that its schema names, such as {"city": "city1"}."""
    arguments = ",".join(f'"{name}":"{name}{turn}"' for name in function["parameters"]["properties"])
    return {"name": function["name"], "arguments": f"{{{arguments}}}"}
