"""Report a training: one line per epoch, and a picture of the game."""

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from segan_nnunet.data.progress import seconds_left


def epoch_line(log: Mapping[str, Sequence[Any]], num_epochs: int) -> str:
    """Return one line on the last epoch: both players' losses, validation Dice per region, time taken and time left.

    Args:
        log: nnU-Net's local log, one value per epoch and key. `critic_losses` exists only for trainers with critics,
            and is NaN before the critics begin.
        num_epochs: number of epochs of the whole training.
    """
    epoch = len(log["epoch_end_timestamps"])
    critic, distances = "", ""
    if not math.isnan(log.get("critic_losses", [math.nan])[-1]):  # the trainer has critics, and they have begun
        critic = f"  critic loss {log['critic_losses'][-1]:.4f}"
        critic += f"  its weight {log['critic_weights'][-1]:.3g}" if "critic_weights" in log else ""
        distances = "".join(
            f"  distance per {key} " + " ".join(f"{value:.4f}" for value in log[f"distance_per_{key}"][-1])
            for key in ("layer", "region")
        )
        shares = log["gradient_share_per_layer"][-1]
        distances += "  layers' shares of the gradient " + " ".join(f"{value:.0%}" for value in shares)
    dice = " ".join(f"{value:.3f}" for value in log["dice_per_class_or_region"][-1])
    starts, ends = log["epoch_start_timestamps"], log["epoch_end_timestamps"]
    durations = [end - start for start, end in zip(starts, ends, strict=False)]
    taken, left = durations[-1], timedelta(seconds=round(seconds_left(durations, num_epochs - epoch)))
    return (
        f"epoch {epoch}/{num_epochs}  segmentor loss {log['train_losses'][-1]:.4f}{critic}  "
        f"validation loss {log['val_losses'][-1]:.4f}{distances}  pseudo Dice {dice}  {taken:.1f} s  time left {left}"
    )


def draw_or_report(draw: Callable[[], None], path: Path, report: Callable[[str], None]) -> None:
    """Draw a picture. If it cannot be written, report that and continue the training without it.

    Args:
        draw: writes the picture.
        path: path of the picture.
        report: prints a line.
    """
    try:
        draw()
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)  # it may be half-written
        report(f"{path} cannot be written: {error.strerror or error}. The training continues without this picture")


def plot_game(log: Mapping[str, Sequence[Any]], layers: Sequence[int], regions: Sequence[str], path: Path) -> None:
    """Draw both players' losses, the distances per layer and per region, and each layer's share of the gradient.

    Args:
        log: nnU-Net's local log.
        layers: the critics' layers, in the order of `distance_per_layer` and `gradient_share_per_layer`.
        regions: names of the critics, in the order of `distance_per_region`.
        path: path of the PNG.
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = range(1, len(log["critic_losses"]) + 1)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # nnU-Net's progress.png sets a very large font
        figure = Figure(figsize=(9, 12), layout="constrained")
        players, *distances, shares = figure.subplots(4, 1, sharex=True)
        players.plot(epochs, log["train_losses"], color="#0072B2", marker=".", label="segmentor minimises L")
        players.plot(epochs, log["critic_losses"], color="#D55E00", marker=".", label="critic minimises −L")
        players.axhline(0, color="0.7", linewidth=0.8)
        players.set_ylabel("loss")
        of_layers = ["layer 0, the masked image" if layer == 0 else f"layer {layer}" for layer in layers]
        for axes, key, names in zip(distances, ("layer", "region"), (of_layers, regions), strict=True):
            for name, values in zip(names, zip(*log[f"distance_per_{key}"], strict=True), strict=True):
                axes.plot(epochs, values, marker=".", label=name)
            axes.set(ylabel=f"distance\nper {key}", yscale="log")
        for name, values in zip(of_layers, zip(*log["gradient_share_per_layer"], strict=True), strict=True):
            shares.plot(epochs, values, marker=".", label=name)
        shares.set(ylabel="share of the gradient\nat S(x) per layer", ylim=(0, 1), xlabel="epoch")
        shares.xaxis.set_major_locator(MaxNLocator(integer=True))
        for axes in (players, *distances, shares):
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        figure.savefig(path, dpi=100)
