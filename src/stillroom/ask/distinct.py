"""One id, one question: rows that repeat a question are merged and counted, rows that contradict one are an error."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import NamedTuple

from stillroom.base.errors import DataError
from stillroom.base.records import Question, messages_bytes


class Place(NamedTuple):
    """Where a row stands: `q.jsonl line` and 12."""

    label: str
    number: int

    def __str__(self) -> str:
        return f"{self.label} {self.number}"


class Distinct:
    """Iterates over the questions that are there, each once, in the order of its first row.

    `placed` gives each question with the place it stands at, for the error. Raises DataError for one id with two
    different texts or two different answers. Some 50 bytes are kept of each question.
    """

    def __init__(self, placed: Iterable[tuple[Place, Question]]) -> None:
        self.repeated = 0
        """Rows left out so far because an identical one came before."""
        self._placed = iter(placed)
        self._ids = _Numbering()
        self._texts = array("Q")
        self._answers = array("Q")
        self._numbers = array("Q")
        # Questions come file by file: a label is kept once for all that follow each other.
        self._labels: list[str] = []
        self._label_starts: list[int] = []

    def __iter__(self) -> Iterator[Question]:
        return self

    def __next__(self) -> Question:
        for place, question in self._placed:
            if self._is_new(place, question):
                return question
            self.repeated += 1
        raise StopIteration

    def _is_new(self, place: Place, question: Question) -> bool:
        text = _short(messages_bytes(question.messages))
        answer = _short(b"" if question.answer is None else b"=" + question.answer.encode())
        index, is_new = self._ids.number(blake2b(question.id.encode(), digest_size=_Numbering.WIDTH).digest())
        if is_new:
            self._texts.append(text)
            self._answers.append(answer)
            self._numbers.append(place.number)
            if not self._labels or self._labels[-1] != place.label:
                self._labels.append(place.label)
                self._label_starts.append(index)
            return True
        if self._texts[index] != text:
            raise DataError(
                f"{place}: id {question.id!r} already stands at {self._place(index)}, with another text.",
                "Give each question an id of its own, or leave ids out.",
            )
        if self._answers[index] != answer:
            raise DataError(
                f"{place}: the same question already stands at {self._place(index)}, with another answer.",
                "Keep the one that is right.",
            )
        return False

    def _place(self, index: int) -> Place:
        return Place(self._labels[bisect_right(self._label_starts, index) - 1], self._numbers[index])


class _Numbering:
    """Digests, numbered from 0 in the order of their first coming: a dict, in a fraction of a dict's memory.

    A hash table with open addressing: `_slots` holds numbers plus one (0: nobody), `_digests` the digests one after the
    other. Digests are evenly spread as they are, so that their first bytes serve as the hash.
    """

    WIDTH = 16

    def __init__(self) -> None:
        self._digests = bytearray()
        self._slots = array("I", bytes(4 * 1024))

    def number(self, digest: bytes) -> tuple[int, bool]:
        """The digest's number, and whether it came for the first time."""
        slot = self._find(digest)
        taken = self._slots[slot]
        if taken:
            return taken - 1, False
        self._digests += digest
        count = len(self._digests) // self.WIDTH
        self._slots[slot] = count
        if 2 * count > len(self._slots):
            self._grow()
        return count - 1, True

    def _find(self, digest: bytes) -> int:
        slots, digests, width = self._slots, self._digests, self.WIDTH
        last = len(slots) - 1
        slot = int.from_bytes(digest[:8], "little") & last
        while taken := slots[slot]:
            if digests[(taken - 1) * width : taken * width] == digest:
                break
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        self._slots = array("I", bytes(4 * 2 * len(self._slots)))
        for start in range(0, len(self._digests), self.WIDTH):
            digest = bytes(self._digests[start : start + self.WIDTH])
            self._slots[self._find(digest)] = start // self.WIDTH + 1


def _short(text: bytes) -> int:
    """64 bits: two given texts that differ are told apart, but for one chance in 10^19."""
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
