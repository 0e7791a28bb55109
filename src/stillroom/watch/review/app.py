"""The review as a web application, for the browser of one person on the same machine.

Whoever has the token that the command prints may look and decide, in the name that the command was given. Every other
request is refused: one for another host name (a page of the web that resolves its own name to this machine), one
without the token, and a form that was not made by this page.
"""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from typing import Any, cast
from urllib.parse import parse_qs, quote

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stillroom.base.errors import StillroomError, UsageError
from stillroom.watch.review.accused import export_for
from stillroom.watch.review.looks import REVIEWER, note_look
from stillroom.watch.review.rendering import finding_page, findings_page, problem_page, told_page
from stillroom.watch.review.store import Decision, FindingStore
from stillroom.watch.review.webhook import Webhook, deliver

_MOST_BYTES = 64 * 1024
"""Of a form that is sent here."""
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)


def review_app(
    store: FindingStore, *, by: str, token: str, port: int, role: str = REVIEWER, webhook: Webhook | None = None
) -> ASGIApp:
    """The application, for a server that listens on loopback at `port`.

    `by`: who looks and decides, as what (`role`); `webhook`: gets word of decisions.
    """
    form_token = hmac.digest(token.encode(), b"form", "sha256").hex()

    def all_findings(_: Request) -> Response:
        return HTMLResponse(findings_page(store))

    def one_finding(request: Request) -> Response:
        name = request.path_params["name"]
        note_look(store.watch, [store.get(name)], by=by, role=role)
        return HTMLResponse(finding_page(store, name, by=by, form_token=form_token))

    async def decide(request: Request) -> Response:
        form = await _form(request, form_token)
        answer = await run_in_threadpool(_decided, store, request.path_params["name"], form, by, form_token)
        if webhook is not None:  # after the answer: what is not taken waits for the next run
            answer.background = BackgroundTask(deliver, store, webhook)
        return answer

    async def export(request: Request) -> Response:
        form = await _form(request, form_token)
        return await run_in_threadpool(_exported, store, request.path_params["name"], form, by, role)

    routes = [
        Route("/", all_findings),
        Route("/findings/{name}", one_finding),
        Route("/findings/{name}/decide", decide, methods=["POST"]),
        Route("/findings/{name}/export", export, methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers={StillroomError: _problem})
    return _Door(app, token, port)


class _Door:
    """Lets in who has the token, from a page of this server's own."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._cookie = f"stillroom_review_{port}"  # all servers of a host share its cookies, whatever their ports
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        assert scope["type"] == "http"
        refusal = self._refusal(scope, Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        if headers.get("host") not in self._hosts:
            return PlainTextResponse("This server answers on 127.0.0.1 only.", 421)
        origin = headers.get("origin")
        if origin is not None and origin.removeprefix("http://") not in self._hosts:
            return PlainTextResponse("This comes from a page of another server.", 403)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if self._is_token(given) and scope["method"] == "GET":
            # Out of the address, which a browser keeps in its history.
            answer = RedirectResponse("/" + quote(scope["path"].lstrip("/")), 303)
            answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
            return answer
        if not self._is_token(_cookie(headers, self._cookie)):
            return PlainTextResponse("Open the address that `stillroom watch review` printed.", 403)
        return None

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


async def _form(request: Request, form_token: str) -> dict[str, str]:
    """The fields of a form that this page made. Raises UsageError for any other."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            raise UsageError("The form is too long.", "Write less.")
    fields = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
    if not hmac.compare_digest(fields.get("form_token", "").encode(), form_token.encode()):
        raise UsageError("The form was not made by this page, or by an earlier run of it.", "Open the finding again.")
    return fields


def _decided(store: FindingStore, name: str, form: dict[str, str], by: str, form_token: str) -> Response:
    decision, reason = form.get("decision", ""), form.get("reason", "")
    version = form.get("version", "")
    try:
        store.decide(
            name,
            cast(Decision, decision),
            by=by,
            reason=reason,
            version=int(version) if version.isdecimal() else None,
        )
    except UsageError as error:
        page = finding_page(
            store, name, by=by, form_token=form_token, problem=str(error), chosen=decision, reason=reason
        )
        return HTMLResponse(page, 409)
    return RedirectResponse(f"/findings/{quote(name, safe='')}#history", 303)


def _exported(store: FindingStore, name: str, form: dict[str, str], by: str, role: str) -> Response:
    organisation, kept = form.get("organisation", ""), store.get(name)
    page = told_page(export_for(kept, organisation, form.get("contact", "")))
    note_look(store.watch, [kept], by=by, role=role)
    store.note_export(name, organisation, by=by)
    attachment = f"attachment; filename*=UTF-8''{quote(f'{name}-{organisation}.html', safe='')}"
    return HTMLResponse(page, headers={"content-disposition": attachment})


def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, StillroomError)
    what: dict[str, Any] = {"what": error.what, "remedy": error.remedy}
    return HTMLResponse(problem_page(**what), 400 if isinstance(error, UsageError) else 500)
