"""Progress as lines and as bars."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress as Bars

from stillroom import display


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with display.live_progress() as progress:
        progress.update("ask", 0, 1920)
        for done in range(1, 1921):
            now[0] += 1 / 64
            progress.update("ask", done, 1920, cost_usd="0.31", nothing=None, empty="", parts=(b"1", "2"))
        progress.update("check", 0, 0, skipped="nothing has changed")
        progress.say("check: warning: 19 of 20 were rejected.")
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "ask: 0 of 1,920"
    assert lines[1] == "ask: 640 of 1,920, 64 a second, 0:20 left, cost usd 0.31"
    assert lines[3] == "ask: 1,920 of 1,920, 64 a second, cost usd 0.31"
    assert lines[-2:] == ["check: nothing has changed, skipped", "check: warning: 19 of 20 were rejected."]
    assert len(lines) == 6


def test_bars_on_a_terminal() -> None:
    screen = io.StringIO()
    with Bars(console=Console(file=screen, force_terminal=True, width=100)) as bars:
        progress = display.panel(bars)
        progress.update("train sft", 1, 4, loss=0.5)
        progress.update("train sft", 4, 4, loss=0.4)
        progress.update("exam", 0, None)
        progress.update("check", 0, 0, skipped="nothing has changed")
        assert [(task.description, task.completed, task.total) for task in bars.tasks] == [
            ("train sft", 4, 4),
            ("exam", 0, None),
        ]
        assert "loss 0.4" in bars.tasks[0].fields["facts"]
    assert "check: nothing has changed, skipped" in screen.getvalue()


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0:00"), (61, "1:01"), (3725, "1:02:05")])
def test_time_left(seconds: float, words: str) -> None:
    assert display.clock(seconds) == words
