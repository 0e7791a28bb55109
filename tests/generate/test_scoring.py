"""Scores of given tokens: whole and piece by piece, alone and padded, through a generator that is at work."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stillroom.base.errors import ModelError
from stillroom.generate import scoring
from stillroom.generate.generator import Generator
from stillroom.generate.load import LocalModel, load_model
from stillroom.generate.scoring import score_tokens


@pytest.fixture(scope="module")
def local(tiny_model: Path) -> LocalModel:
    return load_model(tiny_model)


def some_ids(rows: int, length: int) -> torch.Tensor:
    return torch.randint(5, 250, (rows, length), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("first", [0, 3, 17, 30])
def test_read_piece_by_piece_the_scores_are_the_same(
    local: LocalModel, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    ids_BT = some_ids(3, 40)
    whole = score_tokens(local.model, ids_BT, first)
    assert whole.given_BK.shape == (3, 39 - first)
    monkeypatch.setattr(scoring, "MOST_LOGITS", 3 * 7 * int(local.model.config.vocab_size))
    pieces = score_tokens(local.model, ids_BT, first)
    torch.testing.assert_close(pieces.given_BK, whole.given_BK, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(pieces.likeliest_BK, whole.likeliest_BK, rtol=1e-4, atol=1e-4)
    assert torch.equal(pieces.likeliest_id_BK, whole.likeliest_id_BK)
    assert bool((whole.given_BK <= whole.likeliest_BK).all())


def test_padding_on_the_right_changes_nothing(local: LocalModel) -> None:
    ids_BT = some_ids(1, 12)
    padded = score_tokens(local.model, torch.nn.functional.pad(ids_BT, (0, 9)))
    torch.testing.assert_close(
        padded.given_BK[:, :11], score_tokens(local.model, ids_BT).given_BK, rtol=1e-4, atol=1e-4
    )


def test_a_generator_scores_and_refuses_what_it_cannot(local: LocalModel) -> None:
    generator = Generator(local, threads=1)
    tokens = some_ids(1, 20)[0].tolist()
    scores = generator.score(tokens).result(60)
    torch.testing.assert_close(
        scores.given_BK, score_tokens(local.model, torch.tensor([tokens])).given_BK, rtol=1e-4, atol=1e-4
    )
    for wrong in ([], [5], [5, 10**6], [5] * (local.context + 1)):
        with pytest.raises(ValueError, match=r"tokens"):
            generator.score(wrong)
    taken_back = generator.score(tokens)
    taken_back.cancel()
    assert generator.score(tokens).result(60).given_BK.shape == (1, 19)
    generator.close()
    with pytest.raises(ModelError, match="closed"):
        generator.score(tokens)


def test_whoever_waits_for_a_broken_model_is_told(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = Generator(load_model(tiny_model), threads=1)

    def breaks(*_: object) -> None:
        raise RuntimeError("the model is broken")

    monkeypatch.setattr("stillroom.generate.generator.score_tokens", breaks)
    monkeypatch.setattr("threading.excepthook", lambda _: None)  # it is meant to end so
    with pytest.raises(ModelError, match="stopped before these tokens were scored"):
        generator.score([5, 6]).result(60)
    generator.close()
