"""Who says what in a store of ten million: interactions by their number, the same for the same seed.

They come in blocks of 16, each made from a generator of its own, so that any part can be made by itself. Some blocks
hold a session of several turns, some a prompt that two models answered and one of which was preferred. Labels are broad
(environment), of many values (customer), of some days (release), and rare (incident); the metric `given-up` is of the
first month alone. Texts are pieces of real answers
where alpaca_eval lies beside the project, else made up; see benchmarks/workload.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec

from benchmarks.workload import COMMON_WORD, RARE_WORD, long_text

BLOCK_ROWS = 16
DAYS = 120
DAY_MS = 86_400_000

ENVIRONMENTS = ["production"] * 14 + ["staging"] * 5 + ["development"]
CUSTOMERS, RELEASES, INCIDENTS, USERS, PROMPTS = 5_000, 60, 40, 200_000, 2_000
MODELS = [f"model-{letter}" for letter in "abcdef"]
SOURCES = ["LIVE"] * 18 + ["OFFLINE", "AUTOMATION"]
STARS, HELPFUL, EXPERT, GIVEN_UP, BETTER = "stars", "helpful", "expert", "given-up", "better"
METRICS: dict[str, str] = {STARS: "scalar", HELPFUL: "bool", EXPERT: "scalar", GIVEN_UP: "scalar", BETTER: "scalar"}
# A word of one interaction in 100,000; workload.py has those of one in 2,000 and of one in four.
RAREST_WORD = "axolotl"
SYSTEMS = (
    "You answer questions of our customers briefly and kindly.",
    "You are the assistant of a shop for garden tools. Answer in the language of the question. Say where in the "
    "handbook the answer stands. Where you do not know, say so and name the person to ask.",
    "Summarise the text for a reader who has one minute.",
    "You write SQL for PostgreSQL. Answer with one statement and nothing else.",
)


class Feedback(msgspec.Struct):
    """A value that someone gave some time after the answer."""

    id: bytes
    metric: str
    value: float
    details: str | None
    created_at: int


class Preferred(msgspec.Struct):
    """A preference over an earlier completion."""

    id: bytes
    other_id: bytes
    tied: str | None
    same_prompt: bool


class SampleInteraction(msgspec.Struct):
    """An interaction. `call` says how it went, where that was logged: state, finish reason, usage, timings."""

    id: bytes
    created_at: int
    model: str
    source: str
    session_id: bytes | None
    user: str | None
    labels: dict[str, str]
    messages: list[dict[str, Any]]
    completion: str
    usage: dict[str, Any] | None
    timings: dict[str, Any] | None
    state: str | None
    feedback: list[Feedback]
    preferred: Preferred | None


class Population:
    """`size` interactions over the 120 days up to `end`, in milliseconds."""

    def __init__(self, size: int, *, end: int, seed: int = 11) -> None:
        self.size = size
        self.end = end
        self._seed = seed
        self._text = long_text()
        prompts = Random(seed)
        self._prompts = [self._piece(prompts, 40 + int(prompts.random() * 200)) for _ in range(PROMPTS)]

    def created_at(self, number: int) -> int:
        """Return when an interaction was made: more by day than by night."""
        share = number / self.size
        share += 0.8 * math.sin(2 * math.pi * DAYS * share) / (2 * math.pi * DAYS)
        return self.end - DAYS * DAY_MS + int(DAYS * DAY_MS * share)

    def interactions(self, first: int, number: int) -> Iterator[SampleInteraction]:
        """Yield interactions from a number on. `first` is a multiple of BLOCK_ROWS."""
        for start in range(first, min(first + number, self.size), BLOCK_ROWS):
            yield from self._block(start)

    def _block(self, start: int) -> Iterator[SampleInteraction]:
        random = Random(self._seed << 40 | start)
        roll = random.random
        # A session takes every second place of its block, so that others stand between its turns.
        turns = 2 + int(roll() * 6) if roll() < 0.4 else 0
        compared = int(roll() * 9) if roll() < 0.16 else -1
        session: SampleInteraction | None = None
        before: SampleInteraction | None = None
        for position in range(min(BLOCK_ROWS, self.size - start)):
            interaction = self._interaction(random, start + position)
            if position % 2 == 0 and position // 2 < turns:
                if session is None:
                    session = interaction
                else:
                    interaction.session_id, interaction.user = session.id, session.user
                    last_question, answered = interaction.messages[-1], session.messages[-1]
                    interaction.messages = [
                        *interaction.messages[:-1],
                        answered,
                        {"role": "assistant", "content": "Yes."},
                        last_question,
                    ]
            if position == compared + 1 and before is not None:
                same = roll() < 0.9
                if same:
                    interaction.messages = before.messages
                kind = roll()
                tied = "good" if kind < 0.1 else "bad" if kind < 0.15 else None
                interaction.preferred = Preferred(
                    self._id(random, interaction.created_at, position), before.id, tied, same
                )
            before = interaction
            yield interaction

    def _interaction(self, random: Random, number: int) -> SampleInteraction:
        roll = random.random
        created_at = self.created_at(number)
        completion_id = self._id(random, created_at, number)
        age = number / self.size
        # The last two models came when three fifths of the time had passed.
        model_index = int(roll() * roll() * (6 if age > 0.6 else 4))
        labels = {
            "environment": ENVIRONMENTS[int(roll() * len(ENVIRONMENTS))],
            "customer": f"customer-{int(CUSTOMERS * roll() ** 3)}",
            "release": f"3.{int(age * RELEASES)}",
        }
        if roll() < 1 / 5_000:
            labels["incident"] = f"incident-{int(roll() * INCIDENTS)}"
        question = (
            self._prompts[int(PROMPTS * roll() ** 2)] if roll() < 0.05 else self._piece(random, self._length(roll))
        )
        answered = self._piece(random, int(1.9 * self._length(roll)) + 300)
        if roll() < 1 / 4:
            answered = f"{COMMON_WORD} {answered}"
        if (rare := roll()) < 1 / 2000:
            answered = f"{answered} {RARE_WORD}" if rare >= 1 / 100_000 else f"{answered} {RARE_WORD} {RAREST_WORD}"
        usage = timings = state = None
        if roll() < 0.85:
            state = "complete" if roll() < 0.97 else "failed"
            prompt, completion = len(question) // 4 + 40, len(answered) // 4
            usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
            latency = int(300 + completion * (4 + model_index) * (0.6 + roll()))
            timings = {"latency": latency, "ttft": int(latency * (0.05 + 0.2 * roll()))}
        messages = [{"role": "user", "content": question}]
        if roll() < 0.8:
            messages.insert(0, {"role": "system", "content": SYSTEMS[int(len(SYSTEMS) * roll() ** 2)]})
        return SampleInteraction(
            id=completion_id,
            created_at=created_at,
            model=MODELS[model_index],
            source=SOURCES[int(roll() * len(SOURCES))],
            session_id=None,
            user=f"user-{int(USERS * roll() ** 2)}" if roll() < 0.4 else None,
            labels=labels,
            messages=messages,
            completion=answered,
            usage=usage,
            timings=timings,
            state=state,
            feedback=list(self._feedback(random, created_at, age, model_index)),
            preferred=None,
        )

    def _feedback(self, random: Random, created_at: int, age: float, model: int) -> Iterator[Feedback]:
        roll = random.random
        for metric, share in ((STARS, 0.25), (HELPFUL, 0.15), (EXPERT, 0.001), (GIVEN_UP, 0.1 if age < 1 / 4 else 0)):
            if roll() < share:
                good = roll() ** (1 + 0.2 * model)
                value = (
                    float(good > 0.3)
                    if metric == HELPFUL
                    else round(good, 3)
                    if metric == EXPERT
                    else 1 + int(5 * good)
                )
                given_at = min(created_at + int(DAY_MS * roll() ** 6), self.end)
                details = self._piece(random, 80) if roll() < 0.05 else None
                yield Feedback(self._id(random, given_at, 0), metric, float(value), details, given_at)

    @staticmethod
    def _id(random: Random, milliseconds: int, number: int) -> bytes:
        """Return a UUIDv7 as the server makes them: of the same millisecond, a later number has a greater one."""
        number_of_id = milliseconds << 80 | 0x7 << 76 | (number & 0xFFF) << 64 | 0x2 << 62 | random.getrandbits(62)
        return number_of_id.to_bytes(16, "big")

    @staticmethod
    def _length(roll: Any) -> int:
        """Return a length of about 600 characters on average: most texts are short, some are long."""
        return int(80 + 130 / (1.04 - roll()))

    def _piece(self, random: Random, length: int) -> str:
        start = int(random.random() * (len(self._text) - length))
        return self._text[start : start + length]
