"""The gateway's own description of itself, OpenAPI 3.1: paths, bodies, errors, and who may ask.

The bodies say what the gateway itself looks at. Whatever else a model's server understands is passed on to it.
"""

from __future__ import annotations

from typing import Any

from stillroom.base.permit import PERMIT_HEADER
from stillroom.base.receipt import RECEIPT_HEADER
from stillroom.base.records import Route
from stillroom.serve.routes.asked import LONGEST_NAME, MOST_CHOICES, MOST_TOKENS

Schema = dict[str, Any]

_STRING: Schema = {"type": "string"}
_TEXT: Schema = {"type": ["string", "null"]}
_FLAG: Schema = {"type": ["boolean", "null"]}
_OBJECT: Schema = {"type": ["object", "null"]}
_CONTENT: Schema = {"type": ["string", "array", "null"], "description": "A text, or a list of parts."}
_MODEL: Schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}
_TOKEN: Schema = {"type": "integer", "minimum": 0, "maximum": MOST_TOKENS}
_PROMPTS: list[Schema] = [
    {"type": "string"},
    {"type": "array", "minItems": 1, "items": {"type": "string"}},
    {"type": "array", "minItems": 1, "items": _TOKEN},
    {"type": "array", "minItems": 1, "items": {"type": "array", "items": _TOKEN}},
]
_MESSAGES: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["role"],
        "properties": {"role": {"type": "string"}, "content": _CONTENT},
    },
}
_ITEM: Schema = {
    "type": "object",
    "properties": {"content": _CONTENT, "type": {"not": {"const": "item_reference"}}},
    "description": "Whole: nothing is kept here from one call to the next.",
}


def _count(least: int = 1, most: int = MOST_TOKENS) -> Schema:
    return {"type": ["integer", "null"], "minimum": least, "maximum": most}


def _body(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": ["model", *required], "properties": {"model": _MODEL, **properties}}


_TEMPERATURE: Schema = {"type": ["number", "null"]}
_SAMPLING = {"stream": _FLAG, "temperature": _TEMPERATURE}

BODIES: dict[Route, Schema] = {
    "chat": _body(
        ["messages"],
        messages=_MESSAGES,
        **_SAMPLING,
        stream_options=_OBJECT,
        max_tokens=_count(),
        max_completion_tokens=_count(),
        n=_count(most=MOST_CHOICES),
        user=_TEXT,
    ),
    "completions": _body(
        [],
        prompt={"anyOf": [*_PROMPTS, {"type": "null"}]},
        **_SAMPLING,
        stream_options=_OBJECT,
        max_tokens=_count(least=0),
        n=_count(most=MOST_CHOICES),
        best_of=_count(least=0, most=MOST_CHOICES),
        user=_TEXT,
    ),
    "responses": _body(
        [],
        input={
            "anyOf": [
                {"type": ["string", "null"]},
                {"type": "array", "items": _ITEM},
            ]
        },
        instructions=_TEXT,
        **_SAMPLING,
        max_output_tokens=_count(),
        user=_TEXT,
        safety_identifier=_TEXT,
        previous_response_id={"type": "null", "description": "Nothing is kept here from one call to the next."},
        conversation={"type": "null", "description": "Nothing is kept here from one call to the next."},
        background={"enum": [False, None], "description": "A reply that is fetched later can't be metered."},
    ),
    "embeddings": _body(["input"], input={"anyOf": _PROMPTS}, user=_TEXT),
    "messages": _body(
        ["messages"],
        messages=_MESSAGES,
        system=_CONTENT,
        **_SAMPLING,
        max_tokens=_count(),
        metadata={"type": ["object", "null"], "properties": {"user_id": _TEXT}},
    ),
}
"""What `stillroom.serve.routes.request` reads: a body that holds is read, and every other one is refused."""

_PATHS: dict[Route, tuple[str, str]] = {
    "chat": ("/v1/chat/completions", "OpenAI's chat completions"),
    "completions": ("/v1/completions", "OpenAI's completions"),
    "responses": ("/v1/responses", "OpenAI's responses"),
    "embeddings": ("/v1/embeddings", "OpenAI's embeddings"),
    "messages": ("/v1/messages", "Anthropic's messages"),
}
_ERRORS: dict[str, Schema] = {
    "OpenAIError": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "param", "code"],
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                    "param": _TEXT,
                    "code": _TEXT,
                },
            }
        },
    },
    "AnthropicError": {
        "type": "object",
        "required": ["type", "error"],
        "properties": {
            "type": {"const": "error"},
            "error": {
                "type": "object",
                "required": ["type", "message"],
                "properties": {
                    "type": {"type": "string"},
                    "message": {"type": "string"},
                    "param": _TEXT,
                    "code": _TEXT,
                },
            },
        },
    },
}
_OPENAI, _ANTHROPIC = ({"$ref": f"#/components/schemas/{name}"} for name in _ERRORS)
_EITHER: Schema = {"anyOf": [_OPENAI, _ANTHROPIC]}
_REFUSALS = {
    "400": "The request can't be read, or says two things at once",
    "401": "No key, or none that is known",
    "403": "The key, the terms or the permit do not allow it",
    "404": "No such model for this key, or not on this route",
    "405": "Another method is answered here",
    "408": "The request came too slowly",
    "413": "The request is too large",
    "429": "A limit is reached: retry-after says when to come back",
    "431": "The headers are too long",
    "4XX": "The model's server refused the request, in its own words",
    "502": "No server of the model can be reached",
    "503": "Calls can't be let in, counted or written down just now",
    "504": "The model's server took too long",
}
_GET_REFUSALS = ("400", "401", "403", "404", "405", "503")
_KEYS: list[Schema] = [{"bearer": []}, {"x-api-key": []}]


def openapi(owner: str) -> dict[str, Any]:
    """The whole description, as JSON. `owner`: whose gateway it is."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{owner}: models behind a stillroom gateway",
            "version": "1",
            "description": "Fields that are not listed are passed on to the model's server as they are.",
        },
        "paths": {path: {"post": _call(route, summary)} for route, (path, summary) in _PATHS.items()} | _pages(),
        "components": {
            "schemas": _ERRORS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _call(route: Route, summary: str) -> dict[str, Any]:
    error = _ANTHROPIC if route == "messages" else _OPENAI
    answered: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
    if route != "embeddings":
        answered["text/event-stream"] = {"schema": {}}
    refusals = {status: _json(words, {} if status == "4XX" else error) for status, words in _REFUSALS.items()}
    refusals["429"]["headers"] = {"retry-after": _header("Seconds", {"type": "integer", "minimum": 0})}
    return {
        "summary": summary,
        "operationId": route,
        "security": _KEYS,
        "parameters": [_permit()],
        "requestBody": {"required": True, "content": {"application/json": {"schema": BODIES[route]}}},
        "responses": {
            "200": {
                "description": "What the model answers: in a stream, the receipt is a comment before the last event",
                "headers": {
                    RECEIPT_HEADER: _header("The receipt: a JWS and its salt, where it is short enough for a header"),
                    "x-stillroom-receipt-id": _header("What GET /receipts/{receipt_id} gives the receipt again for"),
                    "x-stillroom-call": _header("The call, as the owner's log names it"),
                },
                "content": answered,
            },
            **refusals,
        },
    }


def _pages() -> dict[str, Any]:
    texts: Schema = {"type": "array", "items": {"type": "string"}}
    listed = _object(data={"type": "array", "items": {"type": "object", "required": ["id"]}})
    ready = _object(ready={"type": "boolean"}, reasons=texts)
    keys = _object(keys={"type": "array", "items": {"type": "object"}}, revoked_permits={})
    return {
        "/v1/models": {"get": _get("models", "The models that this key may ask", listed, key=True)},
        "/v1/models/{model}": {"get": _get("model", "One of them", _object(id=_MODEL), key=True, named="model")},
        "/receipts/{receipt_id}": {
            "get": _get(
                "receipt",
                "A receipt again, for the account that made the call",
                _object(id=_STRING, receipt=_STRING),
                key=True,
                named="receipt_id",
            )
        },
        "/.well-known/jwks.json": {"get": _get("jwks", "The keys that receipts and permits are signed with", keys)},
        "/openapi.json": {"get": _get("openapi", "This description", {"type": "object"})},
        "/health": {"get": _get("health", "Whether the gateway answers", _object(status={"const": "ok"}))},
        "/ready": {
            "get": {
                **_get("ready", "Whether calls should be sent here", ready),
                "responses": {"200": _json("Yes", ready), "503": _json("No", ready), "405": _json("GET only", _EITHER)},
            }
        },
    }


def _get(name: str, summary: str, schema: Schema, *, key: bool = False, named: str | None = None) -> dict[str, Any]:
    statuses = _GET_REFUSALS if key else ("405",)
    path = {"name": named, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    return {
        "summary": summary,
        "operationId": name,
        "security": _KEYS if key else [],
        "parameters": [path] if named is not None else [],
        "responses": {"200": _json(summary, schema)} | {each: _json(_REFUSALS[each], _EITHER) for each in statuses},
    }


def _permit() -> dict[str, Any]:
    words = "The permit that the call is made under: a JWS of the model's owner"
    return {
        "name": PERMIT_HEADER,
        "in": "header",
        "required": False,
        "description": words,
        "schema": {"type": "string"},
    }


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _json(description: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _header(description: str, schema: Schema | None = None) -> dict[str, Any]:
    return {"description": description, "schema": schema or _STRING}
