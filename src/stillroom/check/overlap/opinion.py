"""A second opinion on pairs that the rules cannot decide: by a model, an embedding, or anything that can be called."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

SecondOpinion = Callable[[Sequence[tuple[str, str]]], Sequence[bool]]
"""Given pairs of texts (a question, an examined question): is each the same question in other words?"""


def by_embedding(embed: Callable[[Sequence[str]], npt.ArrayLike], at_least: float) -> SecondOpinion:
    """Says that two texts are the same where the cosine of their embeddings is at least `at_least`.

    `embed` gives a vector for each text, shape (texts, dimensions). What cosine tells rewordings from questions about
    the same things depends on the model.
    """

    def opinion(pairs: Sequence[tuple[str, str]]) -> list[bool]:
        left, right = (np.asarray(embed([pair[side] for pair in pairs]), np.float64) for side in (0, 1))
        lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        cosines = np.einsum("ij,ij->i", left, right) / np.maximum(lengths, 1e-12)
        return [bool(cosine >= at_least) for cosine in cosines]

    return opinion
