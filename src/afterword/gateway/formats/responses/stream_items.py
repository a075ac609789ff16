"""The items of a response while they are streamed: each writes its own events, from its beginning to its end."""

from __future__ import annotations

from typing import Any, Protocol

from afterword.gateway.accumulator import MessageAccumulator
from afterword.gateway.formats.responses.output_items import call_item, custom_input, reasoning_item
from afterword.gateway.formats.responses.sealing import sealed
from afterword.gateway.provider import Body


class ItemWriter(Protocol):
    """Writes the events of one stream."""

    def write(self, kind: str, **members: Any) -> None:
        """Write an event of this type."""
        ...

    def open_item(self, item: Body) -> int:
        """Write the event that opens an item; return the item's index."""
        ...

    def close_item(self, position: int, item: Body) -> None:
        """Write the event that closes an item."""
        ...


class _StreamedItem:
    """An item under way. `_place` are the members by which its events name it."""

    def __init__(self, writer: ItemWriter, item: Body) -> None:
        self._writer = writer
        self._item = item
        self.position = writer.open_item(item)
        self._place: Body = {"item_id": item["id"], "output_index": self.position}

    def _write(self, kind: str, **members: Any) -> None:
        self._writer.write(f"response.{kind}", **self._place, **members)


class StreamedMessage(_StreamedItem):
    """A message: texts and refusals, one part after another."""

    def __init__(self, writer: ItemWriter, id_: str) -> None:
        self._parts: list[Body] = []
        self._pieces: list[str] = []
        head: Body = {"id": id_, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        super().__init__(writer, head)

    def add_text(self, text: str, logprobs: list[Body]) -> None:
        """Add a piece of text."""
        part = self._part("output_text", {"text": "", "annotations": [], "logprobs": []})
        self._pieces.append(text)
        part["logprobs"] += logprobs
        self._write("output_text.delta", content_index=len(self._parts) - 1, delta=text, logprobs=logprobs)

    def add_refusal(self, text: str) -> None:
        """Add a piece of a refusal."""
        self._part("refusal", {"refusal": ""})
        self._pieces.append(text)
        self._write("refusal.delta", content_index=len(self._parts) - 1, delta=text)

    def annotate(self, annotations: list[Body]) -> None:
        """Add citations of the text so far."""
        part = self._part("output_text", {"text": "", "annotations": [], "logprobs": []})
        for annotation in annotations:
            self._write(
                "output_text.annotation.added",
                content_index=len(self._parts) - 1,
                annotation_index=len(part["annotations"]),
                annotation=annotation,
            )
            part["annotations"].append(annotation)

    def close(self, status: str) -> None:
        """End the message."""
        self._close_part()
        self._writer.close_item(self.position, {**self._item, "status": status, "content": self._parts})

    def _part(self, kind: str, members: Body) -> Body:
        """Return the open part, a new one if it is of another type."""
        if self._parts and self._parts[-1]["type"] == kind:
            return self._parts[-1]
        self._close_part()
        part = {"type": kind, **members}
        self._write("content_part.added", content_index=len(self._parts), part=_copied(part))
        self._parts.append(part)
        return part

    def _close_part(self) -> None:
        if not self._parts:
            return
        part, index, text = self._parts[-1], len(self._parts) - 1, "".join(self._pieces)
        self._pieces = []
        if part["type"] == "refusal":
            part["refusal"] = text
            self._write("refusal.done", content_index=index, refusal=text)
        else:
            part["text"] = text
            self._write("output_text.done", content_index=index, text=text, logprobs=part["logprobs"])
        self._write("content_part.done", content_index=index, part=part)


class StreamedReasoning(_StreamedItem):
    """Reasoning: in the summary if one was asked for, otherwise as the model's own text."""

    def __init__(self, writer: ItemWriter, id_: str, summarizes: bool) -> None:
        self._summarizes = summarizes
        self._pieces: list[str] = []
        self._thinking = MessageAccumulator()
        self._provider_blocks: list[Body] = []
        super().__init__(writer, {**reasoning_item(id_, [], summarizes, None), "status": "in_progress"})
        index_name = "summary_index" if summarizes else "content_index"
        self._part_place = {index_name: 0}

    def add_text(self, text: str) -> None:
        """Add a piece of reasoning."""
        if not self._pieces:
            self._write(f"{self._part_event}.added", **self._part_place, part=self._part(""))
        self._pieces.append(text)
        self._write(f"{self._text_event}.delta", **self._part_place, delta=text)

    def add_thinking(self, blocks: Any) -> None:
        """Add pieces of the provider's own form of the reasoning, which the item keeps sealed."""
        self._thinking.take({"delta": {"thinking_blocks": blocks}})

    def add_provider_blocks(self, blocks: list[Body]) -> None:
        """Add blocks of the provider's own tools, which the item keeps sealed."""
        self._provider_blocks += blocks

    def close(self, status: str) -> None:
        """End the reasoning."""
        text = "".join(self._pieces)
        if text:
            self._write(f"{self._text_event}.done", **self._part_place, text=text)
            self._write(f"{self._part_event}.done", **self._part_place, part=self._part(text))
        texts = [text] if text else []
        blocks = {**(self._thinking.message() or {}), "provider_blocks": self._provider_blocks}
        item = reasoning_item(self._item["id"], texts, self._summarizes, sealed(blocks))
        self._writer.close_item(self.position, {**item, "status": status})

    @property
    def _text_event(self) -> str:
        return "reasoning_summary_text" if self._summarizes else "reasoning_text"

    @property
    def _part_event(self) -> str:
        return "reasoning_summary_part" if self._summarizes else "content_part"

    def _part(self, text: str) -> Body:
        return {"type": "summary_text" if self._summarizes else "reasoning_text", "text": text}


class StreamedCall(_StreamedItem):
    """The call of a tool. The text of a custom tool arrives within JSON, and is passed on once that is complete."""

    def __init__(self, writer: ItemWriter, id_: str, call_id: str, name: str, is_custom: bool) -> None:
        self._is_custom = is_custom
        self._name = name
        self._pieces: list[str] = []
        super().__init__(writer, call_item(id_, call_id, {"name": name}, is_custom, "in_progress"))

    def add(self, function: Body) -> None:
        """Add a further piece of the name or of the arguments."""
        if isinstance(name := function.get("name"), str):
            self._name += name
        arguments = function.get("arguments")
        if isinstance(arguments, str) and arguments:
            self._pieces.append(arguments)
            if not self._is_custom:
                self._write("function_call_arguments.delta", delta=arguments)

    def close(self, status: str) -> None:
        """End the call."""
        arguments = "".join(self._pieces)
        if self._is_custom:
            text = custom_input(arguments)
            self._write("custom_tool_call_input.delta", delta=text)
            self._write("custom_tool_call_input.done", input=text)
        else:
            self._write("function_call_arguments.done", name=self._name, arguments=arguments)
        function = {"name": self._name, "arguments": arguments}
        item = call_item(self._item["id"], self._item["call_id"], function, self._is_custom, status)
        self._writer.close_item(self.position, item)


def _copied(part: Body) -> Body:
    """Return a part as it is now: it grows before its event is sent."""
    return {name: list(value) if isinstance(value, list) else value for name, value in part.items()}
