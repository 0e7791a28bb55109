"""What Anthropic's /v1/messages answers, in the shape of a chat completion."""

from __future__ import annotations

from typing import Any

from stillroom.client.newer_usage import chat_usage
from stillroom.client.stream import read_json
from stillroom.client.tool_calls import arguments_text

_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
_SAID = {"text", "thinking", "redacted_thinking"}


class MessagesMerge:
    """The events of one streamed message."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._texts: dict[int, dict[str, list[str]]] = {}
        self._error: object = None

    def add(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        if kind == "content_block_delta":
            self._add_delta(_index(event), event.get("delta"))
        elif kind == "message_start":
            message = event.get("message")
            if isinstance(message, dict):
                self._message |= message
                # Of what will be written, the first event only knows that it begins.
                self._add_usage(message.get("usage"), without="output_tokens")
        elif kind == "content_block_start" and isinstance(event.get("content_block"), dict):
            self._blocks[_index(event)] = event["content_block"]
        elif kind == "message_delta":
            delta = event.get("delta")
            if isinstance(delta, dict):
                self._message |= {name: value for name, value in delta.items() if value is not None}
            self._add_usage(event.get("usage"))
        elif event.get("error"):
            self._error = event["error"]

    def _add_delta(self, index: int, delta: object) -> None:
        if not isinstance(delta, dict):
            return
        name = _DELTAS.get(str(delta.get("type")))
        text = delta.get(name) if name is not None else None
        if name is not None and isinstance(text, str):
            self._texts.setdefault(index, {}).setdefault(name, []).append(text)

    def _add_usage(self, usage: object, without: str = "") -> None:
        if isinstance(usage, dict):
            self._usage |= {name: value for name, value in usage.items() if value is not None and name != without}

    def completion(self) -> dict[str, Any]:
        if not self._message and not self._blocks and not self._texts:
            return {"error": self._error} if self._error else {}
        content = [self._block(index) for index in sorted(self._blocks.keys() | self._texts.keys())]
        chat = as_chat(self._message | {"content": content, "usage": self._usage})
        return chat | ({"error": self._error} if self._error else {})

    def _block(self, index: int) -> dict[str, Any]:
        """A block as it would have come without streaming."""
        block = dict(self._blocks.get(index, {}))
        for name, fragments in self._texts.get(index, {}).items():
            text = "".join(fragments)
            if name != "partial_json":
                begun = block.get(name)
                block[name] = (begun if isinstance(begun, str) else "") + text
                block.setdefault("type", name)
            elif text:
                value = read_json(text.encode("utf-8", errors="replace"))
                block["input"] = text if value is None else value
        return block


def as_chat(body: dict[str, Any]) -> dict[str, Any]:
    """A message as a chat completion would say it; what is none, such as an error, as it is."""
    content = body.get("content")
    if body.get("type") == "error" or not isinstance(content, list):
        return body
    blocks = [block for block in content if isinstance(block, dict)]
    calls = [
        {
            "id": block.get("id"),
            "function": {"name": block.get("name"), "arguments": arguments_text(block.get("input"))},
        }
        for block in blocks
        if block.get("type") == "tool_use"
    ]
    said = [block for block in blocks if isinstance(block.get("type"), str) and block["type"] in _SAID]
    message = {"content": said, **({"tool_calls": calls} if calls else {})}
    return {
        "model": body.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": body.get("stop_reason")}],
        "usage": chat_usage(body.get("usage")),
    }


def _index(event: dict[str, Any]) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else 0
