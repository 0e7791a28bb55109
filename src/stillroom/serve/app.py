"""The web application: chat completions, completions, models, health."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from stillroom.base.errors import ModelError
from stillroom.generate.generator import Generator
from stillroom.serve.chat_request import ChatBody
from stillroom.serve.completion import Completion
from stillroom.serve.mark_header import read_mark
from stillroom.serve.reply_request import read_body
from stillroom.serve.routes.errors import ApiError
from stillroom.serve.scored_text import scored_completion
from stillroom.serve.settings import WatermarkSettings
from stillroom.serve.text_request import TextBody


def make_app(
    generators: Mapping[str, Generator],
    *,
    scores: bool = True,
    watermarks: Mapping[str, WatermarkSettings] | None = None,
) -> Starlette:
    """The application that serves each generator under its name. It closes them when it shuts down.

    `scores`: it says how likely a text is that it is given, which teaches more of a model than its replies do.
    `watermarks`: of the models whose replies are marked, with the key that a gateway tells it with each request.
    """
    started = int(time.time())

    async def chat_completions(request: Request) -> Response:
        return await reply(request, await read_body(request, ChatBody))

    async def completions(request: Request) -> Response:
        body = await read_body(request, TextBody)
        body.refuse_what_is_not_done()
        if not body.is_scored:
            return await reply(request, body)
        if not scores:
            raise ApiError(400, "echo: not done here: only what follows the prompt is written.", param="echo")
        refuse_unknown(body)
        return json_response(await scored_completion(generators[body.model], body))

    def refuse_unknown(body: ChatBody | TextBody) -> None:
        if body.model not in generators:
            names = ", ".join(generators)
            raise ApiError(
                404, f"There is no model {body.model!r} here, only: {names}.", code="model_not_found", param="model"
            )

    async def reply(request: Request, body: ChatBody | TextBody) -> Response:
        refuse_unknown(body)
        mark = read_mark(request.headers, (watermarks or {}).get(body.model))
        completion = Completion(generators[body.model], body, mark)
        if body.stream:
            return StreamingResponse(completion.events(), media_type="text/event-stream")
        return await _whole(completion, request)

    async def models(_: Request) -> Response:
        rows = [{"id": name, "object": "model", "created": started, "owned_by": "stillroom"} for name in generators]
        return json_response({"object": "list", "data": rows})

    async def health(_: Request) -> Response:
        dead = [name for name, generator in generators.items() if not generator.alive]
        if dead:
            return json_response({"status": "failed", "models": dead}, 503)
        return json_response({"status": "ok", "models": list(generators)})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        # Before the loop closes: the generators' threads call into it.
        for generator in generators.values():
            generator.close()

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat_completions, methods=["POST"]),
            Route("/v1/completions", completions, methods=["POST"]),
            Route("/v1/models", models),
            Route("/health", health),
        ],
        exception_handlers={ApiError: _api_error, ModelError: _model_error, HTTPException: _http_error},
        lifespan=lifespan,
    )


async def _whole(completion: Completion, request: Request) -> Response:
    """The whole reply, unless the client hangs up before it is there."""
    reply = asyncio.ensure_future(completion.whole())
    hang_up = asyncio.ensure_future(_hang_up(request))
    try:
        await asyncio.wait((reply, hang_up), return_when=asyncio.FIRST_COMPLETED)
        return json_response(await reply) if reply.done() else Response(status_code=499)
    finally:
        completion.cancel()
        reply.cancel()
        hang_up.cancel()


def json_response(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return Response(error.body("chat"), error.status, media_type="application/json")


async def _model_error(request: Request, error: Exception) -> Response:
    return await _api_error(request, ApiError(500, str(error)))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return await _api_error(request, ApiError(error.status_code, f"{error.detail}."))
