"""Choosing the next token of every row of a batch at once.

B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from stillroom.text.green_list import Mark, green_V


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one reply is drawn."""

    max_tokens: int
    temperature: float = 1.0
    """0 takes the likeliest token."""
    top_p: float = 1.0
    """In (0, 1]: only the likeliest tokens that together reach this probability can be drawn (1904.09751)."""
    seed: int | str | None = None
    """The same seed, prompt and settings draw the same reply, whoever else is in the batch (but for rounding: a larger
    batch adds its sums in another order). None: a fresh one."""
    mark: Mark | None = None
    """A watermark: the green tokens' logits are raised, before temperature and nucleus. None: the model's own words."""


class BatchSampler:
    """The settings of a batch as tensors; made anew when a row joins or leaves."""

    def __init__(self, settings: Sequence[Sampling], device: torch.device | str = "cpu") -> None:
        self._device = device
        temperatures = [sampling.temperature for sampling in settings]
        self._draws = any(temperature > 0 for temperature in temperatures)
        self._greedy_B = torch.tensor([temperature == 0 for temperature in temperatures], device=device)
        self._mixed = self._draws and bool(self._greedy_B.any())
        self._temperature_B1 = torch.tensor([[temperature or 1.0] for temperature in temperatures], device=device)
        nucleus = [row for row, sampling in enumerate(settings) if sampling.top_p < 1 and sampling.temperature > 0]
        self._nucleus_rows = torch.tensor(nucleus, dtype=torch.long, device=device)
        self._top_p_N1 = torch.tensor([[settings[row].top_p] for row in nucleus], device=device)
        self._marks = [(row, sampling.mark) for row, sampling in enumerate(settings) if sampling.mark is not None]

    def choose(self, logits_BV: torch.Tensor, uniforms: Sequence[float], before: Sequence[int]) -> torch.Tensor:
        """token_B, drawn by one number in [0, 1) per row through the inverse of the cumulated probabilities.

        One number and not V of them: it costs nothing to have every row's come from a generator of its own. `before`:
        the last token of each row, which watermarks go by.
        """
        if self._marks:
            logits_BV = self._marked(logits_BV, before)
        if not self._draws:
            return logits_BV.argmax(-1)
        probability_BV = torch.softmax(logits_BV / self._temperature_B1, dim=-1)
        if len(self._nucleus_rows):
            probability_BV[self._nucleus_rows] = _nucleus(probability_BV[self._nucleus_rows], self._top_p_N1)
        cumulated_BV = probability_BV.cumsum(-1, dtype=torch.float64)
        uniform_B1 = torch.tensor(uniforms, dtype=torch.float64, device=self._device)[:, None]
        target_B1 = uniform_B1 * cumulated_BV[:, -1:]
        token_B = torch.searchsorted(cumulated_BV, target_B1, right=True)[:, 0].clamp_(max=logits_BV.shape[-1] - 1)
        return torch.where(self._greedy_B, logits_BV.argmax(-1), token_B) if self._mixed else token_B

    def _marked(self, logits_BV: torch.Tensor, before: Sequence[int]) -> torch.Tensor:
        logits_BV = logits_BV.clone()
        for row, mark in self._marks:
            # A copy: what is kept of masks is read-only, which torch does not know of.
            green = torch.from_numpy(green_V(mark, before[row], logits_BV.shape[-1]).copy())
            logits_BV[row] += mark.strength * green.to(logits_BV)
        return logits_BV


def _nucleus(probability_BV: torch.Tensor, top_p_B1: torch.Tensor) -> torch.Tensor:
    """Zero for every token outside the nucleus. Tokens as likely as the last one inside it are inside too."""
    sorted_BV = probability_BV.sort(dim=-1, descending=True).values
    before_BV = sorted_BV.cumsum(-1) - sorted_BV
    least_B1 = torch.where(before_BV < top_p_B1, sorted_BV, torch.inf).amin(-1, keepdim=True)
    return torch.where(probability_BV >= least_B1, probability_BV, 0.0)
