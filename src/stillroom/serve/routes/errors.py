"""An error of ours in the shape of the API that was asked, so that its own clients understand it."""

from __future__ import annotations

from typing import Any

import orjson

from stillroom.base.records import Route

# What both companies' own servers send with each status, where they differ from invalid_request_error and server_error.
_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_OPENAI_CODES = {401: "invalid_api_key", 413: "request_too_large", 429: "rate_limit_exceeded"}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    408: "timeout_error",
    504: "timeout_error",
    503: "overloaded_error",
    529: "overloaded_error",
}


class ApiError(Exception):
    """Why a call is refused: `error_body` puts it into the shape of an API."""

    def __init__(
        self, status: int, message: str, *, type: str | None = None, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.code = code
        self.param = param

    def body(self, route: Route) -> bytes:
        return error_body(route, self.status, self.message, self.type, self.code, self.param)


def error_body(
    route: Route,
    status: int,
    message: str,
    type: str | None = None,
    code: str | None = None,
    param: str | None = None,
) -> bytes:
    """The JSON of an error. `type` is told from the status where it is None, and so is OpenAI's `code`.

    Anthropic's errors have neither code nor param: they are sent beside the message where there is one.
    """
    return orjson.dumps(_error(route, status, message, type, code, param))


def error_event(route: Route, status: int, message: str, code: str | None = None, sequence_number: int = 0) -> bytes:
    """The server-sent event that tells a client of a stream what went wrong after it had begun.

    `sequence_number` is the event's place among those of a response; the other APIs do not count.
    """
    if route == "messages":
        return b"event: error\ndata: " + error_body(route, status, message, code=code) + b"\n\n"
    error = _error(route, status, message, None, code, None)
    if route == "responses":
        said = error["error"]
        event = {name: said[name] for name in ("code", "message", "param")}
        event |= {"type": "error", "sequence_number": sequence_number}
        return b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"
    return b"data: " + orjson.dumps(error) + b"\n\n"


def _error(
    route: Route, status: int, message: str, type: str | None, code: str | None, param: str | None
) -> dict[str, Any]:
    if route == "messages":
        error = {"type": type or _ANTHROPIC_TYPES.get(status) or _by_class(status, "api_error"), "message": message}
        error |= {name: value for name, value in (("code", code), ("param", param)) if value is not None}
        return {"type": "error", "error": error}
    return {
        "error": {
            "message": message,
            "type": type or _OPENAI_TYPES.get(status) or _by_class(status, "server_error"),
            "param": param,
            "code": code or _OPENAI_CODES.get(status),
        }
    }


def _by_class(status: int, server_error: str) -> str:
    return server_error if status >= 500 else "invalid_request_error"
