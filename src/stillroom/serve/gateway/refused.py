"""A call that is not let in."""

from __future__ import annotations

from stillroom.serve.routes.errors import ApiError


class Refused(ApiError):  # noqa: N818 - the outcome is the name
    """`reason` is the error's code, and what metrics count it under: one of a few words."""

    def __init__(
        self, reason: str, status: int, message: str, *, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(status, message, code=reason, param=param)
        self.reason = reason
        self.retry_after_s = retry_after_s
