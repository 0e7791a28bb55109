"""What the admin API answers beside rows: lists page by page, a key that is shown once, and problems in one shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import RowMapping
from starlette.responses import Response

from stillroom.serve.accounts.rows import AdminRow, KeyRow, Row

Item = TypeVar("Item", bound=BaseModel)


class Page(Row, Generic[Item]):
    data: list[Item]
    next: str | None
    """Given as `after`, it brings the page behind this one; null: there is none."""


class PageQuery(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    after: Annotated[str, Field(max_length=40, pattern="^[a-z0-9_]*$")] = ""
    """The `next` of the page before."""
    limit: Annotated[int, Field(ge=1, le=500)] = 100


PageAsked = Annotated[PageQuery, Query()]


class MadeKey(Row):
    key: str
    """The key itself. It is told here and nowhere else, and not a second time."""
    row: KeyRow


class MadeAdmin(Row):
    key: str
    """The credential itself. It is told here and nowhere else, and not a second time."""
    row: AdminRow


class Problem(Row):
    message: str
    type: str
    code: str
    param: str | None


class ProblemAnswer(Row):
    error: Problem


def page_of(rows: Sequence[RowMapping], limit: int, read: Callable[[RowMapping], Item]) -> Page[Item]:
    """The page of rows that `stillroom.serve.accounts.reading.page` gave: one more than the limit where more follow."""
    shown = rows[:limit]
    return Page(data=[read(row) for row in shown], next=shown[-1]["id"] if len(rows) > limit else None)


def problem(
    status: int, code: str, message: str, *, param: str | None = None, headers: dict[str, str] | None = None
) -> Response:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    answer = ProblemAnswer(error=Problem(message=message, type=kind, code=code, param=param))
    return Response(orjson.dumps(answer.model_dump()), status, headers, media_type="application/json")


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemAnswer, "description": description}
    for status, description in {
        400: "The body is no JSON.",
        401: "No credential, or one that is not known.",
        403: "The credential's role does not allow it.",
        404: "There is no such thing, or the credential does not see it.",
        408: "The body did not come in time.",
        409: "It cannot be done as things stand.",
        413: "The body is too large.",
        422: "A value is wrong; `param` names it.",
        503: "The database does not answer.",
    }.items()
}
"""What every route may answer beside what it is for."""
