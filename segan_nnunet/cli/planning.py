"""The command that plans a study before its trainings."""

from pathlib import Path
from typing import Annotated

import typer

from segan_nnunet.cli.options import LARGEST_SEED, once


def power(
    cases: Annotated[Path | None, typer.Argument(help="cases.csv of a pilot, from `compare`.")] = None,
    methods: Annotated[
        list[str] | None, typer.Option("--methods", help="Two methods of the pilot. [default: its only two]")
    ] = None,
    score: Annotated[str, typer.Option(help="A column of cases.csv.")] = "Dice",
    region: Annotated[
        str | None, typer.Option(help="A region of the pilot. [default: the one whose differences vary most]")
    ] = None,
    sd: Annotated[
        float | None, typer.Option("--sd", help="Without a pilot: standard deviation of the patients' differences.")
    ] = None,
    seed_sd: Annotated[
        float | None,
        typer.Option("--seed-sd", help="Standard deviation of a method's mean over its seeds. [default: the pilot's]"),
    ] = None,
    differences: Annotated[
        list[float] | None, typer.Option("--differences", help="True differences to find. [default: .01 .02 .05]")
    ] = None,
    margins: Annotated[
        list[float] | None, typer.Option("--margin", help="Margins of equivalence. [default: .02]")
    ] = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option("--seeds", help="Numbers of seeds. [default: 3 5 10, or 1 if the scatter of seeds is unknown]"),
    ] = None,
    folds: Annotated[int, typer.Option("-k", help="Number of folds.")] = 5,
    hours: Annotated[float | None, typer.Option("--hours-per-training", help="GPU hours of one training.")] = None,
    wanted: Annotated[float, typer.Option("--power", help="Probability of success.")] = 0.8,
    comparisons: Annotated[
        int | None, typer.Option(help="Number of tests in Holm's correction. [default: the pilot's regions, or 1]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the simulation.")] = 0,
    output: Annotated[Path | None, typer.Option("-o", help="Folder for the tables and the picture.")] = None,
) -> None:
    """Plan a study: the patients and seeds that it needs to find a difference, or to show equivalence."""
    from segan_nnunet import planning

    questions = planning.Questions(
        once(differences) or (), once(margins) or (), once(seeds) or (), folds, hours, wanted, comparisons, seed
    )
    plan = planning.plan(cases, once(methods) or (), score, region, sd, seed_sd, questions)
    written = planning.write_plan(plan, output) if output else []
    print(plan.markdown())
    for path in written:
        print(path)
