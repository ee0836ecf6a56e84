"""The results that follow from the scores of a comparison, for its tables, pictures and report."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from segan_nnunet.evaluation.methods.methods_on_cases import MethodsOnCases
from segan_nnunet.evaluation.scores.score_tables import ScoreTable, score_tables
from segan_nnunet.evaluation.scores.scores import Score
from segan_nnunet.evaluation.scores.seeds import UNSEEDED, seed_means, with_seeds
from segan_nnunet.evaluation.settings import Settings
from segan_nnunet.evaluation.statistics.equivalence import add_equivalence
from segan_nnunet.evaluation.statistics.paired import paired_tests
from segan_nnunet.evaluation.statistics.ranking import FEWEST_METHODS, Ranking, rank
from segan_nnunet.evaluation.statistics.summary import missed_and_false, summarise
from segan_nnunet.evaluation.statistics.training_cost import add_cost_ratios, training_costs


@dataclass(frozen=True)
class Conclusions:
    """The scores of methods on cases, and the results that follow from them. Each is computed on first access.

    Attributes:
        compared: the methods and the cases.
        scores: the result of `MethodsOnCases.complete`, one row per method, seed, case and region.
        settings: the settings of the comparison.
    """

    compared: MethodsOnCases
    scores: pd.DataFrame
    settings: Settings

    @property
    def baseline(self) -> str:
        """The method against which the others are tested."""
        return self.settings.baseline or next(iter(self.compared.methods))

    @property
    def regions(self) -> list[str]:
        """The names of the regions."""
        return list(self.compared.labelling.regions)

    @cached_property
    def tables(self) -> list[ScoreTable]:
        """The tables, each with its scores."""
        return score_tables(self.settings.measures, self.scores.columns)

    @property
    def shown_scores(self) -> list[Score]:
        """The scores of all tables."""
        return [score for table in self.tables for score in table.scores]

    @cached_property
    def means(self) -> pd.DataFrame:
        """The scores, averaged over the seeds."""
        return seed_means(self.scores)

    @cached_property
    def seeds(self) -> pd.DataFrame:
        """The result of `scores_of_seeds`."""
        return scores_of_seeds(self.scores, self.shown_scores)

    @cached_property
    def costs(self) -> pd.DataFrame:
        """The result of `training_costs`."""
        return training_costs(self.compared.predictions)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """The result of `summarise`."""
        return summarise(self.scores, self.shown_scores)

    @cached_property
    def tests(self) -> pd.DataFrame:
        """The result of `paired_tests`, with tests of equivalence if there is a margin, and ratios of known costs."""
        tests = paired_tests(
            self.scores,
            self.baseline,
            {table.name: table.scores for table in self.tables},
            self.settings.primary,
            self.settings.all_pairs,
        )
        if self.settings.margin:
            tests = add_equivalence(tests, self.settings.margin, self.shown_scores, self.settings.primary)
        return add_cost_ratios(tests, self.costs) if len(self.costs) else tests

    @cached_property
    def missed(self) -> pd.DataFrame:
        """The result of `missed_and_false`."""
        return missed_and_false(self.scores)

    @cached_property
    def ranking(self) -> Ranking | None:
        """The ranking of the methods; None for fewer than `FEWEST_METHODS`."""
        return rank(self.scores) if len(self.compared.methods) >= FEWEST_METHODS else None


def scores_of_seeds(scores: pd.DataFrame, chosen: Sequence[Score]) -> pd.DataFrame:
    """Return the mean of each seed over the cases, one row per method, seed and region; none for single trainings.

    Args:
        scores: one row per method, seed, case and region.
        chosen: the scores to average.
    """
    columns = [score.column for score in chosen]
    seeded = with_seeds(scores)
    seeded = seeded[seeded["seed"] != UNSEEDED]
    rows = [
        {"method": method, "seed": seed, "region": region, **{column: part[column].mean() for column in columns}}
        for method, of_method in seeded.groupby("method", sort=False)
        for (seed, region), part in of_method.groupby(["seed", "region"], sort=False)
    ]
    return pd.DataFrame(rows, columns=["method", "seed", "region", *columns])
