"""What a terminal is given: names and texts that nobody vouches for can be read there, and do nothing."""

from __future__ import annotations

from stillroom.cli_output import visible
from stillroom.report.words import percent


def test_blanks_of_any_width_are_shown_as_they_are() -> None:
    assert visible(f"{percent(0.5)} of\u202fthem\u3000all") == f"{percent(0.5)} of\u202fthem\u3000all"


def test_what_would_act_on_a_terminal_is_replaced() -> None:
    for char in ("\x1b", "\r", "\x00", "\x7f", "\x9b", "\u202e", "\u2066", "\u200b", "\u2028", "\udcff"):
        assert visible(f"a{char}b") == "a\ufffdb", ascii(char)
