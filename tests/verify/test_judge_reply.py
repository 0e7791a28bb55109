from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.verify.judge_reply import MOST_CHARACTERS, read_verdict

VERDICTS = ("right", "wrong", "unsure")


@pytest.mark.parametrize(
    ("text", "verdict", "is_repaired"),
    [
        ('{"reason": "18 = 18", "verdict": "right"}', "right", False),
        ('{"verdict": "wrong"}', "wrong", False),
        ('  {"verdict": " Right "}\n', "right", False),
        ('```json\n{"verdict": "unsure"}\n```', "unsure", False),
        ('Here is my verdict:\n```\n{"verdict": "right"}\n```\nBye.', "right", False),
        ('My verdict: {"reason": "a {b} c", "verdict": "right"}.', "right", False),
        # mended: a backslash that escapes nothing, a comma too many, a line break in a text
        (r'{"reason": "\(x\) is \sqrt{2}", "verdict": "right"}', "right", True),
        (r'{"reason": "\\ and \" and \u00e4 and \underline", "verdict": "right"}', "right", True),
        ('{"reason": "yes", "verdict": "right",}', "right", True),
        ('{"reason": ["a", "b",], "verdict": "wrong",\n}', "wrong", True),
        ('{"reason": "two\nlines", "verdict": "right"}', "right", True),
        # no verdict
        ("right", None, False),
        ("The answer is right.", None, False),
        ("", None, False),
        ("{}", None, False),
        ('{"verdict": "maybe"}', None, False),
        ('{"verdict": "right or wrong"}', None, False),
        ('{"verdict": true}', None, False),
        ('{"verdict": null}', None, False),
        ('["right"]', None, False),
        ('"right"', None, False),
        ('{"verdict": "right"', None, False),
        ("{'verdict': 'right'}", None, False),
        ('{"verdict": "right", "verdict": "wrong"}', None, False),
        ('{"verdict": "wrong"} {"verdict": "right"}', None, False),
        ('First {"verdict": "wrong"}, no: {"verdict": "right"}', None, False),
        ('```json\n{"verdict": "wrong"}\n```\n```json\n{"verdict": "right"}\n```', None, False),
        ('{"a": ' * 100_000 + "1" + "}" * 100_000, None, False),
        ('{"verdict": "right", "reason": "' + "x" * MOST_CHARACTERS + '"}', None, False),
        ('{"reason": "' + "\\" * 30_001 + '", "verdict": "right"}', None, False),
    ],
)
def test_reading(text: str, verdict: str | None, is_repaired: bool) -> None:
    read = read_verdict(text, VERDICTS)
    assert (read.verdict, read.is_repaired) == (verdict, is_repaired)


def test_a_mended_reason_reads_as_it_was_meant() -> None:
    assert read_verdict(r'{"reason": "\(x\) and \\alpha", "verdict": "right",}', VERDICTS).reason == r"\(x\) and \alpha"


def test_only_the_offered_verdicts_count() -> None:
    assert read_verdict('{"verdict": "right"}', ("same", "different", "unsure")).verdict is None
    assert read_verdict('{"verdict": "same"}', ("same", "different", "unsure")).verdict == "same"


@given(st.text(), st.sampled_from(VERDICTS), st.booleans())
def test_whatever_the_reason_is_a_strict_object_is_read(reason: str, verdict: str, is_fenced: bool) -> None:
    text = json.dumps({"reason": reason, "verdict": verdict})
    read = read_verdict(f"```json\n{text}\n```" if is_fenced else text, VERDICTS)
    assert (read.verdict, read.is_repaired) == (verdict, False)


@given(st.text(alphabet='{}[]",:\\ \nverdictrightwrong', max_size=60))
def test_nothing_raises_and_nothing_else_is_a_verdict(text: str) -> None:
    assert read_verdict(text, VERDICTS).verdict in (None, *VERDICTS)
