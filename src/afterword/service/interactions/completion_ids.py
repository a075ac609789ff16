"""The completion that a caller names: by its completion_id, or by the id of the answer that it was a choice of."""

from __future__ import annotations

from typing import NoReturn
from uuid import UUID

from sqlalchemy import Connection

from afterword.errors import AfterwordError, Invalid, NotFound
from afterword.ids import find_uuid_of_answer
from afterword.service.context import Context
from afterword.store import calls as stored

MAX_RESPONSE_ID_CHARACTERS = 200
MAX_NAMED_CHOICES = 10
"""Upper bound on the choices that an error names."""

GIVE_COMPLETION_ID = (
    "Give the completion_id of the choice (choices[0].completion_id), or the id of an answer of Afterword: "
    "chatcmpl-, resp_ or msg_ and a UUID."
)


async def resolve_completion_id(context: Context, text: str, *, param: str, in_path: bool = False) -> UUID:
    """Return the id of the completion that a caller names.

    Only what is no UUID is looked up: the id of an answer of Afterword, or a provider's own id of its response. Raises
    `Invalid` if the answer had several choices, and for any other text (`NotFound` if it stands `in_path`).
    """
    try:
        return UUID(text)
    except ValueError:
        pass
    first_id = find_uuid_of_answer(text)

    def find_ids(connection: Connection) -> list[UUID]:
        rows = stored.find_choices(connection, first_id) if first_id else ()
        if not rows and len(text) <= MAX_RESPONSE_ID_CHARACTERS and "\0" not in text:
            rows = stored.find_completions_of_response(connection, text)
        return [row.id for row in rows if context.actor.sees(row.project)]

    ids = await context.store.read(find_ids)
    if len(ids) > 1:
        raise _several_choices_error(text, ids, param)
    if ids:
        return ids[0]
    if first_id is None:
        _raise_not_an_id(text, param, in_path)
    # The caller looks for it once more, and says that it does not exist, or that it was not stored.
    return first_id


def _several_choices_error(text: str, ids: list[UUID], param: str) -> AfterwordError:
    names = ", ".join(str(completion_id) for completion_id in ids[:MAX_NAMED_CHOICES])
    others = f" and {len(ids) - MAX_NAMED_CHOICES} more" if len(ids) > MAX_NAMED_CHOICES else ""
    return Invalid(
        f"{param} is {text[:80]!r}, which is the id of an answer with {len(ids)} completions.",
        code="several_choices",
        param=param,
        hint=f"Give the completion_id of one of them: {names}{others}.",
    )


def _raise_not_an_id(text: str, param: str, in_path: bool) -> NoReturn:
    if in_path:
        raise NotFound(
            f"{text[:80]!r} is not an id.",
            noun="completion",
            code="completion_not_found",
            param=param,
            hint=GIVE_COMPLETION_ID,
        )
    raise Invalid(
        f"{param} is {text[:80]!r}, which is neither a UUID nor the id of an answer that this key may see.",
        code="invalid_completion_id",
        param=param,
        hint=GIVE_COMPLETION_ID,
    )
