"""Executing queries: what graphql-core does, with our errors, for one actor."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from graphql import ExecutionResult, GraphQLError, execute

from afterword.api.graphql.asked import Asked
from afterword.api.graphql.documents import Documents
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
        self._documents = Documents(self._schema, lifts.document)

    async def execute(self, actor: Actor, query: Any, request_id: bytes) -> dict[str, Any]:
        """Execute a query; return its data and errors."""
        document = self._documents.document(query.query)
        if isinstance(document, list):
            return {"errors": [error.formatted for error in document]}
        outcome = execute(
            self._schema,
            document,
            context_value=Asked(self._home, actor, self._lifts.provider_model),
            variable_values=query.variables,
            operation_name=query.operationName,
        )
        result = outcome if isinstance(outcome, ExecutionResult) else await outcome
        if not result.errors:
            return {"data": result.data}
        return {"data": result.data, "errors": [self._error(error, request_id) for error in result.errors]}

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
