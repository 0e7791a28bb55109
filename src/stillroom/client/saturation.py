"""Whether more calls in flight still bring more answers: a server that queues what it cannot serve refuses nothing."""

from __future__ import annotations

_FASTER = 1.25
"""What four times as many calls must bring at the least, where a server with free places would bring four."""
_FEWEST = 64
"""Calls in flight below which too few answers come to judge by."""


class Saturation:
    """Compares the answers per second of one doubling of the window with those of two doublings before."""

    def __init__(self) -> None:
        self._answers = 0
        self._speeds: list[float] = []
        self._saturated: tuple[float, float] | None = None
        """The speed that more calls did not better, and the width to go back to."""
        self._width, self._begun_at, self._answers_before = 1.0, 0.0, 0

    def answered(self) -> None:
        self._answers += 1

    def begin(self, now: float, width: float) -> None:
        """The window has changed other than by growing."""
        self._speeds.clear()
        self._start(now, width)

    def judge(self, now: float, width: float) -> float | None:
        """The window has grown to `width`. Where that has brought nothing: the width to go back to."""
        if width < 2 * self._width:
            return None
        was_width, answers, seconds = self._width, self._answers - self._answers_before, now - self._begun_at
        self._start(now, width)
        if answers < was_width / 2 or seconds <= 0:
            self._speeds.clear()
            return None
        self._speeds.append(answers / seconds)
        if self._saturated is not None:
            earlier, fallback = self._saturated
        elif len(self._speeds) > 2:
            earlier, fallback = self._speeds.pop(0), was_width
        else:
            return None
        is_faster = width < _FEWEST or self._speeds[-1] >= _FASTER * earlier
        self._saturated = None if is_faster else (earlier, fallback)
        return None if is_faster else fallback

    def _start(self, now: float, width: float) -> None:
        self._width, self._begun_at, self._answers_before = width, now, self._answers
