from __future__ import annotations

from stillroom.client.retry import NOT_ANSWERED, REFUSED
from stillroom.text.failure_words import WORDS, failure_words, failures_in_words


def test_the_most_frequent_first() -> None:
    assert failures_in_words({}) == ""
    by_kind = {"connection": 3, "http_429": 1200, "no_text": 3}
    assert failures_in_words(by_kind) == "429 refused 1,200, reset 3, no text 3"


def test_what_has_no_words_is_named_as_it_is() -> None:
    assert failures_in_words({"http_418": 1, "odd_end": 2}) == "odd end 2, HTTP 418 1"


def test_what_is_frequent_has_words_of_its_own() -> None:
    assert WORDS.keys() >= NOT_ANSWERED | REFUSED
    assert all("_" not in failure_words(kind) for kind in WORDS)
    assert len(set(WORDS.values())) == len(WORDS)
