"""Ids on the command line of those who administer a gateway."""

from __future__ import annotations

import pytest

from stillroom.base.errors import UsageError
from stillroom.cli_rows import id_itself, moment

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
