"""A model's server for tests: it speaks all five APIs, and does what the last user text tells it to.

The text is a plan in JSON, such as `{"say": ["one ", "two"], "cut_after": 1}`; any other text is said back.
Run as `python tests/serve/gateway/model_server.py`: it prints its port, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

counts = {"begun": 0, "open": 0, "finished": 0}
"""Of all requests. `open`: being answered now."""
last_request: dict[str, Any] = {}


class Cut(Exception):  # noqa: N818 - no error: planned
    """Raised inside a response: the server then closes the connection without ending it."""


def _plan(body: dict[str, Any]) -> dict[str, Any]:
    asked = body.get("messages") or body.get("input") or body.get("prompt") or ""
    text = asked
    if isinstance(asked, list) and asked and isinstance(asked[-1], dict):
        text = asked[-1].get("content")
    if isinstance(text, list):
        text = "".join(str(part.get("text", "")) if isinstance(part, dict) else str(part) for part in text)
    try:
        plan = json.loads(text)
    except (ValueError, TypeError):
        plan = None
    return plan if isinstance(plan, dict) else {"say": [str(text)]}


def _usage(plan: dict[str, Any]) -> tuple[int, int]:
    return plan.get("prompt_tokens", 11), plan.get("completion_tokens", 2 * len(plan.get("say", [])))


async def _answer(request: Request) -> Response:
    body = json.loads(await request.body())
    name = request.url.path.removeprefix("/v1/")
    last_request.clear()
    last_request.update(path=request.url.path, body=body, headers=dict(request.headers))
    plan = _plan(body)
    counts["begun"] += 1
    counts["open"] += 1
    try:
        await _wait(request, plan.get("wait_s", 0))
        if plan.get("status", 200) != 200:
            error = {"error": {"message": plan.get("message", "as planned"), "type": "planned", "code": "planned"}}
            return JSONResponse(error, plan["status"], headers=plan.get("headers"))
        if body.get("stream"):
            counts["open"] += 1
            return StreamingResponse(_events(name, body, plan), media_type="text/event-stream")
        if plan.get("cut"):
            raise Cut
        counts["finished"] += 1
        return JSONResponse(_whole(name, body, plan), headers=plan.get("headers"))
    finally:
        counts["open"] -= 1


async def _wait(request: Request, seconds: float) -> None:
    """As a model works: not for somebody who is gone."""
    ends = asyncio.get_running_loop().time() + seconds
    while (left := ends - asyncio.get_running_loop().time()) > 0:
        await asyncio.sleep(min(left, 0.05))
        if await request.is_disconnected():
            raise Cut


async def _events(name: str, body: dict[str, Any], plan: dict[str, Any]) -> AsyncIterator[bytes]:
    try:
        for number, event in enumerate(_stream(name, body, plan)):
            if number == plan.get("cut_after", -1):
                raise Cut
            await asyncio.sleep(plan.get("pause_s", 0))
            yield event
        counts["finished"] += 1
    finally:
        counts["open"] -= 1


def _stream(name: str, body: dict[str, Any], plan: dict[str, Any]) -> list[bytes]:
    prompt, completion = _usage(plan)
    said = plan.get("say", [])
    if name == "messages":
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": []}
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": {**head, "usage": {"input_tokens": prompt, "output_tokens": 1}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}} for t in said),
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": completion},
            },
            {"type": "message_stop"},
        ]
        return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    if name == "responses":
        whole = _whole(name, body, plan)
        events = [
            {"type": "response.created", "response": {**whole, "status": "in_progress", "output": [], "usage": None}},
            {"type": "response.output_item.added", "output_index": 0, "item": {**whole["output"][0], "content": []}},
            {
                "type": "response.content_part.added",
                "item_id": "m1",
                "output_index": 0,
                "content_index": 0,
                "part": {"type": "output_text", "text": "", "annotations": []},
            },
            *(
                {
                    "type": "response.output_text.delta",
                    "item_id": "m1",
                    "output_index": 0,
                    "content_index": 0,
                    "delta": text,
                    "logprobs": [],
                }
                for text in said
            ),
            {"type": "response.output_item.done", "output_index": 0, "item": whole["output"][0]},
            {"type": "response.completed", "response": whole},
        ]
        numbered = [{**event, "sequence_number": number} for number, event in enumerate(events)]
        return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in numbered]
    is_chat = name == "chat/completions"
    kind = "chat.completion.chunk" if is_chat else "text_completion"
    head = {"id": "c1", "object": kind, "created": 1, "model": body["model"]}
    choices: list[dict[str, Any]] = []
    for index in range(int(body.get("n") or 1)):
        for text in said:
            told = {"delta": {"role": "assistant", "content": text}} if is_chat else {"text": text}
            choices.append({"index": index, **told, "finish_reason": None})
        for delta in plan.get("deltas", []):
            choices.append({"index": index, "delta": delta, "finish_reason": None})
        choices.append({"index": index, **({"delta": {}} if is_chat else {"text": ""}), "finish_reason": "stop"})
    chunks = [{**head, "choices": [choice]} for choice in choices]
    asks_usage = (body.get("stream_options") or {}).get("include_usage") and plan.get("usage", True)
    if asks_usage:
        chunks.append({**head, "choices": [], "usage": _openai_usage(prompt, completion)})
    return [*(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks), b"data: [DONE]\n\n"]


def _openai_usage(prompt: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 4},
    }


def _whole(name: str, body: dict[str, Any], plan: dict[str, Any]) -> dict[str, Any]:
    prompt, completion = _usage(plan)
    text = "".join(plan.get("say", []))
    usage = _openai_usage(prompt, completion) if plan.get("usage", True) else None
    if name == "messages":
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": prompt, "output_tokens": completion, "cache_read_input_tokens": 4},
        }
    if name == "responses":
        part = {"type": "output_text", "text": text, "annotations": []}
        message = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [part]}
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": body["model"],
            "status": "completed",
            "output": [message],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": {
                "input_tokens": prompt,
                "input_tokens_details": {"cached_tokens": 4},
                "output_tokens": completion,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": prompt + completion,
            },
        }
    if name == "embeddings":
        row = {"object": "embedding", "index": 0, "embedding": [0.25, -1.0]}
        counted = {"prompt_tokens": prompt, "total_tokens": prompt}
        return {"object": "list", "data": [row], "model": body["model"], "usage": counted}
    message = {"role": "assistant", "content": text, **plan.get("message_fields", {})}
    choice = {"message": message} if name == "chat/completions" else {"text": text}
    kind = "chat.completion" if name == "chat/completions" else "text_completion"
    choices = [
        {"index": index, **choice, "finish_reason": "stop", "logprobs": None}
        for index in range(int(body.get("n") or 1))
    ]
    return {"id": "c1", "object": kind, "created": 1, "model": body["model"], "choices": choices, "usage": usage}


async def _models(_: Request) -> Response:
    return JSONResponse({"object": "list", "data": []})


async def _counts(_: Request) -> Response:
    return JSONResponse(counts)


async def _last(_: Request) -> Response:
    return JSONResponse(last_request)


NAMES = ("chat/completions", "completions", "responses", "embeddings", "messages")
app = Starlette(
    routes=[
        *(Route(f"/v1/{name}", _answer, methods=["POST"]) for name in NAMES),
        Route("/v1/models", _models),
        Route("/counts", _counts),
        Route("/last", _last),
    ]
)


def _end_with_standard_input() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    # A cut is an exception on purpose: nobody wants to read of it.
    uvicorn.Server(uvicorn.Config(app, log_level="critical", loop="uvloop")).run(sockets=[listener])


if __name__ == "__main__":
    main()
