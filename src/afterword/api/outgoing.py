"""Builds the request for the provider: removes members that only Afterword knows, wherever a client put them."""

from __future__ import annotations

from typing import Any

from afterword.gateway.provider import Body
from afterword.types import OWN_FIELDS, SHARED_FIELDS, CallRequest

# Members that Afterword adds to a message, a choice or the answer. Clients send them back with the next turn.
ADDED_BY_ANSWERS = frozenset({"id", "completion_id", "session_id"})
ADDED_TO_MESSAGES = ADDED_BY_ANSWERS | {"metadata"}
# Where clients keep members of an answer that their own classes lack: LiteLLM, LangChain, and pydantic's extra members.
CLIENT_CONTAINERS = ("provider_specific_fields", "additional_kwargs", "response_metadata", "model_extra")
# Clients whose `store` and `metadata` mean the log alone.
OWN_CLIENTS = (b"adaptive_sdk", b"afterword/")


def outgoing_body(request: CallRequest, body: Body, user_agent: bytes) -> Body:
    """Return the body of a call for the provider.

    `user` is forwarded. `store` and `metadata` are not, if `user_agent` is one of OWN_CLIENTS. Else `store` is
    forwarded, and `metadata` only if `store` is true, because OpenAI accepts it only then.
    """
    outgoing_fields = {name: value for name, value in body.items() if name not in OWN_FIELDS}
    for name in SHARED_FIELDS:
        if outgoing_fields.get(name) is None or (name != "user" and user_agent.startswith(OWN_CLIENTS)):
            outgoing_fields.pop(name, None)
    if outgoing_fields.get("store") is not True:
        outgoing_fields.pop("metadata", None)
    if not request.stream:
        # adaptive-sdk always sends it; providers refuse it in calls that are not streamed.
        outgoing_fields.pop("stream_options", None)
    if request.messages is not None:
        outgoing_fields["messages"] = [_outgoing_message(message) for message in body["messages"]]
    return outgoing_fields


def native_body(body: Body) -> Body:
    """Return the body of a call in another form than chat for a provider that speaks the form itself."""
    return {name: value for name, value in body.items() if name not in OWN_FIELDS}


def _outgoing_message(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message for the provider: images in OpenAI's form, without members that only Afterword knows."""
    message = _without_added({name: value for name, value in message.items() if name not in ADDED_TO_MESSAGES})
    calls = message.get("tool_calls")
    if isinstance(calls, list) and any(isinstance(call, dict) and _has_container(call) for call in calls):
        message["tool_calls"] = [_without_added_in_call(call) if isinstance(call, dict) else call for call in calls]
    content = message.get("content")
    if isinstance(content, list):
        message["content"] = [_image(part) if isinstance(part, dict) else part for part in content]
    return message


def _without_added_in_call(call: dict[str, Any]) -> dict[str, Any]:
    """Return a tool call without the members that Afterword added. Its `id` stays, because it is the provider's."""
    call = _without_added(call)
    function = call.get("function")
    return {**call, "function": _without_added(function)} if isinstance(function, dict) else call


def _has_container(call: dict[str, Any]) -> bool:
    function = call.get("function")
    return any(name in call or (isinstance(function, dict) and name in function) for name in CLIENT_CONTAINERS)


def _without_added(holder: dict[str, Any]) -> dict[str, Any]:
    """Return the object without Afterword's members in a client's containers. Empty containers are removed."""
    for name in CLIENT_CONTAINERS:
        container = holder.get(name)
        if not isinstance(container, dict):
            continue
        client_members = {
            key: value for key, value in container.items() if key not in ADDED_BY_ANSWERS and value is not None
        }
        holder = {key: value for key, value in holder.items() if key != name}
        if client_members:
            holder[name] = client_members
    return holder


def _image(part: dict[str, Any]) -> dict[str, Any]:
    address = part.get("image_url")
    return {**part, "image_url": {"url": address}} if isinstance(address, str) else part
