"""Which keys a call is printed with: its quarter's and, for the first days of one, those of the quarter before."""

from __future__ import annotations

from stillroom.store.secrets import Secrets
from stillroom.text.prints import PrintsByTime

DAY = 86_400_000_000
YEAR_2027 = 1_798_761_600_000_000


def test_two_epochs_overlap() -> None:
    prints = PrintsByTime(Secrets(bytes(32)))
    last, none = prints.at(YEAR_2027 - 1)
    first, before = prints.at(YEAR_2027)
    assert (last.epoch, first.epoch) == ("2026q4", "2027q1")
    assert none is None
    assert before is last
    assert prints.at(YEAR_2027 + 6 * DAY) == (first, last)
    assert prints.at(YEAR_2027 + 7 * DAY) == (first, None)
    assert prints.at(YEAR_2027 - 1) == (last, None)
