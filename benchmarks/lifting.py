"""Cost of supporting the old names of published clients: nothing for current clients, a second parse for old ones."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from afterword.api.decoding import read_lifted
from afterword.api.graphql.documents import Documents
from afterword.api.graphql.resolving import schema
from afterword.compat import LIFTS, document, unserved
from afterword.types import NewInteraction
from benchmarks import workload
from benchmarks.report import Figure, Section

CALL_COUNT = 200
SCORE = """mutation AddDirectScore($completionId_0: UUID!, $metricId_0: IdOrKey!, $input_0: ScoreAddInput!) {
  addDirectScore(completionId: $completionId_0, metricId: $metricId_0, input: $input_0) { id }
}"""
DEPLOY = "mutation DeployModel($idOrKey: IdOrKey!, $wait: Boolean!) { deployModel(idOrKey: $idOrKey, wait: $wait) }"


def lifting(rounds: int) -> Section:
    """Read bodies and documents with and without the lifts, alternately; the fastest round of each counts."""
    fields = {"project": "default", **msgspec.json.decode(workload.Workload(1).interaction(1))}
    today = msgspec.json.encode(fields)
    renamed = {"project": "use_case", "model": "model_service"}
    old = msgspec.json.encode({renamed.get(name, name): value for name, value in fields.items()})
    decoder, lift = msgspec.json.Decoder(NewInteraction), LIFTS["interactions.record"]
    with_lifts = Documents(schema(), document, unserved)
    without = Documents(schema(), lambda read: read, lambda read: None)
    for documents in (with_lifts, without):
        documents.document(SCORE)
    with_lifts.document(DEPLOY)
    what: dict[str, Callable[[], object]] = {
        "read an interaction of 2 KB, without lifts": lambda: read_lifted(decoder, today, None),
        "... with lifts": lambda: read_lifted(decoder, today, lift),
        "... in the words of before 0.13.0 (use_case, model_service)": lambda: read_lifted(decoder, old, lift),
        "find a document of GraphQL that is known, without lifts": lambda: without.document(SCORE),
        "... with the rewriting of old ones": lambda: with_lifts.document(SCORE),
        "... that was rewritten (deploy up to 0.1.12)": lambda: with_lifts.document(DEPLOY),
    }
    best = dict.fromkeys(what, float("inf"))
    for _ in range(rounds):
        for name, call in what.items():
            started = time.perf_counter()
            for _ in range(CALL_COUNT):
                call()
            best[name] = min(best[name], 1e6 * (time.perf_counter() - started) / CALL_COUNT)
    return Section("Old words", [Figure(name, microseconds, "µs") for name, microseconds in best.items()])
