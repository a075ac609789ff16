"""Logging calls of language models: opened before the first word leaves, finished when the last has come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import msgspec

from afterword.config import Settings
from afterword.errors import AfterwordError, Invalid, Unavailable
from afterword.ids import session_of, unstored_id, uuid7
from afterword.service import drafts
from afterword.service.context import Context, Home
from afterword.service.routing import Route
from afterword.store import calls as stored
from afterword.store.abtests import INSERT_INTERACTION
from afterword.store.catalog import ModelRow
from afterword.store.engine import Rows
from afterword.store.faults import FaultLog
from afterword.store.servers import alive as alive_servers
from afterword.types import SHARED, CallRequest, Message, State

log = logging.getLogger("afterword.calls")
_encoder = msgspec.json.Encoder()

# What stands in the payload's own fields, or is of no use once the call is over.
NOT_PARAMETERS = frozenset({"model", "messages", "prompt", "stream", "stream_options", *SHARED})
# Beyond it `n` says nothing about how many choices there will be, but that the provider will refuse it.
MAX_ANNOUNCED_CHOICES = 128
MAX_USER_CHARACTERS = 1024
MAX_SESSION_CHARACTERS = 200
# Without a tokenizer of the model a token is taken for so many bytes of text.
BYTES_A_TOKEN = 4
# Seconds between two looks for calls that nobody goes on with.
SWEEP_SECONDS = 10.0


class Choice(msgspec.Struct):
    """One completion of a call, as far as it came: a text, or a whole message."""

    said: str | Message = ""
    finish_reason: str | None = None
    facts: dict[str, Any] | None = None


class Outcome(msgspec.Struct, kw_only=True):
    """How a call ended. Times are in seconds; `ttft` is to the first word, and null where it was not streamed;
    `overhead` is what was added until the answer left, or its first part."""

    face: str
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
    """What the provider told of who answered, by the names of the store's columns."""
    replaced: Sequence[dict[str, str]] = ()
    """What of the answer could not be stored as it came: `{at, was, kept}` each."""


class Call:
    """A call under way: its ids, and what of it is stored. `ids` are by the index of the choice."""

    def __init__(
        self,
        context: Context,
        request: CallRequest,
        route: Route,
        body: dict[str, Any],
        request_id: str,
        first_id: UUID,
        trace_id: str | None = None,
        replaced: Sequence[dict[str, str]] = (),
    ) -> None:
        """Take what is Afterword's own from a request. Raises `Invalid` for a call of nothing.

        What the log cannot take as labels, user or session stands among the parameters, as it was sent. `first_id` is
        that of the first choice, and of the session where none was given; see `new_id`. `replaced` is what of the
        request could not be kept as it came.
        """
        self.context = context
        self.route = route
        self._origin = {"request_id": request_id, "trace_id": trace_id, "streamed": bool(request.stream)}
        self.stored = request.store is not False
        self.ids = {0: first_id}
        self._replaced = replaced
        own = _OwnFields.of(request, context.settings)
        self._session = session_of(route.project.key, own.session)
        self._opened: set[int] = set()
        sent = {name: value for name, value in body.items() if name not in NOT_PARAMETERS}
        self._parameters = {**sent, **own.unreadable} or None
        now = context.now()
        # One, but for the old completions, which take several prompts at once.
        self._questions = [
            drafts.question(
                context,
                project=route.project,
                source="LIVE",
                created_at=now,
                messages=messages,
                labels=own.labels,
                user=own.user,
                as_sent=True,
            )
            for messages in _asked(request)
        ]
        number = request.n
        announced = isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= MAX_ANNOUNCED_CHOICES
        self._choices = number if announced else 1
        self._name(self._choices * len(self._questions))
        context.home.calls.add(self)

    @property
    def session_id(self) -> UUID:
        """The session of all its completions: the caller's, or one of its own."""
        return self._session[0] or self.ids[0]

    def completion_id(self, index: int) -> UUID:
        """Return the id of a choice; one that was not announced gets one now."""
        if index not in self.ids:
            self.ids[index] = new_id(stored=self.stored)
        return self.ids[index]

    def _question(self, index: int) -> drafts.Question:
        return self._questions[min(index // self._choices, len(self._questions) - 1)]

    def _name(self, choices: int) -> None:
        for index in range(choices):
            if index not in self.ids:
                self.ids[index] = new_id(stored=self.stored)

    async def open(self, indexes: Sequence[int]) -> None:
        """Store the choices of these indexes without what is still to be said; return once they are on disk."""
        fresh = [index for index in indexes if index not in self._opened]
        if not self.stored or not fresh:
            return
        parameters = drafts.Answer(parameters=self._parameters)
        server = self.context.store.server
        written = [
            drafts.new_rows(
                self.context,
                self._question(index),
                parameters,
                self.ids[index],
                session=self._session_of(index),
                model=self.route.model.number,
                call=stored.call_row(self.ids[index], stored.OPEN, origin=self._origin, numbers={}, server=server),
                searchable=False,
            )
            for index in fresh
        ]
        if await self._write(written, fresh):
            self._opened.update(fresh)

    async def finish(self, outcome: Outcome) -> None:
        """Store what was said, and how the call went; return once it is on disk. Raises `Unavailable`."""
        count(self.context.home, outcome)
        try:
            if self.stored:
                await self._store(outcome)
        finally:
            self.context.home.calls.discard(self)

    async def _store(self, outcome: Outcome) -> None:
        timings = _timings(outcome)
        attempts = [{"model": one.model, "error": _error(one.error)} for one in outcome.attempts]
        replaced = [*self._replaced, *outcome.replaced]
        beside = {"attempts": attempts, "replaced": replaced}
        parameters = {**(self._parameters or {}), **{name: rows for name, rows in beside.items() if rows}} or None
        written: list[drafts.Written] = []
        fresh: list[int] = []
        # What was opened is closed in any case, also where the provider never spoke of it.
        for index in sorted({*outcome.choices, *self._opened} or {0}):
            state, error = outcome.state, outcome.error
            if state == "complete" and outcome.choices and index not in outcome.choices:
                # Some providers take n and answer once. An empty completion would count as an answer.
                state, error = "failed", _without_answer(index, outcome.model)
            choice = outcome.choices.get(index) or Choice()
            completion_id = self.completion_id(index)
            usage = outcome.usage
            said = drafts.answer_as_sent(
                self.context,
                choice.said,
                usage=usage,
                timings=timings,
                parameters=parameters,
                facts=choice.facts,
            )
            call = stored.call_row(
                completion_id,
                stored.STATES.index(state),
                finish_reason=choice.finish_reason or _REASONS.get(state),
                error=_encoder.encode(_error(error)).decode() if error else None,
                origin=self._origin | outcome.origin,
                # The tokens of a call are counted once, however many completions it made.
                numbers=drafts.measured(usage if index == 0 else None, timings),
            )
            if index in self._opened:
                rows = drafts.finishing_rows(
                    self.context, self._question(index), said, completion_id, model=outcome.model.number, call=call
                )
            else:
                fresh.append(index)
                rows = drafts.new_rows(
                    self.context,
                    self._question(index),
                    said,
                    completion_id,
                    session=self._session_of(index),
                    model=outcome.model.number,
                    call=call,
                )
            written.append(rows)
        await self._write(written, fresh)

    def _session_of(self, index: int) -> tuple[UUID | None, str | None]:
        # None: the session is named by the completion itself.
        return self._session if self._session[0] or index == 0 else (self.ids[0], None)

    async def _write(self, written: Sequence[drafts.Written], fresh: Sequence[int]) -> bool:
        """Commit rows; tell whether they are stored. Where the store cannot write, the setting on_store_failure
        decides whether the call is refused or goes on without them. `fresh` are the choices that are stored first."""
        rows: Rows = [pair for one in written for pair in one.rows]
        test = self.route.test
        if test is not None and fresh:
            # Counted for the model that was drawn, also where its fallback answered: that is how it was set up.
            mine = [(self.ids[index], test.number, self.route.model.number) for index in fresh]
            rows.append((INSERT_INTERACTION, mine))
        try:
            await self.context.store.write(rows, sum(one.size for one in written))
        except Unavailable as error:
            if self.context.settings.on_store_failure == "refuse":
                raise
            self._go_unlogged(error)
            return False
        for one in written:
            self.context.catalog.keep_labels(one.fresh_labels)
        self.context.home.indexer.wake()
        self.context.home.live.changed(list(self.ids.values()))
        return True

    def _go_unlogged(self, error: Unavailable) -> None:
        log.error("A call of %s is not logged: %s", self.route.model.key, error.message)
        self.context.home.meters.unlogged()
        if not self._opened:
            # No caller has seen the ids yet: theirs shall say that nothing is stored under them.
            self.stored = False
            self.ids = {index: new_id(stored=False) for index in self.ids}


class _OwnFields(msgspec.Struct, frozen=True):
    """What of a request is for the log. `unreadable` are the fields, or labels, that it cannot take as such."""

    labels: dict[str, str]
    user: str | None
    session: str | None
    unreadable: dict[str, Any]

    @classmethod
    def of(cls, request: CallRequest, settings: Settings) -> _OwnFields:
        labels: dict[str, str] = {}
        unreadable: dict[str, Any] = {}
        # `labels` wins over `metadata`, also where there is room for one alone.
        for name, given in (("labels", request.labels), ("metadata", request.metadata)):
            if given is None:
                continue
            if not isinstance(given, dict):
                unreadable[name] = given
                continue
            left = {}
            for key, value in given.items():
                text = value if isinstance(value, str) else _encoder.encode(value).decode()
                fits = isinstance(value, str | int | float) and drafts.is_label(key, text, settings)
                if fits and key not in labels and len(labels) < settings.max_labels:
                    labels[key] = text
                elif key not in labels:
                    left[key] = value
            if left:
                unreadable[name] = left
        user = request.user
        if isinstance(user, int) and not isinstance(user, bool):
            user = str(user)
        if user is not None and not (isinstance(user, str) and len(user) <= MAX_USER_CHARACTERS and "\0" not in user):
            unreadable["user"], user = user, None
        session = readable_session(request.session_id)
        if request.session_id is not None and session is None:
            unreadable["session_id"] = request.session_id
        return cls(labels, user, session, unreadable)


def readable_session(given: Any) -> str | None:
    """Return what a call names its session; None for what the log cannot take as a name."""
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)
    if not isinstance(given, str) or "\0" in given:
        return None
    return given if 1 <= len(given) <= MAX_SESSION_CHARACTERS else None


def new_id(*, stored: bool) -> UUID:
    """Return the id of a completion; of one that is not stored, one that says so."""
    return uuid7() if stored else unstored_id()


def count(home: Home, outcome: Outcome) -> None:
    """Count a call for Prometheus."""
    home.meters.called(
        face=outcome.face,
        model=outcome.model.key,
        provider=outcome.model.provider or "",
        state=outcome.state,
        overhead=outcome.overhead,
        provider_time=outcome.provider_time,
        ttft=outcome.ttft,
        usage=outcome.usage,
    )


_REASONS = {"failed": "error", "cancelled": "cancelled", "interrupted": "interrupted"}


def _asked(request: CallRequest) -> list[list[Message]]:
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
    if isinstance(prompt, str):
        return [[{"role": "user", "content": prompt}]]
    if not isinstance(prompt, list):
        return [[{"role": "user", "content": _encoder.encode(prompt).decode()}]]
    if prompt and all(isinstance(one, int) for one in prompt):
        return [[{"role": "user", "content": _encoder.encode(prompt).decode()}]]
    texts = [one if isinstance(one, str) else _encoder.encode(one).decode() for one in prompt]
    return [[{"role": "user", "content": text}] for text in texts] or [[]]


def _timings(outcome: Outcome) -> dict[str, Any]:
    """Return what was measured: milliseconds, and tokens a second over the time in which they came."""
    timings: dict[str, Any] = {
        "latency": round(outcome.latency * 1000),
        "provider_time": round(outcome.provider_time * 1000),
    }
    if outcome.ttft is not None:
        timings["ttft"] = round(outcome.ttft * 1000)
    tokens, seconds = outcome.usage.get("completion_tokens"), outcome.latency - (outcome.ttft or 0)
    if isinstance(tokens, int) and 0 < tokens <= drafts.MOST_NUMBER and seconds > 0:
        timings["tokens_per_second"] = round(tokens / seconds, 1)
    return timings


def _error(error: AfterwordError) -> dict[str, Any]:
    words = {"status": error.status, "type": error.type, "code": error.code, "message": error.message}
    if error.param is not None:
        words["param"] = error.param
    return {**error.details, **words}


def _without_answer(index: int, model: ModelRow) -> AfterwordError:
    return Unavailable(
        f"{model.key!r} answered with fewer choices than n asked for: none has the index {index}.",
        code="provider_left_out_choice",
    )


def estimated_usage(messages: Sequence[Any], said: Sequence[str]) -> dict[str, Any]:
    """Return about how many tokens a call took, for providers that do not tell; marked as estimated."""
    prompt = _tokens(_encoder.encode(messages)) if messages else 0
    completion = sum(_tokens(text.encode("utf-8", "surrogatepass")) for text in said)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "estimated": True,
    }


def _tokens(text: bytes) -> int:
    return -(-len(text) // BYTES_A_TOKEN)


async def close_what_was_left_open(home: Home, alive: Collection[int] = ()) -> int:
    """Close the calls that nobody goes on with, as interrupted; return how many: those of servers that are no more, and
    those of this one whose end could not be written. `alive` are the servers that are there."""
    store = home.store
    found = await store.read(stored.left_open, store.server, alive)
    # What was read as open and goes on is among these: a call is here before it is written.
    under_way = {one for call in list(home.calls) for one in call.ids.values()}
    ids = [one for one, is_own in found if not (is_own and one in under_way)]
    if not ids:
        return 0
    number = await store.write(lambda transaction: stored.interrupt(transaction, ids))
    if number:
        log.warning("%d calls were cut off; they are marked as interrupted.", number)
        home.indexer.wake()
    return number


async def sweep(home: Home) -> None:
    """Close what was left open, time and again, until cancelled."""
    faults = FaultLog(log, home.store, "Calls that were cut off could not be marked")
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            alive = await home.store.read(alive_servers) if home.store.database.SHARED else ()
            await close_what_was_left_open(home, alive)
        except Exception as error:
            faults.tell(error)
