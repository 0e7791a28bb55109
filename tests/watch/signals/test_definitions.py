"""docs/watch-signals.md tells of every signal and every explanation that there is, and of no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.watch.signals.windows import days, hits, repeats, window

from stillroom.watch.signals import explanations
from stillroom.watch.signals.bank_coverage import TEST_SPLITS
from stillroom.watch.signals.definitions import BY_NAME, SIGNALS, Signal
from stillroom.watch.signals.measure import signals_of

DOC = (Path(__file__).parents[3] / "docs" / "watch-signals.md").read_text()


def test_the_page_has_every_signal_with_what_it_costs() -> None:
    sections = re.findall(r"^### ([^\n]*)\n\n(.*?)(?=^#)", DOC, re.MULTILINE | re.DOTALL)
    told = {name: text for names, text in sections for name in re.findall(r"`(\w+)`", names)}
    assert told.keys() == BY_NAME.keys()
    assert all("*Honest*" in text and re.search(r"\*[Cc]osts\*", text) for text in told.values())


def test_the_table_has_every_signal_in_their_order() -> None:
    assert re.findall(r"^\| `(\w+)` \|", DOC, re.MULTILINE) == [signal.name for signal in SIGNALS]


def test_families_stand_under_their_heading() -> None:
    time, content = DOC.split("\n## Time\n")[1].split("\n## Content\n")
    for signal in SIGNALS:
        assert f"`{signal.name}`" in {"time": time, "content": content}[signal.family]


def test_the_page_has_every_explanation() -> None:
    table = DOC.split("## Explanations that are tested")[1].split("\n## ")[0]
    told = set(re.findall(r"^\| ([a-z ]+) \|", table, re.MULTILINE)) - {"explanation"}
    assert told == set(explanations.NAMES)
    assert all(f"`{split}`" in DOC for split in TEST_SPLITS)


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_every_signal_has_a_plain_sentence(signal: Signal) -> None:
    parts = window(days("a", 60, asks_grading=3), bank_hits=hits("a", range(300)), repeats=[repeats("a")])
    said = signals_of(parts).sentence(signal.name, 0)
    assert re.fullmatch(r"[A-Z0-9].*\.", said)
    assert "_" not in said
