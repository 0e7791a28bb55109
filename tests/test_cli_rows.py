"""Ids on the command line of those who administer a gateway."""

from __future__ import annotations

import pytest
from rich.console import Console

from stillroom.base.errors import UsageError
from stillroom.cli_rows import id_itself, moment, show_rows

ID = "admin_0642a1b9d0f2c41ab3cd90"


def test_what_is_named_by_its_id_alone() -> None:
    assert id_itself(ID, "admin", "stillroom admin list") == ID


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("Olga", r"'Olga' is no admin's id.\s+stillroom admin list shows the ids"),
        ("sra-abcdefgh-secret", "a key itself"),
        (f"{ID}/../x", "is no admin's id"),
    ],
)
def test_a_name_or_a_key_in_its_place(given: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        id_itself(given, "admin", "stillroom admin list")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["2027-W01", "20270101", "2027-01", "2027-02-30", "2027-01-01x", "-1d", "1e9", ""])
def test_a_moment_begins_with_a_day(text: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        moment(text, "--until")


def test_a_moment_in_another_zone() -> None:
    assert moment("2027-03-28T02:30+01:00", "--until") == moment("2027-03-28 01:30", "--until")


@pytest.mark.parametrize(("width", "lines"), [(50, 5), (80, 3), (100, 2), (120, 2)])
def test_in_a_narrow_terminal_no_word_is_cut_or_broken(
    width: int, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Words go on in the next line; where one of them has no room, each field has a line."""
    monkeypatch.setattr("stillroom.cli_rows.Console", lambda **_: Console(width=width, color_system=None))
    row = {
        "id": ID,
        "name": "the research of Acme",
        "state": "active",
        "scope": None,
        "created_at": 1_800_000_000_000_000,
    }
    show_rows([row], tuple(row), as_json=False, nothing="-")
    shown = capsys.readouterr().out
    assert {ID, "research", "Acme", "active", "2027-01-15", "08:00:00", "UTC"} <= set(shown.split())
    assert len(shown.splitlines()) == lines
    assert max(map(len, shown.splitlines())) <= width
