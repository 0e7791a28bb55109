from __future__ import annotations

import pytest

from stillroom.verify.fences import Fenced, fenced_blocks


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("```python\nx = 1\n```", [("python", "x = 1")]),
        ("See:\n~~~ Python title=a\nx = 1\n~~~\nand\n```\ny\n```", [("python", "x = 1"), ("", "y")]),
        ("```{.python}\nx\n```", [("python", "x")]),
        ("1. A list:\n   ```py\n   if x:\n       y\n   ```\n", [("py", "if x:\n    y")]),
        ("````md\n```python\nx\n```\n````", [("md", "```python\nx\n```")]),
        ("```\na\n~~~\nb\n```", [("", "a\n~~~\nb")]),
        ("```python\nx = 1", [("python", "x = 1")]),
        ("```python", []),
        ("```\n```", [("", "")]),
        ("write ```x``` here\n```x```\n", []),
        ("no block, `x` or ``y``", []),
        ("", []),
    ],
)
def test_blocks(text: str, blocks: list[tuple[str, str]]) -> None:
    assert fenced_blocks(text) == [Fenced(*block) for block in blocks]
