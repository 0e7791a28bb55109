"""What a run says of itself when it is interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillroom.ask.standing import Standing
from stillroom.base.canonical import digest
from stillroom.store.journal import Intent, Journal, Outcome

PAGE = (Path(__file__).parents[2] / "docs" / "ask.md").read_text(encoding="utf-8")


def fill(journal: Journal, *outcomes: tuple[str, str | None]) -> None:
    """A call for each status and cost, with 0.02 USD reserved; without a status it stays in flight."""
    numbers = journal.begin([Intent(digest(position), 1, "0.02", 900) for position in range(len(outcomes))]).result()
    settled = [
        Outcome(number, status, None, cost, None)
        for number, (status, cost) in zip(numbers, outcomes, strict=True)
        if status
    ]
    journal.settle(settled).result()


def test_the_page_shows_what_is_said(tmp_path: Path) -> None:
    standing = Standing(
        25, 40, False, {"ok": 18, "failed": 2, "truncated": 1}, {"http_429": 5, "http_400": 2, "connection": 1}
    )
    with Journal(tmp_path / "ask.sqlite") as journal:
        fill(journal, *[("ok", "0.0011")] * 25, *[("retry", "0")] * 7, ("unknown", None))
        said = standing.in_words(journal, is_limited=True)
    assert said.splitlines()[0] == "15 of 40 samples are left to ask."
    assert said in PAGE


def test_what_was_let_go_counts_at_its_worst(tmp_path: Path) -> None:
    with Journal(tmp_path / "ask.sqlite") as journal:
        assert Standing(0, 3, True, {}, {}).in_words(journal, is_limited=True) == (
            "At most 3 of 3 samples are left to ask.\nMade so far: 0 calls."
        )
        fill(journal, ("ok", None), ("", None), ("", None))
        assert Standing(1, 1, False, {"truncated": 1}, {}).in_words(journal, is_limited=False) == (
            "Nothing is left to ask.\n1 sample was cut by the token limit.\n"
            "Spent so far: 0.04 USD in 3 calls; the outcome of 2 is unknown, which counts as 0.04 USD of it.\n"
            "2 of the unknown ones were let go in flight just now."
        )


@pytest.mark.parametrize(
    ("done", "total", "is_most", "said"),
    [
        (1, 1, False, "Nothing is left to ask."),
        (0, 1, False, "1 of 1 sample is left to ask."),
        (11, 12, False, "1 of 12 samples is left to ask."),
        (10, 12, True, "At most 2 of 12 samples are left to ask."),
        (12, 12, True, "Nothing is left to ask."),
    ],
)
def test_one_is_and_two_are(tmp_path: Path, done: int, total: int, is_most: bool, said: str) -> None:
    with Journal(tmp_path / "ask.sqlite") as journal:
        fill(journal, ("", None))
        words = Standing(done, total, is_most, {}, {}).in_words(journal, is_limited=True)
    assert words.splitlines()[0] == said
    assert words.splitlines()[-1] == "1 of the unknown ones was let go in flight just now."
