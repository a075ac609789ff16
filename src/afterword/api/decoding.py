"""Decodes bytes into structs. Errors name the field, its value and the remedy."""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec

from afterword import json_text
from afterword.errors import AfterwordError, BadRequest, Invalid
from afterword.json_text import MAX_DEPTH, is_nested_too_deeply
from afterword.types.fields import PARAMETERS

Lift: TypeAlias = Callable[[bytes | bytearray], bytes | None]
"""Turns the body of an old client into the current form; returns None for any other body."""

# The parameters whose name a prefix may replace: `session.solved=true` is `outcome=solved=true`.
_PARAMETER_OF_PREFIX = {parameter.prefix: parameter.name for parameter in PARAMETERS if parameter.prefix}

_any_decoder = msgspec.json.Decoder()
_object_decoder = msgspec.json.Decoder(dict[str, Any])
_ERROR_PATH = re.compile(r"^(?P<message>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.S)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")
_UNKNOWN = re.compile(r"unknown field `(.*)`", re.S)
_MISSING = re.compile(r"missing required field `(.*)`")
_BYTE = re.compile(r"\(byte (\d+)\)")
_GOT = re.compile(r"got `(\w+)`")
_EXPECTED = re.compile(r"expected `([^`]*)`(?: (of length )?([<>])= (\S+))?", re.I)
_TYPES = {"object": dict, "array": list, "str": str, "int": int, "float": float, "bool": bool, "null": type(None)}
# JSON's names of the types, in the order in which errors list them.
_WORDS = {
    "str": "a string",
    "bool": "true, false",
    "int": "an integer",
    "float": "a number",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


def read_json(decoder: msgspec.json.Decoder[Any], raw: bytes | bytearray) -> Any:
    """Decode a body. Raises `BadRequest` if it is not JSON, `Invalid` if the JSON does not fit the type.

    A byte order mark, which Windows writes at the start of files, is skipped. Half of a surrogate pair, which
    JavaScript leaves when it cuts an emoji in two, becomes U+FFFD.
    """
    raw = _without_mark(raw)
    if is_nested_too_deeply(raw):
        raise _too_deep()
    try:
        return _decode(decoder, raw)
    except BadRequest:
        repaired_body, replacements = _repaired_body(raw)
        if not replacements or json_text.find_not_a_number(replacements):
            raise
    return _decode(decoder, msgspec.json.encode(repaired_body))


def check_depth(text: str) -> None:
    """Raise `Invalid` for a document that is nested too deeply."""
    if is_nested_too_deeply(text.encode("utf-8", "surrogatepass")):
        raise _too_deep()


def _too_deep() -> Invalid:
    return Invalid(
        f"The body is nested more than {MAX_DEPTH} levels deep.",
        code="nested_too_deeply",
        hint=f"Send at most {MAX_DEPTH} levels, or what is deeper as a string.",
    )


def _out_of_range(raw: bytes | bytearray) -> Invalid:
    not_a_number = json_text.find_not_a_number(_repaired_body(raw)[1])
    value_path = not_a_number.at if not_a_number else ""
    return Invalid(
        f"{value_path or 'The body'} {'is' if value_path else 'has'} a number that is out of range.",
        code="invalid_value",
        param=value_path or None,
        hint="Numbers reach from -1.8e308 to 1.8e308.",
    )


def read_lifted(
    decoder: msgspec.json.Decoder[Any], raw: bytes | bytearray, lift: Lift | None
) -> tuple[Any, bytes | bytearray]:
    """Decode a body, after `lift` if the body has an old form. Return also the bytes that were decoded."""
    try:
        return read_json(decoder, raw), raw
    except Invalid:
        lifted_body = lift and lift(raw)
        if not lifted_body:
            raise
        return read_json(decoder, lifted_body), lifted_body


def _decode(decoder: msgspec.json.Decoder[Any], raw: bytes | bytearray) -> Any:
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        if "out of range" in str(error):
            raise _out_of_range(raw) from None
        raise explain(error, _decoded_or_none(raw), decoder.type) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed_json(raw, error) from None
    except RecursionError:
        raise _too_deep() from None


def _without_mark(raw: bytes | bytearray) -> bytes | bytearray:
    return raw[len(codecs.BOM_UTF8) :] if raw.startswith(codecs.BOM_UTF8) else raw


def _repaired_body(raw: bytes | bytearray) -> tuple[Any, list[json_text.Replacement]]:
    """Repair a body that only strict parsers refuse. Return it in storable form, with the replacements."""
    with contextlib.suppress(ValueError):
        return json_text.repair(json_text.decode(raw))
    return None, []


def read_call(
    decoder: msgspec.json.Decoder[Any], raw: bytes | bytearray, lift: Lift | None
) -> tuple[Any, dict[str, Any], dict[str, Any], list[json_text.Replacement]]:
    """Decode the body of a call to a provider. JSON that only strict parsers refuse is left to the provider to judge.

    Return the struct, the body to forward, the body to store, and the replacements that the latter took."""
    raw = _without_mark(raw)
    if is_nested_too_deeply(raw):
        raise _too_deep()
    try:
        request, decoded_bytes = read_lifted(decoder, raw, lift)
        # Checks members that the struct does not name, too: half a surrogate pair in them is not repaired yet.
        body = _decode(_any_decoder, decoded_bytes)
        return request, body, body, []
    except (BadRequest, Invalid):
        body: Any = None
        with contextlib.suppress(ValueError):
            body = json_text.decode(raw)
        storable_body, replacements = json_text.repair(body)
        if not replacements:
            raise
    request, _ = read_lifted(decoder, msgspec.json.encode(storable_body), lift)
    return request, body, storable_body, replacements


def read_object(raw: bytes | bytearray) -> dict[str, Any]:
    """Decode the body of a call in another form than chat. JSON that only strict parsers refuse is taken as it is."""
    raw = _without_mark(raw)
    if is_nested_too_deeply(raw):
        raise _too_deep()
    try:
        return _decode(_object_decoder, raw)
    except (BadRequest, Invalid):
        body: Any = None
        with contextlib.suppress(ValueError):
            body = json_text.decode(raw)
        if not isinstance(body, dict) or not json_text.repair(body)[1]:
            raise
        return body


def to_call(body: dict[str, Any], kind: type[Any]) -> Any:
    """Return a decoded call as a struct. Raises `Invalid`."""
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise explain(error, body, kind) from None


def read_query(kind: type[msgspec.Struct], raw: bytes) -> Any:
    """Decode a query string. Repeated parameters are lists; unknown ones are refused by name."""
    parameters = _parameters(kind)
    prefixes = {prefix: name for prefix, name in _PARAMETER_OF_PREFIX.items() if name in parameters}
    values: dict[str, Any] = {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=1000)
    except (UnicodeDecodeError, ValueError) as error:
        raise BadRequest(f"The query string cannot be read: {error}.", code="malformed_query") from None
    for key, text in pairs:
        name, value = _without_prefix(key, text, prefixes)
        is_list = parameters.get(name)
        if is_list is None:
            raise Invalid(
                f"Unknown parameter {name[:80]!r}.",
                code="unknown_parameter",
                param=name[:80],
                hint=f"Known are {', '.join([*parameters, *(f'{prefix}METRIC' for prefix in prefixes)])}."
                if parameters
                else "This call takes no parameters.",
            )
        if is_list:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise Invalid(f"{name} is given more than once.", code="repeated_parameter", param=name)
        else:
            values[name] = value
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise explain(error, values, kind) from None


def _without_prefix(key: str, text: str, prefixes: dict[str, str]) -> tuple[str, str]:
    """Return the parameter and its value that a key with a prefix stands for; any other as it is.

    The first `=` of `session.score>=4` parts the key from the text, so that they are joined again.
    """
    for prefix, name in prefixes.items():
        if (condition := key.removeprefix(prefix)) not in ("", key):
            return name, f"{condition}={text}" if text else condition
    return key, text


@cache
def _parameters(kind: type[msgspec.Struct]) -> dict[str, bool]:
    """Map the name of each query parameter to whether it may be repeated."""
    return {
        field.encode_name: get_origin(next(_alternatives(field.type))) is list for field in msgspec.structs.fields(kind)
    }


def _malformed_json(raw: bytes | bytearray, error: Exception) -> BadRequest:
    """Return the error for a malformed body. It gives line and column, or the path of a NaN or Infinity."""
    if not raw.strip():
        return BadRequest(
            "The body is empty.", code="empty_body", hint="Send a JSON object, with Content-Type: application/json."
        )
    _, replacements = _repaired_body(raw)
    if not_a_number := json_text.find_not_a_number(replacements):
        return BadRequest(
            f"The body has {not_a_number.was}{f' at {not_a_number.at}' if not_a_number.at else ''}, "
            "but JSON has no such number.",
            code="malformed_json",
            param=not_a_number.at or None,
            hint="Leave the field out, or give null.",
        )
    byte_match = _BYTE.search(str(error))
    position = int(byte_match[1]) if byte_match else error.start if isinstance(error, UnicodeDecodeError) else None
    location = ""
    if position is not None:
        preceding_bytes = bytes(raw[:position])
        location = f", at line {preceding_bytes.count(10) + 1}, column {position - preceding_bytes.rfind(10)}"
    return BadRequest(
        f"The body is not valid JSON: {error}{location}.",
        code="malformed_json",
        hint="Send JSON in UTF-8. NaN and Infinity are no JSON numbers.",
    )


def explain(error: msgspec.ValidationError, body: Any, kind: Any) -> AfterwordError:
    """Turn a msgspec error into one that names the field, its value and what it must be. `kind` is the body's type."""
    error_match = _ERROR_PATH.match(str(error))
    message, error_path = (error_match["message"], error_match["path"] or "$") if error_match else (str(error), "$")
    got_match = _GOT.search(message)
    param, value = _value_at(body, error_path, got_match[1] if got_match else None)
    subject = param or "The body"
    if unknown_match := _UNKNOWN.search(message):
        name = unknown_match[1][:80]
        return Invalid(
            f"There is no field {name!r}{f' in {param}' if param else ''}.",
            code="unknown_field",
            param=f"{param}.{name}" if param else name,
            hint="Check its spelling; the fields are listed at /docs.",
        )
    if missing_match := _MISSING.search(message):
        name = missing_match[1]
        return Invalid(
            f"{subject} has no {name!r}, which is required." if param else f"{name!r} is missing.",
            code="missing_field",
            param=f"{param}.{name}" if param else name,
        )
    value_text = _value_text(value)
    return Invalid(
        f"{subject} is {value_text if len(value_text) < 100 else value_text[:97] + '...'}, "
        f"but must be {_expected_text(message, kind, error_path)}.",
        code="invalid_value",
        param=param or None,
    )


def _value_text(value: Any) -> str:
    """Return a scalar as JSON; for an object or an array, only its type."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case dict():
            return "an object"
        case list():
            return "an array"
    return repr(value)


def _expected_text(message: str, kind: Any, error_path: str) -> str:
    """Return the type that msgspec expects, in words."""
    if message.startswith("Invalid enum value"):
        choices = [
            repr(choice)
            for choice in _types_at(kind, error_path)
            if get_origin(choice) is Literal
            for choice in get_args(choice)
        ]
        return f"one of {', '.join(choices)}" if choices else "one of the words that /docs lists"
    if message == "Invalid UUID":
        return "a UUID, such as 0192d3a4-5b6c-7d8e-9f00-112233445566"
    expected_match = _EXPECTED.match(message)
    if expected_match is None:
        return f"other: {message[:300]}"
    names = [name for name in _WORDS if name in expected_match[1].split(" | ")]
    if "float" in names and "int" in names:
        names.remove("int")
    words = ", ".join(_WORDS[name] for name in names).split(", ")
    expected_type = f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0] or expected_match[1]
    if not expected_match[3]:
        return expected_type
    bound = f"at {'least' if expected_match[3] == '>' else 'most'} {expected_match[4].removesuffix('.0')}"
    if expected_match[2] is None:
        return f"{expected_type}, {bound}"
    unit = "character" if names == ["str"] else "element"
    return f"{expected_type} of {bound} {unit}{'' if expected_match[4] == '1' else 's'}"


def _types_at(kind: Any, error_path: str) -> list[Any]:
    """Return the types that are allowed at a path of a msgspec error."""
    kinds = list(_alternatives(kind))
    for step in _STEP.finditer(error_path):
        name = step[1]
        inner: list[Any] = []
        for alternative in kinds:
            if isinstance(alternative, type) and issubclass(alternative, msgspec.Struct):
                inner += [field.type for field in msgspec.structs.fields(alternative) if field.encode_name == name]
            elif get_origin(alternative) in (dict, list):
                inner.append(get_args(alternative)[-1])
        kinds = [alternative for inner_type in inner for alternative in _alternatives(inner_type)]
    return kinds


def _alternatives(kind: Any) -> Iterator[Any]:
    """Yield the members of a union, or the type itself if it is not a union."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        for alternative in get_args(kind):
            yield from _alternatives(alternative)
    else:
        yield kind


def _value_at(body: Any, error_path: str, got_type: str | None) -> tuple[str, Any]:
    """Follow msgspec's path into the body. For "some element", take the first element of the wrong type."""
    path, node = "", body
    for step in _STEP.finditer(error_path):
        name, index = step.groups()
        if name is not None and isinstance(node, dict):
            path, node = f"{path}.{name}" if path else name, node.get(name)
        elif index is not None and isinstance(node, list) and int(index) < len(node):
            path, node = f"{path}[{index}]", node[int(index)]
        elif name is None and index is None and isinstance(node, dict | list):
            expected_type = _TYPES.get(got_type or "")
            pairs = list(node.items() if isinstance(node, dict) else enumerate(node))
            key, node = next(
                (
                    (member_key, member_value)
                    for member_key, member_value in pairs
                    if expected_type and type(member_value) is expected_type
                ),
                pairs[0] if pairs else ("", None),
            )
            path = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{str(key)[:80]}"
    return path, node


def _decoded_or_none(raw: bytes | bytearray) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
