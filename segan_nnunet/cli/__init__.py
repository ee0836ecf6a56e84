"""`segan_nnunet VERB`: parse, call one function, print. Every verb is a function that a notebook can call.

Options look like nnU-Net's (-d, -c, -tr, -p), and like nnU-Net's take several values one after the other.
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

NO_VARIABLES = {"-h", "--help", "trainer-folder", "trainers"}  # these help to set the variables
LEFT_OUT_ALONE = {"segan_nnunet", "torch", "nnunetv2", "submitit"}  # by packaging/compare

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="SegAN for nnU-Net: BRATS in, trained segmentors and a head-to-head comparison out.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

# in the order of a user's way; a verb's name is its function's
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
    """Run the command line; what the user can put right is printed as one message, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name of other bytes is shown, and ends nothing
    try:
        for argument in sys.argv[1:]:
            check_name(argument)
        arguments = expand_values(sys.argv[1:], typer.main.get_command(app))
        if not NO_VARIABLES & set(arguments):
            check_variables()
        app(arguments, prog_name="segan_nnunet")
    except InputError as error:
        say(str(error))
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in LEFT_OUT_ALONE:
            raise
        say(
            f"{error.name} is not in this environment, which has only the comparison of folders; install all of "
            "segan-nnunet to use trained models"
        )
    except OSError as error:
        if (message := describe(error)) is None:
            raise
        say(message)


def say(message: str) -> NoReturn:
    """Print what went wrong, and exit with status 1."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"segan_nnunet: {message}", style="red", markup=False)
    sys.exit(1)
