"""Calls of operations beside texts as messages, for the log: speech, images, moderations."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from afterword.gateway.events import Event, EventReader
from afterword.gateway.multipart import Form
from afterword.gateway.provider import Body, Operation
from afterword.service.interactions.calls import text_messages
from afterword.service.interactions.media import AUDIO_TYPES, IMAGE_TYPES, decoded_base64, extension_of
from afterword.types import Message

LOGGED_MEMBERS = frozenset({"prompt", "input"})
"""Members of a request that are its messages, and not parameters."""
_IMAGES_EVENTS = ("image_generation.completed", "image_edit.completed")
_LAST_EVENTS = (*_IMAGES_EVENTS, "transcript.text.done", "speech.audio.done")


def request_messages(body: Body | Form, storable_body: Body) -> list[Message]:
    """Return what a call asks, as messages: its texts, images and audio."""
    if isinstance(body, Form):
        parts: list[Any] = [_media_part(part.content) for part in body.parts if part.is_file]
        if prompt := body.fields.get("prompt"):
            parts.append({"type": "text", "text": prompt})
        return [{"role": "user", "content": parts}]
    texts = storable_body.get("input", storable_body.get("prompt"))
    if isinstance(texts, list) and texts and all(isinstance(part, dict) for part in texts):
        return [{"role": "user", "content": texts}]
    return text_messages(texts) or [{"role": "user", "content": ""}]


def _media_part(content: bytes) -> Body:
    """Return the part of a message for a file, by how it begins."""
    extension = extension_of(content)
    encoded = base64.b64encode(content).decode()
    if extension in IMAGE_TYPES:
        return {"type": "image_url", "image_url": {"url": f"data:{IMAGE_TYPES[extension]};base64,{encoded}"}}
    if extension in AUDIO_TYPES:
        return {"type": "input_audio", "input_audio": {"data": encoded, "format": extension}}
    return {"type": "file", "file": {"file_data": encoded}}


class AnswerLog:
    """Collects an answer for the log: `take_object` or `take_text` a whole one, or `take` the bytes of a stream."""

    def __init__(self, operation: Operation, *, is_events: bool) -> None:
        self.operation: Operation = operation
        self.completion: str | Message = ""
        self.answer: Body | None = None
        """The whole answer, if it is an object."""
        self.usage: Body = {}
        self.facts: Body = {}
        """The members of the answer that the completion does not say."""
        self.is_ending = False
        """Whether the last event that a client waits for has arrived."""
        self._reader = EventReader() if is_events else None
        self._texts: list[str] = []
        self._images: list[Body] = []
        self._content = bytearray()

    def take_text(self, raw: bytes) -> None:
        """Take a whole answer that is a text."""
        self.completion = raw.decode("utf-8", "replace")

    def take_object(self, answer: Body) -> None:
        """Take a whole answer that is an object."""
        self.answer = answer
        said_members = {"usage"}
        if isinstance(usage := answer.get("usage"), dict):
            self.usage = _chat_usage(usage)
        if self.operation == "moderations":
            self.completion = _moderation_words(answer.get("results"))
        elif isinstance(text := answer.get("text"), str):
            self.completion = text
            said_members.add("text")
        elif isinstance(images := answer.get("data"), list):
            self.completion = _images_message([image for image in images if isinstance(image, dict)])
            said_members.add("data")
        self.facts = {name: value for name, value in answer.items() if name not in said_members}

    def take(self, part: bytes) -> None:
        """Take bytes of a stream."""
        if self._reader is None:
            self._content += part
            return
        for event in self._reader.take(part):
            self._take_event(event)

    def end(self) -> None:
        """Set the completion of a stream, as far as it came."""
        for event in self._reader.end() if self._reader else ():
            self._take_event(event)
        if self._images:
            self.completion = _images_message(self._images)
        elif self._content:
            self.completion = _audio_message(bytes(self._content))
        elif self._texts:
            self.completion = "".join(self._texts)

    def _take_event(self, event: Event) -> None:
        try:
            body = msgspec.json.decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if not isinstance(body, dict):
            return
        kind = body.get("type")
        if isinstance(usage := body.get("usage"), dict):
            self.usage = _chat_usage(usage)
        if kind == "transcript.text.delta" and isinstance(text := body.get("delta"), str):
            self._texts.append(text)
        elif kind == "transcript.text.done" and isinstance(text := body.get("text"), str):
            self._texts = [text]
        elif kind == "speech.audio.delta" and isinstance(audio := body.get("audio"), str):
            self._content += _bytes_of(audio)
        elif kind in _IMAGES_EVENTS:
            self._images.append(body)
        self.is_ending = self.is_ending or kind in _LAST_EVENTS


def _bytes_of(encoded: str) -> bytes:
    try:
        return binascii.a2b_base64(encoded)
    except ValueError:
        return b""


def _audio_message(content: bytes) -> Message:
    audio = {"data": base64.b64encode(content).decode(), "format": extension_of(content)}
    return {"role": "assistant", "content": None, "audio": audio}


def _images_message(images: list[Body]) -> Message:
    """Return images as a message, with the prompts that the model made of the caller's."""
    parts: list[Body] = []
    for image in images:
        address = image.get("url")
        if isinstance(encoded := image.get("b64_json"), str):
            extension = extension_of(decoded_base64(encoded) or b"")
            address = f"data:{IMAGE_TYPES.get(extension, 'application/octet-stream')};base64,{encoded}"
        if isinstance(address, str):
            parts.append({"type": "image_url", "image_url": {"url": address}})
        if isinstance(prompt := image.get("revised_prompt"), str) and prompt:
            parts.append({"type": "text", "text": prompt})
    return {"role": "assistant", "content": parts}


def _moderation_words(results: Any) -> str:
    """Return what a moderation found, a line for each text: "flagged: hate, violence", or "not flagged"."""
    lines: list[str] = []
    for result in results if isinstance(results, list) else ():
        categories = result.get("categories") if isinstance(result, dict) else None
        flagged = [name for name, value in categories.items() if value is True] if isinstance(categories, dict) else []
        is_flagged = bool(flagged) or (isinstance(result, dict) and result.get("flagged") is True)
        names = f": {', '.join(sorted(flagged))}" if flagged else ""
        lines.append(f"flagged{names}" if is_flagged else "not flagged")
    return "\n".join(lines)


def _chat_usage(usage: Body) -> Body:
    """Return a usage with the names that chat has for tokens, beside its own."""
    names = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}
    return {**{chat_name: usage[name] for name, chat_name in names.items() if name in usage}, **usage}
