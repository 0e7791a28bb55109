"""Drawing tokens: the distribution is the model's, and one row never changes another's."""

from __future__ import annotations

import random

import torch

from stillroom.generate.sampling import BatchSampler, Sampling
from stillroom.text import green_list
from stillroom.text.green_list import Mark

LOGITS_V = torch.tensor([2.0, 1.0, 0.0, -1.0, float("-inf")])
DRAWS = 20_000


def _shares(sampling: Sampling) -> torch.Tensor:
    draw = random.Random(5)
    sampler = BatchSampler([sampling] * DRAWS)
    token_B = sampler.choose(LOGITS_V.expand(DRAWS, -1), [draw.random() for _ in range(DRAWS)], [0] * DRAWS)
    return torch.bincount(token_B, minlength=len(LOGITS_V)) / DRAWS


def test_shares_are_the_probabilities_at_the_temperature() -> None:
    for temperature in (0.5, 1.0, 2.0):
        expected_V = torch.softmax(LOGITS_V / temperature, -1)
        # Five standard errors of a share of one half.
        assert (_shares(Sampling(1, temperature=temperature)) - expected_V).abs().max() < 5 * 0.5 / DRAWS**0.5


def test_top_p_draws_only_from_the_nucleus() -> None:
    probability_V = torch.softmax(LOGITS_V, -1)
    assert probability_V[:1].sum() < 0.8 < probability_V[:2].sum()
    expected_V = torch.tensor([*(probability_V[:2] / probability_V[:2].sum()), 0.0, 0.0, 0.0])
    assert (_shares(Sampling(1, top_p=0.8)) - expected_V).abs().max() < 5 * 0.5 / DRAWS**0.5


def test_a_tiny_top_p_is_greedy() -> None:
    assert _shares(Sampling(1, top_p=1e-9))[0] == 1


def test_the_ends_of_the_unit_interval_draw_possible_tokens() -> None:
    logits_BV = torch.tensor([[float("-inf"), 0.0, 0.0, float("-inf")]] * 2)
    token_B = BatchSampler([Sampling(1)] * 2).choose(logits_BV, [0.0, 1 - 2**-53], [0, 0])
    assert token_B.tolist() == [1, 2]


def test_rows_do_not_change_each_other() -> None:
    settings = [
        Sampling(1, temperature=0),
        Sampling(1),
        Sampling(1, top_p=0.6),
        Sampling(1, temperature=0, top_p=0.5),
        Sampling(1, temperature=1.7, top_p=0.95),
    ]
    torch.manual_seed(3)
    logits_BV = torch.randn(len(settings), 50)
    draw = random.Random(1)
    for _ in range(200):
        uniforms = [draw.random() for _ in settings]
        together = BatchSampler(settings).choose(logits_BV, uniforms, [0] * len(settings)).tolist()
        alone = [
            BatchSampler([sampling]).choose(logits_BV[row : row + 1], uniforms[row : row + 1], [0]).item()
            for row, sampling in enumerate(settings)
        ]
        assert together == alone
        assert together[0] == logits_BV[0].argmax()
        assert together[3] == logits_BV[3].argmax()


def test_a_mark_raises_the_green_tokens_and_no_others() -> None:
    mark = Mark(bytes(range(16)), 0.25, 2.0)
    logits_V = torch.zeros(40)
    green_V = torch.from_numpy(green_list.green_V(mark, 7, 40).copy())
    expected_V = torch.softmax(logits_V + 2.0 * green_V, -1)
    draw = random.Random(5)
    sampler = BatchSampler([Sampling(1, mark=mark)] * DRAWS)
    token_B = sampler.choose(logits_V.expand(DRAWS, -1), [draw.random() for _ in range(DRAWS)], [7] * DRAWS)
    shares_V = torch.bincount(token_B, minlength=40) / DRAWS
    assert (shares_V - expected_V).abs().max() < 5 * 0.5 / DRAWS**0.5
    assert not logits_V.any()  # the model's own logits stay as they were


def test_marks_of_a_batch_are_each_row_s_own() -> None:
    marks = [Mark(bytes([number] * 16), 0.5, 30.0) for number in range(3)]
    settings = [Sampling(1, mark=marks[0]), Sampling(1), Sampling(1, temperature=0, mark=marks[1])]
    settings += [Sampling(1, top_p=0.5, mark=marks[2])]
    sampler = BatchSampler(settings)
    before = [3, 3, 4, 5]
    draw = random.Random(2)
    for _ in range(200):
        torch.manual_seed(0)
        tokens = sampler.choose(torch.randn(4, 50), [draw.random() for _ in settings], before).tolist()
        for row in (0, 2, 3):
            mark = settings[row].mark
            assert mark is not None
            assert green_list.green_V(mark, before[row], 50)[tokens[row]]
