"""From a record of a source to a call, its sketch and, between two epochs, its earlier prints."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, fields
from typing import Any, get_args

from stillroom.base.records import CallStatus, Route
from stillroom.store.secrets import Secrets
from stillroom.text.connections import agent_name
from stillroom.text.prints import EarlierPrints, PrintsByTime, billing_print
from stillroom.watch.importing import values
from stillroom.watch.importing.asked import (
    Texts,
    fields_of_request,
    reads_like_grading,
    texts_of_messages,
    texts_of_request,
)
from stillroom.watch.importing.fields import FieldReader, Problems
from stillroom.watch.importing.mapping import ImportMapping
from stillroom.watch.importing.presets import is_no_call, with_agent, with_preset
from stillroom.watch.importing.record import Record

_ROUTES, _STATUSES = frozenset(get_args(Route)), frozenset(get_args(CallStatus))
_PATH = re.compile(r"(?:^|/)(?:chat/(?P<chat>completions)|(?P<other>completions|responses|embeddings|messages))/?$")
_KEY = re.compile(r"(?:bearer\s+)?(?:sk|pk|sra?)-\S+", re.IGNORECASE)
"""What an API's key looks like: none is kept."""
_MASK = "**"
_TURNED_AWAY = frozenset({401, 402, 403, 404, 405, 407, 411, 413, 415, 429})
"""Answers of a server before a model is asked. Who claims to ask is not proved there, and nothing was got."""
_HUNG_UP = 499
_SECOND_US = 1_000_000
_MOST_IN_SECOND = 100_000
"""Rows of one second that are told apart; a source that tells days only has all of a day in one second."""


@dataclass(frozen=True, slots=True)
class Identified:
    """A row that is a call: which one, whose and when. Its texts are not looked at yet."""

    record: Record
    call_id: str
    at: int
    account: str
    route: str | None
    http_status: int | None


@dataclass(frozen=True, slots=True)
class ImportedCall:
    call: dict[str, Any]
    """By the columns of `store.calls.CALLS`, without row and salt."""
    minhash: bytes | None
    earlier: dict[str, Any] | None
    """By the columns of `store.calls.EARLIER_PRINTS`."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that is no call of a model."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that should be a call and cannot be read as one."""

    reason: str


class Rows:
    """Makes calls of one source's records."""

    def __init__(self, mapping: ImportMapping, secrets: Secrets, latest_us: int) -> None:
        self.problems = Problems()
        self._mapping = mapping
        self._fields = FieldReader(mapping, with_preset(mapping), latest_us, self.problems)
        self._only = [(name, frozenset(map(values.word, among))) for name, among in mapping.only.items()]
        self._prints = PrintsByTime(secrets)
        self._secrets = secrets
        self._ids = _Ids(secrets, mapping.name)
        self._unseen = set(self._fields.named)
        self._tokens = [name for name in _TOKENS if name in self._fields.given]

    @property
    def never_seen(self) -> list[str]:
        """Fields that the mapping names and no row had."""
        own = {field for _, column in self._mapping.columns.given() for field in column.fields()}
        return sorted(self._unseen & own)

    def identify(self, record: Record) -> Identified | LeftOut | Rejected:
        record = with_agent(record, self._mapping)
        if self._unseen:
            self._unseen = {name for name in self._unseen if record.get(name) is None}
        if any(values.word(record.get(name)) not in among for name, among in self._only):
            return LeftOut("not among `only`")
        if is_no_call(record, self._mapping):
            return LeftOut("no call of a language model")
        http_status = self._fields.read(record, "http_status")
        if http_status in _TURNED_AWAY:
            return LeftOut("turned away before a model was asked")
        route = self._route(record)
        if isinstance(route, LeftOut):
            return route
        try:
            at = self._fields.at(record)
        except ValueError as error:
            return Rejected(str(error))
        account = self._name(record, "account")
        if account is None:
            return Rejected("its account is not known")
        call_id = self._ids.of(self._fields.read(record, "id"), record, at, account)
        return Identified(record, call_id, at, account, route, http_status)

    def call(self, row: Identified) -> ImportedCall:
        """With all that is known of it, printed."""
        record, at, account = row.record, row.at, row.account
        fields = self._fields
        texts, asked = self._asked(record, row.route)
        prints, before = self._prints.at(at)
        user_text, system_text = texts.user_text or None, texts.system_text or None
        printed = prints.texts(user_text, system_text)
        address, tls = fields.address(record), fields.label(record, "tls")
        user, billing = fields.label(record, "user") or asked.get("user"), fields.label(record, "billing")
        user = user if isinstance(user, str) else None
        agent = fields.label(record, "agent")
        call: dict[str, Any] = {
            "call_id": row.call_id,
            "at": at,
            "account": account,
            # Whose it is, is not known: then it is nobody else's.
            "organisation": self._name(record, "organisation") or f"account:{account}",
            "key_id": self._name(record, "key_id"),
            "route": row.route,
            "agent": None if agent is None else agent_name(agent),
            "ip_print": prints.address(address) if address else None,
            "tls_print": prints.label("tls", tls) if tls else None,
            "billing_print": billing_print(self._secrets, billing) if billing else None,
            "user_print": prints.label("user", user) if user else None,
            "prompt_print": printed.prompt,
            "system_print": printed.system,
            "skeleton_print": printed.skeleton,
            "print_key_id": prints.print_key_id,
            "permit_id": fields.read(record, "permit_id"),
            "cost_usd": fields.read(record, "cost_usd"),
            "latency_us": fields.latency_us(record),
            "status": self._status(record, row.http_status),
            "http_status": row.http_status,
            **{name: fields.read(record, name) for name in self._tokens},
            **{name: self._first(record, name, asked) for name in _ASKED if name in fields.given or name in asked},
        }
        earlier = None
        if before is not None:
            of_before = before.earlier(address, tls, user, user_text, system_text)
            earlier = {name: getattr(of_before, name) for name in _EARLIER} | {"call_id": row.call_id}
        return ImportedCall(call, printed.sketch, earlier)

    def _asked(self, record: Record, route: str | None) -> tuple[Texts, dict[str, Any]]:
        """What the request says, from the fields of its own that the source has, and else from its body."""
        fields = self._fields
        body, messages = fields.json(record, "request"), fields.json(record, "messages")
        asked: dict[str, Any] = {}
        texts = Texts()
        if isinstance(body, dict):
            if isinstance(body.get("body"), dict):  # with its headers beside it
                body = body["body"]
            asked, texts = fields_of_request(body), texts_of_request(body, route)
        if isinstance(messages, list):
            texts = texts_of_messages(messages)
        prompt, system = fields.label(record, "prompt"), fields.label(record, "system")
        if prompt is not None:
            texts.new = [prompt]
        if system is not None:
            texts.system = [system]
        if texts.turns is not None:
            asked["turns"] = texts.turns
        if texts.new:
            asked["asks_grading"] = reads_like_grading(texts)
        return texts, asked

    def _first(self, record: Record, name: str, asked: dict[str, Any]) -> Any:
        """A field of its own before what the body says."""
        found = self._fields.read(record, name)
        return self._fields.converted(asked.get(name), name, record) if found is None else found

    def _name(self, record: Record, column: str) -> str | None:
        """An id; the print of one that is a key itself."""
        name: str | None = self._fields.read(record, column)
        if name is not None and _MASK in name:  # as `51**`, which may be anybody's
            self.problems.add(column, "it is masked", record.place)
            return None
        return self._ids.of_key(name) if name is not None and _KEY.fullmatch(name) else name

    def _route(self, record: Record) -> str | LeftOut | None:
        told = self._fields.value(record, "route")
        if told is None or str(told) in _ROUTES:
            return None if told is None else str(told)
        found = _PATH.search(str(told).partition("?")[0])
        if found is not None:
            return "chat" if found["chat"] else found["other"]
        if "/" in str(told):
            return LeftOut("no call of a language model")
        self.problems.add("route", "it is no route", record.place)
        return None

    def _status(self, record: Record, http_status: int | None) -> str | None:
        told = self._fields.value(record, "status")
        status = None if told is None else str(told).strip()
        if status is not None and status not in _STATUSES:
            self.problems.add("status", "it is no status", record.place)
            status = None
        if http_status is None or status not in (None, "failed"):
            return status
        if http_status == _HUNG_UP:
            return "hung_up"
        if 400 <= http_status < 500:
            return "refused"
        if status is None:
            return "ok" if 200 <= http_status < 300 else "failed" if 500 <= http_status < 600 else None
        return status


_EARLIER = tuple(each.name for each in fields(EarlierPrints))
_TOKENS = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens")
_ASKED = (
    *("model", "stream", "turns", "max_tokens", "temperature", "n"),
    *("asks_reasoning", "asks_logprobs", "asks_grading"),
)


class _Ids:
    """Ids of calls, of the form that the gateway gives: equal for one row, however often it is read."""

    def __init__(self, secrets: Secrets, source: str) -> None:
        self._key = secrets.derive("imported calls")
        self._source = source
        self._second = -1
        self._in_second: dict[bytes, int] = {}

    def of(self, own: str | None, record: Record, at: int, account: str) -> str:
        """By the id that the source gave it, else by all that stands in it.

        The account and the second count, too: no account's calls are taken for another one's that chose the same id.
        Of rows that have no id and tell the second only, several may be equal and each a call of its own: those that
        follow each other within one second are told apart by their number.
        """
        second = at // _SECOND_US
        parts = ["id", account, own] if own is not None else ["row", record.written]
        if own is None and at % _SECOND_US == 0:
            parts.append(str(self._number(record.written, second)))
        return f"{second * 1000:012x}{self._digest(*parts)[:10].hex()}"

    def of_key(self, name: str) -> str:
        """In the place of a key: equal for equal ones, and no way back."""
        return f"key-{self._digest('key', name)[:16].hex()}"

    def _number(self, written: str, second: int) -> int:
        if second != self._second or len(self._in_second) >= _MOST_IN_SECOND:
            self._second, self._in_second = second, {}
        digest = self._digest(written)
        self._in_second[digest] = number = self._in_second.get(digest, 0) + 1
        return number

    def _digest(self, *parts: str) -> bytes:
        told = "\0".join((self._source, *parts)).encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, told, "sha256")
