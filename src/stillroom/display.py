"""What a person sees of a running stage: bars and a panel on a terminal, a plain line now and then everywhere else."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from stillroom.ask_panel import AskView
from stillroom.base.progress import Progress
from stillroom.panel import clock
from stillroom.train_panel import TRAIN, TrainView

FRAMES_PER_S = 8
BETWEEN_LINES_S = 10.0
ASK = "ask"
"""This stage and those that train have panels of their own."""
_NEVER = float("-inf")


@contextmanager
def live_progress() -> Iterator[Progress]:
    """Progress on stderr, so that stdout holds only results."""
    console = Console(stderr=True, highlight=False)
    # Colours may be asked for where there is no terminal; a panel, redrawn again and again, is of no use in a file.
    if not (console.is_interactive and console.file.isatty()):
        lines = Lines(_write_line)
        try:
            yield lines
        finally:
            lines.write_latest()
        return
    screen = Screen(console)
    with Live(get_renderable=screen.frame, console=console, refresh_per_second=FRAMES_PER_S):
        yield screen


def _write_line(line: str) -> None:
    # Nobody reads it any more, or its disk is full: that is no reason to stop a run.
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


class StageView:
    """How fast one stage goes, counted from its first update in this process: a resumed stage starts part done."""

    def __init__(self, now: float, done: int) -> None:
        self._began, self._first = now, done
        self._now, self._done = now, done
        self._total: int | None = None
        self._facts: Mapping[str, Any] = {}

    def see(self, now: float, done: int, total: int | None, facts: Mapping[str, Any]) -> None:
        self._now, self._done, self._total, self._facts = now, done, total, facts

    def line(self) -> str:
        of = "" if self._total is None else f" of {self._total:,}"
        words = self.words()
        return f"{self._done:,}{of}" + (f", {words}" if words else "")

    def words(self) -> str:
        """What stands beside how much is done."""
        facts = [f"{name.replace('_', ' ')} {value}" for name, value in self._facts.items() if _fits_a_line(value)]
        return ", ".join([*self._speed(), *facts])

    def _speed(self) -> list[str]:
        elapsed = self._now - self._began
        if self._done <= self._first or elapsed <= 0 or self._total == 1:  # one of one has no speed
            return []
        rate = (self._done - self._first) / elapsed
        words = [f"{rate:,.0f} a second" if rate >= 10 else f"{rate:.1f} a second"]
        if self._total is not None and self._done < self._total:
            words.append(f"{clock((self._total - self._done) / rate)} left")
        return words


def _fits_a_line(value: object) -> bool:
    """Whether a fact is a number or a word; what is unknown, empty or has parts does not stand in a line."""
    return isinstance(value, int | float | str) and value != ""


class _Stage:
    """What a stage has told, and the view that puts it into words when somebody looks."""

    def __init__(self, stage: str, now: float, done: int) -> None:
        self.name = stage
        self.view = _view_of(stage, now, done)
        self.latest: tuple[float, int, int | None, Mapping[str, Any]] = (now, done, None, {})
        """Replaced as a whole: another thread looks."""

    def hear(self, now: float, done: int, total: int | None, facts: Mapping[str, Any]) -> None:
        if isinstance(self.view, TrainView):
            self.view.hear(done, facts)
        self.latest = (now, done, total, facts)

    def look(self, now: float | None = None) -> None:
        """As it is now; without a time, as it was at its latest update."""
        at, done, total, facts = self.latest
        self.view.see(at if now is None else now, done, total, facts)


def _view_of(stage: str, now: float, done: int) -> AskView | TrainView | StageView:
    if stage == ASK:
        return AskView()
    return TrainView(stage) if stage.startswith(TRAIN) else StageView(now, done)


class Lines:
    """A line when a stage begins and when it ends, and every ten seconds between."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._stages: dict[str, _Stage] = {}
        self._works: _Stage | None = None
        self._written_at, self._is_written = _NEVER, True

    def say(self, sentence: str) -> None:
        with self._lock:
            self._write(sentence)

    def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:
        now = time.monotonic()
        with self._lock:
            if "skipped" in facts:
                self._write(f"{stage}: {facts['skipped']}, skipped")
                return
            if self._works is None or self._works.name != stage:
                self._write_latest()
                self._works = self._stages.setdefault(stage, _Stage(stage, now, done))
                self._written_at = _NEVER
            is_news = self._works.latest[1] != done
            self._works.hear(now, done, total, facts)
            self._is_written = False
            if now - self._written_at >= BETWEEN_LINES_S or (done == total and is_news):
                self._written_at = now
                self._write_latest()

    def write_latest(self) -> None:
        """What came since the last line."""
        with self._lock:
            self._write_latest()

    def _write_latest(self) -> None:
        if self._works is not None and not self._is_written:
            self._is_written = True
            self._works.look()
            self._write(f"{self._works.name}: {self._works.view.line()}")


class Screen:
    """A bar for each stage, and the panel of one that has a panel while it is the one that works.

    An update only leaves its figures: whoever draws takes the `frame`, however many updates came meanwhile.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stages: dict[str, _Stage] = {}
        self._works: _Stage | None = None
        self._tasks: dict[str, TaskID] = {}
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}", style="dim", markup=False),
            console=console,
            auto_refresh=False,
        )

    def say(self, sentence: str) -> None:
        self._console.print(Text(sentence, style="dim"))

    def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:
        now = time.monotonic()
        if "skipped" in facts:
            self.say(f"{stage}: {facts['skipped']}, skipped")
            return
        works = self._works
        if works is None or works.name != stage:
            works = self._stages.setdefault(stage, _Stage(stage, now, done))
        works.hear(now, done, total, facts)
        self._works = works

    def frame(self) -> RenderableType:
        works = self._works
        panels: list[RenderableType] = []
        for stage in list(self._stages.values()):
            if stage is works and not isinstance(stage.view, StageView):
                stage.look(time.monotonic())
                panels.append(stage.view.panel(self._console.width))
            else:
                self._draw_bar(stage)
        bars = [self._bars.get_renderable()] if self._tasks else []
        return Group(*bars, *panels)

    def _draw_bar(self, stage: _Stage) -> None:
        stage.look()
        _, done, total, _ = stage.latest
        if stage.name not in self._tasks:
            self._tasks[stage.name] = self._bars.add_task(stage.name, total=total, words="")
        self._bars.update(self._tasks[stage.name], completed=done, total=total, words=stage.view.words())
