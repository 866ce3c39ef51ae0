"""How long VMs live when a trace does not say: product-limit estimates over given bins, and draws from them.

Numbers in, numbers out: nothing here knows a file format. Bin ``j`` runs from ``lower[j]`` to ``upper[j]``, both
included, in seconds, and may be one instant. ``survival`` has one entry more than there are bins: ``survival[j]`` is
the probability of living into bin ``j``, and ``survival[-1]`` that of living on beyond all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from sundog.units import Seconds


def product_limit(deaths: np.ndarray, censored: np.ndarray, exposed: np.ndarray) -> np.ndarray:
    """Survival into each bin by Kaplan and Meier's product-limit estimate, grouped as in a life table.

    ``deaths`` and ``censored`` count, for each bin, the VMs that ended in it and those that were last seen alive in it;
    ``exposed`` sums, over the latter, the part of the bin (0 to 1) that they were watched for. With 0 they leave before
    the deaths of their bin, with 1 after them (the textbook's convention for ties), with one half each this is the
    actuarial estimate. Bins that nobody was watched in leave the survival as it is.

    Shape: all (..., m), the result (..., m + 1), starting at 1.
    Source: Kaplan & Meier, JASA 53 (1958) 457; grouped form: Cutler & Ederer, J. Chronic Dis. 8 (1958) 699.
    """
    leaving = deaths + censored
    entering = leaving[..., ::-1].cumsum(axis=-1)[..., ::-1]
    at_risk = entering - censored + exposed
    hazard = np.divide(deaths, at_risk, out=np.zeros_like(at_risk, dtype=np.float64), where=at_risk > 0)
    # A few VMs watched for part of the last bin can give a hazard above one.
    survival = np.cumprod(1.0 - np.minimum(hazard, 1.0), axis=-1)
    return np.concatenate([np.ones((*survival.shape[:-1], 1)), survival], axis=-1)


@dataclass(frozen=True, slots=True)
class LifeTable:
    """A distribution of lifetimes over bins, uniform within each; a tail beyond the last estimate has no length."""

    lower: np.ndarray
    upper: np.ndarray
    survival: np.ndarray

    def probability_below(self, age: np.ndarray) -> np.ndarray:
        """P(life < ``age``) for ages in seconds; within a bin it rises evenly. Shape: as ``age``."""
        bins = np.clip(np.searchsorted(self.lower, age, side="right") - 1, 0, len(self.lower) - 1)
        width = self.upper[bins] - self.lower[bins]
        part = np.divide(age - self.lower[bins], width, out=np.zeros(np.shape(age)), where=width > 0)
        dead = 1.0 - self.survival
        return np.asarray(dead[bins] + np.clip(part, 0.0, 1.0) * (dead[bins + 1] - dead[bins]))

    def quantile(self, probability: np.ndarray) -> np.ndarray:
        """The lifetime, in seconds, that ``probability`` (0 to below 1) of all VMs do not outlive; NaN in the tail."""
        dead = 1.0 - self.survival
        bins = np.searchsorted(dead, probability, side="right") - 1
        beyond = bins >= len(self.lower)
        bins = np.minimum(bins, len(self.lower) - 1)
        mass = dead[bins + 1] - dead[bins]
        part = np.divide(probability - dead[bins], mass, out=np.zeros(np.shape(probability)), where=mass > 0)
        life = self.lower[bins] + np.clip(part, 0.0, 1.0) * (self.upper[bins] - self.lower[bins])
        return np.where(beyond, np.nan, life)

    def middle_scores(self, bins: np.ndarray) -> np.ndarray:
        """Normal scores of the middle of ``bins``: the standard normal quantile of the probability that lies below."""
        dead = 1.0 - self.survival
        return np.asarray(ndtri(np.clip((dead[bins] + dead[bins + 1]) / 2, 1e-9, 1 - 1e-9)))


@dataclass(frozen=True, slots=True)
class BatchLikeness:
    """How alike the lifetimes within one batch are.

    A VM shares the fate of its batch outright with probability ``shared`` (the same quantile of its own distribution,
    so in equal flavours the same lifetime), else its normal score leans to the batch's with correlation ``leaning``.
    Whatever the two are, each VM alone follows its own distribution exactly.
    """

    shared: float
    leaning: float

    def draw(
        self, batch: np.ndarray, *, of_batch: np.random.Generator, of_vm: np.random.Generator, batches: int
    ) -> np.ndarray:
        """Uniform draws in (0, 1), one a VM. ``batch``: row of each VM's batch, below ``batches``. Shape: as ``batch``.

        Streams are read in row order, so the first n VMs draw the same however many follow.
        """
        common = of_batch.standard_normal(batches)
        own, coin = of_vm.standard_normal(2 * len(batch)).reshape(-1, 2).T
        shares = np.flatnonzero(coin < ndtri(self.shared))
        score = np.sqrt(1.0 - self.leaning**2) * own
        score += (self.leaning * common)[batch]
        score[shares] = common[batch[shares]]
        return np.asarray(ndtr(score, out=score))


def batch_likeness(batch: np.ndarray, bins: np.ndarray, scores: np.ndarray) -> BatchLikeness:
    """Fit of :class:`BatchLikeness` to VMs whose lifetime is known, by moments over the pairs within a batch.

    ``batch``: batch row, ``bins``: lifetime bin, ``scores``: normal score of each VM; shape (n,). Each batch weighs by
    its size less one. ``shared`` makes the share of pairs in one bin right (less what chance alone gives), ``leaning``
    then makes the correlation of the pairs right. Without a batch of two there is no likeness.
    """
    count = np.bincount(batch)
    twos = count[batch] > 1
    batch, bins, scores = batch[twos], bins[twos], scores[twos]
    if not len(batch):
        return BatchLikeness(0.0, 0.0)
    weight = float((count[count > 1] - 1).sum())
    together = np.unique(batch * (int(bins.max()) + 1) + bins, return_index=True, return_counts=True)
    first, alike = together[1], together[2]
    same = float((alike * (alike - 1.0) / count[batch[first]]).sum()) / weight
    by_chance = float(((np.bincount(bins) / len(bins)) ** 2).sum())
    centred = scores - scores.mean()
    sums, squares = np.bincount(batch, centred), np.bincount(batch, centred**2)
    some = count[: len(sums)] > 1
    products = float(((sums**2 - squares)[some] / count[: len(sums)][some]).sum()) / weight
    variance = float(scores.var())
    shared = float(np.sqrt(np.clip((same - by_chance) / (1.0 - by_chance), 0.0, 1.0))) if by_chance < 1 else 0.0
    correlation = products / variance if variance > 0 else 0.0
    # A pair of VMs correlates by (shared + (1 - shared) * leaning) squared.
    lean = (np.sqrt(max(correlation, 0.0)) - shared) / (1.0 - shared) if shared < 1 else 0.0
    return BatchLikeness(shared, float(np.clip(lean, 0.0, 1.0)))


def exponential_tail(uniform: np.ndarray, start: np.ndarray, mean: Seconds) -> np.ndarray:
    """Lifetimes beyond ``start`` seconds, memoryless with ``mean`` seconds to go. ``uniform``: draws in [0, 1)."""
    return np.asarray(start - mean * np.log1p(-uniform))
