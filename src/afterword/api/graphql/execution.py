"""Executes GraphQL queries with graphql-core, and turns errors into Afterword's form."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

from graphql import ExecutionResult, GraphQLError, execute

from afterword.api.graphql.documents import Documents
from afterword.api.graphql.fast_path import FastPath, UnexpectedVariables
from afterword.api.graphql.request_context import RequestContext
from afterword.api.graphql.resolving import schema
from afterword.api.rest import fault
from afterword.errors import AfterwordError
from afterword.service.context import Actor, AppState

log = logging.getLogger("afterword")


class Executor:
    """Executes queries against the schema. `format_error` turns an `AfterwordError` into GraphQL's form."""

    def __init__(self, state: AppState, lifts: Any, format_error: Callable[[AfterwordError], dict[str, Any]]) -> None:
        self._state = state
        self._lifts = lifts
        self._format_error = format_error
        self._schema = schema()
        self._documents = Documents(self._schema, lifts.document, lifts.unserved)

    async def execute(self, actor: Actor, query: Any, request_id: bytes) -> dict[str, Any]:
        """Execute a query; return its data and errors."""
        parse_result = self._documents.document(query.query)
        if isinstance(parse_result, list):
            return {"errors": [error.formatted for error in parse_result]}
        document, fast_path = parse_result
        request = RequestContext(self._state, actor, self._lifts.provider_model)
        if fast_path is not None:
            with contextlib.suppress(UnexpectedVariables):
                return await self._run_fast_path(
                    fast_path, fast_path.read_arguments(query.variables, query.operationName), request, request_id
                )
        execution = execute(
            self._schema,
            document,
            context_value=request,
            variable_values=query.variables,
            operation_name=query.operationName,
            # The suggestions of graphql-core fail on names that grow longer in lower case, such as those with İ.
            hide_suggestions=True,
        )
        result = execution if isinstance(execution, ExecutionResult) else await execution
        if not result.errors:
            return {"data": result.data}
        return {"data": result.data, "errors": [self._error(error, request_id) for error in result.errors]}

    async def _run_fast_path(
        self, fast_path: FastPath, arguments: dict[str, Any], request: RequestContext, request_id: bytes
    ) -> dict[str, Any]:
        try:
            result = await fast_path.answer(request, arguments)
            return {
                "data": {
                    fast_path.key: None if result is None and fast_path.nullable else fast_path.convert_result(result)
                }
            }
        except Exception as error:
            data = {fast_path.key: None} if fast_path.nullable else None
            return {"data": data, "errors": [self._error(fast_path.field_error(error), request_id)]}

    def _error(self, error: GraphQLError, request_id: bytes) -> dict[str, Any]:
        cause = error.original_error
        while isinstance(cause, GraphQLError):
            cause = cause.original_error
        if cause is None:
            return dict(error.formatted)
        if not isinstance(cause, AfterwordError):
            log.error("GraphQL failed (request %s)", request_id.decode("latin-1"), exc_info=cause)
            cause = fault(request_id)
        return {**error.formatted, **self._format_error(cause)}
