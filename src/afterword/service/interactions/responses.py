"""Responses of OpenAI's Responses API that are interactions: continued by their id, shown again, deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from afterword.errors import BadRequest, NotFound
from afterword.gateway.call_format import AnswerIds
from afterword.gateway.formats.responses.answers import ID_PREFIX, whole_response
from afterword.gateway.formats.responses.conversations import as_items, conversation_items, request_of_chat
from afterword.gateway.formats.responses.errors import stored_error
from afterword.gateway.formats.responses.output_items import ItemIds, completion_of, custom_tool_names, output_items
from afterword.gateway.formats.responses.requests import previous_response_not_found, session_of_request
from afterword.service.context import Context
from afterword.service.interactions.recording import delete_interaction, find_interactions
from afterword.types import Interaction, Message
from afterword.types.queries import InputItemsQuery, ResponseQuery

STATUSES = {"open": "in_progress", "failed": "failed", "cancelled": "cancelled", "interrupted": "incomplete"}
"""The status of a response for the state of its call, where the finish reason does not tell it."""


async def continued_request(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """Return a request with the conversation that it continues as its `input`.

    That of `previous_response_id` comes before the new input, without its `instructions`, and gives the session. Items
    that are references to items of Afterword's responses are replaced by these. Raises `BadRequest` for a response that
    is not stored or not visible to the key.
    """
    previous_id = body.get("previous_response_id")
    previous = completion_of(previous_id)
    items = as_items(body.get("input"))
    references = [index for index, item in enumerate(items) if _referenced_completion(item)]
    if previous is None and not references:
        return body
    ids = {previous, *(_referenced_completion(items[index]) for index in references)} - {None}
    interactions = await find_interactions(context, [id_ for id_ in ids if id_], images="inline")
    custom_tools = custom_tool_names(body)
    for index in references:
        items[index] = _referenced_item(items[index], interactions, custom_tools, index)
    if previous is None:
        return {**body, "input": items}
    interaction = interactions.get(previous)
    if interaction is None or interaction.expired:
        raise previous_response_not_found(previous_id)
    conversation = conversation_items([*(interaction.messages or ()), *_completion_of(interaction)], custom_tools)
    session = {} if session_of_request(body) else {"session_id": interaction.session or str(interaction.session_id)}
    return {**body, **session, "input": [*conversation, *items]}


def _referenced_completion(item: Any) -> UUID | None:
    is_reference = isinstance(item, dict) and item.get("type", "item_reference") == "item_reference"
    return completion_of(item.get("id")) if is_reference and "role" not in item else None


def _referenced_item(
    reference: dict[str, Any], interactions: dict[UUID, Interaction], custom_tools: Iterable[str], index: int
) -> dict[str, Any]:
    completion_id = _referenced_completion(reference)
    interaction = interactions.get(completion_id) if completion_id else None
    if interaction is not None:
        for message in _completion_of(interaction):
            for item in output_items(message, ItemIds(interaction.completion_id), custom_tools=set(custom_tools)):
                if item.get("id") == reference["id"]:
                    return item
    raise BadRequest(
        f"Item with id {reference['id']!r:.100} not found.",
        code="item_not_found",
        param=f"input[{index}].id",
        hint="Give an item of a response that was logged here and that this key may see, or the item itself.",
    )


def _completion_of(interaction: Interaction) -> list[Message]:
    """Return the message of an interaction's completion; none if nothing arrived."""
    if interaction.message:
        return [interaction.message]
    return [{"role": "assistant", "content": interaction.completion}] if interaction.completion else []


# ------------------------------------------------------------------------------------------------ responses shown again


async def get_response(context: Context, response_id: str, *, query: ResponseQuery) -> dict[str, Any]:
    """Show a response again, as OpenAI's API has it.

    It is made of the interaction that the call was logged as. A response that was not logged is not found.
    """
    if query.stream:
        raise BadRequest(
            "stream is true, but a response is not streamed again.",
            code="unsupported_parameter",
            param="stream",
            hint="Leave it out.",
        )
    interaction = await _get_interaction(context, response_id)
    call, facts = interaction.call, interaction.facts or {}
    ids = AnswerIds(interaction.session_id, lambda _: interaction.completion_id)
    parameters, messages = interaction.parameters or {}, interaction.messages or []
    request = {**request_of_chat(parameters, messages), "model": interaction.model, "metadata": interaction.labels}
    chat_answer = {
        **facts.get("answer", {}),
        "created": int(interaction.created_at.timestamp()),
        "model": (call and call.provider_model) or interaction.model,
        "usage": interaction.usage,
        "choices": [
            {
                **facts.get("choice", {}),
                "message": next(iter(_completion_of(interaction)), {}),
                "finish_reason": call and call.finish_reason,
            }
        ],
    }
    response = whole_response(chat_answer, request, ids)
    if call is not None and call.state in STATUSES:
        response |= {"status": STATUSES[call.state], "error": stored_error(call.error), "completed_at": None}
    return response


async def list_input_items(context: Context, response_id: str, *, query: InputItemsQuery) -> dict[str, Any]:
    """List what a response answers, the newest first: the items of the whole conversation, as it was sent."""
    interaction = await _get_interaction(context, response_id)
    items = conversation_items(interaction.messages or ())
    items = [
        {"id": f"msg_{interaction.completion_id}_input{index}", **item, "status": "completed"}
        for index, item in enumerate(items)
    ]
    if query.order != "asc":
        items.reverse()
    ids = [item["id"] for item in items]
    start = ids.index(query.after) + 1 if query.after in ids else 0
    page = items[start : start + query.limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": start + len(page) < len(items),
    }


async def delete_response(context: Context, response_id: str) -> dict[str, Any]:
    """Delete a response: the interaction that the call was logged as, with its feedback."""
    completion_id = completion_of(response_id)
    if completion_id is None:
        raise _response_not_found(response_id)
    await delete_interaction(context, str(completion_id))
    return {"id": response_id, "object": "response", "deleted": True}


async def cancel_response(context: Context, response_id: str) -> dict[str, Any]:
    """Refuse to cancel a response: only those that run in the background can be cancelled, and none do here."""
    raise BadRequest(
        f"The response {response_id!r:.100} cannot be cancelled: Afterword does not run calls in the background.",
        code="unsupported_operation",
        param="response_id",
        hint="Close the connection of a stream to end it.",
    )


async def _get_interaction(context: Context, response_id: str) -> Interaction:
    completion_id = completion_of(response_id)
    if completion_id is not None:
        interactions = await find_interactions(context, [completion_id], images="inline")
        if interaction := interactions.get(completion_id):
            return interaction
    raise _response_not_found(response_id)


def _response_not_found(response_id: str) -> NotFound:
    return NotFound(
        f"Response with id {response_id!r:.100} not found.",
        code="response_not_found",
        param="response_id",
        hint=f"Give the id of a response that was logged here and that this key may see: {ID_PREFIX} and its "
        "completion_id.",
    )
