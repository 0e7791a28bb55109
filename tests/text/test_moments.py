from __future__ import annotations

from stillroom.text.moments import to_the_minute, to_the_second

AT = 1_809_194_459_999_999


def test_what_has_not_passed_yet_is_not_told() -> None:
    assert to_the_second(AT) == "2027-05-01 18:00:59 UTC"
    assert to_the_minute(AT) == "2027-05-01 18:00 UTC"
