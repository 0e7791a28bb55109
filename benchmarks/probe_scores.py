"""Which scores find a guilty suspect soonest? Power of the swap test at 0.05, on shapes that differences have.

    python benchmarks/probe_scores.py

Simulated: nothing is trained. A unit's difference is noise, plus what the suspect learned of the served reply: a little
everywhere, or much of a few. Every score is a function of the differences' sizes alone, so that each gives a test that
holds its level; they differ in what they find.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from stillroom.probe.scores import scores_of

Values = NDArray[np.float64]
TRIALS, SEED = 1000, 11
Z = float(norm.ppf(0.95))


def _shares_below(sizes: Values) -> Values:
    return np.asarray((rankdata(sizes) - 0.5) / len(sizes))


SCORES: Mapping[str, Callable[[Values], Values]] = {
    "sign": np.ones_like,
    "rank": _shares_below,
    "rank cubed": lambda sizes: _shares_below(sizes) ** 3,
    "normal": lambda sizes: np.asarray(norm.ppf(0.5 + _shares_below(sizes) / 2)),
    "size": lambda sizes: sizes,
    "size, winsorised at 90 %": lambda sizes: np.minimum(sizes, np.quantile(sizes, 0.9)),
    "exponential (ours)": lambda sizes: scores_of(sizes).astype(np.float64),
}


def _hits(noise: Values, share: float, size: float, generator: np.random.Generator) -> Values:
    """`share` of the replies are known by heart."""
    known = generator.random(len(noise)) < share
    return noise + known * size * np.abs(generator.standard_normal(len(noise)) + 1)


def _mostly_nothing(noise: Values, generator: np.random.Generator) -> Values:
    """Six in ten siblings are equally near."""
    return noise * (generator.random(len(noise)) < 0.4)


def _shapes(generator: np.random.Generator) -> Mapping[str, Values]:
    normal, laplace = generator.standard_normal(250), generator.laplace(size=250)
    heavy, scale = generator.standard_t(2, 250), np.exp(generator.standard_normal(250))
    return {
        "a little everywhere; normal noise": normal + 0.14,
        "a little everywhere; Laplace noise": laplace + 0.14,
        "a little everywhere; heavy tails (t, 2 df)": heavy + 0.16,
        "a little everywhere, as siblings differ": scale * (normal + 0.14),
        "5 % by heart; normal noise": _hits(normal, 0.05, 2, generator),
        "5 % by heart; Laplace noise": _hits(laplace, 0.05, 2.5, generator),
        "5 % by heart; heavy tails": _hits(heavy, 0.05, 4, generator),
        "5 % by heart; most siblings equally near": _hits(_mostly_nothing(normal, generator), 0.05, 2, generator),
        "5 % by heart; as siblings differ": _hits(scale * normal, 0.07, 2.5, generator),
    }


def _is_found(differences: Values, score: Callable[[Values], Values]) -> bool:
    """By the normal approximation, the same for all scores: they are compared with one another here."""
    informative = differences[differences != 0]
    scores = score(np.abs(informative))
    return bool(np.sign(informative) @ scores > Z * np.sqrt(scores @ scores))


def main() -> None:
    generator = np.random.default_rng(SEED)
    found: dict[str, dict[str, int]] = {}
    for _ in range(TRIALS):
        for shape, differences in _shapes(generator).items():
            counts = found.setdefault(shape, dict.fromkeys(SCORES, 0))
            for name, score in SCORES.items():
                counts[name] += _is_found(differences, score)
    print(f"Power at 0.05 with 250 units, of {TRIALS:,} simulated suspects each\n")
    print("| what the suspect learned |" + "".join(f" {name} |" for name in SCORES))
    print("|---|" + "---|" * len(SCORES))
    for shape, counts in found.items():
        print(f"| {shape} |" + "".join(f" {count / TRIALS:.2f} |" for count in counts.values()))
    means = [np.mean([counts[name] for counts in found.values()]) / TRIALS for name in SCORES]
    best = {shape: max(counts.values()) for shape, counts in found.items()}
    worst = [max(best[shape] - counts[name] for shape, counts in found.items()) / TRIALS for name in SCORES]
    print("| mean |" + "".join(f" {mean:.2f} |" for mean in means))
    print("| furthest behind the best score |" + "".join(f" {behind:.2f} |" for behind in worst))


if __name__ == "__main__":
    main()
