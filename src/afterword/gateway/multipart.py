"""Forms of uploads (multipart/form-data, RFC 7578), which go to a provider as they came, with another model."""

from __future__ import annotations

from typing import Any, NamedTuple

from python_multipart.multipart import parse_options_header

from afterword import json_text
from afterword.errors import BadRequest
from afterword.types import Target


class FormPart(NamedTuple):
    """A field or a file of a form. `headers` are as they were sent, without the empty line behind them."""

    name: str
    is_file: bool
    headers: bytes
    content: bytes


class Form(NamedTuple):
    """The parts of a form in their order, and what stands between them."""

    content_type: str
    boundary: bytes
    parts: list[FormPart]

    @property
    def fields(self) -> dict[str, str]:
        """The text of each field that is no file. Of several with one name the last one counts."""
        return {part.name: part.content.decode("utf-8", "replace") for part in self.parts if not part.is_file}

    def without(self, names: frozenset[str]) -> Form:
        """Return the form without some fields."""
        return self._replace(parts=[part for part in self.parts if part.is_file or part.name not in names])

    def for_target(self, target: Target) -> bytes:
        """Return the body for a model: with its name and its parameters. A parameter of null removes the field."""
        values: dict[str, Any] = {"model": target.model, **target.parameters}
        parts = [
            *self.without(frozenset(values)).parts,
            *(_field(*pair) for pair in values.items() if pair[1] is not None),
        ]
        body = bytearray()
        for part in parts:
            body += b"--%b\r\n%b\r\n\r\n%b\r\n" % (self.boundary, part.headers, part.content)
        return bytes(body + b"--%b--\r\n" % self.boundary)


def read_form(content_type: bytes, raw: bytes | bytearray) -> Form:
    """Return the form in a body. Raises `BadRequest`."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise BadRequest(
            f"Content-Type is {content_type.decode('latin-1')[:200]!r}, but this call takes a form with a file.",
            code="invalid_header",
            param="Content-Type",
            hint="Send multipart/form-data with its boundary, as the clients of OpenAI do.",
        )
    _, *segments = (b"\r\n" + raw).split(b"\r\n--" + boundary)
    if not segments or not segments[-1].startswith(b"--"):
        raise _malformed_error("its last boundary is missing")
    return Form(content_type.decode("latin-1"), boundary, [_part(segment) for segment in segments[:-1]])


def _part(segment: bytes) -> FormPart:
    head, separator, content = segment.partition(b"\r\n\r\n")
    # What stands behind a boundary on its line is padding.
    headers = head.partition(b"\r\n")[2]
    for header in headers.split(b"\r\n"):
        header_name, _, value = header.partition(b":")
        if header_name.strip().lower() == b"content-disposition":
            _, options = parse_options_header(value.strip())
            if separator and (name := options.get(b"name")) is not None:
                return FormPart(name.decode("utf-8", "replace"), b"filename" in options, headers, content)
    raise _malformed_error("a part of it has no name")


def _field(name: str, value: Any) -> FormPart:
    content = value.encode() if isinstance(value, str) else json_text.encode(value)
    return FormPart(name, False, b'Content-Disposition: form-data; name="%b"' % name.encode(), content)


def _malformed_error(problem: str) -> BadRequest:
    return BadRequest(f"The form is malformed: {problem}.", code="malformed_form", hint="Send multipart/form-data.")
