"""Dates and times of day in several forms: may two texts mean the same moment?"""

from __future__ import annotations

import re

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_MONTH = r"(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>\d{4})"
_NAMED = (
    re.compile(rf"(?:[a-z]+day,? )?{_MONTH} {_DAY},? {_YEAR}"),
    re.compile(rf"(?:[a-z]+day,? )?{_DAY}\.?(?: of)? {_MONTH},? {_YEAR}"),
)
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_YEAR_LAST = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})")
_TIME = re.compile(r"(\d{1,2})[:.](\d{2})(?::00)?(?: ?([ap])\.? ?m\.?)?|(\d{1,2}) ?([ap])\.? ?m\.?")

_NAMED_TIMES = {"midnight": 0, "noon": 12 * 60, "midday": 12 * 60}


def same_moment(one: str, other: str) -> bool:
    """Whether two case-folded texts may be the same date, or the same time of day."""
    return bool(_dates(one) & _dates(other) or _times(one) & _times(other))


def _dates(text: str) -> set[tuple[int, int, int]]:
    """Every (year, month, day) that the whole text may mean: two where nobody knows which number is the month."""
    for form in _NAMED:
        if match := form.fullmatch(text):
            return {(int(match["year"]), _MONTHS[match["month"]], int(match["day"]))}
    if match := _YEAR_FIRST.fullmatch(text):
        return {(int(match[1]), int(match[2]), int(match[3]))}
    if match := _YEAR_LAST.fullmatch(text):
        first, second, year = (int(match[group]) for group in (1, 2, 3))
        return {(year, month, day) for month, day in ((first, second), (second, first)) if month <= 12}
    return set()


def _times(text: str) -> set[int]:
    """Minutes since midnight that the whole text may mean."""
    if text in _NAMED_TIMES:
        return {_NAMED_TIMES[text]}
    match = _TIME.fullmatch(text)
    if match is None:
        return set()
    hour, minute = int(match[1] or match[4]), int(match[2] or 0)
    half = match[3] or match[5]
    if half:
        return {(hour % 12 + (12 if half == "p" else 0)) * 60 + minute}
    if hour > 12:
        return {hour * 60 + minute}
    return {hour * 60 + minute, hour % 12 * 60 + minute, (hour % 12 + 12) * 60 + minute}
