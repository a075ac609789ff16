"""From what was said to the rows of the store's tables, as the server makes them
(service/interactions/preparation.py), without a server.

A row is made by the names of its table's columns, so that a column that is new is left null.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Table

from afterword.service.interactions.content import prompt_hash
from afterword.store import calls as stored_calls
from afterword.store.compression import Compression, train
from afterword.store.engine.text_search import IndexedTexts
from afterword.store.payloads import Payload, encode, prompt_text, searchable_texts
from afterword.store.query.conditions import SOURCES
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
from benchmarks.scale.population import BETTER, Population, SampleInteraction

ADMINISTRATOR_ID = 0
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
    texts: list[tuple[bytes, IndexedTexts]]
    number: int


class Rows:
    """Makes rows. `dictionary` is what payloads are compressed with."""

    def __init__(self, names: Names, dictionary: bytes) -> None:
        self._names = names
        self._compression = Compression(lambda: None)
        self._compression.add(dictionary)
        self._columns = {table.name: [column.name for column in table.columns] for table in TABLES}

    def batch(self, samples: Iterable[SampleInteraction]) -> Batch:
        """Return the rows of many interactions."""
        batch = Batch(defaultdict(list), set(), [], 0)
        number = 0
        for interaction in samples:
            number += 1
            self._interaction(batch, interaction)
            if interaction.state is not None:
                self._call(batch, interaction)
            for rating in interaction.feedback:
                self._add_row(
                    batch,
                    feedback,
                    interaction_id=interaction.id,
                    id=rating.id,
                    metric=self._names.metrics[rating.metric],
                    value=rating.value,
                    details=rating.details,
                    actor=ADMINISTRATOR_ID,
                    created_at=rating.created_at,
                )
            if interaction.preferred is not None:
                self._preference(batch, interaction)
        return batch._replace(number=number)

    def _add_row(self, batch: Batch, table: Table, **values: Any) -> None:
        batch.rows[table.name].append(tuple(map(values.get, self._columns[table.name])))

    def _interaction(self, batch: Batch, interaction: SampleInteraction) -> None:
        project = self._names.project
        payload = payload_of(interaction)
        raw = encode(payload)
        self._add_row(
            batch,
            interactions,
            id=interaction.id,
            project=project,
            created_at=interaction.created_at,
            model=self._names.models[interaction.model],
            source=SOURCES.index(interaction.source),
            session_id=interaction.session_id,
            user=interaction.user,
            labels=_encoder.encode(interaction.labels).decode(),
            prompt_hash=prompt_hash(payload.messages),
            prompt_text_hash=hash63(prompt_text(payload.messages)),
            completion_text_hash=hash63(interaction.completion),
            size=len(raw),
        )
        self._add_row(batch, payloads, interaction_id=interaction.id, payload=self._compression.compress(raw))
        for key, value in interaction.labels.items():
            number = label_number(project, key, value)
            batch.labels.add((number, project, key, value))
            self._add_row(
                batch,
                interaction_labels,
                label=number,
                created_at=interaction.created_at,
                interaction_id=interaction.id,
            )
        batch.texts.append((interaction.id, searchable_texts(payload).indexed()))

    def _call(self, batch: Batch, interaction: SampleInteraction) -> None:
        failed = interaction.state == "failed"
        self._add_row(
            batch,
            calls,
            interaction_id=interaction.id,
            state=stored_calls.STATES.index(interaction.state or ""),
            finish_reason="error" if failed else "stop",
            error='{"status":502,"type":"provider_error","code":"provider_error","message":"."}' if failed else None,
            **(interaction.usage or {}),
            **(interaction.timings or {}),
        )

    def _preference(self, batch: Batch, interaction: SampleInteraction) -> None:
        preferred = interaction.preferred
        assert preferred is not None
        sides = ((interaction.id, preferred.other_id), (preferred.other_id, interaction.id))
        for side, (interaction_id, other_id) in enumerate(sides, 1):
            self._add_row(
                batch,
                preferences,
                interaction_id=interaction_id,
                id=preferred.id,
                other_id=other_id,
                side=side,
                tied=preferred.tied,
                metric=self._names.metrics[BETTER],
                prompt_mismatch=not preferred.same_prompt,
                actor=ADMINISTRATOR_ID,
                created_at=interaction.created_at,
            )


def payload_of(interaction: SampleInteraction) -> Payload:
    """Return what the server would store of what was said."""
    return Payload(
        messages=interaction.messages,
        completion=interaction.completion,
        usage=interaction.usage,
        timings=interaction.timings,
    )


def dictionary_of(population: Population, samples: int = 2_000) -> bytes:
    """Train what payloads are compressed with on the first of them, as the server does."""
    return train([encode(payload_of(interaction)) for interaction in population.interactions(0, samples)])


__all__ = ["TABLES", "Batch", "Names", "Rows", "dictionary_of", "labels", "payload_of"]
