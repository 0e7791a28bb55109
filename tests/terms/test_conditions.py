"""Conditions on a student: which name meets them, and how they are said."""

from __future__ import annotations

import pytest

from stillroom.terms.conditions import Conditions


@pytest.mark.parametrize(
    ("conditions", "name", "unmet", "suggested"),
    [
        (Conditions(), "abacus", [], "abacus"),
        (Conditions(name_must_be="oracle-mini"), "abacus", ["has to be oracle-mini"], "oracle-mini"),
        (Conditions(name_must_be="oracle-mini"), "oracle-mini", [], "oracle-mini"),
        (Conditions(name_must_begin_with="Llama"), "llama-abacus", ["has to begin with Llama"], "Llama-llama-abacus"),
        (Conditions(name_must_begin_with="Llama"), "Llama-abacus", [], "Llama-abacus"),
        (Conditions(name_must_contain="Llama"), "my-llama", [], "my-llama"),
        (Conditions(name_must_contain="Llama"), "abacus", ["has to contain Llama"], "Llama-abacus"),
        (
            Conditions(name_must_begin_with="Oracle", name_must_contain="mini"),
            "abacus",
            ["has to begin with Oracle", "has to contain mini"],
            "Oracle-mini-abacus",
        ),
    ],
)
def test_a_name(conditions: Conditions, name: str, unmet: list[str], suggested: str) -> None:
    assert list(conditions.unmet_by(name)) == unmet
    assert conditions.suggested_name(name) == suggested
    assert not list(conditions.unmet_by(suggested))


def test_each_is_said() -> None:
    every = Conditions(
        name_must_be="a",
        name_must_begin_with="b",
        name_must_contain="c",
        pass_licence_on="d",
        notice="e",
        display="f",
        display_above="g",
        users_below=700_000_000,
        not_in=("h",),
        not_for=("i", "j"),
        use_policy="https://k.example",
        others=("l",),
    )
    assert list(every.in_words()) == [
        "its name is a",
        "its name begins with b",
        "its name contains c",
        "the licence d goes along with it, its restrictions of use included",
        "a notice goes along with it: e",
        "the words f are shown, by products above g",
        "whoever uses it has fewer than 700,000,000 monthly users, or asks the owner first",
        "not in h",
        "not for i",
        "not for j",
        "its use keeps to the policy at https://k.example",
        "l",
    ]
    assert Conditions().is_empty
    assert not every.is_empty
