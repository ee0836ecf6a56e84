"""What follows from the scores of a comparison: everything that its tables, pictures and report show."""

from dataclasses import dataclass

import pandas as pd

from segan_nnunet.evaluation.methods.methods_on_cases import MethodsOnCases
from segan_nnunet.evaluation.scores.score_tables import ScoreTable, score_tables
from segan_nnunet.evaluation.scores.scores import SCORES, Score
from segan_nnunet.evaluation.scores.seeds import UNSEEDED, seed_means, with_seeds
from segan_nnunet.evaluation.settings import Settings
from segan_nnunet.evaluation.statistics.equivalence import add_equivalence
from segan_nnunet.evaluation.statistics.paired import paired_tests
from segan_nnunet.evaluation.statistics.summary import missed_and_false, summarise
from segan_nnunet.evaluation.statistics.training_cost import add_cost_ratios, training_costs


@dataclass(frozen=True)
class Conclusions:
    """Scores of methods on cases, and what follows from them.

    Attributes:
        compared: the methods and the cases.
        settings: how they were compared.
        tables: the scores by table.
        scores: one row per method, seed, case and region.
        means: the same, averaged over the seeds.
        seeds: the mean of each seed over the cases, as `scores_of_seeds` returns it.
        costs: of the trainings, as `training_costs` returns them.
        summary: as `summarise` returns it.
        tests: as `paired_tests` returns them; with tests of equivalence where there is a margin, and with ratios of
            cost where costs are known.
        missed: as `missed_and_false` returns it.
    """

    compared: MethodsOnCases
    settings: Settings
    tables: list[ScoreTable]
    scores: pd.DataFrame
    means: pd.DataFrame
    seeds: pd.DataFrame
    costs: pd.DataFrame
    summary: pd.DataFrame
    tests: pd.DataFrame
    missed: pd.DataFrame

    @property
    def baseline(self) -> str:
        """The method that the others are tested against."""
        return self.settings.baseline or next(iter(self.compared.methods))

    @property
    def regions(self) -> list[str]:
        """Names of the regions."""
        return list(self.compared.labelling.regions)

    @property
    def shown_scores(self) -> list[Score]:
        """The scores of all tables."""
        return [score for table in self.tables for score in table.scores]


def conclude(compared: MethodsOnCases, scores: pd.DataFrame, settings: Settings) -> Conclusions:
    """Draw the conclusions from scores.

    Args:
        compared: the methods and the cases.
        scores: as `MethodsOnCases.complete` returns them.
        settings: how to compare.
    """
    tables = score_tables(settings.measures, scores.columns)
    costs = training_costs(compared.predictions)
    tests = paired_tests(
        scores,
        settings.baseline or next(iter(compared.methods)),
        settings.all_pairs,
        {table.name: table.scores for table in tables},
        settings.primary,
    )
    if settings.margin:
        shown = [score for table in tables for score in table.scores]
        tests = add_equivalence(tests, settings.margin, shown, settings.primary)
    return Conclusions(
        compared,
        settings,
        tables,
        scores,
        seed_means(scores),
        scores_of_seeds(scores),
        costs,
        summarise(scores, [score for table in tables for score in table.scores]),
        add_cost_ratios(tests, costs) if len(costs) else tests,
        missed_and_false(scores),
    )


def scores_of_seeds(scores: pd.DataFrame) -> pd.DataFrame:
    """Return each seed's mean over the cases, one row per method, seed and region; none for a single training."""
    seeded = with_seeds(scores)
    seeded = seeded[seeded["seed"] != UNSEEDED]
    rows = [
        {"method": method, "seed": seed, "region": region, **{s.column: part[s.column].mean() for s in SCORES}}
        for method, of_method in seeded.groupby("method", sort=False)
        for (seed, region), part in of_method.groupby(["seed", "region"], sort=False)
    ]
    return pd.DataFrame(rows, columns=["method", "seed", "region", *(score.column for score in SCORES)])
