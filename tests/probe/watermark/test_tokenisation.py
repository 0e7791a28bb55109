"""The mark is in tokens, and a suspect gives text: what is cut otherwise when it is read again, and by whom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.probe.watermark.marked_words import classroom, classroom_tokenizer, text_tokens

from stillroom.base.errors import DataError
from stillroom.generate.load import load_tokenizer
from stillroom.generate.prompt import encode
from stillroom.generate.tokenizer_digest import tokenizer_digest
from stillroom.probe.watermark import green_test as module
from stillroom.probe.watermark.answer_tokens import pairs_of_answers, pairs_of_texts
from stillroom.probe.watermark.green_test import green_test
from stillroom.probe.watermark.token_pairs import token_pairs
from stillroom.probe.watermark.weights import each_once
from stillroom.store.siblings import Answer
from stillroom.text.green_list import Mark

MARK = Mark(bytes(range(16)), 0.25, 2.0)


@pytest.fixture(autouse=True)
def few_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """z, which is all that is looked at here, does not hang on the random keys."""
    monkeypatch.setattr(module, "RANDOM_KEYS", 9)


def _z(pairs: object) -> float:
    return green_test(each_once(pairs), {None: MARK}, 0).scores[0].z  # type: ignore[arg-type]


def test_text_that_is_read_in_other_tokens_than_it_was_written_in_is_still_found() -> None:
    """Letters and pieces of words stand beside each other, which no tokenizer would cut so."""
    tokenizer = classroom_tokenizer()
    every = tuple(token for token in range(len(tokenizer)) if token not in tokenizer.all_special_ids)
    written = [text_tokens(60, seed, MARK, every) for seed in range(30)]
    texts = [str(tokenizer.decode(tokens)) for tokens in written]
    read = [encode(tokenizer, text) for text in texts]
    same = sum(len(_pairs(one) & _pairs(other)) for one, other in zip(written, read, strict=True))
    assert same < 0.9 * sum(len(_pairs(tokens)) for tokens in written)  # many pairs are lost
    as_written = _z(token_pairs(((), tokens) for tokens in written))
    as_read = _z(pairs_of_texts(texts, classroom().encode))
    assert 5 < as_read < as_written


def test_another_tokenizer_sees_nothing_and_is_told_apart(tiny_model: Path) -> None:
    tokenizer, _, _ = load_tokenizer(tiny_model)
    texts = [str(classroom_tokenizer().decode(text_tokens(80, seed, MARK))) for seed in range(30)]
    assert _z(pairs_of_texts(texts, classroom().encode)) > 10
    assert abs(_z(pairs_of_texts(texts, lambda text: encode(tokenizer, text)))) < 4
    assert tokenizer_digest(tokenizer) != classroom().digest


def test_a_tokenizer_is_the_same_when_it_was_saved_again(tmp_path: Path) -> None:
    from stillroom.classroom.models import base_folder, teacher_folder

    digests = {tokenizer_digest(load_tokenizer(folder)[0]) for folder in (teacher_folder(), base_folder())}
    classroom_tokenizer().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_bytes((teacher_folder() / "config.json").read_bytes())
    digests.add(tokenizer_digest(load_tokenizer(tmp_path, with_weights=False)[0]))
    assert len(digests) == 1


def test_what_says_nothing_is_not_read_and_a_question_that_is_missing_is_named() -> None:
    answers = [
        Answer("q", 0, " cats dogs"),
        Answer("q", 1, "", "empty: nothing said"),
        Answer("q", 2, "", "failed: 500"),
        Answer("q", 3, "no", "refused: policy"),
    ]
    questions = {"q": '[{"role": "user", "content": " cats dogs"}]'}
    pairs = pairs_of_answers(answers, questions, classroom().encode)
    assert pairs.answers == 1
    assert len(pairs) == 0
    assert pairs.from_question == pairs.tokens - 1
    with pytest.raises(DataError, match="1 of the answered questions are not among the questions, such as q"):
        pairs_of_answers(answers, {}, classroom().encode)
    for messages in ("no json", "[1]", '{"role": 1}', '[{"role": "user"}]'):
        with pytest.raises(DataError, match="The question q is no list of messages"):
            pairs_of_answers(answers, {"q": messages}, classroom().encode)


def _pairs(tokens: list[int]) -> set[tuple[int, int]]:
    return set(zip(np.array(tokens)[:-1].tolist(), tokens[1:], strict=True))
