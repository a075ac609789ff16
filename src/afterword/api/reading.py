"""From bytes to structs, and from what is wrong with them to errors that name field, value and remedy."""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Callable, Iterator
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec

from afterword import json_text
from afterword.errors import AfterwordError, BadRequest, Invalid
from afterword.json_text import MAX_DEPTH, is_nested_too_deeply

Lift: TypeAlias = Callable[[bytes | bytearray], bytes | None]
"""Turns a body of an old client into one of today's; None where it is no such body."""

_any = msgspec.json.Decoder()
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<place>[^`]*)`)?$", re.S)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")
_UNKNOWN = re.compile(r"unknown field `(.*)`", re.S)
_MISSING = re.compile(r"missing required field `(.*)`")
_BYTE = re.compile(r"\(byte (\d+)\)")
_GOT = re.compile(r"got `(\w+)`")
_WANTED = re.compile(r"expected `([^`]*)`(?: (of length )?([<>])= (\S+))?", re.I)
_TYPES = {"object": dict, "array": list, "str": str, "int": int, "float": float, "bool": bool, "null": type(None)}
# What JSON calls them, in the order in which they are named.
_WORDS = {
    "str": "a text",
    "bool": "true, false",
    "int": "a whole number",
    "float": "a number",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def read_json(decoder: msgspec.json.Decoder[Any], raw: bytes | bytearray) -> Any:
    """Decode a body. Raises `BadRequest` for what is no JSON, `Invalid` for JSON of another form.

    A byte order mark, with which Windows begins files, is passed over. Half of a surrogate pair, which JavaScript
    leaves where it cuts an emoji in two, becomes U+FFFD.
    """
    raw = _without_mark(raw)
    if is_nested_too_deeply(raw):
        raise _too_deep()
    try:
        return _read(decoder, raw)
    except BadRequest:
        kept, replaced = _repaired(raw)
        if not replaced or json_text.find_not_a_number(replaced):
            raise
    return _read(decoder, msgspec.json.encode(kept))


def check_depth(text: str) -> None:
    """Raise `Invalid` for a document that is nested too deeply."""
    if is_nested_too_deeply(text.encode("utf-8", "surrogatepass")):
        raise _too_deep()


def _too_deep() -> Invalid:
    return Invalid(
        f"The body is nested more than {MAX_DEPTH} levels deep.",
        code="nested_too_deeply",
        hint=f"Send at most {MAX_DEPTH} levels, or what is deeper as a text.",
    )


def _out_of_range(raw: bytes | bytearray) -> Invalid:
    wrong = json_text.find_not_a_number(_repaired(raw)[1])
    place = wrong.at if wrong else ""
    return Invalid(
        f"{place or 'The body'} {'is' if place else 'has'} a number that is out of range.",
        code="invalid_value",
        param=place or None,
        hint="Numbers reach from -1.8e308 to 1.8e308.",
    )


def read_lifted(
    decoder: msgspec.json.Decoder[Any], raw: bytes | bytearray, lift: Lift | None
) -> tuple[Any, bytes | bytearray]:
    """Decode a body, also one that `lift` turns into today's words; return the body that was read, too."""
    try:
        return read_json(decoder, raw), raw
    except Invalid:
        lifted = lift and lift(raw)
        if not lifted:
            raise
        return read_json(decoder, lifted), lifted


def _read(decoder: msgspec.json.Decoder[Any], raw: bytes | bytearray) -> Any:
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        if "out of range" in str(error):
            raise _out_of_range(raw) from None
        raise explain(error, _loose(raw), decoder.type) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(raw, error) from None
    except RecursionError:
        raise _too_deep() from None


def _without_mark(raw: bytes | bytearray) -> bytes | bytearray:
    return raw[len(codecs.BOM_UTF8) :] if raw.startswith(codecs.BOM_UTF8) else raw


def _repaired(raw: bytes | bytearray) -> tuple[Any, list[json_text.Replacement]]:
    """Return a body that only strict readers refuse as it can be stored, and what was replaced in it."""
    with contextlib.suppress(ValueError):
        return json_text.repair(json_text.decode(raw))
    return None, []


def read_call(
    decoder: msgspec.json.Decoder[Any], raw: bytes | bytearray, lift: Lift | None
) -> tuple[Any, dict[str, Any], dict[str, Any], list[json_text.Replacement]]:
    """Decode the body of a call that is passed on; return it as a struct, as it goes on, as it can be stored, and what
    was replaced in that: JSON that only strict readers refuse is the provider's matter."""
    raw = _without_mark(raw)
    if is_nested_too_deeply(raw):
        raise _too_deep()
    try:
        request, read = read_lifted(decoder, raw, lift)
        # Also what the struct does not name: half a surrogate pair there is not repaired yet.
        body = _read(_any, read)
        return request, body, body, []
    except (BadRequest, Invalid):
        body: Any = None
        with contextlib.suppress(ValueError):
            body = json_text.decode(raw)
        kept, replaced = json_text.repair(body)
        if not replaced:
            raise
    request, _ = read_lifted(decoder, msgspec.json.encode(kept), lift)
    return request, body, kept, replaced


def read_query(kind: type[msgspec.Struct], raw: bytes) -> Any:
    """Decode a query string. Repeated parameters are lists; unknown ones are refused by name."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=1000)
    except (UnicodeDecodeError, ValueError) as error:
        raise BadRequest(f"The query string cannot be read: {error}.", code="malformed_query") from None
    for name, value in pairs:
        field = fields.get(name)
        if field is None:
            raise Invalid(
                f"There is no parameter {name[:80]!r}.",
                code="unknown_parameter",
                param=name[:80],
                hint=f"Known are {', '.join(fields)}." if fields else "This call takes no parameters.",
            )
        if getattr(field.type, "__origin__", None) is list:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise Invalid(f"{name} is given more than once.", code="repeated_parameter", param=name)
        else:
            values[name] = value
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise explain(error, values, kind) from None


def _malformed(raw: bytes | bytearray, error: Exception) -> BadRequest:
    """Return the error for what is no JSON: which place is wrong, as a path where other readers take it."""
    if not raw.strip():
        return BadRequest(
            "The body is empty.", code="empty_body", hint="Send a JSON object, with Content-Type: application/json."
        )
    _, replaced = _repaired(raw)
    if wrong := json_text.find_not_a_number(replaced):
        return BadRequest(
            f"The body has {wrong.was}{f' at {wrong.at}' if wrong.at else ''}, but JSON has no such number.",
            code="malformed_json",
            param=wrong.at or None,
            hint="Leave the field out, or give null.",
        )
    at = _BYTE.search(str(error))
    place = int(at[1]) if at else error.start if isinstance(error, UnicodeDecodeError) else None
    where = ""
    if place is not None:
        before = bytes(raw[:place])
        where = f", at line {before.count(10) + 1}, column {place - before.rfind(10)}"
    return BadRequest(
        f"The body is not valid JSON: {error}{where}.",
        code="malformed_json",
        hint="Send JSON in UTF-8. NaN and Infinity are no JSON numbers.",
    )


def explain(error: msgspec.ValidationError, body: Any, kind: Any) -> AfterwordError:
    """Turn msgspec's words into ours: which field, what it is, what it must be. `kind` is the whole body's type."""
    found = _PLACE.match(str(error))
    what, place = (found["what"], found["place"] or "$") if found else (str(error), "$")
    got = _GOT.search(what)
    param, value = _walk(body, place, got[1] if got else None)
    where = param or "The body"
    if unknown := _UNKNOWN.search(what):
        name = unknown[1][:80]
        return Invalid(
            f"There is no field {name!r}{f' in {param}' if param else ''}.",
            code="unknown_field",
            param=f"{param}.{name}" if param else name,
            hint="Check its spelling; the fields are listed at /docs.",
        )
    if missing := _MISSING.search(what):
        name = missing[1]
        return Invalid(
            f"{where} has no {name!r}, which is required." if param else f"{name!r} is missing.",
            code="missing_field",
            param=f"{param}.{name}" if param else name,
        )
    shown = _shown(value)
    return Invalid(
        f"{where} is {shown if len(shown) < 100 else shown[:97] + '...'}, but must be {_wanted(what, kind, place)}.",
        code="invalid_value",
        param=param or None,
    )


def _shown(value: Any) -> str:
    """Return a value as JSON has it; of what holds others, what it is."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case dict():
            return "an object"
        case list():
            return "a list"
    return repr(value)


def _wanted(what: str, kind: Any, place: str) -> str:
    """Return what msgspec says a value must be, in words."""
    if what.startswith("Invalid enum value"):
        known = [repr(one) for one in _at(kind, place) if get_origin(one) is Literal for one in get_args(one)]
        return f"one of {', '.join(known)}" if known else "one of the words that /docs lists"
    if what == "Invalid UUID":
        return "a UUID, such as 0192d3a4-5b6c-7d8e-9f00-112233445566"
    found = _WANTED.match(what)
    if found is None:
        return f"other: {what[:300]}"
    names = [name for name in _WORDS if name in found[1].split(" | ")]
    if "float" in names and "int" in names:
        names.remove("int")
    words = ", ".join(_WORDS[name] for name in names).split(", ")
    wanted = f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0] or found[1]
    if not found[3]:
        return wanted
    bound = f"at {'least' if found[3] == '>' else 'most'} {found[4].removesuffix('.0')}"
    if found[2] is None:
        return f"{wanted}, {bound}"
    return f"{wanted} of {bound} {'character' if names == ['str'] else 'element'}{'' if found[4] == '1' else 's'}"


def _at(kind: Any, place: str) -> list[Any]:
    """Return the types that may stand at a place of msgspec's."""
    kinds = list(_alternatives(kind))
    for step in _STEP.finditer(place):
        name = step[1]
        inner: list[Any] = []
        for one in kinds:
            if isinstance(one, type) and issubclass(one, msgspec.Struct):
                inner += [field.type for field in msgspec.structs.fields(one) if field.encode_name == name]
            elif get_origin(one) in (dict, list):
                inner.append(get_args(one)[-1])
        kinds = [one for some in inner for one in _alternatives(some)]
    return kinds


def _alternatives(kind: Any) -> Iterator[Any]:
    """Yield the plain types of a union, or the one that this is."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        for one in get_args(kind):
            yield from _alternatives(one)
    else:
        yield kind


def _walk(body: Any, place: str, got: str | None) -> tuple[str, Any]:
    """Follow msgspec's path into the body; where it says "some element", find the first of the type complained of."""
    path, here = "", body
    for step in _STEP.finditer(place):
        name, index = step.groups()
        if name is not None and isinstance(here, dict):
            path, here = f"{path}.{name}" if path else name, here.get(name)
        elif index is not None and isinstance(here, list) and int(index) < len(here):
            path, here = f"{path}[{index}]", here[int(index)]
        elif name is None and index is None and isinstance(here, dict | list):
            wanted = _TYPES.get(got or "")
            pairs = list(here.items() if isinstance(here, dict) else enumerate(here))
            key, here = next(
                ((k, v) for k, v in pairs if wanted and type(v) is wanted), pairs[0] if pairs else ("", None)
            )
            path = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{str(key)[:80]}"
    return path, here


def _loose(raw: bytes | bytearray) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
