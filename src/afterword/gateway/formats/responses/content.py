"""The parts of a message: those of the Responses API and those of chat, each translated to the other."""

from __future__ import annotations

from typing import Any

from afterword.gateway.provider import Body

TEXT_TYPES = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
# Members of a text part that chat's parts do not have.
_OUTPUT_TEXT_MEMBERS = frozenset({"type", "text", "annotations", "logprobs"})


def chat_content(content: Any) -> Any:
    """Return a message's content for chat: a text alone as a string, anything else as parts."""
    if not isinstance(content, list):
        return content
    parts = [_chat_part(part) if isinstance(part, dict) else part for part in content]
    if len(parts) == 1 and isinstance(parts[0], dict) and parts[0].keys() == {"type", "text"}:
        return parts[0]["text"]
    return parts


def _chat_part(part: Body) -> Body:
    kind = part.get("type")
    if kind in TEXT_TYPES:
        members = {name: value for name, value in part.items() if name not in _OUTPUT_TEXT_MEMBERS}
        return {"type": "text", "text": part.get("text") or "", **members}
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        detail = {"detail": part["detail"]} if part.get("detail") else {}
        return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
    if kind in ("input_image", "input_file"):
        members = {name: value for name, value in part.items() if name not in ("type", "detail") and value is not None}
        return {"type": "file", "file": members}
    return part


def response_content(content: Any, role: str) -> list[Any]:
    """Return the content of a chat message as parts of the Responses API."""
    text_type = "output_text" if role == "assistant" else "input_text"
    if content is None or content == "":
        return []
    if not isinstance(content, list):
        return [_text_part(text_type, str(content))]
    return [_response_part(part, text_type) for part in content]


def _response_part(part: Any, text_type: str) -> Any:
    if not isinstance(part, dict):
        return _text_part(text_type, str(part))
    kind = part.get("type")
    if kind == "text":
        return _text_part(text_type, part.get("text") or "")
    if kind == "image_url":
        image = part.get("image_url")
        address, detail = (image.get("url"), image.get("detail")) if isinstance(image, dict) else (image, None)
        return {"type": "input_image", "image_url": address, "detail": detail or "auto"}
    if kind == "file" and isinstance(part.get("file"), dict):
        return {"type": "input_file", **part["file"]}
    return part


def _text_part(text_type: str, text: str) -> Body:
    return {"type": text_type, "text": text, **({"annotations": []} if text_type == "output_text" else {})}


def plain_text(content: Any) -> str:
    """Return the texts of a content as one."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") in TEXT_TYPES]
    return "".join(text for text in texts if isinstance(text, str))


def chat_annotation(annotation: Body, offset: int = 0) -> Body:
    """Return a citation in chat's form, which has its members under the name of its type.

    `offset` is the number of characters of the message before the text that is annotated.
    """
    kind = annotation.get("type")
    if not isinstance(kind, str) or isinstance(annotation.get(kind), dict):
        return annotation
    members = {name: value for name, value in annotation.items() if name != "type"}
    for name in ("start_index", "end_index"):
        if offset and isinstance(members.get(name), int):
            members[name] += offset
    return {"type": kind, kind: members}


def response_annotation(annotation: Body) -> Body | None:
    """Return a citation of chat in the form of the Responses API; None for one that it has no form for."""
    kind = annotation.get("type")
    members = annotation.get(kind) if isinstance(kind, str) else None
    flat = {"type": kind, **members} if isinstance(members, dict) else annotation
    if kind == "url_citation":
        return {"title": "", "start_index": 0, "end_index": 0, **flat} if flat.get("url") else None
    if kind == "file_citation":
        return {"index": 0, "filename": "", **flat} if flat.get("file_id") else None
    return flat
