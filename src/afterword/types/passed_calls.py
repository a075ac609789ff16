"""Calls of operations beside texts, with the members that most callers send: all others go to the provider, too."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from afterword.types.base import COMPLETION_ID, SESSION_ID, Output

_MODEL = Meta(description="`PROJECT/MODEL`, or `MODEL`, as for chat.")
_FILE = Meta(extra_json_schema={"type": "string", "format": "binary"})
_PROMPT = Meta(description="What the image shows.")
_RESPONSE_FORMAT = Meta(description="The form of the answer, in the provider's words.")
_STREAM = Meta(description="Answer as a stream of events, if the provider can.")


class ModerationRequest(msgspec.Struct, kw_only=True):
    """Texts, or texts and images, to be judged."""

    model: Annotated[str | None, _MODEL] = None
    input: Annotated[Any, Meta(description="A text, a list of texts, or a list of parts.")]


class Moderation(Output):
    """What was found, as the provider says it."""

    results: Annotated[list[dict[str, Any]], Meta(description="`flagged`, `categories` and scores of each text.")]
    completion_id: Annotated[UUID, COMPLETION_ID]
    session_id: Annotated[UUID, SESSION_ID]


class SpeechRequest(msgspec.Struct, kw_only=True):
    """A text to be spoken. The answer is the audio itself; its ids are in the headers."""

    model: Annotated[str | None, _MODEL] = None
    input: Annotated[str, Meta(description="The text.")]
    voice: Annotated[Any, Meta(description="Whose voice.")] = None
    response_format: Annotated[str | None, _RESPONSE_FORMAT] = None


class TranslationRequest(msgspec.Struct, kw_only=True):
    """Audio to be written down, as a form."""

    model: Annotated[str | None, _MODEL] = None
    file: Annotated[str, _FILE, Meta(description="The audio.")]
    prompt: Annotated[str | None, Meta(description="A text before it, for names and style.")] = None
    response_format: Annotated[str | None, _RESPONSE_FORMAT] = None


class TranscriptionRequest(TranslationRequest, kw_only=True):
    """Audio to be written down, as a form."""

    language: Annotated[str | None, Meta(description="The language of the audio.")] = None
    stream: Annotated[bool | None, _STREAM] = None


class Transcription(Output):
    """What was said."""

    text: Annotated[str, Meta(description="The text.")]
    completion_id: Annotated[UUID, COMPLETION_ID]
    session_id: Annotated[UUID, SESSION_ID]


class ImageRequest(msgspec.Struct, kw_only=True):
    """An image to be made."""

    model: Annotated[str | None, _MODEL] = None
    prompt: Annotated[str, _PROMPT]
    n: Annotated[int | None, Meta(description="How many images: all belong to one interaction.")] = None
    stream: Annotated[bool | None, _STREAM] = None


class ImageVariationRequest(msgspec.Struct, kw_only=True):
    """An image to be varied, as a form."""

    model: Annotated[str | None, _MODEL] = None
    image: Annotated[str, _FILE, Meta(description="The image.")]
    n: Annotated[int | None, Meta(description="How many images: all belong to one interaction.")] = None


class ImageEditRequest(ImageVariationRequest, kw_only=True):
    """Images to be changed, as a form."""

    prompt: Annotated[str, _PROMPT]
    mask: Annotated[str | None, _FILE, Meta(description="Where it may be changed.")] = None
    stream: Annotated[bool | None, _STREAM] = None


class ImageList(Output):
    """The images."""

    data: Annotated[list[dict[str, Any]], Meta(description="Each has `b64_json` or `url`, and `revised_prompt`.")]
    completion_id: Annotated[UUID, COMPLETION_ID]
    session_id: Annotated[UUID, SESSION_ID]
