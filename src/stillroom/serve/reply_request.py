"""What the requests for a local model's replies share: how they are read, and the fields that both APIs have."""

from __future__ import annotations

from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from starlette.requests import Request

from stillroom.serve.routes.errors import ApiError

MAX_BODY_BYTES = 4 << 20
MAX_CHOICES = 128


class StreamOptions(BaseModel):
    include_usage: bool = False


class ReplyBody(BaseModel):
    model_config = ConfigDict(frozen=True)

    model: str
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    n: int | None = Field(default=None, ge=1, le=MAX_CHOICES)
    seed: int | None = None
    stop: list[str] = Field(default_factory=list, max_length=16)
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _one_or_several(cls, stop: Any) -> Any:
        return [] if stop is None else [stop] if isinstance(stop, str) else stop

    @field_validator("stop")
    @classmethod
    def _not_empty(cls, stop: list[str]) -> list[str]:
        if not all(stop):
            raise ValueError("a stop string must not be empty")
        return stop

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


Body = TypeVar("Body", bound=ReplyBody)


async def read_body(request: Request, kind: type[Body]) -> Body:
    """Raises ApiError 413 for a body that is too large and 400 for one that is not a request of this kind."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY_BYTES:
            raise ApiError(
                413, f"The body is larger than {MAX_BODY_BYTES} bytes. Send less text.", code="request_too_large"
            )
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, f"The body is not JSON: {error}.") from error
    if not isinstance(body, dict):
        raise ApiError(400, "The body must be a JSON object.")
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        param = ".".join(str(part) for part in first["loc"])
        raise ApiError(400, f"{param}: {first['msg']}.", param=param) from error
