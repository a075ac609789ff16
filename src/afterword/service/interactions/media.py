"""Replaces audio and files in messages by references for the store, and restores them for answers, as content.py does
with images.

The base64 in a part, or in the `audio` of an answer, is replaced by `afterword-media:HASH.EXT;HEADER`. HEADER is the
text of a data URI before the comma; it is empty for plain base64. Text that is no base64, such as an address, stays.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from afterword.config import Settings
from afterword.errors import Invalid, TooLarge
from afterword.types import Message

REFERENCE = re.compile(r"afterword-media:([0-9a-f]{64})\.([a-z0-9]{3,4});(.*)", re.S)
IMAGE_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}
AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac", "ogg": "audio/ogg"}
MEDIA_TYPES = {**IMAGE_TYPES, **AUDIO_TYPES, "pdf": "application/pdf", "bin": "application/octet-stream"}
"""The media types that bytes are served with, by extension. The extension follows from the bytes alone, so that no
caller can have them served as a page or a script."""

# The type of a part, the member that holds the object with the base64 (none: the part itself), and the base64's member.
_PARTS = {
    "input_audio": (("input_audio", "data"), (None, "data")),
    "audio": (("audio", "data"), ("input_audio", "data"), (None, "data")),
    "file": (("file", "file_data"), (None, "file_data")),
    "input_file": (("file", "file_data"), (None, "file_data")),
}
_DATA_URI = re.compile(r"(data:[^,]{0,200};base64),", re.I)
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"ID3", "mp3"),
    (b"\xff\xfb", "mp3"),
    (b"\xff\xf3", "mp3"),
    (b"\xff\xf2", "mp3"),
    (b"%PDF-", "pdf"),
)
_RIFF_EXTENSIONS = {b"WEBP": "webp", b"WAVE": "wav"}

Change = Callable[[Any, str], Any]
"""Returns what replaces a text of base64 or a reference; gets the text and its path."""


class Media(NamedTuple):
    """An image, audio or a file as it is stored: SHA-256 of its bytes, extension, bytes."""

    hash: bytes
    extension: str
    content: bytes


def extract_media(message: Message, settings: Settings, extracted: list[Media], path: str) -> Message:
    """Return a message with references in place of its audio and files, which are appended to `extracted`. Raises
    `TooLarge` for one over the limit, `Invalid` for a reference that the caller wrote."""

    def reference_for(text: Any, path: str) -> Any:
        if not isinstance(text, str):
            return text
        if REFERENCE.match(text):
            raise Invalid(
                f"{path} is {text!r:.60}, but must be base64, a base64 data URI or an address on the web.",
                code="invalid_media",
                param=path,
                hint="Send the bytes of the audio or file themselves; equal bytes are kept once.",
            )
        header, encoded = _split(text)
        if len(encoded) > (settings.max_media + 2) // 3 * 4:
            raise TooLarge(
                f"The audio or file at {path} has more than {settings.max_media:,} bytes.",
                code="media_too_large",
                param=path,
                hint="Send a smaller one, or raise AFTERWORD_MAX_MEDIA.",
            )
        return _reference(text, header, encoded, extracted)

    return with_media(message, reference_for, path)


def extract_media_as_sent(message: Message, settings: Settings, extracted: list[Media]) -> Message:
    """Do the same to a message that goes to a provider. Nothing is refused: what is over the limit is replaced by its
    type, size and SHA-256."""

    def reference_for(text: Any, path: str) -> Any:
        if not isinstance(text, str):
            return text
        if REFERENCE.match(text):
            # Stored unchanged, it would show its sender a file of others.
            return f"unresolved:{text}"
        header, encoded = _split(text)
        if len(encoded) > (settings.max_media + 2) // 3 * 4:
            digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
            return f"{header},[left out: {len(text):,} characters, sha256 {digest}]"
        return _reference(text, header, encoded, extracted)

    return with_media(message, reference_for, "")


def restore_media(messages: list[Message], show: Callable[[str, str, str], str]) -> list[Message]:
    """Replace references to audio and files: `show(hash, extension, header)` returns the text for each."""

    def restored_text(text: Any, path: str) -> Any:
        reference_match = REFERENCE.fullmatch(text) if isinstance(text, str) else None
        return show(*reference_match.groups()) if reference_match else text

    return [with_media(message, restored_text, "") for message in messages]


def media_hashes(messages: list[Message]) -> set[bytes]:
    """Return the hashes of the audio and files that stored messages refer to."""
    hashes: set[bytes] = set()
    restore_media(messages, lambda digest, *_: hashes.add(bytes.fromhex(digest)) or "")
    return hashes


def media_text(header: str, content: bytes) -> str:
    """Return the text that was sent: a data URI, or plain base64 without a header."""
    encoded = binascii.b2a_base64(content, newline=False).decode()
    return f"{header},{encoded}" if header else encoded


def with_media(message: Message, change: Change, path: str) -> Message:
    """Return the message with the text of each audio and file changed; the same object if it has none."""
    changed_fields: Message = {}
    audio = message.get("audio")
    if isinstance(audio, dict) and "data" in audio:
        data = change(audio["data"], f"{path}.audio.data")
        if data is not audio["data"]:
            changed_fields["audio"] = {**audio, "data": data}
    parts = message.get("content")
    if isinstance(parts, list):
        new_parts = [_with_media_in_part(part, change, f"{path}.content[{index}]") for index, part in enumerate(parts)]
        if any(new is not old for new, old in zip(new_parts, parts, strict=True)):
            changed_fields["content"] = new_parts
    return {**message, **changed_fields} if changed_fields else message


def _with_media_in_part(part: Any, change: Change, path: str) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    for holder_name, name in _PARTS.get(kind, ()) if isinstance(kind, str) else ():
        holder = part if holder_name is None else part.get(holder_name)
        if not isinstance(holder, dict) or name not in holder:
            continue
        text = change(holder[name], f"{path}.{holder_name}.{name}" if holder_name else f"{path}.{name}")
        if text is holder[name]:
            return part
        changed_holder = {**holder, name: text}
        return changed_holder if holder_name is None else {**part, holder_name: changed_holder}
    return part


def _split(text: str) -> tuple[str, str]:
    """Return the header of a data URI, which is empty for plain base64, and the base64."""
    header_match = _DATA_URI.match(text)
    return (header_match[1], text[header_match.end() :]) if header_match else ("", text)


def _reference(text: str, header: str, encoded: str, extracted: list[Media]) -> str:
    content = decoded_base64(encoded)
    if not content:
        return text
    media = Media(hashlib.sha256(content).digest(), extension_of(content), content)
    extracted.append(media)
    return f"afterword-media:{media.hash.hex()}.{media.extension};{header}"


def decoded_base64(encoded: str) -> bytes | None:
    """Return the bytes of plain base64; None if encoding them again would give another text."""
    try:
        raw = encoded.encode("ascii")
        content = binascii.a2b_base64(raw, strict_mode=True)
    except ValueError:
        return None
    return content if binascii.b2a_base64(content, newline=False) == raw else None


def extension_of(content: bytes) -> str:
    """Return the extension for bytes, by how they begin; `bin` for those of no known type."""
    for magic, extension in _MAGIC:
        if content.startswith(magic):
            return extension
    return _RIFF_EXTENSIONS.get(content[8:12], "bin") if content[:4] == b"RIFF" else "bin"
