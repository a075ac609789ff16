"""`GET /metrics`: the server's figures for Prometheus."""

from __future__ import annotations

import ipaddress

from afterword.api.auth import Gate
from afterword.api.rest import Receive, Scope, Send, error_answer, reply
from afterword.errors import AfterwordError, Forbidden
from afterword.service.access import check_allowed
from afterword.service.context import Home
from afterword.service.meters import CONTENT_TYPE


class Figures:
    """The page. Callers on the same machine need no key; others one that may read and is for all projects."""

    def __init__(self, home: Home, gate: Gate) -> None:
        self._home = home
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if not _is_local(scope):
                self._check(dict(scope["headers"]))
        except AfterwordError as error:
            await reply(send, *error_answer(error))
            return
        await reply(send, 200, CONTENT_TYPE.encode(), self._home.meters.text(), [(b"cache-control", b"no-store")])

    def _check(self, headers: dict[bytes, bytes]) -> None:
        actor = self._gate.actor(headers)
        check_allowed(actor, "read")
        if actor.projects is not None:
            raise Forbidden(
                f"The API key {actor.name!r} is for some projects only; the figures are of all.",
                code="key_of_some_projects",
                hint="Scrape with a viewer's key that is for all projects.",
            )


def _is_local(scope: Scope) -> bool:
    client = scope.get("client")
    # A proxy on this machine forwards the calls of others.
    forwarded = any(name in (b"x-forwarded-for", b"forwarded") for name, _ in scope["headers"])
    return bool(client) and not forwarded and ipaddress.ip_address(client[0]).is_loopback
