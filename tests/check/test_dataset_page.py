"""docs/dataset.md: its Python runs, and it names what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from stillroom.check.manifest import VERSION
from stillroom.check.published import KEPT, REJECTED

PAGE = (Path(__file__).parents[2] / "docs" / "dataset.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_every_column_is_named() -> None:
    words = set(re.findall(r"\w+", PAGE))
    assert {*KEPT, *REJECTED} <= words
    assert set(KEPT) - set(REJECTED) == {"pass_rate", "terms"}
    assert set(REJECTED) - set(KEPT) == {"sample", "reason", "detail", "extracted"}
    assert f"| `manifest_version` | `{VERSION}` |" in PAGE


def test_a_block_is_taken_apart_as_the_page_says() -> None:
    found: dict[str, Any] = {}
    (code,) = (block for block in BLOCKS if "def apart" in block)
    exec(compile(code, "docs/dataset.md", "exec"), found)
    shown = PAGE.split("```\n<think>")[1].split("```")[0]
    asked = {"role": "user", "content": "9 and 9?"}
    row = {"messages": [asked, {"role": "assistant", "content": f"<think>{shown}"}]}
    reply = {"role": "assistant", "content": "18", "reasoning_content": "9 + 9 = 18"}
    assert found["apart"](row) == {"messages": [asked, reply]}
    bare = {"messages": [asked, {"role": "assistant", "content": "18"}]}
    assert found["apart"](bare)["messages"][1] == {"role": "assistant", "content": "18", "reasoning_content": None}
