"""The HTTP endpoint of GraphQL. It always answers with status 200, and with errors in `errors`.

Old clients show the text of an error only with that status, and only the text of the first error.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from afterword.api.auth import Authenticator
from afterword.api.decoding import read_json
from afterword.api.rest import (
    HUNG_UP_STATUS,
    JSON,
    SERVER_START_ID,
    HungUp,
    Receive,
    Scope,
    Send,
    check_length,
    fault,
    read_body,
    reply,
    until_hung_up,
)
from afterword.errors import AfterwordError, BadRequest, Invalid, NotFound
from afterword.service.context import AppState

log = logging.getLogger("afterword")
_encoder = msgspec.json.Encoder()
_request_numbers = itertools.count(1)
PATH = "/api/graphql"
UPLOAD_FILE_LIMIT = 10


class Lifts(Protocol):
    """Functions that rewrite requests and messages for old clients; `afterword.compat` has them."""

    def document(self, document: Any) -> Any:
        """Return a parsed document, rewritten to fit the schema."""
        ...

    def unserved(self, document: Any) -> str | None:
        """Return a message if a parsed document asks for a feature that Afterword lacks."""
        ...

    def provider_model(self, word: str) -> str:
        """Return the provider's own name of a model."""
        ...

    def lone_not_found_message(self, noun: str) -> str | None:
        """Return the message by which old clients recognize what was not found."""
        ...


class Query(msgspec.Struct):
    """The body of a request."""

    query: str
    operationName: str | None = None
    variables: dict[str, Any] | None = None


_query_decoder = msgspec.json.Decoder(Query)


class GraphQLEndpoint:
    """GraphQL as an ASGI application. The library and the schema are loaded with the first request."""

    def __init__(self, state: AppState, authenticator: Authenticator, lifts: Lifts) -> None:
        self._state = state
        self._authenticator = authenticator
        self._lifts = lifts
        self._execute: Callable[..., Any] | None = None
        self._load_lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_at = time.perf_counter()
        headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id", b"")[:100] or b"%s-g%x" % (SERVER_START_ID, next(_request_numbers))
        try:
            body = _encoder.encode(await self._answer(scope, headers, receive, request_id))
        except HungUp:
            self._state.meters.count_answer(f"POST {PATH}", HUNG_UP_STATUS, time.perf_counter() - started_at)
            return
        except AfterwordError as error:
            body = _encoder.encode({"data": None, "errors": [self._error_fields(error)]})
        except Exception:
            log.exception("POST %s failed (request %s)", PATH, request_id.decode("latin-1"))
            body = _encoder.encode({"data": None, "errors": [self._error_fields(fault(request_id))]})
        await reply(send, 200, JSON, body, [(b"x-request-id", request_id)])
        self._state.meters.count_answer(f"POST {PATH}", 200, time.perf_counter() - started_at)

    async def _answer(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, request_id: bytes
    ) -> dict[str, Any]:
        actor = self._authenticator.actor(scope["method"], headers)
        if self._execute is None:
            await self._load()
        assert self._execute is not None
        max_bytes = self._state.settings.max_body
        if headers.get(b"content-type", b"").lstrip().lower().startswith(b"multipart/form-data"):
            check_length(headers, max_bytes)
            try:
                form = await Request(scope, receive).form(max_files=UPLOAD_FILE_LIMIT, max_fields=UPLOAD_FILE_LIMIT)
            except MultiPartException as error:
                raise BadRequest(f"The form cannot be read: {error.message}", code="invalid_upload") from None
            try:
                return await self._execute(actor, _query_with_files(form), request_id)
            finally:
                await form.close()
        query = read_json(_query_decoder, await read_body(headers, receive, max_bytes))
        # A document that may have a mutation is executed to its end, even if the client hangs up.
        with contextlib.nullcontext() if "mutation" in query.query else until_hung_up(scope):
            return await self._execute(actor, query, request_id)

    async def _load(self) -> None:
        """Load the library and build the schema. A thread does it, because it takes a good part of a second."""
        async with self._load_lock:
            if self._execute is None:
                from afterword.api.graphql.execution import Executor

                executor = await asyncio.to_thread(Executor, self._state, self._lifts, self._error_fields)
                self._execute = executor.execute

    def _error_fields(self, error: AfterwordError) -> dict[str, Any]:
        """Return an `AfterwordError` as an entry of `errors`."""
        details = {name: value for name in ("code", "param", "hint") if (value := getattr(error, name)) is not None}
        noun = error.noun if isinstance(error, NotFound) else None
        lone_message = noun and self._lifts.lone_not_found_message(noun)
        if lone_message:
            return {"message": lone_message, "extensions": {**details, "detail": error.message}}
        return {"message": str(error), "extensions": details}


def _query_with_files(form: Mapping[str, Any]) -> Query:
    """Return the query of a multipart form, with the files inserted into its variables. Raises `Invalid`."""
    try:
        query = read_json(_query_decoder, str(form["operations"]).encode())
        paths_by_part: dict[str, list[str]] = msgspec.json.decode(str(form["map"]), type=dict[str, list[str]])
        for part, paths in paths_by_part.items():
            file = form[part]
            if not isinstance(file, UploadFile):
                raise KeyError(part)
            for path in paths:
                root_name, *steps = path.split(".")
                target: Any = {"variables": query.variables}[root_name]
                for step in steps[:-1]:
                    target = target[int(step) if isinstance(target, list) else step]
                target[int(steps[-1]) if isinstance(target, list) else steps[-1]] = file
    except (KeyError, IndexError, TypeError, ValueError, msgspec.MsgspecError) as error:
        raise Invalid(
            f"The form is not a GraphQL upload: {error!r:.200}.",
            code="invalid_upload",
            hint="Send the parts operations, map and the files, as the GraphQL multipart request specification has it.",
        ) from None
    return query
