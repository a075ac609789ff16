"""Executing queries: what graphql-core does, with our errors, for one actor."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

from graphql import ExecutionResult, GraphQLError, execute

from afterword.api.graphql.asked import Asked
from afterword.api.graphql.documents import Documents
from afterword.api.graphql.plans import Plan, Unexpected
from afterword.api.graphql.resolving import schema
from afterword.api.rest import fault
from afterword.errors import AfterwordError
from afterword.service.context import Actor, Home

log = logging.getLogger("afterword")


class Executor:
    """The schema, and the documents that are known. `shown` turns an error of ours into GraphQL's form."""

    def __init__(self, home: Home, lifts: Any, shown: Callable[[AfterwordError], dict[str, Any]]) -> None:
        self._home = home
        self._lifts = lifts
        self._shown = shown
        self._schema = schema()
        self._documents = Documents(self._schema, lifts.document, lifts.unserved)

    async def execute(self, actor: Actor, query: Any, request_id: bytes) -> dict[str, Any]:
        """Execute a query; return its data and errors."""
        found = self._documents.document(query.query)
        if isinstance(found, list):
            return {"errors": [error.formatted for error in found]}
        document, short = found
        asked = Asked(self._home, actor, self._lifts.provider_model)
        if short is not None:
            with contextlib.suppress(Unexpected):
                return await self._run(short, short.read(query.variables, query.operationName), asked, request_id)
        outcome = execute(
            self._schema,
            document,
            context_value=asked,
            variable_values=query.variables,
            operation_name=query.operationName,
            # graphql-core fails on words that have more letters in lower case, such as those with İ.
            hide_suggestions=True,
        )
        result = outcome if isinstance(outcome, ExecutionResult) else await outcome
        if not result.errors:
            return {"data": result.data}
        return {"data": result.data, "errors": [self._error(error, request_id) for error in result.errors]}

    async def _run(self, plan: Plan, arguments: dict[str, Any], asked: Asked, request_id: bytes) -> dict[str, Any]:
        try:
            result = await plan.answer(asked, arguments)
            return {"data": {plan.key: None if result is None and plan.nullable else plan.show(result)}}
        except Exception as error:
            data = {plan.key: None} if plan.nullable else None
            return {"data": data, "errors": [self._error(plan.failed(error), request_id)]}

    def _error(self, error: GraphQLError, request_id: bytes) -> dict[str, Any]:
        cause = error.original_error
        while isinstance(cause, GraphQLError):
            cause = cause.original_error
        if cause is None:
            return dict(error.formatted)
        if not isinstance(cause, AfterwordError):
            log.error("GraphQL failed (request %s)", request_id.decode("latin-1"), exc_info=cause)
            cause = fault(request_id)
        return {**error.formatted, **self._shown(cause)}
