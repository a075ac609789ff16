"""From what was said to rows: what all ways of logging an interaction share."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from afterword.config import Settings
from afterword.errors import Invalid
from afterword.service import content
from afterword.service.context import Context
from afterword.service.values import check_text
from afterword.store import calls, rollups
from afterword.store import interactions as stored
from afterword.store.catalog import ProjectRow
from afterword.store.engine import Rows
from afterword.store.filters import SOURCES
from afterword.store.payloads import Payload, asked, encode, message_text
from afterword.store.schema import hash63, label_number
from afterword.types import Message, Source

# Above this a list shows the preview in the row in place of reading the payload.
LONG = 32 << 10
PREVIEW = 300
MOST_NUMBER = 1 << 53

_encoder = msgspec.json.Encoder()


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """An interaction before its completion, checked: what several completions of one call share."""

    project: ProjectRow
    source: Source
    created_at: int
    messages: list[Message]
    """As they are stored: with references in place of images."""
    images: list[content.Image]
    labels: dict[str, str]
    user: str | None
    prompt: str
    prompt_hash: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A completion of it, and what was logged about the call."""

    completion: str = ""
    message: Message | None = None
    images: list[content.Image] = msgspec.field(default_factory=list)
    usage: dict[str, Any] | None = None
    timings: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    facts: dict[str, Any] | None = None


class Written(msgspec.Struct, frozen=True):
    """Rows to be written, about how many bytes they take, and the labels that are new among them."""

    rows: Rows
    size: int
    fresh_labels: list[int]


def question(
    context: Context,
    *,
    project: ProjectRow,
    source: Source,
    created_at: int,
    messages: list[Message],
    labels: dict[str, str],
    user: str | None,
    as_sent: bool = False,
) -> Question:
    """Check what was asked; labels and user are checked already. Raises `Invalid`, `TooLarge`.

    With `as_sent` it is what a call sends to a provider: what cannot be recognised of its messages is kept as it is.
    """
    take_in = content.take_in_as_sent if as_sent else content.take_in
    kept, images = take_in(messages, context.settings)
    return Question(
        project=project,
        source=source,
        created_at=created_at,
        messages=kept,
        images=images,
        labels=labels,
        user=user,
        prompt=asked(kept),
        prompt_hash=content.prompt_hash(kept),
    )


def answer(context: Context, completion: str | Message, **more: Any) -> Answer:
    """Check what was answered: a text, or a whole assistant message. Raises `Invalid`, `TooLarge`."""
    if isinstance(completion, str):
        return Answer(completion=completion, **more)
    message = {"role": "assistant", **completion}
    [kept], images = content.take_in([message], context.settings, param="completion")
    return Answer(completion=message_text(kept), message=kept, images=images, **more)


def answer_as_sent(context: Context, completion: str | Message, **more: Any) -> Answer:
    """Return what a model answered, as it is stored: nothing of it is refused, whatever its form."""
    if isinstance(completion, str):
        return Answer(completion=completion, **more)
    [kept], images = content.take_in_as_sent([{**completion, "role": "assistant"}], context.settings)
    return Answer(completion=message_text(kept), message=kept, images=images, **more)


def new_rows(
    context: Context,
    asked: Question,
    said: Answer,
    completion_id: UUID,
    *,
    session: tuple[UUID | None, str | None],
    model: int | None,
    request_hash: int | None = None,
    call: tuple[Any, ...] | None = None,
    searchable: bool = True,
) -> Written:
    """Return the rows of an interaction.

    `session` is its id, and the caller's text for it where that is no UUID; an interaction without one opens a session
    of its own, named by its completion_id. `searchable` is false for one whose text is still to come.
    """
    project = asked.project.number
    images = [*asked.images, *said.images]
    raw, size, preview = _payload(asked, said)
    labels = _encoder.encode(asked.labels).decode() if asked.labels else None
    row = (
        completion_id,
        project,
        asked.created_at,
        model,
        SOURCES.index(asked.source),
        session[0],
        asked.user,
        labels,
        asked.prompt_hash,
        hash63(asked.prompt),
        hash63(said.completion),
        size,
        preview,
        request_hash,
        session[1],
    )
    rows: Rows = [
        (stored.INSERT["interactions"], [row]),
        (stored.INSERT["payloads"], [(completion_id, context.store.compression.compress(raw))]),
        *rollups.marks(project, asked.created_at),
    ]
    if searchable:
        rows.append((stored.INSERT["search_pending"], [(completion_id, None)]))
    if call is not None:
        rows.append((calls.INSERT, [call]))
    numbers = {label_number(project, key, value): (key, value) for key, value in asked.labels.items()}
    fresh = [number for number in numbers if not context.catalog.knows_label(number)]
    if fresh:
        rows.append((stored.INSERT_LABEL, [(number, project, *numbers[number]) for number in fresh]))
    if numbers:
        worn = [(number, asked.created_at, completion_id) for number in numbers]
        rows.append((stored.INSERT["interaction_labels"], worn))
    rows += _image_rows(images, project, completion_id)
    return Written(rows, len(raw) + sum(len(image.content) for image in images) + 500, fresh)


def finishing_rows(
    context: Context, asked: Question, said: Answer, completion_id: UUID, *, model: int | None, call: tuple[Any, ...]
) -> Written:
    """Return what completes an interaction that was opened without its answer."""
    raw, size, preview = _payload(asked, said)
    rows: Rows = [
        (calls.FINISH_INTERACTION, [(completion_id, model, hash63(said.completion), size, preview)]),
        (calls.FINISH_PAYLOAD, [(completion_id, context.store.compression.compress(raw))]),
        (calls.FINISH_CALL, [call]),
        (calls.QUEUE_FOR_SEARCH, [(completion_id, None)]),
        *rollups.marks(asked.project.number, asked.created_at),
        *_image_rows(said.images, asked.project.number, completion_id),
    ]
    return Written(rows, len(raw) + 500, [])


def _payload(asked: Question, said: Answer) -> tuple[bytes, int, str | None]:
    """Return the payload as JSON, its true size, and its preview where it is long."""
    raw = encode(
        Payload(
            messages=asked.messages,
            completion=said.completion,
            message=said.message,
            usage=said.usage,
            timings=said.timings,
            parameters=said.parameters,
            facts=said.facts,
        )
    )
    preview = None
    if len(raw) > LONG:
        short = {"prompt": asked.prompt[:PREVIEW], "completion": said.completion[:PREVIEW]}
        preview = _encoder.encode(short).decode()
    return raw, len(raw) + sum(len(image.content) for image in (*asked.images, *said.images)), preview


def _image_rows(images: list[content.Image], project: int, completion_id: UUID) -> Rows:
    if not images:
        return []
    uses = {image.hash: (image.hash, project, completion_id) for image in images}
    return [
        (stored.INSERT_IMAGE, [tuple(image) for image in images]),
        (stored.INSERT_IMAGE_USE, list(uses.values())),
    ]


def measured(usage: dict[str, Any] | None, timings: dict[str, Any] | None) -> dict[str, int | float]:
    """Return the system metrics among what was logged: whole numbers from 0, and finite tokens a second."""
    found: dict[str, int | float] = {}
    for given in (usage, timings):
        for name, value in (given or {}).items():
            if name not in calls.NUMBERS or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            # Neither NaN nor an integer of any length passes.
            if not 0 <= value <= MOST_NUMBER:
                continue
            found[name] = float(value) if name == "tokens_per_second" else round(value)
    return found


def is_label(key: str, value: str, settings: Settings) -> bool:
    """Tell whether a label is within the limits of the settings."""
    fits = 1 <= len(key) <= settings.max_label_key and len(value.encode()) <= settings.max_label_value
    return fits and "\0" not in key and "\0" not in value


def checked_labels(context: Context, labels: dict[str, str], *, param: str = "labels") -> dict[str, str]:
    """Check labels against the limits of the settings. Raises `Invalid`."""
    settings = context.settings
    if len(labels) > settings.max_labels:
        raise Invalid(
            f"{param} has {len(labels):,} labels; the limit is {settings.max_labels}.",
            code="too_many_labels",
            param=param,
            hint="Keep what you filter by as labels, and the rest in parameters; or raise AFTERWORD_MAX_LABELS.",
        )
    for key, value in labels.items():
        place = f"{param}.{key:.80}"
        check_text(key, param=place, most=settings.max_label_key, least=1, what="The label key")
        check_text(value, param=place)
        if len(value.encode()) > settings.max_label_value:
            raise Invalid(
                f"The value of the label {key!r} has {len(value.encode()):,} bytes; "
                f"the limit is {settings.max_label_value:,}.",
                code="label_too_long",
                param=place,
                hint="Labels are for filtering: keep them short, or raise AFTERWORD_MAX_LABEL_VALUE.",
            )
    return labels
