"""What a search for marks found, in sentences for a reader who is no statistician."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from stillroom.probe.watermark.green_test import RANDOM_KEYS, GreenTest
from stillroom.text.counted import counted

_SMALLEST = 1 / (RANDOM_KEYS + 1)


def sentences(found: GreenTest, what: str, committed_at: Mapping[str | None, int]) -> Iterator[str]:
    """`what` was looked at, as the beginning of a sentence. `committed_at`: when each key was committed to, in UTC
    microseconds."""
    best = found.scores[0]
    yield (
        f"{what}: {counted(found.answers, 'text')} of {counted(found.tokens, 'token')}. "
        f"{counted(found.pairs, 'different pair')} of neighbouring tokens could be scored; "
        f"{found.from_question:,} stood in the question and were left out."
    )
    yield (
        f"Under {_whose(best.account)} {best.green:.1%} of them are green, where {best.share:.0%} would be by chance. "
        f"The score, in standard deviations over random keys, is {best.z:+.2f}."
    )
    compared = "random keys" if found.accounts == 1 else f"times the best of {found.accounts:,} random keys"
    yield f"Compared with {RANDOM_KEYS:,} {compared} on the same text: p = {found.p_value:.4f}."
    if found.p_value <= _SMALLEST:
        yield f"So many can show no smaller p; by a bound it is at most {min(found.at_most, found.p_value):.2g}."
    committed = datetime.fromtimestamp(committed_at[best.account] / 1e6, UTC)
    yield f"The key was committed to on {committed:%Y-%m-%d %H:%M} UTC."
    for other in found.scores[1:]:
        if other.p_value <= 0.05:
            yield f"Also for {_whose(other.account)}: p = {other.p_value:.4f}, corrected for all accounts."
    yield (
        "A small p says that words came about with this key: by way of this model's marked replies, perhaps through "
        "others' hands. A large one says that no trace of it was found in these words, and not that there is none."
    )


def _whose(account: str | None) -> str:
    return "the owner's key" if account is None else f"the key of {account}"
