"""The headers of a provider's answer, and which of them go on to the caller."""

from __future__ import annotations

from collections.abc import Callable, Mapping

# Headers that callers act on: they pace themselves by the limits, and retry when they are told to.
FORWARDED_HEADERS = frozenset({"retry-after-ms", "x-should-retry", "openai-processing-ms", "openai-version"})
FORWARDED_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-", "ratelimit")
# Headers with a provider's request id, the most common first: OpenAI, Anthropic, Azure, AWS, OpenRouter, Google,
# NVIDIA, Cloudflare. Afterword's own id is in x-request-id, so the provider's is passed on under another name.
REQUEST_ID_HEADERS = (
    "x-request-id",
    "request-id",
    "apim-request-id",
    "x-ms-request-id",
    "x-amzn-requestid",
    "x-amz-request-id",
    "x-generation-id",
    "x-goog-request-id",
    "nvcf-reqid",
    "cf-ray",
)
MAX_HEADER_CHARACTERS = 1000
MAX_ID_CHARACTERS = 200


def _ignore() -> None:
    pass


class ProviderResponse:
    """The answer of the provider that was called last for one call.

    `headers` are empty until the answer begins. `left_out` names the fields of the caller's request that were not sent,
    because this provider does not accept them. `on_sign_of_life` is called when bytes without content arrive: a
    comment, a ping, a part of an event.
    """

    def __init__(self, on_sign_of_life: Callable[[], None] = _ignore) -> None:
        self.headers: Mapping[str, str] = {}
        self.left_out: list[str] = []
        self.on_sign_of_life = on_sign_of_life

    def reset(self) -> None:
        """Clear the data of an earlier attempt with another model."""
        self.headers = {}
        self.left_out = []

    @property
    def request_id(self) -> str | None:
        """The provider's id of the request, which the provider's support asks for."""
        for name in REQUEST_ID_HEADERS:
            text = self.headers.get(name)
            if text and _header_value(text):
                return text[:MAX_ID_CHARACTERS]
        return None

    def forwarded_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that are passed on to the caller."""
        headers = [
            (lower.encode("ascii"), value)
            for name, text in self.headers.items()
            if ((lower := name.lower()) in FORWARDED_HEADERS or lower.startswith(FORWARDED_PREFIXES))
            and (value := _header_value(text))
        ]
        if request_id := self.request_id:
            headers.append((b"x-provider-request-id", _header_value(request_id)))
        if self.left_out:
            headers.append(
                (b"x-afterword-left-out", ", ".join(dict.fromkeys(self.left_out)).encode("ascii", "replace"))
            )
        return headers


def _header_value(text: str) -> bytes:
    """Return a header's value in bytes; empty if it cannot be sent."""
    if len(text) > MAX_HEADER_CHARACTERS or not text.isprintable():
        return b""
    return text.encode("latin-1", "replace")
