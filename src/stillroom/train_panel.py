"""Training as a person sees it: a panel on a terminal, and the same figures in one line elsewhere."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from rich.table import Table
from rich.text import Text

from stillroom.panel import bar_of, bar_width, clock, panel_of, panel_width
from stillroom.text.gigabytes import gigabytes

TRAIN = "train "
"""How the names of training stages begin; the method follows."""
LOSSES_SHOWN = 480
"""Steps that the drawing of the loss looks back."""
STEPS_OF_A_MEAN = 20
"""The loss of one step says as much of that step's rows as of the student."""
STEPS_BACK = 100
"""What the loss is compared with in a line, which draws nothing."""
BLOCKS = "▁▂▃▄▅▆▇█"


class TrainView:
    """Hears of every step, and puts into words what it has heard when somebody looks, maybe in another thread.

    Of the facts it knows `loss` (of the step), `learning_rate`, `tokens_per_second`, `matrix_share` (0 to 1),
    `held_out` and `held_out_best` (`81 of 90 at step 200`) and `peak_bytes`; what is missing or None is left out. Times
    are seconds, and those of this process: a resumed training starts part done.
    """

    def __init__(self, stage: str) -> None:
        self._method = stage.removeprefix(TRAIN).replace("_", " ")
        self._heard: int = 0
        self._losses: deque[float] = deque(maxlen=LOSSES_SHOWN)
        self._best: str | None = None
        self._began: float | None = None
        self._now = self._step_at = 0.0
        self._first: int = 0
        self._done: int = 0
        self._total: int | None = None
        self._facts: Mapping[str, Any] = {}

    def hear(self, step: int, facts: Mapping[str, Any]) -> None:
        if step < self._heard:  # another training of that name
            self._losses.clear()
            self._best = None
        loss = facts.get("loss")
        # A step is told of again when the student was examined after it.
        if loss is not None and math.isfinite(loss) and step != self._heard:
            self._losses.append(loss)
        self._heard = step
        for told in (facts.get("held_out_best"), facts.get("held_out")):
            if told is not None and (self._best is None or _right(told) > _right(self._best)):
                self._best = told

    def see(self, now: float, done: int, total: int | None, facts: Mapping[str, Any]) -> None:
        if self._began is None or done < self._done:
            self._began, self._first, self._step_at = now, done, now
        elif done != self._done:
            self._step_at = now
        self._now, self._done, self._total, self._facts = now, done, total, facts

    def line(self) -> str:
        """`312 of 1,171, 4:12 left, 1:31 gone, loss 0.412, ...`."""
        words = self.words()
        return f"{self._progress()}, {words}" if words else self._progress()

    def words(self) -> str:
        """What stands beside how much is done."""
        held_out, memory = self._held_out(), self._memory()
        parts = [
            *([f"loss {self._loss()}"] if self._losses else []),
            *self._rate(),
            *self._speed(),
            *([f"held out: {held_out}"] if held_out else []),
            *([f"memory {memory}"] if memory else []),
        ]
        return ", ".join(parts)

    def panel(self, width: int) -> Table:
        """For a terminal of so many columns."""
        width = panel_width(width)
        return panel_of(self._rows(width), width)

    def _rows(self, width: int) -> Iterator[tuple[str, Text]]:
        bar = bar_of(self._done, self._total, bar_width(width))
        yield "train", Text(" ").join([bar, Text(f"{self._method}: {self._progress()}")])
        losses = list(self._losses)
        if losses:
            drawn = Text(sparkline(losses, bar_width(width)), style="green")
            yield "loss", Text(" ").join([drawn, Text(", ".join([_mean_loss(losses), *self._rate()]))])
        if speed := self._speed():
            yield "speed", Text(", ".join(speed))
        if held_out := self._held_out():
            yield "held out", Text(held_out)
        if memory := self._memory():
            yield "memory", Text(memory)

    def _progress(self) -> str:
        of = "" if self._total is None else f" of {self._total:,}"
        began = self._now if self._began is None else self._began
        times = [f"{clock(self._now - began)} gone"] if self._now - began >= 1 else []
        if (left := self._left(began)) is not None:
            times.insert(0, f"{clock(left)} left")
        return ", ".join([f"{self._done:,}{of}", *times])

    def _left(self, began: float) -> float | None:
        steps = self._done - self._first
        if self._total is None or self._done >= self._total or not steps or self._step_at <= began:
            return None
        whole = (self._total - self._done) * (self._step_at - began) / steps
        return max(0.0, whole - (self._now - self._step_at))

    def _loss(self) -> str:
        losses = list(self._losses)
        if len(losses) < STEPS_BACK + STEPS_OF_A_MEAN:
            return _mean_loss(losses)
        return f"{_mean_loss(losses)} ({_mean_loss(losses[:-STEPS_BACK])} {STEPS_BACK} steps before)"

    def _rate(self) -> list[str]:
        rate = self._facts.get("learning_rate")
        return [] if rate is None else [f"learning rate {rate:.2g}"]

    def _speed(self) -> list[str]:
        speed, share = self._facts.get("tokens_per_second"), self._facts.get("matrix_share")
        words = [] if speed is None else [f"{speed:,} trained tokens a second"]
        return words if share is None else [*words, f"{100 * share:.0f} % of the machine's matrix rate"]

    def _held_out(self) -> str:
        """Of the latest examination, and of the best one where that was better."""
        latest, best = self._facts.get("held_out"), self._best
        if latest is None:
            return ""
        said = latest.replace(" at step ", " right at step ")
        is_best = best is None or _right(latest) >= _right(best)
        return f"{said}, the best so far" if is_best else f"{said}, the best {best}"

    def _memory(self) -> str:
        peak = self._facts.get("peak_bytes")
        return "" if peak is None else f"{gigabytes(peak)} at most"


def sparkline(values: Sequence[float], width: int) -> str:
    """At most `width` blocks, each as high as the mean of its share of the values stands between least and most."""
    width = min(width, len(values))
    edges = [len(values) * block // width for block in range(width + 1)]
    means = [fmean(values[start:stop]) for start, stop in pairwise(edges)]
    low, span = min(means), max(means) - min(means)
    return "".join(BLOCKS[round((mean - low) / span * (len(BLOCKS) - 1))] if span else BLOCKS[0] for mean in means)


def _right(told: str) -> int:
    """The right answers of `81 of 90 at step 200`."""
    return int(told.partition(" of ")[0].replace(",", ""))


def _mean_loss(losses: Sequence[float]) -> str:
    return f"{fmean(losses[-STEPS_OF_A_MEAN:]):.3f}"
