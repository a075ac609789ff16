"""Keeps what waits for calls few: what is too old is deleted, and evaluations find calls that came another way."""

from __future__ import annotations

import logging

from afterword.errors import AfterwordError
from afterword.service.access import ADMINISTRATOR_ACTOR
from afterword.service.context import AppState, Context
from afterword.service.telemetry.evaluations import apply_evaluation, find_completion
from afterword.service.telemetry.waiting import evaluations_of
from afterword.store import telemetry
from afterword.store.background.worker import LoopWorker
from afterword.store.engine import Owned, Transaction

log = logging.getLogger("afterword.telemetry")

BATCH_EVALUATIONS = 200
HOUR_MILLISECONDS = 3_600_000


class WaitingTelemetryWorker(LoopWorker):
    """A worker that applies evaluations whose call was logged in another way than by its span, such as by the gateway,
    and deletes what has waited for longer than the settings allow. The server in charge does it."""

    name = "waiting-telemetry"
    log = log
    failure_text = "What waits for its calls could not be brought up to date"
    poll_seconds = 20.0

    def __init__(self, state: AppState) -> None:
        super().__init__(state.store)
        self._context = Context(state, ADMINISTRATOR_ACTOR)

    async def step(self) -> bool:
        """Apply a batch of evaluations, and delete what is too old or too much."""
        store, settings = self._context.store, self._context.settings
        if not store.in_charge:
            return False
        before = self._context.now() - settings.telemetry_wait * HOUR_MILLISECONDS
        rows = await store.read(telemetry.arrived_evaluations, BATCH_EVALUATIONS)
        units = [self._unit(row) for row in rows]
        applied = [is_applied for is_applied in await store.write_many(units) if is_applied is True] if units else []
        await store.write(lambda transaction: telemetry.expire(transaction, before, settings.max_waiting_telemetry))
        return len(applied) == BATCH_EVALUATIONS

    def _unit(self, row: object) -> Owned:
        [waiting] = evaluations_of([row])
        project = row.project  # pyright: ignore[reportAttributeAccessIssue]

        def write(transaction: Transaction) -> bool:
            response_id = waiting.evaluation.response_id
            completion_id = find_completion(transaction, project, waiting.target_id, response_id)
            if completion_id is None:
                return False
            try:
                apply_evaluation(self._context, transaction, waiting, completion_id)
            except AfterwordError as error:
                log.info("An evaluation of %s cannot be feedback: %s", completion_id, error)
                return False
            return True

        return Owned(write, waiting.target_id)
