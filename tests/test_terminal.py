"""The command on a terminal: what is on the screen while it asks, when it is resized, and after Ctrl-C."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from rich.cells import cell_len

from stillroom.testing import Answer, MisbehavingTeacher, Price, Rule
from stillroom.testing import faults as f

ROWS, PATIENCE_S = 50, 120.0
FAULTS = [Rule(f.reset(), after=3, first=1), Rule(f.rate_limited(), after=15, first=1)]
PRICE = Price(input_per_million=Decimal(3), output_per_million=Decimal(15))
_ON_ITS_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C reaches it
os.execv(sys.executable, [sys.executable, "-m", "stillroom", *sys.argv[1:]])
"""
_CONTROL = re.compile(r"\x1b\[(\?25[hl]|[0-9;]*m|2K|1A)")


class Screen:
    """What a terminal shows: text, line ends, and the few control sequences that a redrawn panel needs. Any other
    control character is an error.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.colours = False
        self._lines: list[list[str]] = [[]]
        self._row = self._column = 0

    @property
    def lines(self) -> list[str]:
        return ["".join(line).rstrip() for line in self._lines]

    def write(self, text: str) -> None:
        position = 0
        while position < len(text):
            control = _CONTROL.match(text, position)
            if control is not None:
                self._obey(control[1])
                position = control.end()
            else:
                self._put(text[position])
                position += 1

    def _obey(self, control: str) -> None:
        if control == "1A":
            self._row -= 1
        elif control == "2K":
            self._lines[self._row] = []
        elif control.endswith("m"):
            self.colours |= bool(re.search(r"\b[34]\d\b", control))

    def _put(self, char: str) -> None:
        if char == "\r":
            self._column = 0
        elif char == "\n":
            self._next_line()
        else:
            assert char.isprintable(), f"{char!r} reached the terminal"
            if self._column + cell_len(char) > self.columns:
                self._next_line()
                self._column = 0
            line = self._lines[self._row]
            line += " " * (self._column + 1 - len(line))
            line[self._column] = char
            self._column += 1

    def _next_line(self) -> None:
        self._row += 1
        if self._row == len(self._lines):
            self._lines.append([])


class Terminal:
    """A pseudo-terminal in which a command runs."""

    def __init__(self, command: list[str], columns: int, environment: dict[str, str]) -> None:
        self.screen = Screen(columns)
        self._master, slave = pty.openpty()
        settings = termios.tcgetattr(slave)
        settings[3] |= termios.NOFLSH  # else Ctrl-C drops what was written and not yet read
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        self.resize(columns)
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ON_ITS_TERMINAL, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=inherited | {"TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path)} | environment,
            start_new_session=True,
        )
        os.close(slave)
        self._decoder = getincrementaldecoder("utf-8")()
        self._rest = ""

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        self.screen.columns = columns

    def press(self, key: bytes) -> None:
        os.write(self._master, key)

    def read_until(self, seen: Callable[[list[str]], bool]) -> None:
        """Take what comes until the screen is as wanted, or the command has ended."""
        give_up_at = time.monotonic() + PATIENCE_S
        while not seen(self.screen.lines) and self._read():
            assert time.monotonic() < give_up_at, "\n".join(self.screen.lines)

    def _read(self) -> bool:
        if not select.select([self._master], [], [], 0.1)[0]:
            return True
        try:
            came = os.read(self._master, 65536)
        except OSError:  # Linux: nobody is at the other end any more
            came = b""
        text = self._rest + self._decoder.decode(came)
        last = text.rfind("\x1b")
        is_cut = came and last >= 0 and not _CONTROL.match(text, last)
        self._rest = text[last:] if is_cut else ""
        self.screen.write(text[:last] if is_cut else text)
        return bool(came)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)


@contextmanager
def asking(folder: Path, questions: int, columns: int, *more: str, **environment: str) -> Iterator[Terminal]:
    """`stillroom ask`, of a teacher that refuses, resets, takes its time, and writes what terminals obey."""
    rows = [{"question": f"What is {n} + 1?\x1b[2J Think [bold]well[/bold]."} for n in range(questions)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with MisbehavingTeacher(
        lambda question: Answer(f"\x1b]0;mine\x07It is [red]{question.split()[2]}[/red]\n" + "and more " * 30),
        rules=FAULTS,
        delay_s=(0.1, 0.4),
        price=PRICE,
    ) as teacher:
        (folder / "recipe.yaml").write_text(
            f"""\
name: sums
teacher:
  {{model: teacher, base_url: "{teacher.base_url}", terms: own,
    price: {{input_per_million: 3, output_per_million: 15}}}}
questions: [{{from: file, path: questions.jsonl}}]
ask: {{concurrency: 8, budget_usd: 1}}
"""
        )
        terminal = Terminal(["ask", "recipe.yaml", *more], columns, environment)
        try:
            yield terminal
        finally:
            terminal.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def has(*words: str) -> Callable[[list[str]], bool]:
    return lambda lines: all(any(word in line for line in lines) for word in words)


def starting_with(label: str, lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith(label)]


def test_the_panel_on_a_terminal_that_is_resized(folder: Path) -> None:
    with asking(folder, 100, 90, NO_COLOR="1") as terminal:  # three seconds: it is resized long before the end
        terminal.read_until(has("replies a second", "answer "))
        panel = terminal.screen.lines
        (question,), (answer,) = starting_with("question ", panel), starting_with("answer ", panel)
        assert "+ 1?␛[2J Think [bold]well[/bold]." in question
        assert "␛]0;mine␇It is [red]" in answer
        assert answer.endswith("…")
        assert re.match(r"ask       ━*─+ \d+ of 100", starting_with("ask ", panel)[0])
        assert "in flight: " in starting_with("pace ", panel)[0]
        terminal.resize(48)
        terminal.read_until(has("100 questions: 100 replies"))
        assert terminal.process.wait(PATIENCE_S) == 0
        terminal.read_until(lambda _: False)
    lines = terminal.screen.lines
    assert not terminal.screen.colours
    panel = lines[: lines.index(starting_with("100 questions: ", lines)[0])]
    asked = panel.index(starting_with("ask ", panel)[-1])
    assert panel[asked] == "ask       ━━━━━━━━━━━━ 100 of 100"
    assert all(len(line) <= 48 for line in panel[asked:])
    assert "reset" in starting_with("failed ", panel)[-1]


def test_ctrl_c_waits_for_what_is_paid_and_says_where_it_stands(folder: Path) -> None:
    with asking(folder, 400, 100) as terminal:
        terminal.read_until(has("replies a second", "failed ", " in flight"))
        terminal.press(b"\x03")
        terminal.read_until(has("To go on"))
        assert terminal.process.wait(PATIENCE_S) == 3
        terminal.read_until(lambda _: False)
    lines = terminal.screen.lines
    text = "\n".join(lines)
    assert re.search(r"^Stopping. (1 call is|\d+ calls are) in flight, and paid for: waiting\.", text, re.MULTILINE)
    assert [len(starting_with(label, lines)) for label in ("questions", "ask ", "spent ", "question ")] == [1, 1, 1, 1]
    end = lines[lines.index("Stopped. What was finished is kept.") :]
    left = re.fullmatch(r"(\d+) of 400 samples are left to ask\.", end[1])
    assert left is not None
    assert f" {400 - int(left[1])} of 400" in starting_with("ask ", lines)[0]
    assert re.match(r"Calls that failed: .*reset \d", end[2])
    assert re.match(r"Spent so far: 0\.\d+ USD in \d+ calls; the outcome of \d+ is unknown, which counts as ", end[3])
    assert "To go on: stillroom ask recipe.yaml" in end
    assert terminal.screen.colours
