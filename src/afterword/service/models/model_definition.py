"""The definition of a model: checked, and converted to stored columns."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import msgspec

from afterword.errors import Conflict, Invalid
from afterword.gateway.providers import SPECS
from afterword.service.context import Context
from afterword.service.validation import check_text
from afterword.store.catalog import ModelRow
from afterword.types import NewModel

_encoder = msgspec.json.Encoder(order="sorted")
# Headers of the HTTP connection.
_CONNECTION_HEADERS = {
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
}
_CONNECTION_HEADERS |= {"accept-encoding", "content-encoding", "keep-alive", "upgrade"}


def key_of(body: NewModel) -> str:
    """Return the key of a new model, derived from its name if none is given. Raises `Invalid`."""
    key = body.key or re.sub(r"[^a-z0-9._/-]+", "-", (body.name or "").lower()).strip("-/")
    if not key:
        raise Invalid(
            "The model has neither key nor name.",
            code="missing_field",
            param="key",
            hint="Give a key such as gpt-mini: calls name the model by it.",
        )
    check_text(key, param="key", max_length=200, min_length=1)
    # URL paths contain the key: an empty part, `.` or `..` would lead elsewhere.
    if key != key.strip() or not key.isprintable() or {"", ".", ".."} & set(key.split("/")):
        raise Invalid(
            f"key is {key!r}; a key has no control characters, no spaces at its ends, and something between slashes.",
            code="invalid_key",
            param="key",
            hint="Choose a key such as gpt-mini.",
        )
    return key


def endpoint_of(endpoint: str | None, provider: str) -> str | None:
    """Return the base URL without a slash at its end; None for the provider's own. Raises `Invalid`."""
    if not endpoint:
        spec = SPECS[provider]
        # The gateway reads the environment at each call.
        if "endpoint" in spec.required_fields and spec.endpoint_of_environment() is None:
            raise Invalid(
                f"endpoint is missing: {spec.title} has one for each customer.",
                code="missing_field",
                param="endpoint",
                hint=f"Give such as {spec.example_endpoint}, or set {spec.endpoint_variables[0]} for the server.",
            )
        return None
    check_text(endpoint, param="endpoint", max_length=2000)
    try:
        parts = urlsplit(endpoint)
        is_valid = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or not endpoint.isprintable() or " " in endpoint:
        raise Invalid(
            f"endpoint is {endpoint[:200]!r}, which is no URL of an API.",
            code="invalid_endpoint",
            param="endpoint",
            hint="Give the base URL, such as https://api.openai.com/v1, without a key in it.",
        )
    return endpoint.rstrip("/")


def sealed_secret(context: Context, api_key: str | None, headers: dict[str, str] | None) -> bytes | None:
    """Return API key and headers, encrypted; None if there are none. Raises `Invalid`."""
    header_values = [(f"headers.{name[:80]}", name, value) for name, value in (headers or {}).items()]
    header_values += [("api_key", "api_key", api_key)] if api_key else []
    for header_param, name, value in header_values:
        # The error does not show the value, which is a secret.
        if not re.fullmatch(r"[!-~]+([ \t]+[!-~]+)*", value) or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise Invalid(
                f"{header_param} cannot be sent as a header.",
                code="invalid_header",
                param=header_param,
                hint="Headers are of ASCII characters, without line breaks.",
            )
        if name.lower() in _CONNECTION_HEADERS:
            raise Invalid(
                f"{header_param} is a header that belongs to the connection.",
                code="invalid_header",
                param=header_param,
                hint="Leave it out: it is set for each call.",
            )
    if not api_key and not headers:
        return None
    return context.state.secrets.seal({"api_key": api_key, "headers": headers or {}})


def params_of(params: dict[str, Any] | None) -> str | None:
    """Return the parameters that override those of each request, as they are stored."""
    return _encoder.encode(params).decode() if params else None


def fallback_of(context: Context, name: str | None, key: str) -> int | None:
    """Return the number of the model that is called if `key` fails. Raises `Invalid`."""
    if name is None:
        return None
    row = context.catalog.find_model(name)
    if row is None or row.provider is None or row.key == key:
        raise Invalid(
            f"fallback is {name[:200]!r}, which is no other model that can be called.",
            code="invalid_fallback",
            param="fallback",
            hint="Register that model first.",
        )
    return row.number


def check_same(context: Context, registered_row: ModelRow, new_row: ModelRow) -> None:
    """Raise `Conflict` if a registered model and a new one differ in their definition."""
    registered_secret, new_secret = (
        context.state.secrets.open(row.secret, f"the model {row.key!r}") if row.secret else None
        for row in (registered_row, new_row)
    )
    for param in ("name", "provider", "external_model_id", "endpoint", "extra_params", "fallback"):
        if getattr(registered_row, param) != getattr(new_row, param):
            break
    else:
        if registered_secret == new_secret:
            return
        param = "api_key"
    raise Conflict(
        f"A model with the key {registered_row.key!r} is registered already, with another {param}.",
        code="model_exists",
        param=param,
        hint="Choose another key, or change the model with PATCH /api/v1/models/{model}.",
    )
