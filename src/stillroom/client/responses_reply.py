"""What OpenAI's /v1/responses answers, in the shape of a chat completion."""

from __future__ import annotations

from typing import Any

from stillroom.client.newer_usage import chat_usage
from stillroom.client.tool_calls import arguments_text

_DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "summary",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "arguments",
}
_WHOLE = {"response.created", "response.completed", "response.incomplete", "response.failed"}


class ResponsesMerge:
    """The events of one streamed response."""

    def __init__(self) -> None:
        self._response: dict[str, Any] = {}
        self._items: dict[int, dict[str, Any]] = {}
        self._texts: dict[int, dict[tuple[str, int], list[str]]] = {}
        self._error: object = None

    def add(self, event: dict[str, Any]) -> None:
        kind = str(event.get("type"))
        if kind in _DELTAS:
            delta = event.get("delta")
            if isinstance(delta, str):
                part = _number(event.get("content_index", event.get("summary_index")))
                texts = self._texts.setdefault(_number(event.get("output_index")), {})
                texts.setdefault((_DELTAS[kind], part), []).append(delta)
        elif kind in ("response.output_item.added", "response.output_item.done"):
            if isinstance(event.get("item"), dict):
                place = _number(event.get("output_index"))
                self._items[place] = event["item"]
                if kind == "response.output_item.done":
                    self._texts.pop(place, None)  # all of it is in the item
        elif kind in _WHOLE:
            if isinstance(event.get("response"), dict):
                self._response = event["response"]
        elif kind == "error" or "error" in event:
            self._error = event.get("error") or event

    def completion(self) -> dict[str, Any]:
        error = {"error": self._error} if self._error else {}
        if not self._response and not self._items and not self._texts:
            return error
        response = self._response
        if not response.get("output"):
            places = sorted(self._items.keys() | self._texts.keys())
            response = response | {"output": [self._item(place) for place in places]}
        return as_chat(response) | error

    def _item(self, place: int) -> dict[str, Any]:
        """An item as far as it has come."""
        item = dict(self._items.get(place, {}))
        texts = {key: "".join(fragments) for key, fragments in sorted(self._texts.get(place, {}).items())}
        parts = {kind: [text for (each, _), text in texts.items() if each == kind] for kind, _ in texts}
        if "text" in parts or "refusal" in parts:
            item["type"] = "message"
            item["content"] = [{"type": "output_text", "text": text} for text in parts.get("text", [])]
            item["content"] += [{"type": "refusal", "refusal": text} for text in parts.get("refusal", [])]
        elif "reasoning" in parts or "summary" in parts:
            item["type"] = "reasoning"
            item["content"] = [{"type": "reasoning_text", "text": text} for text in parts.get("reasoning", [])]
            item["summary"] = [{"type": "summary_text", "text": text} for text in parts.get("summary", [])]
        elif "arguments" in parts:
            item["arguments"] = item["input"] = "".join(parts["arguments"])
            item.setdefault("type", "function_call")
        return item


def as_chat(body: dict[str, Any]) -> dict[str, Any]:
    """A response as a chat completion would say it; what is none, such as an error, as it is."""
    output = body.get("output")
    if not isinstance(output, list):
        return body
    message: dict[str, Any] = {"content": [], "reasoning_details": [], "tool_calls": []}
    for item in output:
        if isinstance(item, dict):
            _add_item(message, item)
    message = {name: value for name, value in message.items() if value or name == "content"}
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(body)}
    chat = {"model": body.get("model"), "choices": [choice], "usage": chat_usage(body.get("usage"))}
    return chat | ({"error": body["error"]} if body.get("error") else {})


def _add_item(message: dict[str, Any], item: dict[str, Any]) -> None:
    kind = item.get("type")
    if kind == "message":
        for part in _objects(item.get("content")):
            is_refusal = part.get("type") == "refusal"
            said = {"type": "refusal", "refusal": part.get("refusal")} if is_refusal else part
            message["content"].append(said if is_refusal else {"type": "text", "text": part.get("text")})
    elif kind == "reasoning":
        details = message["reasoning_details"]
        details += [{"type": "reasoning.text", "text": part.get("text")} for part in _objects(item.get("content"))]
        details += [
            {"type": "reasoning.summary", "summary": part.get("text")} for part in _objects(item.get("summary"))
        ]
        if item.get("encrypted_content"):
            details.append({"type": "reasoning.encrypted", "data": item["encrypted_content"]})
    elif kind in ("function_call", "custom_tool_call"):
        arguments = arguments_text(item.get("arguments", item.get("input")))
        function = {"name": item.get("name"), "arguments": arguments}
        message["tool_calls"].append({"id": item.get("call_id"), "function": function})


def _finish_reason(body: dict[str, Any]) -> str | None:
    status = body.get("status")
    if status == "incomplete":
        details = body.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        return reason if isinstance(reason, str) else "length"
    if status == "failed":
        return "error"
    if status in ("in_progress", "queued"):
        return None
    return "stop" if status == "completed" else str(status) if status else None


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
