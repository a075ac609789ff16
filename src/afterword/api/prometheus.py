"""`GET /metrics`: the server's figures for Prometheus."""

from __future__ import annotations

import ipaddress

from afterword.api.auth import Authenticator
from afterword.api.rest import Receive, Scope, Send, error_answer, reply
from afterword.errors import AfterwordError
from afterword.service.access import check_for_all_projects, get_permitted_context
from afterword.service.context import AppState
from afterword.service.meters import CONTENT_TYPE

# Any of these headers shows that a proxy forwarded the call.
FORWARDING_HEADERS = frozenset(
    {b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"}
)


class PrometheusEndpoint:
    """The endpoint. Callers on the same machine need no key; others need one that may read all projects."""

    def __init__(self, state: AppState, authenticator: Authenticator) -> None:
        self._state = state
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if not _is_local(scope):
                self._check(dict(scope["headers"]))
        except AfterwordError as error:
            await reply(send, *error_answer(error))
            return
        await reply(
            send, 200, CONTENT_TYPE.encode(), await self._state.meters.text(), [(b"cache-control", b"no-store")]
        )

    def _check(self, headers: dict[bytes, bytes]) -> None:
        context = get_permitted_context(self._state, self._authenticator.actor("GET", headers), "read")
        check_for_all_projects(context.actor, "the figures are of all")


def _is_local(scope: Scope) -> bool:
    """Tell whether a call comes from this machine and was not forwarded by a proxy on it."""
    client = scope.get("client")
    if not client or not _is_loopback(client[0]):
        return False
    headers: dict[bytes, bytes] = dict(scope["headers"])
    if not headers.keys().isdisjoint(FORWARDING_HEADERS):
        return False
    # A proxy that adds no header may keep the original Host. DNS rebinding by a web site also leaves a foreign Host.
    host = headers.get(b"host", b"").decode("latin-1")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name == "localhost" or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    try:
        ip_address = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped_address = ip_address.ipv4_mapped if isinstance(ip_address, ipaddress.IPv6Address) else None
    return (mapped_address or ip_address).is_loopback
