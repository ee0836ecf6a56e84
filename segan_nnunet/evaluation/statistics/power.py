"""Simulate the power of a study: how often `compare` would find a difference, or show equivalence.

A simulated study draws the differences of n patients. It also draws a shift for each of the S trainings per method,
which is the same for all patients. The tests are those of `compare`: Wilcoxon's signed-rank test over patients for one
training per method, Student's t over seeds and patients for several seeds (`seed_level`), and two one-sided t-tests for
equivalence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from segan_nnunet.evaluation.statistics.equivalence import equivalence_p
from segan_nnunet.evaluation.statistics.intervals import FEWEST_UNITS
from segan_nnunet.evaluation.statistics.seed_level import join_errors

REPETITIONS = 4000  # simulated studies; the standard error of a power of .8 is .006
MOST_PATIENTS = 1000
PATIENTS = tuple(int(number) for number in np.geomspace(FEWEST_UNITS, MOST_PATIENTS, 24).round())
MOST_EXACT = 50  # pairs; SciPy computes p of more pairs by the normal approximation
DIFFERENCE, EQUIVALENCE = "difference", "equivalence"  # kinds of goals


class Goal(NamedTuple):
    """The goal of a study: to find a true difference of some size, or to show equivalence of equal methods."""

    kind: str
    size: float


@dataclass(frozen=True)
class Population:
    """The distribution from which simulated studies draw.

    Attributes:
        sd: standard deviation of the patients' differences between two methods.
        seed_sd: standard deviation of a method's mean over its seeds; None if unknown.
        deviations: a pilot's deviations from the mean difference; None for a normal distribution.
    """

    sd: float
    seed_sd: float | None = None
    deviations: NDArray[np.float64] | None = None

    def draw(self, random: np.random.Generator, repetitions: int, patients: int) -> NDArray[np.float64]:
        """Return the patients' differences of simulated studies whose true difference is 0: (repetitions, patients).

        The smoothed bootstrap draws a pilot's deviations and shrinks them to keep the standard deviation (Silverman
        1986, chapter 6). Without smoothing, Wilcoxon's test would depend on the few values of the pilot between 0 and
        the true difference. Plans from pilots of 20 normal values would then differ by factors of two.
        """
        noise = random.normal(0, self.sd, (repetitions, patients))
        if self.deviations is None:
            return noise
        number = len(self.deviations)
        width = 1.06 * number**-0.2  # Silverman's rule, in standard deviations
        drawn = self.deviations[random.integers(0, number, (repetitions, patients))]
        return (drawn + width * noise) / np.sqrt(1 + width**2)


def population_of(differences: NDArray[np.float64], seed_sd: float | None = None) -> Population:
    """Return the population of a pilot's differences, one per patient.

    The differences are centred, and stretched by √(n / (n - 1)) to correct the bias of a bootstrap's variance.
    """
    number = len(differences)
    deviations = (differences - differences.mean()) * np.sqrt(number / (number - 1))
    return Population(float(differences.std(ddof=1)), seed_sd, deviations)


def power_curves(
    population: Population,
    goals: Sequence[Goal],
    seeds: Sequence[int],
    alpha: float,
    seed: int = 0,
    patients: Sequence[int] = PATIENTS,
    repetitions: int = REPETITIONS,
) -> pd.DataFrame:
    """Return the power of studies.

    Args:
        population: the distribution of the differences. Several seeds need its `seed_sd`.
        goals: the goals of the studies.
        seeds: numbers of trainings per method.
        alpha: the level of the test, after the correction for several comparisons.
        seed: seed of the simulation.
        patients: numbers of patients.
        repetitions: simulated studies per number of patients.

    Returns:
        One row per goal, number of seeds and number of patients: to_show (the goal's kind), size, seeds, patients,
        power.
    """
    random = np.random.default_rng(seed)
    rows = []
    for number in patients:
        units = population.draw(random, repetitions, number)
        for trainings in seeds:
            studies = Studies.of(units, trainings, population.seed_sd or 0.0, random)
            for goal in goals:
                rows.append((*goal, trainings, number, float(studies.shown(goal, alpha).mean())))
    order = {goal: place for place, goal in enumerate(goals)}
    rows.sort(key=lambda row: (order[Goal(*row[:2])], seeds.index(row[2]), row[3]))
    return pd.DataFrame(rows, columns=["to_show", "size", "seeds", "patients", "power"])


@dataclass(frozen=True)
class Studies:
    """Simulated studies whose true difference is 0.

    Attributes:
        units: differences of the patients, (repetitions, patients); None if the test needs only their means.
        mean, error, freedom: the values of an `Estimate` for each study, (repetitions,).
    """

    units: NDArray[np.float64] | None
    mean: NDArray[np.float64]
    error: NDArray[np.float64]
    freedom: NDArray[np.float64] | float

    @classmethod
    def of(cls, units: NDArray[np.float64], seeds: int, seed_sd: float, random: np.random.Generator) -> "Studies":
        """Add the shifts of the seeds of two methods to the patients' differences; none for single trainings.

        Args:
            units: differences of the patients, (repetitions, patients).
            seeds: number of trainings per method.
            seed_sd: standard deviation of the shifts.
            random: generator of the shifts.
        """
        repetitions, patients = units.shape
        mean, variance = units.mean(axis=1), units.var(axis=1, ddof=1) / patients
        if seeds == 1:
            return cls(units, mean, np.sqrt(variance), float(patients - 1))
        shifts = random.normal(0, seed_sd, (2, repetitions, seeds))  # methods, repetitions, seeds
        ours, theirs = shifts.mean(axis=2)
        variances = np.stack([variance, *shifts.var(axis=2, ddof=1) / seeds])
        freedoms = np.array([[patients - 1], [seeds - 1], [seeds - 1]], float)
        return cls(None, mean + ours - theirs, *join_errors(variances, freedoms))

    def shown(self, goal: Goal, alpha: float) -> NDArray[np.bool_]:
        """Return for each study whether it reaches its goal: a difference in the right direction, or equivalence."""
        if goal.kind == EQUIVALENCE:
            return equivalence_p(self.mean, self.error, self.freedom, goal.size) < alpha
        mean = self.mean + goal.size
        if self.units is not None:
            ranks = signed_ranks(self.units + goal.size)
            return (ranks >= critical_ranks(self.units.shape[1], alpha)) & (mean > 0)
        return (2 * stats.t.sf(np.abs(mean) / self.error, self.freedom) < alpha) & (mean > 0)


def signed_ranks(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return W+ - W- of Wilcoxon's test for each row. Equal differences of one sign count as with shared ranks."""
    order = np.argsort(np.abs(differences), axis=1)
    return np.sign(np.take_along_axis(differences, order, axis=1)) @ np.arange(1.0, differences.shape[1] + 1)


@cache
def critical_ranks(number: int, alpha: float) -> float:
    """Return the smallest significant W+ - W- of this number of pairs, two-sided; infinity if none is significant."""
    total = number * (number + 1) // 2
    if number > MOST_EXACT:
        return float(stats.norm.isf(alpha / 2) * np.sqrt(total * (2 * number + 1) / 3))
    chances = np.ones(1)  # probability of each W+ if no method is better
    for rank in range(1, number + 1):
        chances = np.convolve(chances, [0.5, *[0.0] * (rank - 1), 0.5])
    at_least = chances[::-1].cumsum()[::-1]
    significant = np.flatnonzero(2 * at_least < alpha)
    return float(2 * significant[0] - total) if len(significant) else np.inf


def patients_needed(patients: Sequence[int], power: Sequence[float], wanted: float) -> int | None:
    """Return the smallest number of patients with the wanted power; None if no simulated number reaches it.

    Between two simulated numbers, the probit of the power is interpolated linearly in the square root of the number,
    which is exact for the test of a mean.
    """
    reached = np.flatnonzero(np.asarray(power) >= wanted)
    if not len(reached):
        return None
    last = int(reached[0])
    if last == 0:
        return int(patients[0])
    probits = stats.norm.ppf(np.clip(power[last - 1 : last + 1], 1e-4, 1 - 1e-4))
    root = np.interp(stats.norm.ppf(wanted), probits, np.sqrt(patients[last - 1 : last + 1]))
    return int(np.ceil(root**2))
