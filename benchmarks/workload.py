"""The workload: interactions of 2 KB with three labels and one feedback, the same for the same seed.

Texts are pieces of one long text: real answers of language models if alpaca_eval is next to the project, else words
from a made-up vocabulary with the frequencies of English (Zipf's law). `RARE_WORD` is added to one text in 2,000 and
`COMMON_WORD` to one in four, so that searches find the same number in both cases.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate, count
from pathlib import Path
from random import Random
from typing import Any, Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal["interaction", "feedback", "score"]

INTERACTION_BYTES = 2048
RARE_WORD, COMMON_WORD = "quokka", "lighthouse"
METRIC = "stars"
MODELS = [f"model-{letter}" for letter in "abcde"]
ENVIRONMENTS = ["production"] * 6 + ["staging"] * 3 + ["development"]
TEAMS = [f"team-{number}" for number in range(8)]
RELEASES = [f"2.{number}" for number in range(200)]

REAL_TEXTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "alpaca_eval"
_LETTERS = "etaoinshrdlucmfwypvbgk"
_UNPLAIN = re.compile(r"[^ -!#-\[\]-~]+")


MUTATION = (
    b"mutation AddDirectScore($completionId_0: UUID!, $metricId_0: IdOrKey!, $input_0: ScoreAddInput!) "
    b"{ addDirectScore(completionId: $completionId_0, metricId: $metricId_0, input: $input_0) { id } }"
)


class Workload:
    """Interactions by their number. `days` is the time that one million of them spans, up to now."""

    def __init__(self, seed: int, *, days: float = 0) -> None:
        self._seed = seed
        self._days = days
        self._start = datetime.now(UTC) - timedelta(days=days)
        self._text = long_text()

    def interaction(self, number: int) -> bytes:
        """Return the JSON of an interaction."""
        random = Random(self._seed << 40 | number)
        roll = random.random
        word = f"{RARE_WORD} " if roll() < 1 / 2000 else ""
        if roll() < 1 / 4:
            word += f"{COMMON_WORD} "
        created_at = ""
        if self._days:
            moment = self._start + timedelta(days=self._days) * (number / 1_000_000)
            created_at = f'"created_at":"{moment.isoformat(timespec="milliseconds")}",'
        head = (
            f'{{"model":"{MODELS[int(roll() * roll() * 5)]}",{created_at}'
            f'"labels":{{"environment":"{ENVIRONMENTS[int(roll() * 10)]}","team":"{TEAMS[int(roll() * 8)]}",'
            f'"release":"{RELEASES[int(roll() * roll() * 200)]}"}},'
            f'"feedbacks":[{{"metric":"{METRIC}","value":{1 + int(roll() * 5)}}}],'
            f'"messages":[{{"role":"system","content":"You answer questions of our customers briefly and kindly."}},'
            f'{{"role":"user","content":"{word}'
        )
        middle = '"}],"completion":"'
        room = INTERACTION_BYTES - len(head) - len(middle) - 2
        question_length = int(room * (0.2 + 0.3 * roll()))
        question = self._piece(random, question_length)
        answer = self._piece(random, room - question_length)
        return f'{head}{question}{middle}{answer}"}}'.encode()

    def feedback(self, number: int, completion_id: str) -> bytes:
        """Return the JSON of a feedback on a completion."""
        return b'{"completion_id":"%s","metric":"%s","value":%d}' % (
            completion_id.encode(),
            METRIC.encode(),
            1 + (number * 7) % 5,
        )

    def score(self, number: int, completion_id: str) -> bytes:
        """Return a feedback as a GraphQL call, with the document that adaptive-sdk sends from 0.14.0 on."""
        return b'{"query":"%s","operationName":"AddDirectScore","variables":%s}' % (
            MUTATION,
            b'{"completionId_0":"%s","metricId_0":"%s","input_0":{"value":%d,"details":null}}'
            % (completion_id.encode(), METRIC.encode(), 1 + (number * 7) % 5),
        )

    def bodies(self, kind: Kind, completions: list[str]) -> Iterator[bytes]:
        """Yield endless bodies: of interactions, or of feedback on these completions in turn.

        Interactions are taken from a few thousand that are made beforehand, so that making them takes no time from
        the server.
        """
        if kind == "interaction":
            interactions = [self.interaction(number) for number in range(8_000)]
            for number in count():
                yield interactions[number % len(interactions)]
        make = self.score if kind == "score" else self.feedback
        for number in count():
            yield make(number, completions[number % len(completions)])

    def _piece(self, random: Random, length: int) -> str:
        start = int(random.random() * (len(self._text) - length))
        return self._text[start : start + length]


def records(seed: int, number: int) -> list[dict[str, Any]]:
    """Return interactions in the form of the client's `upload`."""
    workload = Workload(seed)
    return [msgspec.json.decode(workload.interaction(index)) for index in range(number)]


@cache
def long_text() -> str:
    """Return some megabytes of English without line ends, quotes and backslashes."""
    files = sorted(REAL_TEXTS.glob("*.jsonl.gz"))
    texts: list[str] = []
    for file in files:
        with gzip.open(file) as lines:
            for line in lines:
                result = msgspec.json.decode(line)
                texts += [result["instruction"], result["output"]]
    return _UNPLAIN.sub(" ", " ".join(texts)) if texts else made_up_text()


def made_up_text(words: int = 500_000, seed: int = 7) -> str:
    """Return a text of words whose frequencies fall as in English: the nth word 1/n times as often as the first."""
    random = Random(seed)
    vocabulary = [
        "".join(random.choices(_LETTERS, range(len(_LETTERS), 0, -1), k=min(2 + rank // 800, random.randint(2, 11))))
        for rank in range(30_000)
    ]
    weights = list(accumulate(1 / (rank + 2.7) for rank in range(len(vocabulary))))
    text_words = random.choices(vocabulary, cum_weights=weights, k=words)
    for word_index in range(0, words, 13):
        text_words[word_index] = (
            text_words[word_index].capitalize() if word_index == 0 else f"{text_words[word_index]}."
        )
    return " ".join(text_words)
