"""A price that somebody wrote in another way than a recipe's."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stillroom.ask.settings import TeacherSettings
from stillroom.base.errors import RecipeError
from stillroom.client.settings import Price
from stillroom.recipe import load_recipe

FREE = "write none where the teacher costs nothing"
BOTH = "{input_per_million: 0.55, output_per_million: 2.19}"


def read(folder: Path, price: str) -> Any:
    path = folder / "recipe.yaml"
    path.write_text(
        f"name: a\nteacher:\n  model: m\n  base_url: http://host/v1\n  price: {price}\n"
        "questions: [{from: file, path: q.jsonl}]\n",
        encoding="utf-8",
    )
    teacher = load_recipe(path).teacher
    assert teacher is not None
    return teacher.price


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("0", FREE),
        ("0.0", FREE),
        ("free", FREE),
        ("None", FREE),
        ("no", FREE),
        ("false", FREE),
        ("0.55", f"one number is no price, since prompts and replies cost differently: write {BOTH}"),
        ("$0.55", "one number is no price"),
        ("true", f"a price is none, or {BOTH}"),
        ("auto", "a price is none, or"),
        ("[0.55, 2.19]", "a price is none, or"),
        ("{}", "input_per_million and output_per_million are missing: USD for a million tokens"),
        ("{input_per_million: 1}", "output_per_million is missing"),
        ("{input: 0.55, output: 2.19}", "there is no input: write input_per_million, the USD for a million tokens"),
        ("{prompt: 0.55, completion: 2.19}", "there is no prompt: write input_per_million"),
        ("{inputPerMillion: 0.55}", "there is no inputPerMillion: write input_per_million"),
        ("{input_per_milion: 0.55}", "there is no input_per_milion: write input_per_million"),
        ("{cached_input: 0.55}", "there is no cached_input: write cached_per_million"),
        ("{per_request: 0.55}", "there is no per_request: write per_call, the USD for each call"),
        ("{currency: EUR}", "there is no currency: prices are in USD"),
        ("{zzz: 1}", f"there is no zzz; a price is {BOTH}, and may have cached_per_million and per_call"),
        ("{input_per_token: 0.00000055}", "prices are for a million tokens; write input_per_million: 0.55"),
        ("{output_cost_per_token: 2.19e-6}", "prices are for a million tokens; write output_per_million: 2.19"),
        ("{input_per_1k: 0.00055}", "prices are for a million tokens; write input_per_million: 0.55"),
        ("{input_per_million: 0.00000055}", "if it is for one token, write 0.55"),
        ("{input_per_million: -1}", "input_per_million: a price is never negative"),
        ("{input_per_million: $0.55}", "input_per_million: write 0.55 alone; prices are in USD"),
        ("{input_per_million: 0.55 USD}", "input_per_million: write 0.55 alone; prices are in USD"),
        ("{input_per_million: €0.55}", "'€0.55' is not in USD: write what it is in USD"),
        ('{input_per_million: "0,55"}', "'0,55' is no number"),
        ("{input_per_million: 0,55}", "a key must be text; put it in quotes, or write a decimal point"),
        ("{input_per_million: cheap}", "'cheap' is no number: write the USD for a million tokens alone"),
        ("{input_per_million: .nan}", "'.nan' is no number"),
        ("{input_per_million: null}", "input_per_million should be a number: the USD for a million tokens"),
        ("{input_per_million: [1]}", "input_per_million should be a number"),
        ("{input_per_million: true}", "input_per_million should be a number"),
        ("{input_per_million: 1, output_per_million: 1e12}", "output_per_million: should be less than or equal to"),
        ("{input_per_million: 1, output_per_million: 2, per_call: -1}", "per_call: a price is never negative"),
    ],
)
def test_what_is_no_price_is_told_in_one_sentence(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read(tmp_path, written)
    assert said in caught.value.what
    assert "problems" not in caught.value.what
    assert "line 5" in caught.value.what


@pytest.mark.parametrize(
    "written",
    [
        "{input_per_million: 0.55, output_per_million: 2.19}",
        '{input_per_million: "0.55", output_per_million: " 2.19 "}',
        "{input_per_million: 5.5e-1, output_per_million: 2.19, cached_per_million: null, per_call: 0}",
    ],
)
def test_what_is_a_price(tmp_path: Path, written: str) -> None:
    price = Price(input_per_million=Decimal("0.55"), output_per_million=Decimal("2.19"))
    assert read(tmp_path, written) == price
    teacher = TeacherSettings(model="m", base_url="http://host/v1", price=price)
    assert TeacherSettings.model_validate(teacher.model_dump()).price == price


def test_small_prices_for_a_call_and_nothing_for_prompts(tmp_path: Path) -> None:
    price = read(tmp_path, "{input_per_million: 0, output_per_million: 0, per_call: 0.00001}")
    assert (price.input_per_million, price.per_call) == (0, Decimal("0.00001"))
    assert read(tmp_path, "none") == "none"
    assert read(tmp_path, "null") is None
