"""Checks messages, replaces their images by references for the store, and restores them for answers.

In a stored message, an image's data URI is replaced by `afterword-image:HASH.EXT;HEADER`. HEADER is the text before the
comma, so that the URI can be restored byte for byte. Callers cannot write such a reference: an image on input must be a
data URI or a web address.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import msgspec

from afterword.config import Settings
from afterword.errors import Invalid, TooLarge
from afterword.message_words import may_hold_media
from afterword.service.interactions.media import (
    IMAGE_TYPES,
    Media,
    decoded_base64,
    extension_of,
    extract_media,
    extract_media_as_sent,
)
from afterword.store.schema import hash63
from afterword.types import Message

REFERENCE = re.compile(r"afterword-image:([0-9a-f]{64})\.([a-z]{3,4});(.*)", re.S)

IMAGE_FIELDS = ("content", "images")
"""The members of a message that hold images as parts: OpenAI's, and that of answers of OpenRouter and Gemini."""
IMAGE_ADDRESS_PREFIXES = ("https://", "http://", "gs://", "s3://")
"""The beginnings of addresses of external images, which are stored unchanged."""

_DATA_URI = re.compile(r"(data:image/([a-z0-9.+-]+);base64),", re.I)
_ANY_DATA_URI = re.compile(r"(data:[^,]{0,200};base64),", re.I)
_sorted_encoder = msgspec.json.Encoder(order="sorted")


def extract_images(
    messages: list[Message], settings: Settings, *, param: str = "messages"
) -> tuple[list[Message], list[Media]]:
    """Check messages and extract their images, audio and files; return both as they are stored.

    The web address of an image is stored unchanged, and never fetched. Raises `Invalid` with the path of an invalid
    message or image, `TooLarge` for an image over the limit.
    """
    if not messages:
        raise Invalid(
            f"{param} is empty.", code="no_messages", param=param, hint="Give at least the message that was answered."
        )
    images: list[Media] = []

    def reference_for(uri: Any, path: str) -> str:
        if isinstance(uri, str) and uri.startswith(IMAGE_ADDRESS_PREFIXES):
            return uri
        image, header = _read_image(uri, settings, path)
        images.append(image)
        return f"afterword-image:{image.hash.hex()}.{image.extension};{header}"

    stored_messages = []
    for index, message in enumerate(messages):
        path = f"{param}[{index}]"
        check_message(message, path)
        if may_hold_media(message):
            message = _with_images(extract_media(message, settings, images, path), reference_for, path)
        stored_messages.append(message)
    return stored_messages, images


def extract_images_as_sent(messages: list[Message], settings: Settings) -> tuple[list[Message], list[Media]]:
    """Extract the images, audio and files of messages that go to a provider; return both as they are stored.

    Nothing is refused. An image that cannot be stored by its hash stays in the message unchanged. An image over the
    limit is replaced by its type, size and SHA-256.
    """
    images: list[Media] = []

    def reference_for(uri: Any, path: str) -> Any:
        if not isinstance(uri, str):
            return uri
        if REFERENCE.match(uri):
            # Stored unchanged, it would show its sender an image of others.
            return f"unresolved:{uri}"
        header_match = _ANY_DATA_URI.match(uri)
        if len(uri) - (header_match.end() if header_match else 0) > (settings.max_image + 2) // 3 * 4:
            digest = hashlib.sha256(uri.encode("utf-8", "surrogatepass")).hexdigest()
            return f"{header_match[1] if header_match else ''},[left out: {len(uri):,} characters, sha256 {digest}]"
        content = decoded_base64(uri[header_match.end() :]) if header_match else None
        extension = None if content is None else extension_of(content)
        if header_match is None or content is None or extension not in IMAGE_TYPES:
            return uri
        image = Media(hashlib.sha256(content).digest(), extension, content)
        images.append(image)
        return f"afterword-image:{image.hash.hex()}.{extension};{header_match[1]}"

    stored_messages = [
        _with_images(extract_media_as_sent(message, settings, images), reference_for, "")
        if may_hold_media(message)
        else message
        for message in messages
    ]
    return stored_messages, images


def check_message(message: Message, path: str) -> None:
    """Check that a message has a role, and content of a known form. Raises `Invalid`."""
    role = message.get("role")
    if not isinstance(role, str) or not 1 <= len(role) <= 64:
        problem = f"{path}.role is {role!r:.80}, but" if "role" in message else f"{path} has no role. It"
        raise Invalid(
            f"{problem} must be a string of 1 to 64 characters.",
            code="invalid_message",
            param=f"{path}.role",
            hint="Roles are words such as system, user, assistant, tool.",
        )
    content = message.get("content")
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise Invalid(
            f"{path}.content is of type {type(content).__name__}, but must be a string, an array of parts, or null.",
            code="invalid_message",
            param=f"{path}.content",
        )
    for index, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise Invalid(
                f"{path}.content[{index}] is {part!r:.80}, but must be an object with a type.",
                code="invalid_message",
                param=f"{path}.content[{index}]",
                hint='Parts are such as {"type": "text", "text": ...} and {"type": "image_url", "image_url": ...}.',
            )
        if part["type"] == "image_url" and "image_url" not in part:
            raise Invalid(
                f"{path}.content[{index}] has no image_url.",
                code="invalid_image",
                param=f"{path}.content[{index}].image_url",
            )


def restore_images(messages: list[Message], show: Callable[[str, str, str], str]) -> list[Message]:
    """Replace references to images: `show(hash, extension, header)` returns the text for each."""

    def restored_address(reference: Any, path: str) -> Any:
        reference_match = REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
        return show(*reference_match.groups()) if reference_match else reference

    return [_with_images(message, restored_address, "") for message in messages]


def image_hashes(messages: list[Message]) -> set[bytes]:
    """Return the hashes of the images that stored messages refer to."""
    hashes: set[bytes] = set()
    restore_images(messages, lambda digest, *_: hashes.add(bytes.fromhex(digest)) or "")
    return hashes


def prompt_hash(messages: list[Message]) -> int:
    """Hash stored messages by their roles, texts, images and further members."""
    parts: list[str | bytes] = []
    for message in messages:
        role, content = message.get("role"), message.get("content")
        parts.append(role if isinstance(role, str) else _sorted_encoder.encode(role))
        if isinstance(content, list):
            dict_parts = [part for part in content if isinstance(part, dict)]
            other_parts = [part for part in content if not _is_plain_text(part)]
            parts.append("\n".join(part["text"] for part in dict_parts if isinstance(part.get("text"), str)))
            if other_parts:
                parts.append(_sorted_encoder.encode(other_parts))
        else:
            parts.append(content if isinstance(content, str) else _sorted_encoder.encode(content) if content else "")
        if len(message) > 2:
            parts.append(_sorted_encoder.encode({k: v for k, v in message.items() if k not in ("role", "content")}))
    return hash63(*parts)


def _is_plain_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and len(part) == 2


def _with_images(message: Message, change: Callable[[Any, str], Any], path: str) -> Message:
    """Return the message with each image's address changed; the same object if it has none."""
    changed_fields: Message = {}
    for name in IMAGE_FIELDS:
        parts = message.get(name)
        if isinstance(parts, list):
            new_parts = [_with_image(part, change, f"{path}.{name}[{index}]") for index, part in enumerate(parts)]
            if any(new is not old for new, old in zip(new_parts, parts, strict=True)):
                changed_fields[name] = new_parts
    return {**message, **changed_fields} if changed_fields else message


def _with_image(part: Any, change: Callable[[Any, str], Any], path: str) -> Any:
    """Return a part with its image's address changed. It has three forms: image_url as text, image_url as {"url"}, and
    the datasets' {"type": "image", "url"}."""
    if not isinstance(part, dict):
        return part
    kind = part.get("type")
    if kind in ("image_url", "input_image") and "image_url" in part:
        address = part["image_url"]
        if isinstance(address, dict):
            changed_address = change(address.get("url"), f"{path}.image_url.url")
            return {**part, "image_url": {**address, "url": changed_address}}
        return {**part, "image_url": change(address, f"{path}.image_url")}
    if kind == "image" and "url" in part:
        return {**part, "url": change(part["url"], f"{path}.url")}
    return part


def _read_image(uri: Any, settings: Settings, path: str) -> tuple[Media, str]:
    header_match = _DATA_URI.match(uri) if isinstance(uri, str) else None
    if header_match is None:
        raise Invalid(
            f"{path} is {uri!r:.60}, but an image must be a base64 data URI or an address on the web.",
            code="invalid_image",
            param=path,
            hint="Send data:image/png;base64,... (PNG, JPEG, GIF or WebP), or https://..., which is kept as it is and "
            "not fetched.",
        )
    encoded = uri[header_match.end() :]
    if len(encoded) > (settings.max_image + 2) // 3 * 4:
        raise TooLarge(
            f"The image at {path} has more than {settings.max_image:,} bytes.",
            code="image_too_large",
            param=path,
            hint="Send a smaller image, or raise AFTERWORD_MAX_IMAGE.",
        )
    content = decoded_base64(encoded)
    if content is None:
        raise Invalid(
            f"The image at {path} is not plain base64.",
            code="invalid_image",
            param=path,
            hint="Encode it with the standard alphabet (+ and /), with padding and without line breaks.",
        )
    if len(content) > settings.max_image:
        raise TooLarge(
            f"The image at {path} has {len(content):,} bytes; the limit is {settings.max_image:,}.",
            code="image_too_large",
            param=path,
            hint="Send a smaller image, or raise AFTERWORD_MAX_IMAGE.",
        )
    declared = header_match.group(2).lower().replace("jpg", "jpeg")
    extension = extension_of(content)
    actual = extension if extension in IMAGE_TYPES else None
    if actual is None or actual != declared:
        raise Invalid(
            f"The image at {path} is declared as image/{declared}, but its bytes are "
            f"{'image/' + actual if actual else 'no PNG, JPEG, GIF or WebP'}.",
            code="invalid_image",
            param=path,
            hint="Declare what the bytes are: image/png, image/jpeg, image/gif or image/webp.",
        )
    return Media(hashlib.sha256(content).digest(), actual, content), header_match.group(1)
