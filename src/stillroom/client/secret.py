"""The key, taken out of what a server repeats of it: bodies are kept, and errors quoted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from stillroom.client.stream import index_of, is_event_stream, read_json

_SHORTEST = 12
"""Shorter keys are stand-ins for local servers, such as `none` and `test`, and words of replies."""
_IN_ITS_PLACE = "[key]"
_DEEPEST = 16
"""Levels of a reply that are looked through; those that are read have fewer."""


class Secret:
    """`key` None: there is none to look for."""

    def __init__(self, key: str | None) -> None:
        self._key = key if key is not None and len(key) >= _SHORTEST else ""
        self._plain = self._key.encode()
        self._escaped = re.compile(b"".join(map(_in_json, self._key)))

    def is_in(self, texts: Iterable[str | None]) -> bool:
        return bool(self._key) and any(text is not None and self._key in text for text in texts)

    def without(self, body: bytes) -> bytes:
        """The body without the key where that stands in one piece, as it is or as JSON may write it."""
        if not self._key:
            return body
        body = body.replace(self._plain, _IN_ITS_PLACE.encode()) if self._plain in body else body
        may_be_escaped = b"\\u00" in body or b"\\/" in body
        return self._escaped.sub(_IN_ITS_PLACE.encode(), body) if may_be_escaped else body

    def without_pieces(self, body: bytes) -> bytes:
        """The body without the key where that is told in pieces: in the chunks of a stream, in the parts of a list."""
        lines = body.splitlines(keepends=True) if is_event_stream(body.strip()) else [body]
        events = {number: read_json(_data(line)) for number, line in enumerate(lines)}
        pieces: dict[tuple[object, ...], list[_Piece]] = {}
        for number, event in events.items():
            for path, holder, place in _texts(event):
                pieces.setdefault(path, []).append(_Piece(number, holder, place))
        for number in {number for of_one_text in pieces.values() for number in self._cut(of_one_text)}:
            head = lines[number].partition(_data(lines[number]))[0]
            lines[number] = head + orjson.dumps(events[number]) + b"\n"
        return b"".join(lines)

    def _cut(self, pieces: list[_Piece]) -> set[int]:
        """Take the key out of a text. Returns the numbers of the events that changed."""
        text, changed = "".join(piece.text for piece in pieces), set()
        begins = [found.start() for found in re.finditer(re.escape(self._key), text)]
        at = 0
        for piece in pieces:
            kept = "".join(
                _IN_ITS_PLACE if place in begins else letter
                for place, letter in enumerate(piece.text, at)
                if place in begins or not any(begin < place < begin + len(self._key) for begin in begins)
            )
            at += len(piece.text)
            if kept != piece.text:
                piece.holder[piece.place] = kept
                changed.add(piece.event)
        return changed


class _Piece(NamedTuple):
    event: int
    holder: Any
    """The object or list in which the piece stands at `place`."""
    place: Any

    @property
    def text(self) -> str:
        return str(self.holder[self.place])


def _in_json(letter: str) -> bytes:
    """A pattern for the ways in which a JSON text may write an ASCII character."""
    code = ord(letter)
    return b"(?:%b|\\\\?%b|\\\\u00(?:%02x|%02X))" % (re.escape(letter.encode()), re.escape(letter.encode()), code, code)


def _data(line: bytes) -> bytes:
    return line.strip().removeprefix(b"data:").strip()


def _texts(event: object) -> Iterator[tuple[tuple[object, ...], Any, Any]]:
    """The texts of a reply's choices, each with its path and where it stands. Parts of a list have one path."""
    choices = event.get("choices") if isinstance(event, dict) else None
    for position, choice in enumerate(choices if isinstance(choices, list) else []):
        if isinstance(choice, dict):
            yield from _inside(choice, (index_of(choice, position),))


def _inside(holder: Any, path: tuple[object, ...]) -> Iterator[tuple[tuple[object, ...], Any, Any]]:
    if len(path) > _DEEPEST:
        return
    is_list = isinstance(holder, list)
    for place, value in enumerate(holder) if is_list else holder.items():
        its_path = path if is_list else (*path, place)
        if isinstance(value, str):
            yield its_path, holder, place
        elif isinstance(value, (dict, list)):
            yield from _inside(value, its_path)
