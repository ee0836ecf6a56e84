"""Pictures with any number of any names have no text that is cut off, hidden, too large or drawn as a square."""

import itertools
import warnings
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from segan_nnunet.evaluation.methods.training import TrainingLog
from segan_nnunet.evaluation.presentation.figures import bars, layout, points, ranking, style, text, volumes
from segan_nnunet.evaluation.presentation.figures.bars import figure2
from segan_nnunet.evaluation.presentation.figures.curves import training_curves
from segan_nnunet.evaluation.presentation.figures.overlays import figure3
from segan_nnunet.evaluation.presentation.figures.points import distributions
from segan_nnunet.evaluation.presentation.figures.ranking import ranking_figure
from segan_nnunet.evaluation.presentation.figures.volumes import agreement_text, volume_agreement
from segan_nnunet.evaluation.presentation.shown_cases import ShownCase
from segan_nnunet.evaluation.scores.scores import DICE, HD95
from segan_nnunet.evaluation.statistics.ranking import Ranking
from tests.hand_made_results import cubes

METHODS = ["nnUNetTrainerSegAN (nnUNetResEncUNetLPlans, 3d_fullres)", "X" * 120, "_$a^2$\n\\alpha", "\t ", "مقارنة"]
REGIONS = ["GD-enhancing tumor and everything around it, as in the release of 2023", "_core"]


def scores_of(methods: Sequence[str], regions: Sequence[str], distances: Sequence[float] = (1, 2, 4)) -> pd.DataFrame:
    rows = [
        {"method": m, "case": f"c{n}", "region": r, "Dice": 0.9 - n / 50, "HD95_mm": d}
        for m, r, (n, d) in itertools.product(methods, regions, enumerate(distances))
    ]
    return pd.DataFrame(rows).assign(
        prediction_ml=lambda rows: rows["HD95_mm"] + 1.0, reference_ml=lambda rows: rows["HD95_mm"]
    )


def summary_of(methods: Sequence[str], regions: Sequence[str], low: float = 0.6, high: float = 0.9) -> pd.DataFrame:
    rows = [{"method": m, "region": r, "mean": 0.8} for m, r in itertools.product(methods, regions)]
    return pd.DataFrame(rows).assign(score="Dice", stratum="all", mean_low=low, mean_high=high)


def ranking_of(methods: Sequence[str]) -> Ranking:
    number = len(methods)
    places, p = np.full((number, number), 1 / number), np.full((number, number), 0.0001)
    return Ranking(methods, 3, np.arange(1.0, number + 1), np.zeros((number, 2)), places, p)


def cases_of(methods: Sequence[str], regions: Sequence[str]) -> list[ShownCase]:
    images = {name: np.arange(1000).reshape(10, 10, 10) for name in ("T1c", "T2")}
    dice = {method: dict.fromkeys(regions, 0.5) for method in methods}
    predictions = {method: cubes(6, 2) for method in methods}
    ranks = ("best", "worst")
    return [ShownCase("a_case_of_a_long_name" * 3, rank, images, cubes(6, 2), predictions, dice) for rank in ranks]


def draw(name: str, methods: Sequence[str], regions: Sequence[str]) -> Figure:
    if name == "figure2":
        return figure2(summary_of(methods, regions), list(regions))
    if name == "distributions":
        return distributions(scores_of(methods, regions), regions, [DICE, HD95])
    if name == "volumes":
        return volume_agreement(scores_of(methods, regions), regions)
    if name == "ranking":
        return ranking_figure(ranking_of(methods))
    if name == "figure3":
        return figure3(cases_of(methods, regions), {region: (1, 2) for region in regions})
    log = TrainingLog(np.full((3, len(regions)), 0.5), np.array([3.0, 2, 1]), np.array([3.0, 3, 3]))
    return training_curves({method: [log] for method in methods}, regions)


def text_extents(figure: Figure) -> dict[Text, tuple[float, ...]]:
    """Return the titles, labels and legend texts of an arranged figure, with their extents in pixels."""
    canvas = FigureCanvasAgg(figure)
    with style.house_style():
        figure.draw_without_rendering()
    texts = [item for item in figure.findobj(Text) if item.get_text() == figure.get_supxlabel()]
    texts += [item for legend in figure.legends for item in legend.get_texts()]
    for axes in figure.axes:
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label]
        (left, right), (low, high) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
        texts += [item for item in axes.get_xticklabels() if left <= item.get_position()[0] <= right]
        texts += [item for item in axes.get_yticklabels() if low <= item.get_position()[1] <= high]
    drawn = [item for item in texts if item.get_text() and item.get_visible()]
    return {item: item.get_window_extent(canvas.get_renderer()).extents for item in drawn}


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(min(one[2 + axis], other[2 + axis]) - max(one[axis], other[axis]) > 1 for axis in (0, 1))


@pytest.mark.parametrize("name", ["figure2", "distributions", "volumes", "ranking", "figure3", "training_curves"])
def test_every_name_is_inside_the_picture_without_overlap(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This also holds after nnU-Net's training picture has changed the settings of the process."""
    monkeypatch.setitem(matplotlib.rcParams, "xtick.major.pad", 20.0)
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30.0)
    monkeypatch.setattr(text, "add_new_fonts", lambda: None)
    places = text_extents(figure := draw(name, METHODS, REGIONS))
    drawn = {item.get_text().replace("\n", "").replace(" ", "") for item in places}
    for method in METHODS:
        with style.house_style():
            label = text.make_writable(method).replace(" ", "")
        assert any(label in item for item in drawn), label
    for item, (left, low, right, high) in places.items():
        assert left >= 0 and low >= 0 and right <= figure.bbox.width and high <= figure.bbox.height, item
    for (one, of_one), (other, of_other) in itertools.combinations(places.items(), 2):
        assert not overlap(of_one, of_other), (one, other)


def test_wrapped_lines_fit_the_given_width() -> None:
    with style.house_style():
        for name, width in itertools.product([*METHODS, *REGIONS, "a/b-c_d" * 30], (0.5, 1.5, 4.0)):
            lines = text.wrap(name, width, 8).split("\n")
            assert max(text.measure_width(line, 8) for line in lines) <= width
            assert len(lines) <= text.MOST_LINES
            if len(lines) < text.MOST_LINES:
                assert "".join(lines).replace(" ", "") == text.make_writable(name).replace(" ", "")
        assert text.wrap("Trainer (Plans, 3d)", text.measure_width("(Plans, 3d)", 8), 8) == "Trainer\n(Plans, 3d)"
        assert text.wrap("Trainer_PaperDA", text.measure_width("PaperDA__", 8), 8) == "Trainer_\nPaperDA"


def test_a_character_without_a_font_becomes_a_number_and_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "list_text_fonts", lambda: [text.FAMILY])
    monkeypatch.setattr(text, "add_new_fonts", lambda: None)
    methods = ["中文", "\x07\udcff", "e\u0301\u202e"]
    figure = figure2(summary_of(methods, ["核心"]), ["核心"])
    assert [item.get_text() for item in figure.legends[0].get_texts()] == [r"\u4e2d\u6587", r"\x07\udcff", "é"]
    assert [item.get_text() for item in figure.axes[0].get_xticklabels()] == [r"\u6838\u5fc3"]
    assert figure.get_supxlabel().replace("\n", " ") == text.ESCAPED
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of every square
        style.save(figure, tmp_path, "figure2")
    assert figure2(summary_of(["é"], ["core"]), ["core"]).get_supxlabel() == ""


def test_an_installed_font_supplies_characters_that_the_default_font_lacks() -> None:
    lacking = min(text.list_characters("DejaVu Serif") - text.list_characters(text.FAMILY))  # all fonts of matplotlib
    families = text.choose_fonts(["A", chr(lacking)])
    assert families[0] == text.FAMILY and any(lacking in text.list_characters(name) for name in families[1:])
    with style.house_style([chr(lacking)]):
        assert text.make_writable(chr(lacking)) == chr(lacking)


@pytest.mark.parametrize("name", ["figure2", "distributions", "volumes", "figure3", "training_curves"])
def test_many_regions_do_not_exceed_the_maximum_picture_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (layout, volumes):
        monkeypatch.setattr(module, "HIGHEST", 10)  # a quarter of the resolution, to be fast
    figure = draw(name, ["A", "B"], [f"organ {n}" for n in range(117)])
    assert figure.get_figwidth() <= layout.WIDEST + 0.5
    assert figure.get_figheight() <= 10 * 1.2
    # bars of .35 inches: 5 rows of 15 regions; 2 of 6, each of two scores; 2 of 5, each of two methods
    shown = {"figure2": 75, "distributions": 12, "volumes": 10}.get(name, 10)
    assert f"The first {shown} of 117 regions" in figure.get_supxlabel()


@pytest.mark.parametrize("regions", [1, 30, 117])
@pytest.mark.parametrize("methods", [1, 12, 40])
def test_any_number_of_bars_fits_into_rows(methods: int, regions: int) -> None:
    across = layout.per_row(regions, bars.GAP + bars.NARROWEST_BAR * methods, layout.WIDEST - bars.AXIS)
    assert 1 <= across <= regions
    assert across == 1 or across * (bars.GAP + bars.NARROWEST_BAR * methods) <= layout.WIDEST - bars.AXIS


@pytest.mark.parametrize("name", ["figure2", "distributions", "ranking"])
def test_many_methods_are_numbered_and_the_omitted_methods_are_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (bars, points, ranking):
        monkeypatch.setattr(module, "MOST_METHODS", 10)
    figure = draw(name, [f"M{n}" for n in range(12)], ["core"])
    assert figure.get_figwidth() <= layout.WIDEST + 0.5
    assert "10 of 12 methods" in figure.get_supxlabel()
    if name != "ranking":  # its rows have the names
        assert figure.legends[0].get_texts()[9].get_text() == "10: M9"


def test_forty_methods_look_different() -> None:
    assert len(set(style.method_styles([str(index) for index in range(40)]).values())) == 40


def test_text_outside_the_figure_enlarges_the_picture(tmp_path: Path) -> None:
    figure = Figure(figsize=(2, 1), layout="constrained")
    figure.text(0.5, 0.5, "a text that is much wider than two inches, whatever it is in", ha="center")
    style.save(figure, tmp_path, "wide")
    pixels = np.array(Image.open(tmp_path / "wide.png").convert("L"))
    assert pixels.shape[1] > 2 * style.PRINT_DPI
    assert min(pixels[0].min(), pixels[-1].min(), pixels[:, 0].min(), pixels[:, -1].min()) == 255


def share_of_height(axes: Axes, low: float, high: float) -> float:
    """Return the part of the axis between two values."""
    to_figure = axes.transData.transform
    return float((to_figure((0, high)) - to_figure((0, low)))[1] / axes.bbox.height)


def test_one_large_distance_does_not_flatten_the_others() -> None:
    distances = [0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10, 374]
    dice, far = distributions(scores_of(["A"], ["core"], distances), ["core"], [DICE, HD95]).axes
    assert share_of_height(far, 0, 10) > 0.4, "on a linear axis the share is 0.03"
    assert far.get_ylim()[0] <= 0 and far.get_ylim()[1] >= 374
    assert "logarithmic" in far.get_ylabel() and "logarithmic" not in dice.get_ylabel()
    _, near = distributions(scores_of(["A"], ["core"], distances[:-1]), ["core"], [DICE, HD95]).axes
    assert near.get_yscale() == "linear"
    assert share_of_height(near, 0, 10) > 0.8


@pytest.mark.parametrize("distances", [[0] * 19 + [374], [2] * 8 + [374] * 12, [0.5, 0.5, 12]])
def test_perfect_and_failing_methods_also_get_a_logarithmic_axis(distances: list[float]) -> None:
    axes = distributions(scores_of(["A"], ["core"], distances), ["core"], [HD95]).axes[0]
    assert "logarithmic" in axes.get_ylabel()
    assert 0 < share_of_height(axes, 0, min(distances)) + 0.01 < share_of_height(axes, 0, max(distances)) < 1


def test_all_panels_of_a_score_share_one_axis_range() -> None:
    regions = [f"r{n}" for n in range(8)]  # two rows of panels per score
    scores = scores_of(["A"], regions).assign(HD95_mm=lambda rows: np.where(rows["region"] == "r7", 374.0, 3.0))
    figure = distributions(scores, regions, [HD95])
    assert len(figure.axes) == 8
    assert len({(axes.get_yscale(), axes.get_ylim()) for axes in figure.axes}) == 1


def test_a_picture_states_that_a_score_is_undefined() -> None:
    scores = scores_of(["A", "B"], ["core"]).assign(Dice=np.nan, HD95_mm=[np.inf, np.nan, np.nan] * 2)
    for axes in distributions(scores, ["core"], [DICE, HD95]).axes:
        assert [item.get_text() for item in axes.texts] == ["defined in no case"]
    summary = summary_of(["A", "B"], ["core"], np.nan, np.nan).assign(mean=np.nan)
    assert [item.get_text() for item in figure2(summary, ["core"]).axes[0].texts] == ["–", "–"]


def test_whiskers_stay_inside_the_axis() -> None:
    axes = figure2(summary_of(["A", "B"], ["core"], low=-0.3, high=1.4), ["core"]).axes[0]
    for whiskers in axes.findobj(LineCollection):
        ends = np.concatenate(whiskers.get_segments())[:, 1]
        np.testing.assert_allclose([ends.min(), ends.max()], [0, 1])
    highest = max(item.get_position()[1] for item in axes.texts)
    assert highest < axes.get_ylim()[1]


def test_a_single_case_has_no_limits_of_agreement_but_a_region_name() -> None:
    panel = volume_agreement(scores_of(["A"], ["GD-enhancing"], [2]), ["GD-enhancing"]).axes[0]
    assert panel.get_title() == "GD-enhancing\n+1.0 ml"
    assert agreement_text(-0.106, -0.0123, 0.08) == "−0.01 ml (−0.11 to +0.08)"
    assert agreement_text(-0.5, -0.001, 20) == "+0.0 ml (−0.5 to +20.0)"
    equal = scores_of(["A"], ["core"]).assign(prediction_ml=0.1 + 0.2, reference_ml=0.3)
    low, high = volume_agreement(equal, ["core"]).axes[0].get_ylim()
    assert high - low > 0.01, "rounding errors are no differences"
