"""What a caller says of a call in the headers of its request, for clients that cannot add fields to the body.

Fields of the body win over headers, headers over W3C `baggage` (https://www.w3.org/TR/baggage/). Where nothing names a
session, the trace of `traceparent` is the session, so that the calls of an agent's run stand together.

A value is UTF-8, with %XX for any byte that a header cannot carry, as in baggage.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_to_bytes
from uuid import UUID

from afterword.errors import BadRequest
from afterword.gateway.facts import trace_id_of
from afterword.ids import find_uuid
from afterword.types import CallRequest

COMPLETION_ID = "x-afterword-completion-id"
STORE = "x-afterword-store"
LABEL_PREFIX = "x-afterword-label-"
FIELDS_OF_HEADERS = {
    "x-afterword-session": "session_id",
    "x-afterword-user": "user",
    "x-afterword-environment": "environment",
    "x-afterword-parent": "parent",
    "x-afterword-step": "step",
}
"""The field of a call that each header stands for."""
FIELDS_OF_BAGGAGE = {
    "session.id": "session_id",
    "user.id": "user",
    "deployment.environment.name": "environment",
}
"""The field of a call that each member of baggage stands for, by OpenTelemetry's names of attributes."""
BAGGAGE_LABEL_PREFIX = "afterword.label."

_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class CallHeaders(NamedTuple):
    """What the headers of a request say of a call."""

    completion_id: UUID | None
    """The id that the caller has chosen for the first choice."""
    store: bool | None
    fields: dict[str, str]
    """By the name of the field in the body."""
    labels: dict[str, str]

    def fill(self, request: CallRequest) -> None:
        """Set the fields of a request that its body leaves out. `store` wins over the body's, which may be meant for
        the provider. Labels are not among the fields: see `CallRecorder`."""
        if self.store is not None:
            request.store = self.store
        for name, value in self.fields.items():
            if getattr(request, name) is None:
                setattr(request, name, value)


NO_CALL_HEADERS = CallHeaders(None, None, {}, {})


def read_call_headers(headers: dict[bytes, bytes], baggage: bytes) -> CallHeaders:
    """Return what the headers of a request say of its call. `baggage` holds those of that name, joined by commas.

    Raises `BadRequest` for a wrong completion_id or store.
    """
    fields: dict[str, str] = {}
    labels: dict[str, str] = {}
    completion_id: UUID | None = None
    store: bool | None = None
    if trace_id := trace_id_of(headers.get(b"traceparent", b"").decode("latin-1")):
        fields["session_id"] = trace_id
    for name, value in _baggage(baggage):
        if name in FIELDS_OF_BAGGAGE and value:
            fields[FIELDS_OF_BAGGAGE[name]] = value
        elif name.startswith(BAGGAGE_LABEL_PREFIX):
            labels[name.removeprefix(BAGGAGE_LABEL_PREFIX)] = value
    for raw_name, raw_value in headers.items():
        if not raw_name.startswith(b"x-afterword-"):
            continue
        name, value = raw_name.decode("latin-1"), _decoded_value(raw_value)
        if name in FIELDS_OF_HEADERS and value:
            fields[FIELDS_OF_HEADERS[name]] = value
        elif name.startswith(LABEL_PREFIX):
            labels[unquote(name.removeprefix(LABEL_PREFIX))] = value
        elif name == COMPLETION_ID:
            completion_id = find_uuid(value) or _raise_wrong_value(
                name, value, "a UUID of your own, a new one for each"
            )
        elif name == STORE:
            store = _TRUTHS.get(value.lower())
            if store is None:
                _raise_wrong_value(name, value, "true or false")
    return CallHeaders(completion_id, store, fields, labels)


def _baggage(header: bytes) -> list[tuple[str, str]]:
    """Return the members of a `baggage` header, without their properties. Malformed members are left out."""
    members: list[tuple[str, str]] = []
    for member in header.split(b","):
        name, separator, value = member.partition(b";")[0].partition(b"=")
        if separator:
            members.append((_decoded_value(name), _decoded_value(value)))
    return members


def _decoded_value(value: bytes) -> str:
    """Return a value as text: its UTF-8 after percent-decoding, or Latin-1 if it is no UTF-8."""
    decoded = unquote_to_bytes(value.strip())
    try:
        return decoded.decode()
    except UnicodeDecodeError:
        return decoded.decode("latin-1")


def _raise_wrong_value(name: str, value: str, expected: str) -> Any:
    raise BadRequest(f"The header {name} is {value[:80]!r}, but must be {expected}.", code="invalid_header", param=name)
