"""Requests and replies as each route has them, whole and streamed, that say the same."""

from __future__ import annotations

import json
from typing import Any

from stillroom.base.records import Route

ROUTES: tuple[Route, ...] = ("chat", "completions", "responses", "messages")


def request(route: Route, text: str, system: str | None = None, **more: Any) -> bytes:
    user = {"role": "user", "content": text}
    body: dict[str, Any] = {"model": "m", "temperature": 0.7, **more}
    if route == "completions":
        body["prompt"] = text
    elif route == "responses":
        body |= {"input": text, **({"instructions": system} if system else {})}
    elif route == "messages":
        body |= {"messages": [user], "max_tokens": 64, **({"system": system} if system else {})}
    else:
        body["messages"] = [{"role": "system", "content": system}, user] if system else [user]
    return json.dumps(body).encode()


def whole(route: Route, text: str, reasoning: str | None = None, finish: str = "stop") -> bytes:
    body: dict[str, Any]
    if route == "completions":
        body = {"choices": [{"index": 0, "text": text, "finish_reason": finish}]}
    elif route == "responses":
        output: list[dict[str, Any]] = [{"type": "message", "content": [{"type": "output_text", "text": text}]}]
        if reasoning:
            output.insert(0, {"type": "reasoning", "content": [{"type": "reasoning_text", "text": reasoning}]})
        body = {"status": "completed", "output": output}
    elif route == "messages":
        content = [{"type": "text", "text": text}]
        if reasoning:
            content.insert(0, {"type": "thinking", "thinking": reasoning})
        body = {"type": "message", "content": content, "stop_reason": "end_turn"}
    else:
        message = {"role": "assistant", "content": text, **({"reasoning_content": reasoning} if reasoning else {})}
        body = {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    return json.dumps(body).encode()


def streamed(route: Route, text: str, *, ends: bool = True) -> bytes:
    """In pieces of three characters; `ends` False: cut off, as where a client hangs up."""
    pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
    events: list[dict[str, Any]]
    if route == "completions":
        events = [{"choices": [{"index": 0, "text": piece, "finish_reason": None}]} for piece in pieces]
        events += [{"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}] * ends
    elif route == "responses":
        kind = "response.output_text.delta"
        events = [{"type": "response.created", "response": {"status": "in_progress", "output": []}}]
        events += [{"type": kind, "output_index": 0, "content_index": 0, "delta": piece} for piece in pieces]
        done = json.loads(whole(route, text))
        events += [{"type": "response.completed", "response": done}] * ends
    elif route == "messages":
        events = [{"type": "message_start", "message": {"type": "message", "content": []}}]
        events.append({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        events += [
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
            for piece in pieces
        ]
        events += [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}] * ends
    else:
        events = [{"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]} for piece in pieces]
        events += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}] * ends
    data = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return (data + ("data: [DONE]\n\n" if ends else "")).encode()
