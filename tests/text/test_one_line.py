from __future__ import annotations

import pytest

from stillroom.text.one_line import one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("  two\n\n\tlines ", "two lines"),
        ("a\x1b[2Jb\x07\x7f", "a␛[2Jb␇␡"),
        ("\x9b31m\u202egnp\u200b\ud800", "�31m�gnp��"),
        ("[b]as it is[/b]", "[b]as it is[/b]"),
        ("0123456789012345678", "0123456789012345678"),
        ("01234567890123456789", "01234567890123456789"),
        ("012345678901234567890", "0123456789012345678…"),
        ("a" + 10**6 * " " + "b", "a…"),
    ],
)
def test_one_line(text: str, line: str) -> None:
    assert one_line(text, 20) == line
