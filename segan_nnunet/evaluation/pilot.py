"""Read a pilot study: the differences of two methods in `cases.csv` of a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segan_nnunet.errors import InputError, shorten
from segan_nnunet.evaluation.scores.scores import columns_by_name
from segan_nnunet.evaluation.scores.seeds import KEYS
from segan_nnunet.evaluation.statistics.seed_level import by_method_and_seed
from segan_nnunet.evaluation.statistics.summary import paired_units, patients_of
from segan_nnunet.text_files import read_table

SEEDS_TABLE = "seeds.csv"  # in the folder of cases.csv


@dataclass(frozen=True)
class Pilot:
    """The differences of two methods in one score and region.

    Attributes:
        methods: the first and the second method.
        score: column of the score in cases.csv.
        region: name of the region.
        differences: first minus second method, one value per patient.
        sds: standard deviation of the differences in every region.
        seed_sd: standard deviation of a method's mean over its seeds; None if no method has several.
    """

    methods: tuple[str, str]
    score: str
    region: str
    differences: NDArray[np.float64]
    sds: dict[str, float]
    seed_sd: float | None


def read_pilot(path: Path, methods: Sequence[str] = (), score: str = "Dice", region: str | None = None) -> Pilot:
    """Read the differences of two methods from `cases.csv`, and the scatter of seeds from `seeds.csv` in its folder.

    Args:
        path: cases.csv of a comparison.
        methods: two methods of the file; by default its only two.
        score: a column, with or without its unit, in upper or lower case.
        region: by default the region whose differences have the largest standard deviation.

    Raises:
        InputError: the file is not such a table, it lacks the score, the region or a method, fewer than two patients
            define the score for both methods, or all differences are equal.
    """
    table = read_table(path)
    column = score_column(table, score, path)
    cases = score_by_case(table, column, path)
    first, second = two_methods(list(cases["method"].unique()), methods, path)
    by_case, patients = by_method_and_seed(cases, column), patients_of(cases)
    differences = {}
    for name in cases["region"].unique():
        pair = [by_case.get((method, name)) for method in (first, second)]
        if pair[0] is not None and pair[1] is not None:
            ours, theirs = paired_units(pair[0], pair[1], patients)
            differences[name] = (ours.mean(axis=1) - theirs.mean(axis=1)).to_numpy()
    sds = {name: float(values.std(ddof=1)) for name, values in differences.items() if len(values) > 1}
    if region is not None and region not in differences:
        raise InputError(f"{path} has no region '{region}' of both methods; --region takes {', '.join(differences)}")
    chosen = max(sds, key=lambda name: sds[name], default="") if region is None else region
    if chosen not in sds:
        raise InputError(
            f"{path}: a standard deviation needs two patients or more that define {column} for {first} and {second}. "
            "Compare more cases, or give --sd"
        )
    if sds[chosen] <= 1e-12:
        raise InputError(
            f"{path}: {column} of {first} and {second} differs by the same amount in all patients ({chosen}), and a "
            "plan needs differences that vary. Name two other methods or another region, or give --sd"
        )
    seed_sd = scatter_of_seeds(path.with_name(SEEDS_TABLE), (first, second), column, chosen)
    return Pilot((first, second), column, chosen, differences[chosen], sds, seed_sd)


def score_column(table: pd.DataFrame, score: str, path: Path) -> str:
    """Return the column of a score.

    Raises:
        InputError: the table is not a cases.csv, or has no such score.
    """
    if missing := [name for name in KEYS if name not in table.columns]:
        raise InputError(
            f"{path} is no cases.csv of a comparison: it has no column {' and no column '.join(missing)}. Give the "
            "file that `segan_nnunet compare` writes, or --sd"
        )
    column = columns_by_name(table.columns).get(score.casefold())
    if column is None or column in KEYS:
        raise InputError(f"{path} has no score '{score}'; --score takes a column of it: {', '.join(table.columns)}")
    return column


def score_by_case(table: pd.DataFrame, column: str, path: Path) -> pd.DataFrame:
    """Return method, case, region, patient and the score as a number; NaN if it is undefined.

    Raises:
        InputError: a value is not a number, or a case occurs twice.
    """
    cases = table.copy()
    if "patient" not in cases:
        cases["patient"] = cases["case"]
    cases["patient"] = cases["patient"].where(cases["patient"] != "", cases["case"])
    if (twice := cases.duplicated(KEYS)).any():
        raise InputError(
            f"{path} has the case {cases.loc[twice, 'case'].iloc[0]} twice for one method and region. Delete one of "
            "the lines"
        )
    return cases[[*KEYS, "patient"]].assign(**{column: parse_numbers(cases, column, "case", path)})


def two_methods(known: Sequence[str], named: Sequence[str], path: Path) -> tuple[str, str]:
    """Return the two methods to plan for.

    Raises:
        InputError: the methods are not two, or one is not in the file.
    """
    if unknown := [name for name in named if name not in known]:
        raise InputError(f"{path} has no method '{unknown[0]}'; --methods takes two of {shorten(known)}")
    if len(known) < 2:
        raise InputError(f"{path} has one method, {', '.join(known)}, and a plan needs two. Compare it with another")
    chosen = list(dict.fromkeys(named)) if named else list(known)
    if len(chosen) != 2:
        raise InputError(f"a plan is about two methods; --methods takes two of {shorten(known)}")
    return chosen[0], chosen[1]


def scatter_of_seeds(path: Path, methods: Sequence[str], column: str, region: str) -> float | None:
    """Return the pooled standard deviation of a method's mean over its seeds; None if no method has two seeds.

    Args:
        path: seeds.csv of a comparison; it need not exist.
        methods, column, region: the methods, the score and the region of the pilot.
    """
    if not path.is_file():
        return None
    table = read_table(path)
    if not {"method", "region", column} <= set(table.columns):
        return None
    chosen = table[table["method"].isin(methods) & (table["region"] == region)]
    by_method = parse_numbers(chosen, column, "method", path).dropna().groupby(chosen["method"])
    freedom = int((by_method.size() - 1).sum())
    squares = float((by_method.var().fillna(0) * (by_method.size() - 1)).sum())
    return float(np.sqrt(squares / freedom)) if freedom else None


def parse_numbers(rows: pd.DataFrame, column: str, name: str, path: Path) -> pd.Series:
    """Return a column of texts as numbers; NaN for empty texts.

    Raises:
        InputError: a text is not a number. The message names the row by its value in the column `name`.
    """
    numbers = pd.to_numeric(rows[column], errors="coerce")
    if (wrong := numbers.isna() & (rows[column] != "")).any():
        raise InputError(
            f"{path}: {column} of {rows.loc[wrong, name].iloc[0]} is '{rows.loc[wrong, column].iloc[0]}', and must be "
            "a number. Correct the line, or compare again"
        )
    return numbers
