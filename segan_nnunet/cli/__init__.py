"""`segan_nnunet VERB`: parse the options, call one function, print. A notebook can call the same function.

Options have nnU-Net's names (-d, -c, -tr, -p), and take several values one after the other, as in nnU-Net.
"""

import io
import sys
from typing import NoReturn

import typer
from rich.console import Console

from segan_nnunet.cli import comparisons, datasets, grids, models, planning
from segan_nnunet.cli.options import expand_values
from segan_nnunet.data.environment import check_variables
from segan_nnunet.errors import InputError, describe
from segan_nnunet.file_kinds import check_name

NO_VARIABLES = {"-h", "--help", "trainer-folder", "trainers"}  # verbs that help to set the variables
NOT_IN_COMPARE = {"segan_nnunet", "torch", "nnunetv2", "submitit"}  # packaging/compare leaves these out

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="SegAN for nnU-Net: from a BRATS release to trained segmentors and their head-to-head comparison.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

# in the order in which a user needs them; a verb has the name of its function
for verb in (
    models.trainer_folder,
    models.trainers,
    datasets.convert,
    models.plan,
    datasets.split,
    grids.crossval,
    comparisons.compare,
    planning.power,
    models.export,
    datasets.submission,
    datasets.simulate,
    comparisons.demo,
    grids.reproduce,
    comparisons.benchmark,
):
    app.command()(verb)


def main() -> None:
    """Run the command line. Errors that the user can correct are printed as one message, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # prints names of undecodable bytes
    try:
        for argument in sys.argv[1:]:
            check_name(argument)
        arguments = expand_values(sys.argv[1:], typer.main.get_command(app))
        if not NO_VARIABLES & set(arguments):
            check_variables()
        app(arguments, prog_name="segan_nnunet")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in NOT_IN_COMPARE:
            raise
        fail(
            f"{error.name} is not in this environment, which has only the comparison of folders. Install all of "
            "segan-nnunet to use trained models"
        )
    except (InputError, OSError) as error:
        if (message := describe(error)) is None:
            raise
        fail(message)


def fail(message: str) -> NoReturn:
    """Print an error, and exit with status 1."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"segan_nnunet: {message}", style="red", markup=False)
    sys.exit(1)
