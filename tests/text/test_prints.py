"""Prints: equal for what is equal, different for the rest, and worth nothing without the key."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stillroom.store.secrets import Secrets
from stillroom.text.normal import normalised, skeleton
from stillroom.text.prints import Prints, epoch_at, overlapping_at
from stillroom.text.sketch import GRAM, Sketcher, likeness

GSM8K = Path(__file__).parents[1] / "data" / "gsm8k" / "test_excerpt.jsonl"


@pytest.fixture(scope="module")
def prints() -> Prints:
    return Prints(Secrets(bytes(range(32))), "2026q4")


@pytest.fixture(scope="module")
def questions() -> list[str]:
    return [json.loads(line)["question"] for line in GSM8K.read_text(encoding="utf-8").splitlines()]


def test_an_address_is_its_network(prints: Prints) -> None:
    assert prints.address("203.0.113.7") == prints.address("203.0.113.250") == prints.address("::ffff:203.0.113.9")
    assert prints.address("203.0.113.7") != prints.address("203.0.114.7")
    assert (
        prints.address("2001:db8:1:2::3") == prints.address("2001:db8:1:ffff::") == prints.address("2001:db8:1::%eth0")
    )
    assert prints.address("2001:db8:1::") != prints.address("2001:db8:2::")
    assert [prints.address(each) for each in ("", "unknown", "203.0.113", "203.0.113.7:80", "999.1.1.1")] == [None] * 5


def test_each_purpose_and_epoch_has_a_key_of_its_own(prints: Prints) -> None:
    secrets = Secrets(bytes(range(32)))
    other_epoch, other_owner = Prints(secrets, "2027q1"), Prints(Secrets(bytes(32)), "2026q4")
    labels = [prints.label(purpose, "same") for purpose in ("tls", "billing", "user")]
    texts = prints.texts("same", "same")
    found = [*labels, texts.prompt, texts.system, texts.skeleton]
    found += [each.label("tls", "same") for each in (other_epoch, other_owner)]
    assert len(set(found)) == len(found)
    assert all(len(each or "") == 32 for each in found)
    assert len({each.print_key_id for each in (prints, other_epoch, other_owner)}) == 3
    assert Prints(secrets, "2026q4").texts("same", "same") == texts


def test_an_epoch_is_a_quarter() -> None:
    assert [epoch_at(at) for at in (0, 1_795_699_848_558_268, 1_798_761_600_000_000)] == ["1970q1", "2026q4", "2027q1"]


def test_two_epochs_overlap_for_the_first_days_of_the_second(prints: Prints) -> None:
    turn, day = 1_798_761_600_000_000, 86_400_000_000
    assert [overlapping_at(turn + days * day) for days in (-1, 0, 6, 7, 60)] == [None, "2026q4", "2026q4", None, None]
    earlier = prints.earlier("203.0.113.7", "t13d", None, "What is 2+3?", None)
    texts = prints.texts("What is 2+3?", None)
    assert (earlier.prompt_print, earlier.skeleton_print, earlier.minhash) == (
        texts.prompt,
        texts.skeleton,
        texts.sketch,
    )
    assert (earlier.ip_print, earlier.user_print) == (prints.address("203.0.113.9"), None)
    assert earlier.print_key_id == prints.print_key_id


def test_texts_that_differ_in_what_typing_leaves_to_chance(prints: Prints) -> None:
    one = prints.texts("  What is\n２＋３？ ", "Be brief")
    other = prints.texts("what IS 2+3?", " be\tbrief ")
    assert (one.prompt, one.system, one.sketch) == (other.prompt, other.system, other.sketch)
    assert prints.texts("What is 2+4?", None).prompt != one.prompt


def test_no_text_has_no_print(prints: Prints) -> None:
    for nothing in (None, "", " \n"):
        texts = prints.texts(nothing, nothing)
        assert (texts.prompt, texts.system, texts.skeleton, texts.sketch) == (None, None, None, None)


def test_text_that_is_no_unicode_is_printed_too(prints: Prints) -> None:
    texts = prints.texts("half a \ud83d pair", "\udfff")
    assert None not in (texts.prompt, texts.system, texts.skeleton, texts.sketch)
    assert prints.label("user", "\ud800")


def filled(name: str, other: str, count: int, price: str, place: str) -> str:
    return (
        f"{name} buys {count} apples in {place} at ${price} each and gives {count // 2} to {other}. "
        f'"{place} is far", says {other}\'s sister. How much did {name} pay?'
    )


def test_rows_of_one_template_share_their_skeleton() -> None:
    rows = [
        filled("Natalia", "Bob", 48, "1.50", "New York City"),
        filled("Łukasz", "Anne-Marie", 7, "12", "Paris"),
        filled("Mary Ann Smith", "O'Neil", 1_000, "1,250.99", "Zürich"),
    ]
    assert len({skeleton(row) for row in rows}) == 1
    assert skeleton("Compute 17 * 23.") == skeleton("Compute 5 * 1,204.")
    assert skeleton("Translate “guten Tag” into French") == skeleton("Translate «au revoir» into English")
    assert skeleton("Fix ```a = 1\nb``` please") == skeleton("Fix ```c``` please")
    assert skeleton("In the 3rd week") == skeleton("In the 11th week")


def test_real_questions_that_are_no_template_keep_their_own(questions: list[str]) -> None:
    assert len({skeleton(question) for question in questions}) == len(questions)


def test_an_apostrophe_quotes_nothing() -> None:
    assert skeleton("the boy's dog and the girl's cat") == "the boy's dog and the girl's cat"


def test_what_is_all_holes_has_no_skeleton() -> None:
    for text in ("Hi", "Hello", "42", "NASA 1969!", '"quoted"', "..."):
        assert skeleton(text) is None


def test_long_texts_take_no_longer_than_their_beginning(prints: Prints) -> None:
    start = "word " * 5_000
    one, other = prints.texts(start + "one", None), prints.texts(start + "two", None)
    assert (one.skeleton, one.sketch) == (other.skeleton, other.sketch)
    assert one.prompt != other.prompt


@pytest.mark.parametrize("signs", ["“”", "«»", "「」", "‘’"])
def test_a_quotation_begins_with_the_last_sign_before_its_end(signs: str) -> None:
    """Searched for from every sign, to the end of the text, thousands of them would take the square of its length."""
    assert skeleton(f"say {signs[0]}one {signs[0]}two{signs[1]} more") == f"say {signs[0]}one \0 more"


def test_a_very_long_text_does_not_grow() -> None:
    ligature = "\ufdfa"
    assert len(normalised(ligature)) == 18
    assert len(normalised(ligature * 100_001)) == 100_001


def jaccard(one: str, other: str) -> float:
    runs = [{text[at : at + GRAM] for at in range(len(text) - GRAM + 1)} for text in (one, other)]
    return len(runs[0] & runs[1]) / len(runs[0] | runs[1])


def test_the_estimated_likeness_is_right_within_its_error(questions: list[str]) -> None:
    """Over pairs of every likeness and many keys: no bias, and the spread of 64 draws that was promised."""
    rng = np.random.default_rng(3)
    errors = []
    for _ in range(600):
        one, two = rng.choice(len(questions), 2, replace=False)
        text, other = normalised(questions[one]), normalised(questions[two])
        kept = int(len(text) * rng.random())
        mixed = text[:kept] + other[kept:]
        sketcher = Sketcher(rng.bytes(32))
        a, b = sketcher.sketch(text), sketcher.sketch(mixed)
        assert a is not None
        assert b is not None
        errors.append(likeness(a, b) - jaccard(text, mixed))
    spread = float(np.std(errors))
    assert abs(float(np.mean(errors))) < 4 * spread / 600**0.5 + 0.005  # cut off at zero, it leans up by a little
    assert spread < 0.063
    assert max(map(abs, errors)) < 5 * 0.063


def test_the_same_and_nothing_in_common() -> None:
    sketcher = Sketcher(bytes(range(32)))
    text = sketcher.sketch("the quick brown fox jumps over the lazy dog" * 9)
    assert text is not None
    assert len(text) == 64
    assert likeness(text, text) == 1.0
    other = sketcher.sketch("0123456789" * 3 + "lorem ipsum dolor sit amet consectetur")
    assert other is not None
    assert likeness(text, other) < 0.15


@pytest.mark.parametrize("text", ["a", "ab", "abcd", "abcde", "abcdef", "好", "\U0001f600" * 3])
def test_short_texts_have_whole_sketches(text: str) -> None:
    sketcher = Sketcher(bytes(range(32)))
    sketch = sketcher.sketch(text)
    assert sketch == sketcher.sketch(text)
    assert sketch is not None
    assert len(sketch) == 64
    assert sketch != sketcher.sketch(text + "x")


def test_sketches_of_two_keys_have_nothing_in_common(questions: list[str]) -> None:
    one, other = Sketcher(bytes(range(32))), Sketcher(bytes(range(1, 33)))
    found = [likeness(one.sketch(text) or b"", other.sketch(text) or b"") for text in map(normalised, questions)]
    assert sum(found) / len(found) < 0.03


def test_places_are_used_alike() -> None:
    """Over texts that have nothing in common each place takes as many values as chance lets it."""
    sketcher = Sketcher(bytes(range(32)))
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz "))
    rng = np.random.default_rng(4)
    sketches = [sketcher.sketch("".join(rng.choice(letters, 500))) or b"" for _ in range(300)]
    values = np.frombuffer(b"".join(sketches), np.uint8).reshape(-1, 64)
    per_place = [len(np.unique(values[:, place])) for place in range(64)]
    assert min(per_place) > 150  # of 300 texts, 177 are expected where each of the 256 is as likely as the others
