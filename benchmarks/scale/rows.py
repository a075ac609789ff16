"""From what was said to the rows of the store's tables, as the server makes them (service/drafts.py), without a server.

A row is made by the names of its table's columns, so that a column that is new is left null.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Table

from afterword.service.content import prompt_hash
from afterword.store import calls as stored_calls
from afterword.store.filters import SOURCES
from afterword.store.payloads import Compression, Payload, asked, encode, searchable, train
from afterword.store.schema import (
    calls,
    feedback,
    hash63,
    interaction_labels,
    interactions,
    label_number,
    labels,
    payloads,
    preferences,
)
from benchmarks.scale.population import BETTER, Population, Said

ADMINISTRATOR = 0
TABLES: tuple[Table, ...] = (interactions, payloads, calls, interaction_labels, feedback, preferences)

_encoder = msgspec.json.Encoder()


class Names(NamedTuple):
    """The numbers of the small tables' rows: what the server has registered before."""

    project: int
    models: dict[str, int]
    metrics: dict[str, int]


class Batch(NamedTuple):
    """Rows by table, the labels among them, and the texts to index."""

    rows: dict[str, list[tuple[Any, ...]]]
    labels: set[tuple[int, int, str, str]]
    texts: list[tuple[bytes, str, str]]
    number: int


class Rows:
    """Makes rows. `dictionary` is what payloads are compressed with."""

    def __init__(self, names: Names, dictionary: bytes) -> None:
        self._names = names
        self._compression = Compression(lambda: None)
        self._compression.add(dictionary)
        self._columns = {table.name: [column.name for column in table.columns] for table in TABLES}

    def batch(self, many: Iterable[Said]) -> Batch:
        """Return the rows of many interactions."""
        made = Batch(defaultdict(list), set(), [], 0)
        number = 0
        for said in many:
            number += 1
            self._interaction(made, said)
            if said.state is not None:
                self._call(made, said)
            for given in said.feedback:
                self._put(
                    made,
                    feedback,
                    interaction_id=said.id,
                    id=given.id,
                    metric=self._names.metrics[given.metric],
                    value=given.value,
                    details=given.details,
                    actor=ADMINISTRATOR,
                    created_at=given.created_at,
                )
            if said.preferred is not None:
                self._preference(made, said)
        return made._replace(number=number)

    def _put(self, made: Batch, table: Table, **values: Any) -> None:
        made.rows[table.name].append(tuple(map(values.get, self._columns[table.name])))

    def _interaction(self, made: Batch, said: Said) -> None:
        project = self._names.project
        payload = payload_of(said)
        raw = encode(payload)
        self._put(
            made,
            interactions,
            id=said.id,
            project=project,
            created_at=said.created_at,
            model=self._names.models[said.model],
            source=SOURCES.index(said.source),
            session_id=said.session_id,
            user=said.user,
            labels=_encoder.encode(said.labels).decode(),
            prompt_hash=prompt_hash(payload.messages),
            prompt_text_hash=hash63(asked(payload.messages)),
            completion_text_hash=hash63(said.completion),
            size=len(raw),
        )
        self._put(made, payloads, interaction_id=said.id, payload=self._compression.compress(raw))
        for key, value in said.labels.items():
            number = label_number(project, key, value)
            made.labels.add((number, project, key, value))
            self._put(made, interaction_labels, label=number, created_at=said.created_at, interaction_id=said.id)
        made.texts.append((said.id, *searchable(payload)))

    def _call(self, made: Batch, said: Said) -> None:
        failed = said.state == "failed"
        self._put(
            made,
            calls,
            interaction_id=said.id,
            state=stored_calls.STATES.index(said.state or ""),
            finish_reason="error" if failed else "stop",
            error='{"status":502,"type":"provider_error","code":"provider_error","message":"."}' if failed else None,
            **(said.usage or {}),
            **(said.timings or {}),
        )

    def _preference(self, made: Batch, said: Said) -> None:
        preferred = said.preferred
        assert preferred is not None
        sides = ((said.id, preferred.other_id), (preferred.other_id, said.id))
        for side, (one, other) in enumerate(sides, 1):
            self._put(
                made,
                preferences,
                interaction_id=one,
                id=preferred.id,
                other_id=other,
                side=side,
                tied=preferred.tied,
                metric=self._names.metrics[BETTER],
                prompt_mismatch=not preferred.same_prompt,
                actor=ADMINISTRATOR,
                created_at=said.created_at,
            )


def payload_of(said: Said) -> Payload:
    """Return what the server would store of what was said."""
    return Payload(messages=said.messages, completion=said.completion, usage=said.usage, timings=said.timings)


def dictionary_of(population: Population, samples: int = 2_000) -> bytes:
    """Train what payloads are compressed with on the first of them, as the server does."""
    return train([encode(payload_of(said)) for said in population.some(0, samples)])


__all__ = ["TABLES", "Batch", "Names", "Rows", "dictionary_of", "labels", "payload_of"]
