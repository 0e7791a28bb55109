"""How likely a model whose weights are here holds each of a pair's two replies.

B rows, T tokens of the longest, K positions from the first that is scored on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from stillroom.base.clock import SystemClock
from stillroom.generate.load import LocalModel
from stillroom.generate.scoring import MOST_LOGITS, score_tokens
from stillroom.probe.scored_text import ScoredPair, scored_pairs
from stillroom.store.siblings import Likelihood, Pair

Which = Literal["suspect", "base"]

BATCH_TOKENS = 4096
"""Tokens, padding included, that go through the model at once."""


@dataclass(frozen=True, slots=True)
class _Text:
    place: int
    """Twice the pair's number, plus one for its second reply."""
    prompt: int
    """Tokens of the prompt."""
    ids: list[int]


def likelihoods(
    pairs: Sequence[Pair], local: LocalModel, which: Which, on_progress: Callable[[int, int], None] | None = None
) -> list[Likelihood]:
    """The likelihood of both replies of each pair, in the pairs' order, behind the prompt of the model's own template.

    Of each reply as many of the model's tokens count as the shorter one has, and the model's context has room for; the
    prompt is given, not scored. Where there are none (the template refuses the question, the prompt fills the context,
    or a token is none of the model's), both are nan and `tokens` is 0. A reply's think block is where the template puts
    it; for a template that closes the block before the reply, the answers alone are scored. `on_progress` is told
    (texts done, of so many). The model may be on any device. Raises ModelError for one without an end token, and
    DataError for messages that are none.
    """
    vocabulary = int(local.model.config.get_text_config().vocab_size)
    scored = [_known(pair, vocabulary) for pair in scored_pairs(pairs, local.tokenizer, local.end_ids, local.context)]
    is_alike = [pair.first == pair.second for pair in scored]
    texts = [text for number, pair in enumerate(scored) for text in _texts(number, pair)]
    sums = [math.nan] * (2 * len(scored))
    done = 0
    for batch in _batches(texts, vocabulary):
        for text, total in zip(batch, _log_probabilities(local.model, batch), strict=True):
            sums[text.place] = total
            if is_alike[text.place // 2]:  # scored twice, they could differ in the last digits
                sums[text.place + 1] = total
        done += len(batch)
        if on_progress is not None:
            on_progress(done, len(texts))
    now = SystemClock().now_us()
    return [
        Likelihood(pair.pair_id, which, sums[2 * number], sums[2 * number + 1], pair.tokens, now)
        for number, pair in enumerate(scored)
    ]


def _known(pair: ScoredPair, vocabulary: int) -> ScoredPair:
    """Without tokens, if one of them is not the model's: some tokenizers have more than their model."""
    known = max([0, *pair.prompt, *pair.first, *pair.second]) < vocabulary
    return pair if known else ScoredPair(pair.pair_id, [], [], [])


def _texts(number: int, pair: ScoredPair) -> list[_Text]:
    if not pair.tokens:
        return []
    replies = (pair.first,) if pair.first == pair.second else (pair.first, pair.second)
    return [_Text(2 * number + which, len(pair.prompt), pair.prompt + reply) for which, reply in enumerate(replies)]


def _batches(texts: Sequence[_Text], vocabulary: int) -> Iterator[list[_Text]]:
    """Texts of about one length together. One text alone may be more than a batch should be."""
    batch: list[_Text] = []
    for text in sorted(texts, key=lambda text: (len(text.ids), text.prompt)):
        longer = [*batch, text]
        padded = len(longer) * len(text.ids)
        kept = len(longer) * (len(text.ids) - min(each.prompt for each in longer))
        if batch and (padded > BATCH_TOKENS or kept * vocabulary > MOST_LOGITS):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def _log_probabilities(model: Any, batch: Sequence[_Text]) -> list[float]:
    """The sum over each text's reply of the logarithms of its tokens' probabilities."""
    longest = max(len(text.ids) for text in batch)
    ids_BT = torch.zeros((len(batch), longest), dtype=torch.long)
    for row, text in enumerate(batch):
        ids_BT[row, : len(text.ids)] = torch.tensor(text.ids)
    first = min(text.prompt for text in batch) - 1
    scores_BK = score_tokens(model, ids_BT, first).given_BK.double()
    return [
        float(scores_K[text.prompt - 1 - first : len(text.ids) - 1 - first].sum())
        for text, scores_K in zip(batch, scores_BK, strict=True)
    ]
