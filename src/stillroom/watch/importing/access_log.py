"""Lines of an access log in the combined format of Apache and nginx, and what servers are told to write behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from stillroom.watch.importing.lines import lines
from stillroom.watch.importing.record import Record, Unreadable

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
# A user may be called anything, but no server writes a quotation mark of a client's as one: time, then quotation mark,
# is found where the server wrote it.
_LINE = re.compile(
    rf"(\S+) (\S+) (.*?) \[(\d\d/[A-Za-z]{{3}}/\d{{4}}:\d\d:\d\d:\d\d [+-]\d{{4}})\] {_QUOTED} (\d{{3}}) (\d+|-)"
    rf"(?: {_QUOTED} {_QUOTED})?(.*)"
)
_FURTHER = re.compile(rf"(?:([A-Za-z_]\w*)=)?(?:{_QUOTED}|(\S+))")
_REQUEST = re.compile(r"([A-Z]+) (\S+)(?: \S+)?")


def access_log_records(path: Path, encoding: str) -> Iterator[Record | Unreadable]:
    """With the fields address, user, time, method, path, status, bytes, referer, agent; what stands behind is
    further.1, further.2 and so on, or further.NAME where it is written NAME=VALUE."""
    for each in lines(path, encoding):
        if isinstance(each, Unreadable):
            yield each
            continue
        number, line = each
        found = _LINE.fullmatch(line)
        if found is None:
            yield Unreadable(number, "it is no line of a combined access log")
            continue
        address, _, user, time, request, status, sent, referer, agent, further = found.groups()
        asked = _REQUEST.fullmatch(request)
        fields = {
            **_further(further),
            "address": address,
            "user": user,
            "time": time,
            "method": asked[1] if asked else None,
            "path": asked[2].partition("?")[0] if asked else None,
            "status": status,
            "bytes": sent,
            "referer": referer,
            "agent": agent,
        }
        yield Record(number, fields, line)


def _further(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for position, (name, quoted, plain) in enumerate(_FURTHER.findall(text), 1):
        found[f"further.{name or position}"] = quoted or plain
    return found
