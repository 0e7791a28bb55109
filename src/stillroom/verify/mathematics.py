"""Judges one answer of kind `math`. Runs in the worker: it loads sympy, and an answer can make it compute for ever."""

from __future__ import annotations

from collections.abc import Iterator

from stillroom.verify.comparison import compare
from stillroom.verify.expressions import Outcome
from stillroom.verify.final import Final, final_answer, gives_up
from stillroom.verify.formula import Formula, boxed_formula, phrase_formula, unmarked_formula
from stillroom.verify.judgement import Judgement
from stillroom.verify.latex import key, plain_latex
from stillroom.verify.markers import marked_answers
from stillroom.verify.reading import read
from stillroom.verify.shapes import Assigned, Equation, Expression, Reading, Several
from stillroom.verify.units import asks_for_percent, unfit_for


def judge_mathematics(reference: str, answer: str, question: str = "") -> Judgement:
    """Judge `answer` against the formula in `reference`; `question` is the question's text, "" where unknown."""
    expected_text = _reference_formula(reference)
    if not expected_text:
        return Judgement("unsure", "the reference is empty")
    final = final_answer(answer)
    if not final.texts:
        return Judgement("wrong", "no answer was given")
    formulas = _formulas(final)
    shown = formulas[-1].shown or None
    doubt = final.doubt or next((formula.doubt for formula in formulas if formula.doubt), "")
    if not formulas[-1].text:
        return _nothing_found(answer, doubt, shown)
    if doubt:
        return Judgement("unsure", doubt, shown)
    expected = read(expected_text)
    outcomes = [_outcome(expected, expected_text, formula.text, question) for formula in formulas]
    if len({verdict for verdict, _ in outcomes}) > 1 or (len(outcomes) > 1 and outcomes[-1][0] != "right"):
        return Judgement(*_together(expected, expected_text, formulas), shown)
    return Judgement(*outcomes[-1], shown)


def _reference_formula(reference: str) -> str:
    marked = [mark for mark in marked_answers(reference) if mark.mark == "boxed"]
    return plain_latex(marked[-1].text if marked else reference)


def _formulas(final: Final) -> list[Formula]:
    if not final.marked:
        return [unmarked_formula(final.texts[0])]
    formulas = [boxed_formula(text) if final.boxed else phrase_formula(text) for text in final.texts]
    return [formula for formula in formulas if formula.text] or formulas[-1:]


def _nothing_found(answer: str, doubt: str, shown: str | None) -> Judgement:
    if not doubt and gives_up(answer):
        return Judgement("wrong", "no answer was given", shown)
    return Judgement("unsure", doubt or "no mathematics was found in the answer")


def _outcome(expected: Reading, expected_text: str, given_text: str, question: str) -> Outcome:
    if key(expected_text) == key(given_text):
        return "right", "the same formula"
    given = read(given_text)
    if isinstance(given, Equation) and not isinstance(expected, Equation) and _is_asked(given, question):
        given = read(given.right)
    verdict, reason = compare(expected, given)
    mismatch = _against_question(list(_expressions(expected)), list(_expressions(given)), question)
    return ("unsure", mismatch) if verdict == "right" and mismatch else (verdict, reason)


def _is_asked(equation: Equation, question: str) -> bool:
    """Whether the question asks for the left side: then "a + b = 5" says that it is 5, and is not to be solved."""
    asked, left = key(plain_latex(question)), key(equation.left)
    return left in asked and f"{left}={key(equation.right)}" not in asked


def _together(expected: Reading, expected_text: str, formulas: list[Formula]) -> Outcome:
    """Several marked answers that are not alike: right only where together they are what the reference lists."""
    if isinstance(expected, Several):
        parts = tuple(read(formula.text) for formula in formulas)
        if compare(expected, Several(parts, "or"))[0] == "right":
            return "right", "the parts of the reference, each marked"
    verdicts = {_outcome(expected, expected_text, formula.text, "")[0] for formula in formulas}
    return ("wrong", "other values") if verdicts == {"wrong"} else ("unsure", "several answers that differ")


def _against_question(expected: list[Expression], given: list[Expression], question: str) -> str:
    """Why a unit that only the answer has does not fit the question; "" where it does or nobody can tell."""
    if not question.strip():
        return ""
    if any(part.percent for part in given) and not any(part.percent for part in expected):
        if {key(part.text) for part in given} & {key(part.text) for part in expected}:
            return "" if asks_for_percent(question) else "a percentage, which the question does not ask for"
        return ""
    unit = next((part.unit for part in given if part.unit is not None), None)
    return "" if unit is None or any(part.unit for part in expected) else unfit_for(question, unit)


def _expressions(reading: Reading) -> Iterator[Expression]:
    """Every expression with a unit of its own that a reading is made of."""
    if isinstance(reading, Expression):
        yield reading
    elif isinstance(reading, Assigned):
        yield from _expressions(reading.value)
    elif isinstance(reading, Several):
        for part in reading.parts:
            yield from _expressions(part)
