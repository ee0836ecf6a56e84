"""The tables, figures and verdicts of the study by the rules of protocol.md, from scores.csv alone.

usage: python studies/paper/analysis.py [SCORES [OUTPUT]]
    SCORES      scores.csv beside this file by default
    OUTPUT      a folder for results.md and the figures; the folder of this file by default
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from segan_nnunet.evaluation.presentation.figures.bars import figure2
from segan_nnunet.evaluation.presentation.figures.style import save
from segan_nnunet.evaluation.presentation.table import build_table, markdown
from segan_nnunet.evaluation.scores.scores import TABLE_1
from segan_nnunet.evaluation.statistics.equivalence import CONFIDENCE, equivalence_p
from segan_nnunet.evaluation.statistics.intervals import mean_interval
from segan_nnunet.evaluation.statistics.paired import ALPHA, holm, wilcoxon
from segan_nnunet.evaluation.statistics.seed_level import estimate
from segan_nnunet.evaluation.statistics.summary import summarise

HERE = Path(__file__).resolve().parent
REGIONS = ("whole tumor", "tumor core", "enhancing tumor")
FOLDS, TUNING_FOLDS, TUNING_SEED, SEEDS = (0, 1, 2, 3, 4), (0, 1), 0, (1, 2, 3)
UNCHOSEN = (2, 3, 4)  # folds on which nothing is chosen
ARMS = {  # arm: number of seeds; in the order in which they are trained
    "SegAN": 3, "Softmax": 3, "AsPublished": 3, "SegANDice": 3, "DiceCE": 3,
    "SegAN_PaperDA": 3, "Softmax_PaperDA": 3, "DiceCE_PaperDA": 3,
    "s0": 2, "s3": 2, "S1_1C": 2, "S3_1C": 2, "frozen": 2,
}  # fmt: skip
DIALS, RATES = ("dial100", "dial75", "dial50", "dial0"), ("lr1e3", "lr3e4", "lr2e3", "lr4e3")
ADDED = ("lr2e3", "lr4e3", "lr8e3")  # rates of SegAN at the first dial (protocol.md, Amendments)
TUNED = {
    "SegAN": (*DIALS, *ADDED), "Softmax": (*RATES, "lr8e3"), "DiceCE": (*RATES, "lr8e3"), "AsPublished": ("letter",),
}  # fmt: skip
DICE_TOLERANCE = 0.005  # of the choice and of the dial's default
LEARNT = 0.3  # smallest mean Dice at which the paper's own rate has learnt something
DIVERGED = 0.1  # a training with a lower mean Dice has diverged
MOST_DIVERGED = 1  # diverged trainings that an arm may have
MOST_FALL = 0.03  # largest accepted fall of the pseudo Dice from the best to the last epoch
MOST_CHANGE = 0.02  # largest accepted change of the loss in the last epoch

# kinds of conditions: a significant gain, equivalence within the margin, a gain above 0
SHOWN, EQUIVALENT, AGREES = "difference", "equivalence", "direction"
# answers: met, the opposite is shown, a gain of the margin or more is excluded, undecided
YES, REVERSED, EXCLUDED, OPEN = "yes", "reversed", "advantage excluded", "open"
SUPPORTED, CONTRADICTED, NOT_SUPPORTED = "supported", "contradicted", "not supported"
UNDECIDED = "not decided by these data"


class Endpoint(NamedTuple):
    """A score: whether high values are good (1) or low ones (-1), the margin, and its range."""

    good: int
    margin: float
    low: float = 0.0
    high: float = np.inf


ENDPOINTS = {
    "Dice": Endpoint(1, 0.02, high=1.0),
    "Precision": Endpoint(1, 0.02, high=1.0),
    "Sensitivity": Endpoint(1, 0.02, high=1.0),
    "HD95_mm": Endpoint(-1, 2.0),
    "FalseComponents": Endpoint(-1, 0.5),
    "SurfacePerVolume": Endpoint(-1, 0.05),
}
MEAN, WHOLE, CORE, ENHANCING = (1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1)  # weights of the regions
INNER = (-1, 0.5, 0.5)  # core and enhancing tumour against the whole


class Condition(NamedTuple):
    """One condition of a claim: the arm that the claim favours, another arm, and what is asked of their difference."""

    claim: str
    arm: str
    other: str
    kind: str = SHOWN
    score: str = "Dice"
    regions: Sequence[float] = MEAN

    def __str__(self) -> str:
        """E.g. `SegAN against s0, Dice, core and enhancing against whole`."""
        names: dict[Sequence[float], str] = {
            WHOLE: "whole",
            CORE: "core",
            ENHANCING: "enhancing",
            INNER: "core and enhancing against whole",
        }
        return ", ".join(filter(None, [f"{self.arm} against {self.other}", self.score, names.get(tuple(self.regions))]))


CLAIMS = {
    "C1": "SegAN has higher Dice than the U-net with softmax, in all three regions (Table 1)",
    "C1, as published": "The same for SegAN with the paper's loss and optimiser as they stand",
    "C1, released code": "The same for the authors' released objective",
    "C2": "The multi-scale loss beats single-scale losses, most for core and enhancing tumour (Figure 2)",
    "C3": "S3-3C is as good as S1-1C and better than S3-1C (Figure 2)",
    "C4": "Training is stable; the loss is bounded and converges (Section 2.4)",
    "C5": "SegAN's maps are smoother, with less noise (Section 3.2, Figure 3)",
    "C6": "Without class weights and balanced sampling SegAN segments enhancing tumour better than softmax (Section 1)",
}
CONDITIONS = [
    *(
        Condition(claim, arm, "Softmax", kind, regions=regions)
        for claim, arm in (("C1", "SegAN"), ("C1, as published", "AsPublished"), ("C1, released code", "SegANDice"))
        for kind, regions in ((SHOWN, MEAN), (AGREES, WHOLE), (AGREES, CORE), (AGREES, ENHANCING))
    ),
    *(
        Condition("C2", "SegAN", other, kind, regions=regions)
        for other in ("s0", "s3")
        for kind, regions in ((SHOWN, MEAN), (AGREES, INNER))
    ),
    Condition("C3", "SegAN", "S1_1C", EQUIVALENT),
    Condition("C3", "SegAN", "S3_1C"),
    Condition("C5", "SegAN", "Softmax", score="FalseComponents"),
    Condition("C5", "SegAN", "Softmax", score="SurfacePerVolume"),
    Condition("C5", "SegAN", "Softmax", AGREES, "HD95_mm"),
    Condition("C6", "SegAN_PaperDA", "Softmax_PaperDA", regions=ENHANCING),
]
FURTHER_PAIRS = (
    ("SegAN", "Softmax"), ("AsPublished", "Softmax"), ("SegANDice", "Softmax"), ("SegAN", "DiceCE"),
    ("SegAN", "frozen"), ("SegAN", "s0"), ("SegAN", "s3"), ("SegAN", "S1_1C"), ("SegAN", "S3_1C"),
    ("SegAN_PaperDA", "Softmax_PaperDA"), ("SegAN_PaperDA", "DiceCE_PaperDA"),
)  # fmt: skip
FIGURE_2 = ("S1_1C", "S3_1C", "SegAN", "s0", "s3")


# --- What was trained, and what is missing


def choose(scores: pd.DataFrame) -> dict[str, str]:
    """Return the setting of every arm, as far as the tuning decides it (seed 0, folds 0 and 1)."""
    tuning = scores[(scores["seed"] == TUNING_SEED) & scores["fold"].isin(TUNING_FOLDS)]
    chosen = {"SegANDice": "own"}
    for arm, settings in TUNED.items():
        of_arm = tuning[(tuning["arm"] == arm) & tuning["setting"].isin(settings)]
        if len(of_arm[["setting", "fold"]].drop_duplicates()) < len(settings) * len(TUNING_FOLDS):
            continue
        means = of_arm.groupby("setting")[["Dice", "FalseComponents"]].mean()
        if arm == "AsPublished":
            chosen[arm] = "letter" if means.loc["letter", "Dice"] >= LEARNT else "lr1e3"
            continue
        near = [name for name in settings if means.loc[name, "Dice"] >= means["Dice"].max() - DICE_TOLERANCE]
        chosen[arm] = min(near, key=lambda name: means.loc[name, "FalseComponents"])  # the first of equal ones
    for arm in ARMS:
        model = arm.removesuffix("_PaperDA") if arm.endswith("_PaperDA") else "SegAN"
        if arm not in chosen and arm not in TUNED and model in chosen:
            chosen[arm] = chosen[model]
    return chosen


def planned(arm: str) -> list[tuple[str, int, int]]:
    """Return the trainings of an arm in the confirmation: arm, seed, fold."""
    return [(arm, seed, fold) for seed in SEEDS[: ARMS[arm]] for fold in FOLDS]


def confirmation(scores: pd.DataFrame, chosen: Mapping[str, str]) -> pd.DataFrame:
    """Return the scores of the confirmation: the chosen settings, the other seeds.

    Raises:
        ValueError: the trainings have different numbers of steps, or a case or score is missing.
    """
    rows = scores[scores["seed"].isin(SEEDS) & (scores["setting"] == scores["arm"].map(chosen))]
    if rows["steps"].nunique() > 1:
        raise ValueError(f"the confirmation has trainings of {sorted(rows['steps'].unique())} steps; keep one number")
    if rows.duplicated(["arm", "seed", "case", "region"]).any():
        raise ValueError("a case was predicted twice by the trainings of one arm and seed; the split has overlaps")
    cases = rows.groupby("fold")["case"].nunique()
    counts = rows.groupby(["arm", "seed", "fold"]).size()
    wrong = counts[counts != counts.index.get_level_values("fold").map(cases) * len(REGIONS)]
    if len(wrong):
        raise ValueError(f"cases are missing in the trainings {wrong.index.tolist()}; extract their scores again")
    return rows


def count_scored_and_planned(rows: pd.DataFrame, arms: Sequence[str]) -> tuple[int, int]:
    """Return the number of the arms' planned trainings with scores, and of all their planned trainings."""
    wanted = [training for arm in dict.fromkeys(arms) for training in planned(arm)]
    present = set(rows[["arm", "seed", "fold"]].drop_duplicates().itertuples(index=False, name=None))
    return len(present & set(wanted)), len(wanted)


def diverged(rows: pd.DataFrame) -> pd.Series:
    """Return the number of diverged trainings by arm."""
    by_training = rows.groupby(["arm", "seed", "fold"]).agg(dice=("Dice", "mean"), loss=("loss_max", "first"))
    return ((by_training["dice"] < DIVERGED) | ~np.isfinite(by_training["loss"])).groupby("arm").sum()


# --- Differences


class Gain(NamedTuple):
    """The gain of a condition's arm over the other, positive if the claim is right."""

    patients: int
    gain: float
    low: float  # 95 % over patients and seeds
    high: float
    low90: float
    high90: float
    patients_low: float  # 95 % over patients alone, their seeds averaged
    patients_high: float
    p: float  # of Wilcoxon's test, or of two one-sided tests for an equivalence
    gain_on_unchosen_folds: float  # folds 2 to 4, on which no setting was chosen


def by_patient(rows: pd.DataFrame, arms: Sequence[str], score: str, regions: Sequence[float]) -> list[pd.DataFrame]:
    """Return each arm's weighted mean over the regions, patients x seeds, of regions that all trainings define."""
    weights = pd.Series(regions, REGIONS, dtype=float)
    used = rows[rows["region"].isin(weights.index[weights != 0])]
    tables = [used[used["arm"] == arm].pivot(index=["case", "region"], columns="seed", values=score) for arm in arms]
    defined = pd.concat(tables, axis=1).notna().all(axis=1)
    weight = pd.Series(defined.index.get_level_values("region").map(weights), defined.index)[defined]
    total = weight.groupby("case").sum().abs() if sum(regions) else 1.0
    return [table[defined].mul(weight, axis=0).groupby("case").sum().div(total, axis=0) for table in tables]


def difference(rows: pd.DataFrame, condition: Condition) -> Gain:
    """Return the gain of a condition's arm. Its interval is over patients and seeds, as two levels (`estimate`)."""
    endpoint = ENDPOINTS[condition.score]
    ours, theirs = by_patient(rows, [condition.arm, condition.other], condition.score, condition.regions)
    if endpoint.good < 0:
        ours, theirs = theirs, ours
    gains = ours.mean(axis=1) - theirs.mean(axis=1)
    of_seeds = estimate(ours.to_numpy().T, theirs.to_numpy().T)
    ends = (endpoint.low - endpoint.high, endpoint.high - endpoint.low) if sum(condition.regions) else (-np.inf, np.inf)
    if condition.kind == EQUIVALENT:
        p = float(equivalence_p(of_seeds.mean, of_seeds.error, of_seeds.freedom, endpoint.margin))
    else:
        p = wilcoxon(gains.to_numpy())[0]
    folds = rows.drop_duplicates("case").set_index("case")["fold"]
    unchosen = float(gains[gains.index.map(folds).isin(UNCHOSEN)].mean())
    alone = mean_interval(gains.to_numpy(), *ends)
    ends90 = of_seeds.interval(*ends, CONFIDENCE)
    return Gain(len(gains), of_seeds.mean, *of_seeds.interval(*ends), *ends90, *alone, p, unchosen)


# --- The rules


def answer(condition: Condition, gain: Gain, p_holm: float) -> str:
    """Return the answer of the data to one condition (protocol.md, Verdicts)."""
    margin = ENDPOINTS[condition.score].margin
    if condition.kind == AGREES:
        return YES if gain.gain > 0 else EXCLUDED if gain.high < margin else OPEN
    if condition.kind == EQUIVALENT:
        is_within = -margin < gain.low90 and gain.high90 < margin and abs(gain.gain_on_unchosen_folds) < margin
        if is_within and p_holm < ALPHA:
            return YES
        return REVERSED if gain.low > margin or gain.high < -margin else OPEN
    if gain.low > 0 and p_holm < ALPHA and gain.gain_on_unchosen_folds > 0:
        return YES
    if gain.high < 0 and p_holm < ALPHA and gain.gain_on_unchosen_folds < 0:
        return REVERSED
    return EXCLUDED if gain.low <= 0 and gain.high < margin else OPEN


def verdict(conditions: Sequence[Condition], answers: Sequence[str]) -> str:
    """Return the verdict of a claim from the answers to its conditions."""
    tested = [answered for part, answered in zip(conditions, answers, strict=True) if part.kind != AGREES]
    if all(answered == YES for answered in answers):
        return SUPPORTED
    if REVERSED in tested and YES not in tested:
        return CONTRADICTED
    return NOT_SUPPORTED if {REVERSED, EXCLUDED} & set(answers) else UNDECIDED


def stability(rows: pd.DataFrame) -> tuple[str, str]:
    """Return the verdict of C4, and its numbers: SegAN's trainings."""
    trainings = rows[rows["arm"] == "SegAN"].drop_duplicates(["seed", "fold"])
    falls = trainings.groupby("seed")["best_minus_last"].mean()
    highest, change = trainings["loss_max"].max(skipna=False), trainings["loss_change"].abs().mean()
    failed = int(diverged(rows[rows["arm"] == "SegAN"]).sum())
    result = (
        f"largest loss {highest:.3f}; best minus last epoch by seed {', '.join(f'{fall:.3f}' for fall in falls)}; "
        f"change of the loss in the last epoch {change:.3f}; {failed} of {len(trainings)} diverged"
    )
    if not highest <= 1 or failed > MOST_DIVERGED:
        return CONTRADICTED, result
    return (SUPPORTED if falls.max() <= MOST_FALL and change <= MOST_CHANGE and not failed else NOT_SUPPORTED), result


class Claim(NamedTuple):
    """A claim after the test: its verdict, its result in words, and each condition's gain, corrected p and answer."""

    name: str
    verdict: str
    result: str = ""
    conditions: Sequence[tuple[Condition, Gain, float, str]] = ()


def judge_claims(rows: pd.DataFrame) -> list[Claim]:
    """Test every claim whose trainings are all there; Holm's correction counts the missing tests as p = 1."""
    complete = {arm for arm in ARMS if np.equal(*count_scored_and_planned(rows, [arm]))}
    gains = {part: difference(rows, part) for part in CONDITIONS if {part.arm, part.other} <= complete}
    family = [part for part in CONDITIONS if part.kind != AGREES]
    p_holm = dict(zip(family, holm([gains[part].p if part in gains else 1.0 for part in family]), strict=True))
    failures = diverged(rows)
    claims = []
    for name in CLAIMS:
        parts = [part for part in CONDITIONS if part.claim == name]
        arms = {arm: None for part in parts for arm in (part.arm, part.other)} or {"SegAN": None}
        if not set(arms) <= complete:
            number, wanted = count_scored_and_planned(rows, list(arms))
            claims.append(Claim(name, f"not yet tested: {number} of {wanted} trainings"))
        elif not parts:
            claims.append(Claim(name, *stability(rows)))
        elif invalid := [arm for arm in arms if failures[arm] > MOST_DIVERGED]:
            claims.append(Claim(name, f"invalid: trainings of {', '.join(invalid)} diverged"))
        else:
            answers = [answer(part, gains[part], p_holm.get(part, np.nan)) for part in parts]
            conditions = [
                (part, gains[part], p_holm.get(part, np.nan), answered)
                for part, answered in zip(parts, answers, strict=True)
            ]
            result = "; ".join(f"{part}: {signed(gain)}" for part, gain, _, _ in conditions if part.kind != AGREES)
            claims.append(Claim(name, verdict(parts, answers), result, conditions))
    return claims


# --- The page's tables


def signed(gain: Gain) -> str:
    """Return a gain with its 95 % interval over patients and seeds."""
    return f"{gain.gain:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"


def table_of(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown; numbers to three decimals."""
    lines = [heads, ["---"] * len(heads), *rows]
    cells = [[f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def conditions_table(claims: Sequence[Claim]) -> str:
    """Return every condition with its numbers; gains are positive where the claim is right."""
    heads = ["claim", "condition", "asks for", "patients", "gain, 95 % over patients and seeds", "90 %"]
    heads += ["95 % over patients alone", "p", "Holm", "gain on folds 2-4", "answer"]
    return table_of(heads, [
        (claim.name, part, part.kind, gain.patients, signed(gain), f"[{gain.low90:+.3f}, {gain.high90:+.3f}]",
         f"[{gain.patients_low:+.3f}, {gain.patients_high:+.3f}]", gain.p,
         "" if np.isnan(p) else float(p), f"{gain.gain_on_unchosen_folds:+.3f}", answered)
        for claim in claims for part, gain, p, answered in claim.conditions
    ])  # fmt: skip


def pairs_table(rows: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> str:
    """Return the differences of pairs of arms in all endpoints, first minus second: exploratory."""
    columns = [("Dice", region) for region in (MEAN, WHOLE, CORE, ENHANCING)]
    columns += [(score, MEAN) for score in ENDPOINTS if score != "Dice"]
    heads = ["first − second", "Dice", "Dice whole", "Dice core", "Dice enhancing", *list(ENDPOINTS)[1:]]
    lines = []
    for arm, other in pairs:
        cells = []
        for score, regions in columns:  # a gain in a score that is to be low is a negative difference
            pair = (arm, other) if ENDPOINTS[score].good > 0 else (other, arm)
            cells.append(signed(difference(rows, Condition("", *pair, AGREES, score, regions))))
        lines.append((f"{arm} − {other}", *cells))
    return table_of(heads, lines)


def means_table(rows: pd.DataFrame, by: Sequence[str]) -> str:
    """Return means over patients, regions and seeds, and of the trainings."""
    lines = []
    for key, of in rows.groupby(list(by), sort=False):
        trainings = of.drop_duplicates(["seed", "fold"])
        fall, loss, seconds = (trainings[name] for name in ("best_minus_last", "loss_max", "seconds"))
        of_seeds = of.groupby("seed")["Dice"].mean()
        enhancing = of.loc[of["region"] == REGIONS[2], "Dice"].mean()
        means = [float(of[score].mean()) for score in ENDPOINTS]
        cells = [*means, float(enhancing), float(of_seeds.std()), float(fall.mean()), float(loss.max())]
        lines.append((*key, len(trainings), *cells, f"{seconds.median():.0f}"))
    heads = [*by, "trainings", *ENDPOINTS, "Dice enhancing", "SD over seeds", "best − last", "largest loss", "seconds"]
    return table_of(heads, lines)


def paper_form(rows: pd.DataFrame, arms: Sequence[str], output: Path) -> str:
    """Return Table 1 of this study, and draw its Figure 2 from the arms that are complete."""
    scores = rows[rows["arm"].isin(arms)].rename(columns={"arm": "method"})
    scores = scores[["method", "seed", "case", "region", *ENDPOINTS]]
    order = pd.Categorical(scores["method"], arms), pd.Categorical(scores["region"], REGIONS)
    scores = scores.assign(order=order[0], place=order[1]).sort_values(["order", "case", "place"])
    summary = summarise(scores, TABLE_1)
    if drawn := [arm for arm in FIGURE_2 if arm in arms]:
        chosen = pd.concat([summary[summary["method"] == arm] for arm in drawn]).replace({"method": {"SegAN": "S3_3C"}})
        save(figure2(chosen, list(REGIONS)), output, "figure2")
    notes = ["Means over patients, seeds averaged; bold: the best of a column. The protocol's tests stand above."]
    return markdown(build_table("Table 1", summary, pd.DataFrame(), TABLE_1, REGIONS, notes, published=True))


def dial_default(scores: pd.DataFrame, chosen: Mapping[str, str]) -> str:
    """Say whether the chosen dial becomes the default. Use only the folds that had no part in the choice."""
    dial = chosen["SegAN"]
    if dial not in DIALS[1:]:
        return f"The tuning chose {dial}, which has the default's dial: nothing to decide."
    rows = scores[(scores["arm"] == "SegAN") & scores["seed"].isin(SEEDS) & scores["fold"].isin(UNCHOSEN)]
    rows = rows[rows["setting"].isin([dial, DIALS[0]])]
    wanted = 2 * len(SEEDS) * len(UNCHOSEN)
    if (found := len(rows[["setting", "seed", "fold"]].drop_duplicates())) < wanted:
        return f"not yet tested: {found} of {wanted} trainings"
    rows = rows.assign(arm=rows["setting"])
    scores_of = ("Dice", "FalseComponents", "HD95_mm")
    dice, false, distance = (difference(rows, Condition("", dial, DIALS[0], score=score)) for score in scores_of)
    helps = dice.gain >= -DICE_TOLERANCE and (false.low > 0 or distance.low > 0)
    return (
        f"{dial} against {DIALS[0]} on folds 2 to 4, gains: Dice {signed(dice)}, false components {signed(false)}, "
        f"HD95 {signed(distance)} mm. It {'becomes' if helps else 'does not become'} the default."
    )


def report(scores: pd.DataFrame, output: Path) -> str:
    """Return all tables in Markdown, and draw the figures into a folder."""
    chosen = choose(scores)
    rows = confirmation(scores, chosen)
    claims = judge_claims(rows)
    complete = [arm for arm in ARMS if np.equal(*count_scored_and_planned(rows, [arm]))]
    tuning = scores[scores["seed"] == TUNING_SEED]
    verdicts = [(claim.name, CLAIMS[claim.name], claim.result, claim.verdict) for claim in claims]
    number, wanted = count_scored_and_planned(rows, list(ARMS))
    steps = f", {rows['steps'].iloc[0]} steps each" if number else ""
    parts = [
        f"# Results\n\nConfirmation: {number} of {wanted} trainings{steps}.",
        f"## Claims\n\n{table_of(['', 'claim', 'result', 'verdict'], verdicts)}",
        f"## Conditions\n\n{conditions_table(claims)}",
    ]
    if complete:
        parts.append(f"## Table 1 of this study\n\n{paper_form(rows, complete, output)}")
        parts.append(f"## Arms\n\n{means_table(rows[rows['arm'].isin(complete)], ['arm', 'setting'])}")
        pairs = [pair for pair in FURTHER_PAIRS if set(pair) <= set(complete)]
        parts.append(f"## All endpoints, exploratory\n\n{pairs_table(rows, pairs)}")
    if "SegAN" in chosen:
        parts.append(f"## The dial\n\n{dial_default(scores, chosen)}")
    settings = ", ".join(f"{arm} {chosen[arm]}" for arm in TUNED if arm in chosen) or "not yet"
    parts.append(f"## Tuning\n\nChosen: {settings}.\n\n{means_table(tuning, ['arm', 'setting'])}")
    return "\n\n".join(parts) + "\n"


def main(scores: str = str(HERE / "scores.csv"), output: str = str(HERE)) -> None:
    """Write results.md and the figures."""
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    text = report(pd.read_csv(scores), folder)
    (folder / "results.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    if len(sys.argv) > 3 or any(argument.startswith("-") for argument in sys.argv[1:]):
        sys.exit(__doc__)
    main(*sys.argv[1:])
