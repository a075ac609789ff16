"""Logging of model calls: a call is stored before its first word is sent, and completed after its last."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from afterword.call_forms.limits import is_label
from afterword.config import Settings
from afterword.errors import AfterwordError, Conflict, Invalid, Unavailable
from afterword.ids import find_uuid, find_uuid_of_answer, id_of_choice, session_of, unstored_id, uuid7
from afterword.service.context import AppState, Context
from afterword.service.interactions import preparation
from afterword.service.models.routing import ModelRoute
from afterword.store import calls as stored
from afterword.store.ab_tests import INSERT_INTERACTION
from afterword.store.catalog import ModelRow
from afterword.store.engine import ConditionalWrite, Rows, Unit
from afterword.store.interactions import find_interaction
from afterword.store.query.conditions import CHAT
from afterword.types import SHARED_FIELDS, CallRequest, LoggedOperation, Message, State
from afterword.types.fields import TEXT_FIELDS

log = logging.getLogger("afterword.calls")
_encoder = msgspec.json.Encoder()

# Fields that the payload stores elsewhere, or that are useless after the call.
NON_PARAMETER_FIELDS = frozenset({"model", "messages", "prompt", "stream", "stream_options", *SHARED_FIELDS})
# A larger `n` announces no choices: the provider will refuse it.
MAX_ANNOUNCED_CHOICE_COUNT = 128
MAX_SESSION_CHARACTERS = 200
# Bytes of text per token, as an estimate without the model's tokenizer.
TOKEN_BYTES = 4


class Choice(msgspec.Struct):
    """One completion of a call, as far as it came: a text, or a whole message."""

    content: str | Message = ""
    finish_reason: str | None = None
    facts: dict[str, Any] | None = None


class CallResult(msgspec.Struct, kw_only=True):
    """How a call ended. Times are in seconds. `ttft` is the time to the first word, None if the call was not streamed.
    `overhead` is the time that Afterword added until the answer, or its first part, was sent."""

    operation: str
    state: State
    choices: dict[int, Choice] = msgspec.field(default_factory=dict)
    model: ModelRow
    usage: dict[str, Any] = msgspec.field(default_factory=dict)
    latency: float
    provider_time: float
    overhead: float
    ttft: float | None = None
    error: AfterwordError | None = None
    attempts: Sequence[Any] = ()
    origin: dict[str, Any] = msgspec.field(default_factory=dict)
    """The provider's facts about who answered, by the store's column names."""
    replacements: Sequence[dict[str, str]] = ()
    """The parts of the answer that could not be stored unchanged, each as `{at, was, kept}`."""


class CallRecorder:
    """Stores a call under way. `ids` are its completion ids by the index of their choice."""

    def __init__(
        self,
        context: Context,
        request: CallRequest,
        route: ModelRoute,
        body: dict[str, Any],
        request_id: str,
        first_id: UUID,
        trace_id: str | None = None,
        replacements: Sequence[dict[str, str]] = (),
        header_labels: dict[str, str] | None = None,
        *,
        operation: LoggedOperation = CHAT,
        is_id_of_caller: bool = False,
    ) -> None:
        """Take Afterword's own fields from a request. Raises `Invalid` for a call without messages.

        Labels, users and sessions that the log cannot store as such are stored among the parameters, as they were sent.
        `first_id` is the id of the first choice, and of the session if none was given; see `new_id`. `replacements` are
        the parts of the request that could not be stored unchanged. Labels of the body win over `header_labels`.
        `is_id_of_caller`: whether the caller chose `first_id`. See `_release_id`.
        """
        self.context = context
        self.route = route
        self._origin = {"request_id": request_id, "trace_id": trace_id, "streamed": bool(request.stream)}
        self.stored = request.store is not False
        self.ids = {0: first_id}
        self.is_id_of_caller = is_id_of_caller
        self._replacements = replacements
        own_fields = OwnFields.from_request(request, context.settings, header_labels)
        self._session = session_of(route.project.key, own_fields.session)
        self._opened_indexes: set[int] = set()
        sent_parameters = {name: value for name, value in body.items() if name not in NON_PARAMETER_FIELDS}
        self._parameters = {**sent_parameters, **own_fields.unreadable} or None
        now = context.now()
        # Several only for the legacy completions API.
        self._prompts = [
            preparation.new_prompt(
                context,
                project=route.project,
                source="LIVE",
                created_at=now,
                messages=messages,
                labels=own_fields.labels,
                texts=own_fields.texts,
                parent=own_fields.parent,
                operation=operation,
                as_sent=True,
            )
            for messages in request_message_lists(request)
        ]
        requested_choices = request.n
        is_announced = (
            isinstance(requested_choices, int)
            and not isinstance(requested_choices, bool)
            and 1 <= requested_choices <= MAX_ANNOUNCED_CHOICE_COUNT
        )
        self._choice_count = requested_choices if is_announced else 1
        for index in range(self._choice_count * len(self._prompts)):
            self.completion_id(index)
        context.state.calls.add(self)

    @property
    def session_id(self) -> UUID:
        """The session of all its completions: the caller's, or one of its own."""
        return self._session[0] or self.ids[0]

    def completion_id(self, index: int) -> UUID:
        """Return the id of a choice; one that was not announced gets one now."""
        if index not in self.ids:
            self.ids[index] = id_of_choice(self.ids[0], index)
        return self.ids[index]

    def _prompt_of(self, index: int) -> preparation.PreparedPrompt:
        return self._prompts[min(index // self._choice_count, len(self._prompts) - 1)]

    async def open(self, indexes: Sequence[int]) -> None:
        """Store the choices of these indexes without their answers; return once they are on disk."""
        new_indexes = [index for index in indexes if index not in self._opened_indexes]
        if not self.stored or not new_indexes:
            return
        parameters_only = preparation.PreparedCompletion(parameters=self._parameters)
        server = self.context.store.server
        row_batches = [
            preparation.new_rows(
                self.context,
                self._prompt_of(index),
                parameters_only,
                self.ids[index],
                session=self._session_of(index),
                model=self.route.model.number,
                call=stored.call_row(self.ids[index], stored.OPEN, origin=self._origin, numbers={}, server=server),
                searchable=False,
            )
            for index in new_indexes
        ]
        if await self._write(row_batches, new_indexes):
            self._opened_indexes.update(new_indexes)

    async def finish(self, result: CallResult) -> None:
        """Store the answers, and how the call ended; return once they are on disk. Raises `Unavailable`."""
        count_call(self.context.state, result)
        try:
            if self.stored:
                if self.is_id_of_caller and result.state != "complete" and not self._opened_indexes:
                    self._release_id()
                await self._store(result)
        finally:
            self.context.state.calls.discard(self)

    def _release_id(self) -> None:
        """Give the call an id of its own, so that the one that its caller chose stays free.

        Clients repeat a failed call by themselves, with the same headers. The id is for the attempt that is answered.
        """
        self._parameters = {**(self._parameters or {}), "completion_id": str(self.ids[0])}
        self._replace_ids(new_id(stored=True))

    def _replace_ids(self, first_id: UUID) -> None:
        self.ids = {index: id_of_choice(first_id, index) for index in self.ids}

    async def _store(self, result: CallResult) -> None:
        timings = _timings(result)
        attempts = [{"model": attempt.model, "error": _stored_error(attempt.error)} for attempt in result.attempts]
        replacements = [*self._replacements, *result.replacements]
        extra_parameters = {"attempts": attempts, "replaced": replacements}
        parameters = {
            **(self._parameters or {}),
            **{name: rows for name, rows in extra_parameters.items() if rows},
        } or None
        row_batches: list[preparation.RowBatch] = []
        new_indexes: list[int] = []
        # Every opened choice is closed, even if the provider sent nothing for it.
        for index in sorted({*result.choices, *self._opened_indexes} or {0}):
            state, error = result.state, result.error
            if state == "complete" and result.choices and index not in result.choices:
                # Some providers accept n and answer once. An empty completion would count as an answer.
                state, error = "failed", _missing_choice_error(index, result.model)
            choice = result.choices.get(index) or Choice()
            completion_id = self.completion_id(index)
            usage = result.usage
            completion = preparation.new_completion_as_sent(
                self.context,
                choice.content,
                usage=usage,
                timings=timings,
                parameters=parameters,
                facts=choice.facts,
            )
            call = stored.call_row(
                completion_id,
                stored.STATES.index(state),
                finish_reason=choice.finish_reason or FINISH_REASON_OF_STATE.get(state),
                error=_encoder.encode(_stored_error(error)).decode() if error else None,
                origin=self._origin | result.origin,
                # The tokens of a call are counted once, however many completions it made.
                numbers=preparation.system_metric_values(usage if index == 0 else None, timings),
            )
            if index in self._opened_indexes:
                row_batch = preparation.finishing_rows(
                    self.context,
                    self._prompt_of(index),
                    completion,
                    completion_id,
                    session_id=self._session_of(index)[0],
                    model=result.model.number,
                    call=call,
                )
            else:
                new_indexes.append(index)
                row_batch = preparation.new_rows(
                    self.context,
                    self._prompt_of(index),
                    completion,
                    completion_id,
                    session=self._session_of(index),
                    model=result.model.number,
                    call=call,
                )
            row_batches.append(row_batch)
        await self._write(row_batches, new_indexes)

    def _session_of(self, index: int) -> tuple[UUID | None, str | None]:
        # None: the completion's own id is the session's.
        return self._session if self._session[0] or index == 0 else (self.ids[0], None)

    async def _write(self, row_batches: Sequence[preparation.RowBatch], new_indexes: Sequence[int]) -> bool:
        """Commit rows; return whether they are stored. If the store cannot write, the setting on_store_failure decides
        whether the call is refused or goes on unlogged. `new_indexes` are the choices that are stored for the first
        time."""
        rows: Rows = [pair for row_batch in row_batches for pair in row_batch.rows]
        test = self.route.test
        if test is not None and new_indexes:
            # Counted for the assigned model, even if its fallback answered: the fallback is part of its setup.
            test_rows = [(self.ids[index], test.number, self.route.model.number) for index in new_indexes]
            rows.append((INSERT_INTERACTION, test_rows))
        later_rows = [row_batch.later_rows for row_batch in row_batches if row_batch.later_rows is not None]
        try:
            await self.context.store.write(unit_of(rows, later_rows), sum(row_batch.size for row_batch in row_batches))
        except Unavailable as error:
            if self.context.settings.on_store_failure == "refuse":
                raise
            self._continue_unlogged(error)
            return False
        except Exception as error:
            if self.context.store.database.is_duplicate(error):
                raise _completion_exists_error(self.ids[0]) from None
            raise
        for row_batch in row_batches:
            self.context.catalog.keep_labels(row_batch.new_labels)
        self.context.state.search_index_worker.wake()
        self.context.state.broadcast.publish_changed(list(self.ids.values()))
        return True

    def _continue_unlogged(self, error: Unavailable) -> None:
        log.error("A call of %s is not logged: %s", self.route.model.key, error.message)
        self.context.state.meters.count_unlogged_call()
        if not self._opened_indexes:
            # No caller has seen the ids yet: replace them by ids that say that nothing is stored under them.
            self.stored = False
            self._replace_ids(new_id(stored=False))


def unit_of(rows: Rows, later_rows: Sequence[tuple[UUID, Rows]]) -> Unit:
    """Return the unit of work that writes `rows`, and `later_rows` of the interactions that still exist."""
    if not later_rows:
        return rows

    def write(*found_rows: Sequence[Any] | None) -> tuple[Rows, None]:
        existing = [pairs for found, (_, pairs) in zip(found_rows, later_rows, strict=True) if found is not None]
        return [*rows, *(pair for pairs in existing for pair in pairs)], None

    return ConditionalWrite([(stored.FIND_OPENED, completion_id) for completion_id, _ in later_rows], write)


class OwnFields(msgspec.Struct, frozen=True):
    """The fields of a request that are for the log. `unreadable` are fields and labels that it cannot store as such."""

    labels: dict[str, str]
    texts: dict[str, str | None]
    session: str | None
    parent: UUID | None
    unreadable: dict[str, Any]

    @classmethod
    def from_request(
        cls, request: CallRequest, settings: Settings, header_labels: dict[str, str] | None = None
    ) -> OwnFields:
        labels: dict[str, str] = {}
        unreadable: dict[str, Any] = {}
        # In the order of precedence, also for the limit on the number of labels.
        label_fields = {"labels": request.labels, "metadata": request.metadata, "header_labels": header_labels}
        for name, labels_field in label_fields.items():
            if labels_field is None:
                continue
            if not isinstance(labels_field, dict):
                unreadable[name] = labels_field
                continue
            unreadable_labels = {}
            for key, value in labels_field.items():
                text = value if isinstance(value, str) else _encoder.encode(value).decode()
                is_valid = isinstance(value, str | int | float) and is_label(key, text, settings)
                if is_valid and key not in labels and len(labels) < settings.max_labels:
                    labels[key] = text
                elif key not in labels:
                    unreadable_labels[key] = value
            if unreadable_labels:
                unreadable[name] = unreadable_labels
        texts: dict[str, str | None] = {}
        for field in TEXT_FIELDS:
            value = getattr(request, field.name)
            texts[field.column] = _readable_text(value, field.max_characters)
            if value is not None and texts[field.column] is None:
                unreadable[field.name] = value
        session = readable_session(request.session_id)
        if request.session_id is not None and session is None:
            unreadable["session_id"] = request.session_id
        parent = None
        if isinstance(request.parent, str):
            parent = find_uuid(request.parent) or find_uuid_of_answer(request.parent)
        if request.parent is not None and parent is None:
            unreadable["parent"] = request.parent
        return cls(labels, texts, session, parent, unreadable)


def readable_session(session_id: Any) -> str | None:
    """Return a call's name for its session; None if the log cannot store it."""
    return _readable_text(session_id, MAX_SESSION_CHARACTERS) or None


def _readable_text(value: Any, max_characters: int) -> str | None:
    """Return a short text, which may be sent as an integer; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > max_characters or "\0" in value:
        return None
    return value


def new_id(*, stored: bool) -> UUID:
    """Return the id of a new completion; if it is not stored, the id says so."""
    return uuid7() if stored else unstored_id()


async def check_is_free(context: Context, completion_id: UUID) -> None:
    """Raise `Conflict` if the id that a caller chose for a call is that of an interaction, or of a call under way."""
    is_stored = await context.store.read(find_interaction, completion_id) is not None
    if is_stored or any(completion_id in call.ids.values() for call in context.state.calls):
        raise _completion_exists_error(completion_id)


def _completion_exists_error(completion_id: UUID) -> Conflict:
    return Conflict(
        f"The completion_id {completion_id} is taken by an interaction with other content.",
        code="completion_exists",
        param="x-afterword-completion-id",
        hint="Give each call an id of its own. It stays free only if the call fails before its answer begins.",
    )


def count_call(state: AppState, result: CallResult) -> None:
    """Count a call for Prometheus."""
    state.meters.count_call(
        operation=result.operation,
        model=result.model.key,
        provider=result.model.provider or "",
        state=result.state,
        overhead=result.overhead,
        provider_time=result.provider_time,
        ttft=result.ttft,
        usage=result.usage,
    )


FINISH_REASON_OF_STATE = {"failed": "error", "cancelled": "cancelled", "interrupted": "interrupted"}


def request_message_lists(request: CallRequest) -> list[list[Message]]:
    """Return the messages of each prompt."""
    prompt = request.prompt
    if request.messages:
        return [request.messages]
    if request.messages is not None or prompt is None:
        raise Invalid(
            "The call has no messages.",
            code="no_messages",
            param="messages",
            hint="Give at least the message to answer: messages=[{'role': 'user', 'content': '...'}].",
        )
    return [[message] for message in text_messages(prompt)] or [[]]


def text_messages(texts: Any) -> list[Message]:
    """Return a message for each of the texts of a call: a string, an array of strings, or tokens as integers."""
    is_one_text = not isinstance(texts, list) or (texts and all(isinstance(token, int) for token in texts))
    return [
        {"role": "user", "content": text if isinstance(text, str) else _encoder.encode(text).decode()}
        for text in ([texts] if is_one_text else texts)
    ]


def _timings(result: CallResult) -> dict[str, Any]:
    """Return the timings in milliseconds, and the tokens per second from the first word to the end."""
    timings: dict[str, Any] = {
        "latency": round(result.latency * 1000),
        "provider_time": round(result.provider_time * 1000),
    }
    if result.ttft is not None:
        timings["ttft"] = round(result.ttft * 1000)
    tokens, seconds = result.usage.get("completion_tokens"), result.latency - (result.ttft or 0)
    if isinstance(tokens, int) and 0 < tokens <= preparation.MAX_STORED_NUMBER and seconds > 0:
        timings["tokens_per_second"] = round(tokens / seconds, 1)
    return timings


def _stored_error(error: AfterwordError) -> dict[str, Any]:
    error_fields = {"status": error.status, "type": error.type, "code": error.code, "message": error.message}
    if error.param is not None:
        error_fields["param"] = error.param
    return {**error.details, **error_fields}


def _missing_choice_error(index: int, model: ModelRow) -> AfterwordError:
    return Unavailable(
        f"{model.key!r} answered with fewer choices than n asked for: none has the index {index}.",
        code="provider_left_out_choice",
    )


def estimated_usage(messages: Sequence[Any], texts: Sequence[str]) -> dict[str, Any]:
    """Estimate the tokens of a call, for providers that do not report them; the result is marked as estimated."""
    prompt = _estimated_tokens(_encoder.encode(messages)) if messages else 0
    completion = sum(_estimated_tokens(text.encode("utf-8", "surrogatepass")) for text in texts)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "estimated": True,
    }


def _estimated_tokens(text: bytes) -> int:
    return -(-len(text) // TOKEN_BYTES)
