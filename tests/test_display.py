"""Progress as lines and as bars, over a clock of the test's."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from rich.console import Console

from stillroom import display
from stillroom.base.progress import loading


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: seconds[0])
    return seconds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(screen: display.Screen, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(screen.frame())
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_one_of_one_has_no_speed(capsys: pytest.CaptureFixture[str], now: list[float]) -> None:
    with display.live_progress() as progress, loading(progress, "tokenizer"):
        now[0] += 7
    assert capsys.readouterr().err.splitlines() == ["load tokenizer: 0 of 1", "load tokenizer: 1 of 1"]


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str], now: list[float]) -> None:
    with display.live_progress() as progress:
        progress.update("exam", 0, 1920)
        for done in range(1, 1921):
            now[0] += 1 / 64
            progress.update("exam", done, 1920, cost_usd="0.31", nothing=None, empty="", parts=(b"1", "2"))
        progress.update("exam", 1920, 1920)
        progress.update("check", 0, 0, skipped="nothing has changed")
        progress.say("check: warning: 19 of 20 were rejected.")
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "exam: 0 of 1,920"
    assert lines[1] == "exam: 640 of 1,920, 64 a second, 0:20 left, cost usd 0.31"
    assert lines[3] == "exam: 1,920 of 1,920, 64 a second, cost usd 0.31"
    assert lines[4:6] == ["check: nothing has changed, skipped", "check: warning: 19 of 20 were rejected."]
    assert len(lines) == 7  # and what was told last, when it ends


def test_a_line_of_the_asking_stage(now: list[float]) -> None:
    lines: list[str] = []
    progress = display.Lines(lines.append)
    for now[0] in range(26):
        progress.update("ask", int(now[0]) * 3, 300, replies=int(now[0]) * 3, completion_tokens=0, in_flight=2)
    progress.write_latest()
    assert [line.split(",")[0] for line in lines] == [f"ask: {done} of 300" for done in (0, 30, 60, 75)]
    assert lines[1] == "ask: 30 of 300, 1:30 left, 3.0 replies a second, 2 in flight"


def test_a_stage_that_ends_early_says_where_it_was(now: list[float]) -> None:
    lines: list[str] = []
    progress = display.Lines(lines.append)
    for stage, done, total in (("ask", 0, 9), ("ask", 7, 9), ("check", 0, 7), ("check", 7, 7), ("check", 7, 7)):
        now[0] += 1
        progress.update(stage, done, total)
    assert lines == ["ask: 0 of 9", "ask: 7 of 9", "check: 0 of 7", "check: 7 of 7, 7.0 a second"]


@pytest.mark.parametrize(
    ("stream", "environment", "live"),
    [
        (Terminal, {"TERM": "xterm"}, True),
        (Terminal, {"TERM": "xterm", "NO_COLOR": "1"}, True),
        (Terminal, {"TERM": "dumb"}, False),
        (io.StringIO, {"TERM": "xterm", "FORCE_COLOR": "1"}, False),
    ],
)
def test_what_is_a_terminal(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], environment: dict[str, str], live: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_INTERACTIVE", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", stream())
    with display.live_progress() as progress:
        progress.update("exam", 1, 2)
        assert isinstance(progress, display.Screen if live else display.Lines)


def test_bars_on_a_terminal(now: list[float]) -> None:
    said = io.StringIO()
    progress = display.Screen(Console(file=said, force_terminal=True, width=100))
    assert drawn(progress) == []
    for now[0] in range(1, 5):
        progress.update("questions", int(now[0]), 4, files=2)
    progress.update("exam", 0, None)
    progress.update("check", 0, 0, skipped="nothing has changed")
    now[0] = 1000
    bars = drawn(progress)
    assert bars[0].split() == ["questions", 24 * "━", "4/4", "1.0", "a", "second,", "files", "2"]
    assert (bars[1].split()[0], bars[1].split()[-1]) == ("exam", "0/?")
    assert len(bars) == 2
    assert "check: nothing has changed, skipped" in said.getvalue()


def test_the_panel_of_a_training_hears_of_every_step_and_is_a_bar_afterwards(now: list[float]) -> None:
    progress = display.Screen(Console(file=io.StringIO(), force_terminal=True, width=100))
    progress.update("train sft", 1, 400, loss=5.0)
    drawn(progress)
    for step in range(2, 101):
        now[0] += 0.5
        progress.update("train sft", step, 400, loss=1.0, tokens_per_second=640)  # nobody looks between
    lines = drawn(progress)
    assert lines[0] == "train     ━━━━━━────────────────── sft: 100 of 400, 2:30 left, 0:49 gone"
    assert lines[1] == f"loss      █{23 * '▁'} 1.000"
    progress.update("train answers_only", 1, 9, loss=3.0)
    lines = drawn(progress)
    assert lines[0].split("100/400 ")[1] == "loss 1.000, 640 trained tokens a second"
    assert lines[1].endswith("answers only: 1 of 9")


def test_lines_of_a_training(now: list[float]) -> None:
    lines: list[str] = []
    progress = display.Lines(lines.append)
    for step in range(1, 26):
        now[0] += 1
        progress.update("train sft", step, 25, loss=26.0 - step, held_out="5 of 9 at step 10" if step >= 10 else None)
        if step == 10:
            progress.update("train sft", step, 25, loss=26.0 - step, held_out="5 of 9 at step 10")
    assert lines == [
        "train sft: 1 of 25, loss 25.000",
        "train sft: 11 of 25, 0:14 left, 0:10 gone, loss 20.000, held out: 5 of 9 right at step 10, the best so far",
        "train sft: 21 of 25, 0:04 left, 0:20 gone, loss 14.500, held out: 5 of 9 right at step 10, the best so far",
        "train sft: 25 of 25, 0:24 gone, loss 10.500, held out: 5 of 9 right at step 10, the best so far",
    ]


def test_the_panel_of_the_stage_that_asks_and_a_bar_afterwards(now: list[float]) -> None:
    progress = display.Screen(Console(file=io.StringIO(), force_terminal=True, width=100))
    told: dict[str, Any] = {"completion_tokens": 0, "failures": {"connection": 2}}
    progress.update("questions", 40, 40)
    progress.update("ask", 0, 40, replies=0, **told)
    drawn(progress)
    now[0] = 10
    progress.update("ask", 20, 40, replies=20, **told)
    now[0] = 12
    lines = drawn(progress)
    assert lines[0].startswith("questions ━━━━")
    assert lines[1] == "ask       ━━━━━━━━━━━━──────────── 20 of 40, 0:12 left"
    assert lines[-1] == "failed    reset 2"
    assert len(lines) == 4
    progress.update("check", 1, 40)
    now[0] = 500  # a stage that is over goes no slower because time goes on
    lines = drawn(progress)
    assert [line.split()[0] for line in lines] == ["questions", "ask", "check"]
    assert lines[1].endswith("20/40 2.0 replies a second, failed calls: reset 2")
