"""Instructions about the form of an answer: each that IFEval knows, followed, not followed, and not to be told."""

from __future__ import annotations

from typing import Any

import pytest

from stillroom.base.records import Message, Question
from stillroom.verify import verify
from stillroom.verify.instructions import has_instructions, verify_instructions
from stillroom.verify.instructions.checks import CHECKS
from stillroom.verify.instructions.pieces import capital_words, sentences

ENGLISH = "The cat sat on the mat and looked at the birds outside, waiting for its dinner to be served at last."
SPANISH = "El gato se sentó en la alfombra y miraba los pájaros de fuera, esperando a que le sirvieran la cena."
RUSSIAN = "Привет, как дела? Сегодня хорошая погода, мы пойдём гулять в парк и будем есть мороженое."

Case = tuple[str, dict[str, Any], list[str], list[str], list[str]]
CASES: list[Case] = [
    # instruction, arguments, answers that follow it, that do not, and those for which it cannot be told
    ("keywords:existence", {"keywords": ["river", "boat"]}, ["A Riverboat."], ["A river."], []),
    ("keywords:forbidden_words", {"forbidden_words": ["snow"]}, ["A snowman."], ["Snow!"], []),
    ("keywords:frequency", {"keyword": "so", "frequency": 2, "relation": "at least"}, ["so, So"], ["so"], []),
    ("keywords:frequency", {"keyword": "so", "frequency": 2, "relation": "less than"}, ["so"], ["so so"], []),
    ("keywords:frequency", {"keyword": "so", "frequency": 2.0, "relation": "at most"}, [], [], ["so"]),
    ("keywords:letter_frequency", {"letter": "q", "let_frequency": 2, "let_relation": "at least"}, ["Q q"], ["q"], []),
    ("language:response_language", {"language": "es"}, [SPANISH], [ENGLISH, RUSSIAN], ["No.", "123"]),
    ("language:response_language", {"language": "ru"}, [RUSSIAN], [ENGLISH], ["Да."]),
    ("language:response_language", {"language": "kn"}, ["ನಮಸ್ಕಾರ"], [ENGLISH, "नमस्ते"], []),
    ("language:response_language", {"language": "hi"}, [], [ENGLISH], ["नमस्ते"]),
    ("language:response_language", {"language": "ja"}, ["猫はマットの上に座っていた。"], [ENGLISH], []),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "at least"},
        ["One is here. Two is there! Is three here?"],
        ["Only one, e.g. this."],
        ["Two are sure. This is one\n- or two\n- or three"],
    ),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, ["It's."], ["a b c"], []),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, ["a\n***\nb", "a***b***"], ["a", "a****** b"], []),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Weekend"},
        ['a\n\n"weekend, yes'],
        ["weekend\n\nb", "a\n\nweekend\n\nc", "weekend"],
        [],
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, ["[a] [b c]"], ["[a]"], []),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, ["Bye.\nP. S. More"], ["PS more"], []),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, ["p.p.s more"], ["P.S. more"], []),
    (
        "detectable_format:number_bullet_lists",
        {"num_bullets": 2},
        ["* a\n - b"],
        ["* a", "**a**\n* b", "- a\n- b\n- c"],
        [],
    ),
    ("detectable_format:constrained_response", {}, ["Well: My answer is maybe."], ["maybe"], []),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, ["*a* *b*"], ["*a*", "* * **  **"], []),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        ["SECTION 1\na\nSECTION 2\nb"],
        ["SECTION 1", "section 1 section 2"],
        [],
    ),
    ("detectable_format:json_format", {}, ['```json\n{"a": 1}\n```', "[1]"], ["{a: 1}", "Here: {}"], []),
    ("detectable_format:title", {}, ["<<A poem>>\nand so"], ["<A poem>", "<< >>"], []),
    ("combination:two_responses", {}, ["one\n******\ntwo"], ["one", "one******one", "a******b******c"], []),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it."}, ["say it. I do."], ["I say it."], []),
    ("startend:end_checker", {"end_phrase": "Any questions?"}, ['So. "any questions?"'], ["Any questions? No."], []),
    ("startend:quotation", {}, ['"all of it"'], ['"half" of it', '"'], []),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        ["LOOK AT this"],
        ["LOOK at this"],
        ["a DON'T"],
    ),
    ("change_case:english_capital", {}, [ENGLISH.upper()], [ENGLISH, SPANISH.upper()], ["NO."]),
    ("change_case:english_lowercase", {}, [ENGLISH.lower()], [ENGLISH, SPANISH.lower()], ["no."]),
    ("punctuation:no_comma", {}, ["a; b"], ["a, b"], []),
]


@pytest.mark.parametrize(("name", "arguments", "followed", "broken", "unclear"), CASES, ids=[case[0] for case in CASES])
def test_an_instruction(
    name: str, arguments: dict[str, Any], followed: list[str], broken: list[str], unclear: list[str]
) -> None:
    meta = {"instruction_id_list": [name], "kwargs": [arguments | {"unused": None}]}
    for verdict, answers in (("right", followed), ("wrong", broken), ("unsure", unclear)):
        for answer in answers:
            judged = verify_instructions(meta, "the prompt", answer)
            assert (judged.verdict, answer) == (verdict, answer)
            assert verdict == "right" or name in judged.reason


def test_every_instruction_has_its_cases() -> None:
    assert {case[0] for case in CASES} == CHECKS.keys()
    assert len(CHECKS) == 25


def test_all_of_them_must_be_followed() -> None:
    meta: dict[str, Any] = {
        "instruction_id_list": ["punctuation:no_comma", "detectable_format:title", "language:response_language"],
        "kwargs": [{}, {}, {"language": "en"}],
    }
    assert verify_instructions(meta, "", f"<<A cat>> {ENGLISH.replace(',', '')}").verdict == "right"
    both = verify_instructions(meta, "", "one, two")
    assert (both.verdict, both.reason) == ("wrong", "does not follow punctuation:no_comma, detectable_format:title")
    assert verify_instructions(meta, "", "<<Yes>>").verdict == "unsure"
    assert verify_instructions(meta, "", " \n").verdict == "wrong"


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"instruction_id_list": [], "kwargs": []},
        {"instruction_id_list": ["punctuation:no_comma"], "kwargs": []},
        {"instruction_id_list": "punctuation:no_comma", "kwargs": [{}]},
        {"instruction_id_list": ["punctuation:no_comma"], "kwargs": ["none"]},
    ],
)
def test_a_question_that_does_not_say_what_it_wants(meta: dict[str, Any]) -> None:
    assert not has_instructions(meta)
    assert verify_instructions(meta, "", "anything").verdict == "unsure"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("no:such_instruction", {}),
        ("keywords:existence", {}),
        ("keywords:existence", {"keywords": "river"}),
        ("length_constraints:number_words", {"num_words": "many", "relation": "at least"}),
        ("length_constraints:number_words", {"num_words": -1, "relation": "at least"}),
        ("length_constraints:number_words", {"num_words": 1.5, "relation": "at least"}),
        ("length_constraints:number_words", {"num_words": True, "relation": "at least"}),
        ("startend:end_checker", {"end_phrase": "  "}),
    ],
)
def test_an_instruction_that_nobody_knows_is_unsure(name: str, arguments: dict[str, Any]) -> None:
    assert verify_instructions({"instruction_id_list": [name], "kwargs": [arguments]}, "", "river").verdict == "unsure"


def test_a_word_that_is_no_pattern_is_taken_as_it_stands() -> None:
    meta = {"instruction_id_list": ["keywords:existence"], "kwargs": [{"keywords": ["c++("]}]}
    assert verify_instructions(meta, "", "I like C++(ish) code").verdict == "right"


def test_the_kind_is_judged_by_it() -> None:
    question = Question(
        id="1",
        messages=(Message(role="user", content="No commas."),),
        kind="instructions",
        source="test",
        meta={"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
    )
    assert verify(question, "none here").verdict == "right"
    assert verify(question, "one, here").verdict == "wrong"


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("", (0, 0)),
        ("One.", (1, 1)),
        ("One. Two.", (2, 2)),
        ("Mr. Smith came. He left at 5 p.m. and slept.", (2, 4)),
        ("A list\n- one\n- two", (1, 3)),
        ("What?! No way.", (2, 2)),
    ],
)
def test_as_few_and_as_many_sentences_as_somebody_may_count(text: str, counts: tuple[int, int]) -> None:
    assert sentences(text) == counts


def test_words_in_capitals() -> None:
    assert capital_words("I went to the USA") == (2, 2)
    assert capital_words("DON'T be A-B") == (2, 4)
    assert capital_words("a B2 b 3") == (1, 1)
