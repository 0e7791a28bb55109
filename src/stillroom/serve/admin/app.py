"""The admin API's application.

    uvicorn.run(make_admin_app(engine, secrets), ...)      on a port of its own, which the world does not reach

Every route but `/health` and `/openapi.json` needs an administrator's key, in the Authorization header alone.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy import Engine, select
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from stillroom import __version__
from stillroom.base.validation import problem_in_words
from stillroom.serve.accounts.problems import Conflict, NotFound
from stillroom.serve.accounts.rows import FORMS
from stillroom.serve.admin import accounts, admins, events, keys, organisations
from stillroom.serve.admin.answers import PROBLEMS, problem
from stillroom.serve.admin.authority import AdminParts, Parts
from stillroom.serve.admin.bounded import Bounded
from stillroom.store.secrets import Secrets

_log = logging.getLogger(__name__)

_CODES = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}


def make_admin_app(
    engine: Engine, secrets: Secrets, routers: Sequence[APIRouter] = (), models: Collection[str] | None = None
) -> FastAPI:
    """`routers`: those of other parts of the gateway, which use `stillroom.serve.admin.authority` as ours do.

    `models`: the names that accounts may be allowed; None: any.
    """
    app = FastAPI(
        title="stillroom admin API",
        version=__version__,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.parts = AdminParts.of(engine, secrets, models)
    app.add_middleware(Bounded)
    app.add_api_route("/health", _health, responses={503: PROBLEMS[503]}, tags=["health"])
    for router in (organisations.router, accounts.router, keys.router, admins.router, events.router, *routers):
        app.include_router(router, responses=PROBLEMS)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(NotFound, _not_found)
    app.add_exception_handler(Conflict, _conflict)
    for kind in (OperationalError, InterfaceError, TimeoutError):
        app.add_exception_handler(kind, _database_problem)
    app.add_exception_handler(Exception, _broken)
    return app


def _health(parts: Parts) -> dict[str, str]:
    with parts.engine.connect() as connection:
        connection.execute(select(1))
    return {"status": "ok"}


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details = error.errors()[0]
    place = ".".join(str(part) for part in details["loc"])
    # Not `details["input"]`: what was sent may be a key in the wrong place.
    words = FORMS.get(details.get("ctx", {}).get("pattern", "")) or problem_in_words(details)
    return problem(422, "invalid_request", f"{place}: {words}.", param=place)


async def _http_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "bad_request")
    headers = dict(error.headers) if error.headers else None
    return problem(error.status_code, code, str(error.detail), headers=headers)


async def _not_found(_: Request, error: Exception) -> Response:
    return problem(404, "not_found", str(error))


async def _conflict(_: Request, error: Exception) -> Response:
    return problem(409, "conflict", str(error))


async def _database_problem(_: Request, error: Exception) -> Response:
    # The parameters are hidden by the engine: they may hold hashes.
    _log.error("The database does not answer: %s", error)
    return problem(503, "database_unavailable", "The database does not answer. Try again.")


async def _broken(_: Request, error: Exception) -> Response:  # noqa: ARG001 - logged by the server, with its traceback
    return problem(500, "internal_error", "Something broke here. The log of the gateway says what.")
