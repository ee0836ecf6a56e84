"""`power`: plan the patients, seeds and trainings of a comparison, from a pilot or from standard deviations."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.pilot import Pilot, read_pilot
from segan_nnunet.evaluation.presentation.figures.power import power_figure
from segan_nnunet.evaluation.presentation.figures.style import save
from segan_nnunet.evaluation.presentation.table import pipes
from segan_nnunet.evaluation.scores.scores import DICE, UNITS
from segan_nnunet.evaluation.statistics.paired import ALPHA
from segan_nnunet.evaluation.statistics.power import (
    DIFFERENCE,
    EQUIVALENCE,
    MOST_PATIENTS,
    REPETITIONS,
    Goal,
    Population,
    patients_needed,
    population_of,
    power_curves,
)
from segan_nnunet.outputs import output_folder

FILE_NAMES = re.compile(r"plan\.(md|csv)|power\.(csv|png|pdf)")  # of the files that `power` writes
COLUMNS = ["to_show", "size", "seeds", "patients", "power_at_most", "trainings", "gpu_hours"]  # of plan.csv
DIFFERENCES, MARGINS = (0.01, 0.02, 0.05), (0.02,)  # defaults for scores without unit
ONE_SEED, SEVERAL_SEEDS = (1,), (3, 5, 10)  # default numbers of trainings per method
METHODS = 2


@dataclass(frozen=True)
class Questions:
    """The questions that a plan answers.

    Attributes:
        differences: true differences to find, in units of the score; by default .01, .02 and .05 for a share.
        margins: margins of equivalence, in units of the score; by default .02 for a share.
        seeds: numbers of trainings per method and fold; by default 3, 5 and 10, or 1 if the scatter of seeds is
            unknown.
        folds: number of folds of the cross-validation.
        hours: GPU hours of one training; None if unknown.
        power: the wanted probability of success.
        comparisons: number of tests in Holm's correction; by default the number of regions of the pilot, or 1.
        seed: seed of the simulation.
    """

    differences: Sequence[float] = ()
    margins: Sequence[float] = ()
    seeds: Sequence[int] = ()
    folds: int = 5
    hours: float | None = None
    power: float = 0.8
    comparisons: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a value breaks its rule.
        """
        for option, values, rule, keeps_rule in (
            ("--differences", self.differences, "above 0", lambda value: 0 < value < np.inf),
            ("--margin", self.margins, "above 0", lambda value: 0 < value < np.inf),
            ("--seeds", self.seeds, "1 or more", lambda value: value >= 1),
            ("-k", [self.folds], "2 or more", lambda value: value >= 2),
            (
                "--hours-per-training",
                [self.hours] if self.hours is not None else [],
                "above 0",
                lambda value: 0 < value < np.inf,
            ),
            ("--power", [self.power], f"above {ALPHA} and below 1", lambda value: ALPHA < value < 1),
            (
                "--comparisons",
                [self.comparisons] if self.comparisons is not None else [],
                "1 or more",
                lambda value: value >= 1,
            ),
        ):
            if wrong := [value for value in values if not keeps_rule(value)]:
                raise InputError(f"{option} takes numbers {rule}, not {wrong[0]:g}; correct it")

    def goals(self, score: str) -> list[Goal]:
        """Return the goals of a study of a score.

        Raises:
            InputError: the score has a unit, and neither differences nor margins are given.
        """
        differences, margins = self.differences, self.margins
        if score.endswith(UNITS):
            if not differences and not margins:
                raise InputError(f"{score} is no share: give --differences or --margin in its unit, such as 1 2 5")
        else:
            differences, margins = differences or DIFFERENCES, margins or MARGINS
        sizes = [(DIFFERENCE, size) for size in differences] + [(EQUIVALENCE, margin) for margin in margins]
        return [Goal(*each) for each in dict.fromkeys(sizes)]


@dataclass(frozen=True)
class Plan:
    """The answers to the questions of a plan.

    Attributes:
        table: one row per goal and number of seeds, with the columns `COLUMNS`: patients (missing if the power is not
            reached), power_at_most (at the largest simulated number of patients), trainings and GPU hours.
        curves: the result of `power_curves`.
        notes: sentences on the assumptions.
        score: the planned score.
        power: the wanted power.
    """

    table: pd.DataFrame
    curves: pd.DataFrame
    notes: list[str]
    score: str
    power: float

    def markdown(self) -> str:
        """Return the table and the assumptions in Markdown."""
        rows = []
        for row in self.table.itertuples():
            size = f"{row.size:g}" if self.score.endswith(UNITS) else f"{row.size:g} {self.score}"
            goal = f"a difference of {size}" if row.to_show == DIFFERENCE else f"equivalence within {size}"
            patients = f"> {MOST_PATIENTS} (power {row.power_at_most:.2f} there)"
            patients = patients if pd.isna(row.patients) else f"{row.patients}"
            hours = [] if pd.isna(row.gpu_hours) else [f"{row.gpu_hours:,.0f}"]
            rows.append([goal, str(row.seeds), patients, str(row.trainings), *hours])
        head = ["To show", "Seeds", f"Patients for power {self.power:g}", "Trainings"]
        head += ["GPU hours"] if self.table["gpu_hours"].notna().any() else []
        return "\n".join([*pipes(head, rows), "", *(f"- {note}" for note in self.notes)]) + "\n"


def plan(
    cases: Path | None = None,
    methods: Sequence[str] = (),
    score: str = DICE.column,
    region: str | None = None,
    sd: float | None = None,
    seed_sd: float | None = None,
    questions: Questions | None = None,
) -> Plan:
    """Plan a study of two methods from a pilot, or from standard deviations.

    Args:
        cases: cases.csv of the pilot's comparison.
        methods, score, region: choose from the pilot, as in `read_pilot`. Without a pilot the score names the unit.
        sd: without a pilot, the standard deviation of the patients' differences between the methods.
        seed_sd: standard deviation of a method's mean over its seeds; by default that of the pilot.
        questions: the questions to answer.

    Raises:
        InputError: there is neither a pilot nor `sd`, or both; the pilot cannot be used; a standard deviation is out
            of range; or several seeds are wanted although their scatter is unknown.
    """
    if (cases is None) == (sd is None):
        raise InputError(
            "a plan needs a pilot or a standard deviation: give the cases.csv of a comparison, or --sd"
            + (", not both" if cases else "")
        )
    if sd is not None:
        if methods or region:
            raise InputError("--methods and --region choose from a pilot, and --sd replaces it. Leave them out")
        return plan_study(Population(sd, seed_sd), questions or Questions(), score)
    pilot = read_pilot(cases, methods, score, region)  # type: ignore[arg-type]  # one of cases and sd is given
    population = population_of(pilot.differences, pilot.seed_sd if seed_sd is None else seed_sd)
    return plan_study(population, questions or Questions(), pilot.score, pilot)


def plan_study(population: Population, questions: Questions, score: str, pilot: Pilot | None = None) -> Plan:
    """Simulate studies, and return how many patients and trainings they need.

    Args:
        population: the distribution from which the studies draw.
        questions: the questions to answer.
        score: a column of cases.csv.
        pilot: the source of the population; None for standard deviations alone.

    Raises:
        InputError: as in `plan`.
    """
    check_deviations(population)
    goals = questions.goals(score)
    seeds = list(dict.fromkeys(questions.seeds)) or list(ONE_SEED if population.seed_sd is None else SEVERAL_SEEDS)
    if population.seed_sd is None and max(seeds) > 1:
        raise InputError(
            f"--seeds is {max(seeds)}, and the scatter of seeds is unknown. Give --seed-sd, the standard deviation of "
            "a method's mean over its seeds (in a note of `compare`), or a pilot with several seeds"
        )
    comparisons = questions.comparisons or (len(pilot.sds) if pilot else 1)
    curves = power_curves(population, goals, seeds, ALPHA / comparisons, questions.seed)
    rows = []
    for (kind, size, number), curve in curves.groupby(["to_show", "size", "seeds"], sort=False):
        power = curve["power"].tolist()
        needed = patients_needed(curve["patients"].tolist(), power, questions.power)
        trainings = questions.folds * number * METHODS
        hours = np.nan if questions.hours is None else trainings * questions.hours
        rows.append((kind, size, number, needed, power[-1], trainings, hours))
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"patients": "Int64"})
    return Plan(table, curves, assumptions(population, questions, seeds, comparisons, pilot), score, questions.power)


def check_deviations(population: Population) -> None:
    """Check the standard deviations.

    Raises:
        InputError: the one of patients is not above 0, or the one of seeds is below 0.
    """
    if not 0 < population.sd < np.inf:
        raise InputError(f"--sd is {population.sd:g}, and a standard deviation is above 0. Correct it")
    if population.seed_sd is not None and not 0 <= population.seed_sd < np.inf:
        raise InputError(f"--seed-sd is {population.seed_sd:g}, and a standard deviation is 0 or more. Correct it")


def assumptions(
    population: Population, questions: Questions, seeds: Sequence[int], comparisons: int, pilot: Pilot | None
) -> list[str]:
    """Write the assumptions of a plan."""
    normal = f"The patients' differences are normal with a standard deviation of {population.sd:g}."
    notes = pilot_notes(pilot) if pilot else [normal]
    level = f"p < {ALPHA}" if comparisons == 1 else f"p < {ALPHA} / {comparisons}, Holm's first step of {comparisons}"
    notes.append(
        f"Each power is that of {REPETITIONS:,} simulated studies, with an error of about .01. A study succeeds where "
        f"`compare` would say so ({level}): for a difference the first method is significantly better, for equivalence "
        "two one-sided t-tests show it. Equivalence is for methods that are truly equal; a true difference of half the "
        "margin takes about three times as many patients."
    )
    if 1 in seeds:
        notes.append(
            "With one seed the test is Wilcoxon's over patients. Its result is about two single trainings, not about "
            "two methods: it ignores the scatter of seeds."
        )
    if population.seed_sd is not None and max(seeds) > 1:
        notes.append(
            "With several seeds the test is Student's t over seeds and patients. A seed shifts all patients of a "
            f"cross-validation by one value of a normal distribution with the standard deviation "
            f"{population.seed_sd:.2g}. More patients do not reduce this scatter, more seeds do."
        )
    notes.append(
        "A cross-validation predicts each patient once per seed, so the number of folds does not change the power. The "
        f"number of trainings is {questions.folds} folds x seeds x {METHODS} methods. Each training sees "
        f"{100 - 100 / questions.folds:.0f} % of the patients. The simulation ignores that more patients train better "
        "models."
    )
    return notes


def pilot_notes(pilot: Pilot) -> list[str]:
    """Write the results of a pilot, and how precise they are."""
    number, sd = len(pilot.differences), pilot.sds[pilot.region]
    low, high = sd * np.sqrt((number - 1) / stats.chi2.ppf([0.975, 0.025], number - 1))
    others = [f"{region} {value:.3g}" for region, value in pilot.sds.items() if region != pilot.region]
    return [
        f"{pilot.score} of the {pilot.region}: the differences {pilot.methods[0]} - {pilot.methods[1]} of {number} "
        f"patients have a standard deviation of {sd:.3g}. Studies draw them with replacement, centred, smoothed and "
        "shifted.",
        f"The 95 % interval of this standard deviation is {low:.2g} to {high:.2g} (of normal differences). The needed "
        f"number of patients grows with its square.{' Other regions: ' + ', '.join(others) + '.' if others else ''}",
    ]


def write_plan(plan: Plan, output: Path) -> list[Path]:
    """Write plan.md, plan.csv, power.csv and the picture into a folder. Return the files.

    Raises:
        InputError: the folder cannot be used, or holds files with these names that no plan wrote.
    """
    with output_folder(output, FILE_NAMES, earlier_plan) as folder:
        (folder / "plan.md").write_text(plan.markdown(), encoding="utf-8")
        plan.table.to_csv(folder / "plan.csv", index=False)
        plan.curves.to_csv(folder / "power.csv", index=False)
        drawn = save(power_figure(plan.curves, plan.power, plan.score), folder, "power")
        names = ["plan.md", "plan.csv", "power.csv", *(path.name for path in drawn)]
    return [output / name for name in names]


def earlier_plan(folder: Path) -> Collection[Path]:
    """Return the files that an earlier `power` wrote into a folder; none if its plan.csv has other columns."""
    try:
        columns = list(pd.read_csv(folder / "plan.csv", nrows=0))
    except (OSError, ValueError):
        return []
    return [path for path in folder.iterdir() if FILE_NAMES.fullmatch(path.name)] if columns == COLUMNS else []
