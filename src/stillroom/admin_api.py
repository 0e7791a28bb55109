"""A gateway's admin API, for the commands that administer it: `account`, `key`, `permit` and their like."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import orjson

from stillroom.base.errors import ServeError, StillroomError, UsageError
from stillroom.base.validation import first_problem

URL_ENV, KEY_ENV = "STILLROOM_ADMIN_URL", "STILLROOM_ADMIN_KEY"
DEFAULT_URL = "http://127.0.0.1:8001"
_LIMIT = re.compile(r"^body\.limits\.(\w+)")
_TIMEOUT_S = 60
_MOST_BYTES = 64 << 20


class AdminApi:
    def __init__(self, url: str, key: str) -> None:
        # Here and not above: the commands name this class before they know whether they need it.
        from pyreqwest.client import SyncClientBuilder

        from stillroom.client.transport import is_loopback

        self._url = _address(url)
        builder = SyncClientBuilder().timeout(timedelta(seconds=_TIMEOUT_S)).user_agent("stillroom")
        builder = builder.follow_redirects(False)  # a redirect would send the credential elsewhere
        if is_loopback(self._url):
            builder = builder.no_proxy()
        self._client = builder.build()
        self._key = key

    @classmethod
    def from_environment(cls) -> Self:
        """Raises UsageError where there is no credential in it, or no address."""
        key = os.environ.get(KEY_ENV, "").strip()
        if not key:
            raise UsageError(
                f"The environment variable {KEY_ENV} is not set.",
                "Set it to your administrator's key: stillroom admin create makes one.",
            )
        if not (key.isascii() and key.isprintable()):
            raise UsageError(f"{KEY_ENV} holds no key.", "Set it to your administrator's key: sra-...")
        return cls(os.environ.get(URL_ENV, "").strip() or DEFAULT_URL, key)

    def get(self, path: str, **query: str | int | None) -> Any:
        """`query`: None is left out. Raises StillroomError with what the gateway says, ServeError if it is silent."""
        return self._checked("GET", path, self._get(path, query))

    def rows(self, path: str, **query: str | int | None) -> Iterator[dict[str, Any]]:
        """All rows of a list, page after page."""
        after: str | int | None = None
        while True:
            page = self._get(path, {**query, "after": after})
            data, following = page.get("data"), page.get("next")
            if not isinstance(data, list) or (following is not None and following == after):
                raise self._problem(200, page)
            yield from (self._checked("GET", path, row) for row in data)
            if following is None:
                return
            after = following

    def post(self, path: str, body: Any = None) -> Any:
        return self._checked("POST", path, self._ask("POST", path, body))

    def patch(self, path: str, body: Any) -> Any:
        return self._checked("PATCH", path, self._ask("PATCH", path, body))

    def _get(self, path: str, query: Mapping[str, str | int | None]) -> Any:
        given = urlencode({name: value for name, value in query.items() if value is not None})
        return self._ask("GET", f"{path}?{given}" if given else path)

    def _checked(self, method: str, path: str, row: Any) -> Any:
        """The row. Raises ServeError where it is not what commands can read: another server, another version."""
        from pydantic import ValidationError

        from stillroom.admin_answers import check_row

        try:
            check_row(method, path, row)
        except ValidationError as error:
            what = f"{self._url} answered {path} as no admin API of this version does: {first_problem(error)}."
            raise ServeError(what, f"Look at {URL_ENV}, and whether the gateway is of this version.") from error
        return row

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        from pyreqwest.exceptions import PyreqwestError
        from pyreqwest.http import Url

        sent = None if body is None else _sent(body)
        try:
            request = self._client.request(method, Url(self._url + path)).bearer_auth(self._key)
            if sent is not None:
                request = request.header("content-type", "application/json").body_bytes(sent)
            with request.build_streamed() as response:
                status, data = response.status, bytes(response.body_reader.read(_MOST_BYTES) or b"")
        except (PyreqwestError, ValueError) as error:
            remedy = f"Look whether the gateway runs, and whether {URL_ENV} is the address of its admin API."
            raise ServeError(f"The admin API at {self._url} does not answer.", remedy) from error
        try:
            answer = orjson.loads(data)
        except orjson.JSONDecodeError:
            answer = None
        if status in (200, 201) and isinstance(answer, dict):
            return answer
        raise self._problem(status, answer)

    def _problem(self, status: int, answer: Any) -> StillroomError:
        error = answer.get("error") if isinstance(answer, dict) else None
        message = error.get("message") if isinstance(error, dict) else None
        if not isinstance(message, str):
            remedy = f"Look whether {URL_ENV} is the address of its admin API, and not of the API itself."
            return ServeError(f"{self._url} answered with status {status}, and not as an admin API does.", remedy)
        if status == 422:
            return UsageError(f"The gateway does not take {_as_option(message)}")
        remedy = f"Look at {KEY_ENV}." if status == 401 else ""
        return StillroomError(message, remedy)


def _address(url: str) -> str:
    """Raises UsageError for what is no address of the web. It is not repeated where a password may stand in it."""
    remedy = f"Set it to one such as {DEFAULT_URL}."
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:  # brackets without their other half, a port that is no number
        usable = False
    if not usable:
        shown = "" if "@" in url else f"{url!r}, and "
        raise UsageError(f"{URL_ENV} is {shown}no address of the web.", remedy)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"{URL_ENV} has more in it than an address: a user, a query or a fragment.", remedy)
    return url.rstrip("/")


def _sent(body: Any) -> bytes:
    """Raises UsageError for a text that is no Unicode, and for a number above 64 bits."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        what = f"The gateway cannot be sent this: {error}."
        raise UsageError(what, "Look for a number that is too large, or a letter that is no UTF-8.") from error


def _as_option(message: str) -> str:
    """A limit as the command line calls it, not by its place in the request that the command sent."""
    return _LIMIT.sub(lambda limit: "--" + limit[1].replace("_", "-"), message)
