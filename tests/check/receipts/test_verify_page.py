"""docs/verify.md says what the command does."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.verify_alterations import ALTERATIONS, Maker, write_data_set

from stillroom.base.receipt import MOST_TURNS
from stillroom.check.receipts.reasons import REASONS
from stillroom.check.receipts.run import ROWS_SHOWN, verify_receipts

PAGE = (Path(__file__).parents[3] / "docs" / "verify.md").read_text(encoding="utf-8")


def first_cells(after: str) -> list[str]:
    table = PAGE.partition(after)[2].partition("|---")[2].partition("\n\n")[0]
    return [name for row in table.splitlines()[1:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]


def test_it_names_every_reason_in_order() -> None:
    assert first_cells("A row has one reason") == list(REASONS)


def test_it_names_every_figure(tmp_path: Path) -> None:
    maker = Maker(words=3)
    (tmp_path / "keys.json").write_bytes(maker.owner.keys())
    write_data_set(tmp_path / "set", [maker.row(1), maker.row(2) | {"receipt": None}], maker.permits)
    facts = verify_receipts(tmp_path / "set", str(tmp_path / "keys.json"))
    assert set(first_cells("`--json`:")) == {"differences", *facts}
    named = re.search(r"a line of\nJSON each: `([\w, ]+)`", PAGE)
    assert named is not None
    assert named[1].split(", ") == list(facts["first"][0])
    assert ROWS_SHOWN == 10
    assert set(facts["permits"][0]["used"]) == {"rows", "calls", "tokens"}


def test_its_numbers() -> None:
    assert f"each of the last {MOST_TURNS} messages" in PAGE
    assert f"in each of {len(ALTERATIONS)} ways" in PAGE
