"""What a person sees of a running stage: bars on a terminal, a plain line now and then everywhere else."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from stillroom.base.progress import Progress

BETWEEN_FRAMES_S = 0.1
BETWEEN_LINES_S = 10.0


@contextmanager
def live_progress() -> Iterator[Progress]:
    """Progress on stderr, so that stdout holds only results."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _lines()
        return
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[facts]}", style="dim", markup=False),
        console=console,
    )
    with bars:
        yield panel(bars)


@dataclass(slots=True)
class _Pace:
    """How fast one stage goes, counted from its first update in this process: a resumed stage starts part done."""

    first: int
    began: float = field(default_factory=lambda: time.monotonic())
    shown: float = -1e9

    def due(self, done: int, total: int | None, between_s: float) -> bool:
        now = time.monotonic()
        if done != total and now - self.shown < between_s:
            return False
        self.shown = now
        return True

    def words(self, done: int, total: int | None) -> list[str]:
        elapsed = time.monotonic() - self.began
        if done <= self.first or elapsed <= 0:
            return []
        rate = (done - self.first) / elapsed
        words = [f"{rate:,.0f} a second" if rate >= 10 else f"{rate:.1f} a second"]
        if total is not None and done < total:
            words.append(f"{clock((total - done) / rate)} left")
        return words


class Display:
    """Decides when something is worth showing, and in which words; `say` and `show` put it where it belongs."""

    def __init__(
        self, say: Callable[[str], None], show: Callable[[str, int, int | None, str], None], between_s: float
    ) -> None:
        self._say, self._show, self._between_s = say, show, between_s
        self._lock = threading.Lock()
        self._paces: dict[str, _Pace] = {}

    def say(self, sentence: str) -> None:
        with self._lock:
            self._say(sentence)

    def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:
        with self._lock:
            if "skipped" in facts:
                self._say(f"{stage}: {facts['skipped']}, skipped")
                return
            pace = self._paces.setdefault(stage, _Pace(done))
            if pace.due(done, total, self._between_s):
                words = pace.words(done, total) + [
                    f"{name.replace('_', ' ')} {value}" for name, value in facts.items() if _fits_a_line(value)
                ]
                self._show(stage, done, total, ", ".join(words))


def _fits_a_line(value: object) -> bool:
    """Whether a fact is a number or a word; what is unknown, empty or has parts does not stand in a line."""
    return isinstance(value, int | float | str) and value != ""


def _lines() -> Display:
    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def show(stage: str, done: int, total: int | None, words: str) -> None:
        of = "" if total is None else f" of {total:,}"
        say(f"{stage}: {done:,}{of}" + (f", {words}" if words else ""))

    return Display(say, show, BETWEEN_LINES_S)


def panel(bars: Bars) -> Display:
    tasks: dict[str, TaskID] = {}

    def say(line: str) -> None:
        bars.console.print(Text(line, style="dim"))

    def show(stage: str, done: int, total: int | None, words: str) -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total, facts="")
        bars.update(tasks[stage], completed=done, total=total, facts=words)

    return Display(say, show, BETWEEN_FRAMES_S)


def clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def estimate_in_words(facts: Mapping[str, Any]) -> str:
    """What `pipeline.estimate` found, for a person."""
    fewest, most = facts["samples"]
    times = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    lines = [
        f"{facts['asked']} questions were asked; their replies are kept. {facts['left']:,} are left,"
        f" {times} {'sample' if times == '1' else 'samples'} each."
    ]
    cost, seconds = facts["cost_usd"], facts["seconds"]
    if cost is not None:
        lines.append(f"They will cost about {cost['expected']} USD ({cost['low']} to {cost['high']}).")
        if cost["at_most"] is not None:
            lines.append(f"Were every reply as long as max_tokens: {cost['at_most']} USD.")
    if seconds["low"] is not None:
        lines.append(f"They will take {clock(seconds['low'])} to {clock(seconds['high'])}, if the teacher keeps up.")
    if facts["completion_tokens"] is not None:
        cut = f"; {facts['truncated']} were cut by the limit" if facts["truncated"] else ""
        lines.append(f"A reply has {facts['completion_tokens']:,.0f} tokens on average{cut}.")
    return "\n".join(lines)
