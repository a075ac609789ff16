"""Converts messages and completions to rows, for all ways of logging an interaction."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row

from afterword.errors import Invalid
from afterword.message_words import message_contents
from afterword.service.context import Context
from afterword.service.interactions import content
from afterword.service.interactions.media import Media
from afterword.service.validation import check_text
from afterword.store import calls, packing, telemetry
from afterword.store import interactions as stored
from afterword.store.background import rollups
from afterword.store.background.packing import queue_turn
from afterword.store.catalog import ProjectRow
from afterword.store.engine import Rows
from afterword.store.payloads import Payload, completion_message, encode, message_text, preview, prompt_text
from afterword.store.query.conditions import CHAT, SOURCES
from afterword.store.schema import LATER_TEXTS, content_number, hash63, label_number
from afterword.types import LoggedOperation, Message, Source

MAX_STORED_NUMBER = 1 << 53

_encoder = msgspec.json.Encoder()


class PreparedPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """The checked part of an interaction that several completions of one call share."""

    project: ProjectRow
    source: Source
    created_at: int
    messages: list[Message]
    """As they are stored: with references in place of images."""
    images: list[Media]
    labels: dict[str, str]
    texts: dict[str, str | None]
    """The plain texts that the caller logs with it, by the names of their columns."""
    parent: UUID | None
    operation: LoggedOperation
    text: str
    prompt_hash: int


class PreparedCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """A completion of a prompt, and what was logged about the call."""

    text: str = ""
    message: Message | None = None
    images: list[Media] = msgspec.field(default_factory=list)
    usage: dict[str, Any] | None = None
    timings: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    facts: dict[str, Any] | None = None


class RowBatch(msgspec.Struct, frozen=True):
    """Rows to write, their approximate size in bytes, and the numbers of labels that are new.

    `later_rows` are of an interaction that is stored already. They are written only if it was not deleted meanwhile.
    """

    rows: Rows
    size: int
    new_labels: list[int]
    later_rows: tuple[UUID, Rows] | None = None


def new_prompt(
    context: Context,
    *,
    project: ProjectRow,
    source: Source,
    created_at: int,
    messages: list[Message],
    labels: dict[str, str],
    texts: dict[str, str | None],
    parent: UUID | None = None,
    operation: LoggedOperation = CHAT,
    as_sent: bool = False,
) -> PreparedPrompt:
    """Check the messages of a prompt; labels and texts are checked already. Raises `Invalid`, `TooLarge`.

    With `as_sent` the messages are those sent to a provider: unknown forms are stored unchanged.
    """
    extract_images = content.extract_images_as_sent if as_sent else content.extract_images
    stored_messages, images = extract_images(messages, context.settings)
    return PreparedPrompt(
        project=project,
        source=source,
        created_at=created_at,
        messages=stored_messages,
        images=images,
        labels=labels,
        texts=texts,
        parent=parent,
        operation=operation,
        text=prompt_text(stored_messages),
        prompt_hash=content.prompt_hash(stored_messages),
    )


def new_completion(context: Context, completion: str | Message, **call_facts: Any) -> PreparedCompletion:
    """Check a completion: a text, or a whole assistant message. Raises `Invalid`, `TooLarge`."""
    if isinstance(completion, str):
        return PreparedCompletion(text=completion, **call_facts)
    message = {"role": "assistant", **completion}
    [stored_message], images = content.extract_images([message], context.settings, param="completion")
    return PreparedCompletion(text=message_text(stored_message), message=stored_message, images=images, **call_facts)


def new_completion_as_sent(context: Context, completion: str | Message, **call_facts: Any) -> PreparedCompletion:
    """Return a model's answer as it is stored; no form is refused."""
    if isinstance(completion, str):
        return PreparedCompletion(text=completion, **call_facts)
    [stored_message], images = content.extract_images_as_sent([{**completion, "role": "assistant"}], context.settings)
    return PreparedCompletion(text=message_text(stored_message), message=stored_message, images=images, **call_facts)


def new_rows(
    context: Context,
    prompt: PreparedPrompt,
    completion: PreparedCompletion,
    completion_id: UUID,
    *,
    session: tuple[UUID | None, str | None],
    model: int | None,
    request_hash: int | None = None,
    call: tuple[Any, ...] | None = None,
    searchable: bool = True,
) -> RowBatch:
    """Return the rows of an interaction.

    `session` is its id, and the caller's name for it if that is not a UUID. An interaction without a session opens its
    own, whose id is its completion_id. `searchable` is false while the completion is still missing.
    """
    project = prompt.project.number
    images = [*prompt.images, *completion.images]
    raw, size, words = _payload(prompt, completion)
    labels = _encoder.encode(prompt.labels).decode() if prompt.labels else None
    contents = _contents(prompt, completion)
    row = (
        completion_id,
        project,
        prompt.created_at,
        model,
        SOURCES.index(prompt.source),
        session[0],
        prompt.texts["user"],
        labels,
        prompt.prompt_hash,
        hash63(prompt.text),
        hash63(completion.text),
        size,
        words,
        request_hash,
        session[1],
        *(prompt.texts[name] for name in LATER_TEXTS),
        _encoder.encode(contents).decode() if contents else None,
        prompt.parent,
        None if prompt.operation == CHAT else prompt.operation,
    )
    rows: Rows = [
        (stored.INSERT["interactions"], [row]),
        (stored.INSERT["payloads"], [(completion_id, context.store.compression.compress(raw), None)]),
        *rollups.dirty_hour(project, prompt.created_at),
    ]
    if searchable:
        rows.append((stored.INSERT["search_pending"], [(completion_id, None)]))
        rows += queue_turn(project, session[0], completion_id)
    if call is not None:
        rows.append((calls.INSERT, [call]))
    numbers = {label_number(project, key, value): (key, value) for key, value in prompt.labels.items()}
    new_labels = [number for number in numbers if not context.catalog.knows_label(number)]
    if new_labels:
        rows.append((stored.INSERT_LABEL, [(number, project, *numbers[number]) for number in new_labels]))
    if numbers or contents:
        indexed_numbers = [*numbers, *(content_number(project, content) for content in contents)]
        label_rows = [(number, prompt.created_at, completion_id) for number in indexed_numbers]
        rows.append((stored.INSERT["interaction_labels"], label_rows))
    rows += _image_rows(images, project, completion_id)
    return RowBatch(rows, len(raw) + sum(len(image.content) for image in images) + 500, new_labels)


def finishing_rows(
    context: Context,
    prompt: PreparedPrompt,
    completion: PreparedCompletion,
    completion_id: UUID,
    *,
    session_id: UUID | None,
    model: int | None,
    call: tuple[Any, ...],
) -> RowBatch:
    """Return the rows that complete an interaction which was opened without its answer."""
    raw, size, words = _payload(prompt, completion)
    contents = _contents(prompt, completion)
    stored_contents = _encoder.encode(contents).decode() if contents else None
    rows: Rows = [
        (
            calls.FINISH_INTERACTION,
            [(completion_id, model, hash63(completion.text), size, words, stored_contents)],
        ),
        (calls.FINISH_PAYLOAD, [(completion_id, context.store.compression.compress(raw))]),
        (calls.FINISH_CALL, [call]),
        (calls.QUEUE_FOR_SEARCH, [(completion_id, None)]),
        *queue_turn(prompt.project.number, session_id, completion_id),
        *rollups.dirty_hour(prompt.project.number, prompt.created_at),
    ]
    later_rows = _image_rows(completion.images, prompt.project.number, completion_id)
    # Those of the prompt were written when the call began.
    if new_contents := set(contents) - set(message_contents(prompt.messages, {})):
        numbers = sorted(content_number(prompt.project.number, content) for content in new_contents)
        label_rows = [(number, prompt.created_at, completion_id) for number in numbers]
        later_rows.append((stored.INSERT["interaction_labels"], label_rows))
    return RowBatch(rows, len(raw) + 500, [], (completion_id, later_rows) if later_rows else None)


def replacing_rows(
    context: Context, row: Row[Any], payload: Payload, images: list[Media], *, finish_reason: str | None
) -> Rows:
    """Return the rows that replace the payload of a stored interaction; see `telemetry.note_replacement`.

    `row` is its row in `interactions`; `images` are those that are new.
    """
    raw = encode(payload)
    contents = message_contents(payload.messages, completion_message(payload.completion, payload.message))
    values = (
        content.prompt_hash(payload.messages),
        hash63(prompt_text(payload.messages)),
        hash63(payload.completion),
        len(raw) + sum(len(image.content) for image in images),
        preview(payload, len(raw)),
        _encoder.encode(contents).decode() if contents else None,
    )
    numbers = sorted(content_number(row.project, name) for name in contents)
    return [
        (telemetry.REPLACE_INTERACTION, [(row.id, *values)]),
        (packing.REPACK, [(row.id, context.store.compression.compress(raw), None)]),
        *([(telemetry.SET_FINISH_REASON, [(row.id, finish_reason)])] if finish_reason else []),
        *queue_turn(row.project, row.session_id, row.id),
        *rollups.dirty_hour(row.project, row.created_at),
        *([(telemetry.INSERT_LABEL_ROW, [(number, row.created_at, row.id) for number in numbers])] if numbers else []),
        *_image_rows(images, row.project, row.id),
    ]


def _contents(prompt: PreparedPrompt, completion: PreparedCompletion) -> list[str]:
    return message_contents(prompt.messages, completion_message(completion.text, completion.message))


def _payload(prompt: PreparedPrompt, completion: PreparedCompletion) -> tuple[bytes, int, str | None]:
    """Return the payload as JSON, its size with images, and a preview if the payload is long."""
    payload = Payload(
        messages=prompt.messages,
        completion=completion.text,
        message=completion.message,
        usage=completion.usage,
        timings=completion.timings,
        parameters=completion.parameters,
        facts=completion.facts,
    )
    raw = encode(payload)
    size = len(raw) + sum(len(image.content) for image in (*prompt.images, *completion.images))
    return raw, size, preview(payload, len(raw))


def _image_rows(images: list[Media], project: int, completion_id: UUID) -> Rows:
    if not images:
        return []
    image_uses = {image.hash: (image.hash, project, completion_id) for image in images}
    return [
        (stored.INSERT_IMAGE, [tuple(image) for image in images]),
        (stored.INSERT_IMAGE_USE, list(image_uses.values())),
    ]


def system_metric_values(usage: dict[str, Any] | None, timings: dict[str, Any] | None) -> dict[str, int | float]:
    """Return the system metrics in usage and timings: integers from 0, and tokens per second as a float."""
    values: dict[str, int | float] = {}
    for measurements in (usage, timings):
        for name, value in (measurements or {}).items():
            if name not in calls.SYSTEM_METRICS or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            # This also excludes NaN and huge integers.
            if not 0 <= value <= MAX_STORED_NUMBER:
                continue
            values[name] = float(value) if name == "tokens_per_second" else round(value)
    return values


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
        path = f"{param}.{key:.80}"
        check_text(key, param=path, max_length=settings.max_label_key, min_length=1, noun="The label key")
        check_text(value, param=path)
        if len(value.encode()) > settings.max_label_value:
            raise Invalid(
                f"The value of the label {key!r} has {len(value.encode()):,} bytes; "
                f"the limit is {settings.max_label_value:,}.",
                code="label_too_long",
                param=path,
                hint="Labels are for filtering: keep them short, or raise AFTERWORD_MAX_LABEL_VALUE.",
            )
    return labels
