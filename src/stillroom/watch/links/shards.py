"""Shards: accounts that ask a bank's questions between them, no two the same.

Accounts that know nothing of each other ask some questions twice, and the more popular a question is, the more often.
A bank that one operator cuts up and hands to its accounts is covered with fewer repeats than chance allows. What is
tested is the group: two accounts with a hundred questions each would seldom meet anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.special import gammaln
from scipy.stats import poisson

TOPICS = 16
"""A customer may ask about one part of a bank only, and another customer about another part: customers who choose among
so many parts, and then within theirs, miss each other more often than those who choose among all questions."""
_COMMON_BY_CHANCE = 0.01
"""How many questions may be set aside as common, on average, where all are equally popular."""
_MARGIN = 1.0
"""By how many powers of ten leaving members out must pay, beyond the freedom to choose them."""
_PATIENCE = 40
"""How many more members are left out, without gain, before `prune` gives up."""
_MOST = 0.6
"""A member that asked more of the bank than this needs no others."""


@dataclass(frozen=True, slots=True)
class Shards:
    """How a group's members share a bank."""

    members: int
    """Those that asked any of its questions."""
    bank_size: int
    covered: int
    """Different questions that they asked between them."""
    expected_covered: float
    """As many as members would that choose by themselves, each as many as it did."""
    common: int
    """Questions that far too many of them asked for chance, as when every account is tried out with the same ones.
    They are covered, but in none of the figures below."""
    collisions: int
    """A question that three members ask is two collisions."""
    expected_collisions: float
    log10_p: float
    """A bound, 0 or below, on the chance of as few collisions among members that choose by themselves, each perhaps
    within a topic of its own."""
    log10_p_without_topics: float
    """The same where every member chooses among the whole bank: for one that nobody has reason to ask in part."""
    coverage: float
    """`covered` as a share of the bank."""
    largest_share: float
    """Of what is covered, what the member with most of it covers alone."""

    @property
    def sentence(self) -> str:
        if not self.collisions:
            repeats = ", no two the same"
        else:
            times = "once" if self.collisions == 1 else f"{self.collisions:,} times"
            repeats = f" and met {times} at one that another had asked"
        if self.common:
            repeats += f" ({self.common:,} that far too many of them asked set aside)"
        return (
            f"These {self.members:,} accounts asked {self.covered:,} of the {self.bank_size:,} questions of this bank"
            f"{repeats}; accounts that choose by themselves would have met {self.expected_collisions:,.0f} times."
        )


def shards(questions: scipy.sparse.csr_matrix, bank_size: int, *, chosen_from: int | None = None) -> Shards:
    """Tests whether members' questions overlap less than chance.

    `questions[member, question]` says how often it was asked; only whether it was matters. `chosen_from` is how many
    members with questions the group had before `prune`: what that freedom of choice is worth is taken off the evidence.
    One member or none shows nothing: `log10_p` is 0. Raises ValueError for more questions than the bank has.

    Null: every member draws its own number of questions from the bank. How many nobody asks is then a sum of
    independent indicators (Vatutin and Mikhailov, "Limit theorems for the number of empty cells in an equiprobable
    scheme for group allocation of particles", 1982), and its lower tail is at most the Chernoff bound of the binomial
    with the same mean and variance, since that has the larger moments. Popular questions only add collisions. For
    members that keep to a topic (`TOPICS`) the exponent is divided by the mean number of questions that two of them
    share where they share any.
    """
    asked = _asked(questions, bank_size)
    is_chosen = np.diff(asked.indptr) > 0
    return _shards(asked, is_chosen, max(int(is_chosen.sum()), chosen_from or 0), bank_size)


def _shards(
    asked: scipy.sparse.csr_matrix, is_chosen: npt.NDArray[np.bool_], chosen_from: int, bank_size: int
) -> Shards:
    """Of the chosen rows only. These are not copied: `prune` asks for many choices."""
    sizes, members = np.diff(asked.indptr)[is_chosen], int(is_chosen.sum())
    multiplicity = _multiplicity(asked, is_chosen)
    covered = int(np.count_nonzero(multiplicity))
    is_common = _is_common(multiplicity, bank_size)
    common = int(is_common.sum())
    rest_sizes, left = sizes - (asked @ is_common.astype(np.int64))[is_chosen], bank_size - common
    collisions = int(rest_sizes.sum()) - (covered - common)
    expected_collisions, _ = _chance_collisions(rest_sizes, left)
    freedom = _log10_choose(chosen_from, members)
    log10_p = _log10_p(rest_sizes, left, collisions)
    in_one_place = _in_one_place(rest_sizes, left) if log10_p < 0 else 1.0
    return Shards(
        members=members,
        bank_size=bank_size,
        covered=covered,
        expected_covered=bank_size * -float(np.expm1(_log_missed(sizes, bank_size))),
        common=common,
        collisions=collisions,
        expected_collisions=expected_collisions,
        log10_p=min(0.0, log10_p / in_one_place + freedom),
        log10_p_without_topics=min(0.0, log10_p + freedom),
        coverage=covered / bank_size,
        largest_share=float(sizes.max() / covered) if covered else 0.0,
    )


def popular_share(questions: scipy.sparse.csr_matrix, bank_size: int) -> float:
    """Of all that members asked of the bank, what they asked of questions that far too many of them asked for chance.

    A question that one member asks often counts once. 0 where nothing was asked; ValueError as `shards`.
    """
    asked = _asked(questions, bank_size)
    multiplicity = np.bincount(asked.indices, minlength=bank_size)
    return float(multiplicity[_is_common(multiplicity, bank_size)].sum() / max(int(multiplicity.sum()), 1))


def prune(questions: scipy.sparse.csr_matrix, bank_size: int) -> npt.NDArray[np.bool_]:
    """Which members to keep: without those that asked nothing, most of the bank alone, or what the others asked.

    The member that overlaps the rest most is left out, then the next, at most a quarter of them or two; of these groups
    the one is kept whose evidence is best after the freedom to choose it is taken off. The result holds for
    `shards(questions[kept], bank_size, chosen_from=...)`.
    """
    asked = _asked(questions, bank_size)
    sizes = np.diff(asked.indptr)
    kept = (sizes > 0) & (sizes <= _MOST * bank_size)
    members = int(kept.sum())
    best, best_log10_p, tried_in_vain = kept.copy(), _shards(asked, kept, members, bank_size).log10_p - _MARGIN, 0
    for _ in range(max(2, members // 4)):
        if kept.sum() <= 2 or tried_in_vain == _PATIENCE:
            break
        kept[int(np.argmax(np.where(kept, _excess(asked, kept, bank_size), -np.inf)))] = False
        log10_p = _shards(asked, kept, members, bank_size).log10_p
        tried_in_vain += 1
        if log10_p < best_log10_p:
            best, best_log10_p, tried_in_vain = kept.copy(), log10_p, 0
    return best


def _asked(questions: scipy.sparse.csr_matrix, bank_size: int) -> scipy.sparse.csr_matrix:
    """One for each question that a member asked."""
    asked = scipy.sparse.csr_matrix(questions, copy=True)
    if asked.shape[1] > bank_size:
        raise ValueError(f"questions of a bank of {asked.shape[1]}, which is said to have {bank_size}")
    asked.sum_duplicates()
    asked.eliminate_zeros()
    asked.data = np.ones(len(asked.data), np.int64)
    return asked


def _multiplicity(asked: scipy.sparse.csr_matrix, is_chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """How many of the chosen members asked each question."""
    return np.asarray(is_chosen.astype(np.int64) @ asked, np.int64)


def _is_common(multiplicity: npt.NDArray[np.int64], bank_size: int) -> npt.NDArray[np.bool_]:
    mean = multiplicity.sum() / bank_size
    return np.asarray(multiplicity > max(2, poisson.isf(_COMMON_BY_CHANCE / bank_size, mean)), np.bool_)


def _log_missed(sizes: npt.NDArray[np.integer], bank_size: int) -> float:
    """log of the chance that nobody asks a given question."""
    with np.errstate(divide="ignore"):
        return float(np.log1p(-sizes / bank_size).sum())


def _chance_collisions(sizes: npt.NDArray[np.integer], bank_size: int) -> tuple[float, float]:
    """Mean and variance of the number of collisions."""
    missed = np.exp(_log_missed(sizes, bank_size))
    mean = float(sizes.sum() + bank_size * np.expm1(_log_missed(sizes, bank_size)))
    if missed == 0 or bank_size < 2:
        return mean, 0.0
    # log of how much rarer a second question is missed, once one is.
    with np.errstate(divide="ignore"):
        dependence = np.log1p(-sizes / ((bank_size - 1) * (bank_size - sizes))).sum()
    together = missed**2 * np.exp(dependence)
    variance = bank_size * (missed - together) + bank_size**2 * missed**2 * np.expm1(dependence)
    return mean, max(0.0, float(variance))


def _log10_p(sizes: npt.NDArray[np.integer], bank_size: int, collisions: int) -> float:
    mean, variance = _chance_collisions(sizes, bank_size)
    unavoidable = max(0, int(sizes.sum()) - bank_size)
    mean, observed = mean - unavoidable, collisions - unavoidable
    if len(sizes) < 2 or observed >= mean:
        return 0.0
    return -lower_tail_nats(observed, mean, variance) / float(np.log(10))


def lower_tail_nats(observed: float, mean: float, variance: float) -> float:
    """A bound on -log of the chance that a sum of independent indicators is `observed` < `mean` or less."""
    share = 1 - variance / mean  # of the binomial with this mean and variance; of the Poisson distribution it is 0
    log_part = observed * np.log(observed / mean) if observed > 0 else 0.0
    if share < 1e-6:
        return float(mean - observed + log_part)
    trials = mean / min(share, 1 - 1e-12)
    return float(log_part + (trials - observed) * np.log((trials - observed) / (trials - mean)))


def _in_one_place(sizes: npt.NDArray[np.integer], bank_size: int) -> float:
    """The mean number of questions that two members with the same topic share, where they share any: 1 or more."""
    topic = bank_size / TOPICS
    typical = min(float((sizes.astype(np.float64) ** 2).sum() / sizes.sum()), topic)  # of the member of a question
    shared = typical**2 / topic
    return float(shared / -np.expm1(-shared))


def _excess(
    asked: scipy.sparse.csr_matrix, is_chosen: npt.NDArray[np.bool_], bank_size: int
) -> npt.NDArray[np.float64]:
    """How far the overlap of each member with the other chosen ones is above chance, in standard deviations."""
    sizes = np.diff(asked.indptr)
    overlap = asked @ (_multiplicity(asked, is_chosen) > 1).astype(np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):  # members that asked the whole bank, who are not chosen
        others = -np.expm1(_log_missed(sizes[is_chosen], bank_size) - np.log1p(-sizes / bank_size))
        expected = sizes * others
        spread = np.sqrt(expected * (1 - others) * (1 - sizes / bank_size)) + 1e-9
    return np.asarray((overlap - expected) / spread, np.float64)


def _log10_choose(of: int, taken: int) -> float:
    return float(gammaln(of + 1) - gammaln(taken + 1) - gammaln(of - taken + 1)) / float(np.log(10))
