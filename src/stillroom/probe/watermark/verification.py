"""Computing a watermark's evidence again, with nothing but its folder and the model's tokenizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stillroom.base.errors import DataError, StoreError
from stillroom.base.signatures import MAX_KEYS_BYTES, PublicKeys, SignatureRefused, open_token
from stillroom.probe.bounded import read_bounded, read_bounded_rows
from stillroom.probe.watermark import evidence
from stillroom.probe.watermark.answer_tokens import Encode, pairs_of_answers
from stillroom.probe.watermark.evidence import Result
from stillroom.probe.watermark.green_test import RANDOM_KEYS, GreenTest, green_test
from stillroom.probe.watermark.weights import Weights, against_unmarked, each_once
from stillroom.store.siblings import Answer
from stillroom.text.green_list import Mark
from stillroom.text.mark_commitments import Marking, read_commitments, signature_problems


@dataclass(frozen=True, slots=True)
class Tokenizer:
    encode: Encode
    digest: str


@dataclass(slots=True)
class Verified:
    result: Result
    problems: list[str] = field(default_factory=list)
    """Sentences; none where all that was looked at is as the folder says."""
    not_looked_at: list[str] = field(default_factory=list)
    """What could not be, and why."""


def compute(
    answers: list[Answer],
    unmarked: list[Answer] | None,
    questions: Mapping[str, str],
    encode: Encode,
) -> Weights:
    """What is scored of answers. `unmarked`: None where they are not compared with any."""
    pairs = pairs_of_answers(answers, questions, encode)
    return (
        each_once(pairs) if unmarked is None else against_unmarked(pairs, pairs_of_answers(unmarked, questions, encode))
    )


def verify(
    folder: Path,
    tokenizer: Tokenizer | None,
    trusted: PublicKeys | None = None,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Verified:
    """`tokenizer`: of the model whose replies were marked; None: there is none at hand. `trusted`: the owner's public
    keys, from elsewhere; None: those of the folder, which only says that its parts are by one hand. `on_progress`: as
    for `green_test`.

    Raises DataError where the folder can't be read at all.
    """
    verified = Verified(evidence.read_result(folder))
    verified.problems += evidence.altered_files(folder, verified.result)
    if verified.problems:
        return verified
    _check_signatures(folder, verified, trusted)
    _check_key(folder, verified)
    _compute_again(folder, verified, tokenizer, on_progress)
    return verified


def _check_signatures(folder: Path, verified: Verified, trusted: PublicKeys | None) -> None:
    if trusted is None:
        path = folder / evidence.KEYS
        trusted = PublicKeys.from_jwks(read_bounded(path, MAX_KEYS_BYTES), str(path))
        verified.not_looked_at.append("Whose the keys in keys.json are: compare them with the owner's, or give --keys.")
    try:
        token = read_bounded(folder / evidence.SIGNATURE).decode("ascii", errors="replace").strip()
        claims, key = open_token(token, evidence.RESULT_TYPE, trusted)
        made_at = verified.result.made_at // 1_000_000
        key.check_time(made_at, made_at)
    except SignatureRefused as error:
        verified.problems.append(f"The result's signature: {error.what}")
        return
    if claims != verified.result.model_dump(mode="json"):
        verified.problems.append("result.json is not what was signed.")
    try:
        lines = read_commitments(folder / evidence.COMMITMENTS)
    except StoreError as error:
        verified.problems.append(error.what)
        return
    verified.problems += signature_problems(lines, trusted)


def _check_key(folder: Path, verified: Verified) -> None:
    """That the key is the one that was committed to, at the time that the result says."""
    result = verified.result
    if evidence.REVEALED not in result.files:
        verified.not_looked_at.append("The key is not shown: neither its commitment nor the figures can be checked.")
        return
    marking = Marking(result.model, result.account, result.share, result.strength, result.tokenizer)
    commitment = marking.commitment(evidence.read_key(folder / evidence.REVEALED))
    lines = [line.record for line in read_commitments(folder / evidence.COMMITMENTS)]
    record = lines[result.commitment] if result.commitment < len(lines) else None
    if record is None or record.commitment != commitment:
        verified.problems.append("The key is not the one that was committed to.")
    elif record.at != result.committed_at:
        verified.problems.append("The key was committed to at another time than the result says.")


def _compute_again(
    folder: Path, verified: Verified, tokenizer: Tokenizer | None, on_progress: Callable[[int, int], None] | None
) -> None:
    result = verified.result
    if evidence.REVEALED not in result.files:
        return
    if tokenizer is None:
        verified.not_looked_at.append("The figures: give --tokenizer, the folder of the model's tokenizer.")
        return
    if tokenizer.digest != result.tokenizer:
        raise DataError(
            f"This tokenizer is {tokenizer.digest}, and the replies were marked with {result.tokenizer}.",
            "Give the folder of the model that the owner served.",
        )
    found = recomputed(folder, result, tokenizer.encode, on_progress)
    (score,) = found.scores
    same = (
        math.isclose(score.z, result.z, abs_tol=1e-6)
        and math.isclose(score.green, result.green, abs_tol=1e-9)
        and (found.p_value, found.pairs, found.tokens) == (result.p_value, result.pairs, result.tokens)
        and (found.answers, found.from_question) == (result.answers, result.from_question)
        and math.isclose(found.at_most, result.at_most, rel_tol=1e-6, abs_tol=1e-300)
        and result.random_keys == RANDOM_KEYS
    )
    if not same:
        verified.problems.append(
            f"Computed again, z is {score.z:.6g} and p {found.p_value:g}, not what the result says."
        )


def recomputed(
    folder: Path, result: Result, encode: Encode, on_progress: Callable[[int, int], None] | None = None
) -> GreenTest:
    """The test of the one account whose key is shown, against as many random keys as accounts were tried."""
    unmarked = None
    if result.weights == "against unmarked":
        unmarked = read_bounded_rows(folder / evidence.UNMARKED, Answer)
    answers = read_bounded_rows(folder / evidence.ANSWERS, Answer)
    questions = evidence.read_questions(folder / evidence.QUESTIONS)
    mark = Mark(evidence.read_key(folder / evidence.REVEALED), result.share, result.strength)
    weights = compute(answers, unmarked, questions, encode)
    return green_test(weights, {result.account: mark}, result.seed, accounts=result.accounts, on_progress=on_progress)
