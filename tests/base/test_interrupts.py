"""Ctrl-C around imports."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from stillroom.base.interrupts import ends_at_once, held_back

ENDS = """
import signal
from stillroom.base.interrupts import ends_at_once
with ends_at_once():
    try:
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        print("swallowed")
print("went on")
"""


def test_it_is_heard_after_the_body() -> None:
    went_on = []

    def load() -> None:
        with held_back():
            signal.raise_signal(signal.SIGINT)
            went_on.append(True)

    with pytest.raises(KeyboardInterrupt):
        load()
    assert went_on == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_of_the_body_is_what_counts() -> None:
    with pytest.raises(ModuleNotFoundError), held_back():
        raise ModuleNotFoundError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_thread_may_load_too() -> None:
    loaded = []

    def load() -> None:
        with held_back():
            loaded.append(True)

    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    assert loaded == [True]


def test_the_process_ends_whatever_the_body_catches() -> None:
    ended = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr == "Stopped before anything was begun.\n"


def test_who_handles_it_otherwise_goes_on_doing_so() -> None:
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        with ends_at_once():
            signal.raise_signal(signal.SIGINT)
        assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)
    with ends_at_once():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
