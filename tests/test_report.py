"""Pictures and the report: what is drawn where, and that a real browser can use the page offline."""

import base64
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from PIL import Image

from segan_nnunet.evaluation.comparison import compare
from segan_nnunet.evaluation.presentation.figures.bars import figure2
from segan_nnunet.evaluation.presentation.figures.curves import TrainingLog, training_curves
from segan_nnunet.evaluation.presentation.figures.overlays import borders, figure3
from segan_nnunet.evaluation.presentation.figures.points import distributions, sideways
from segan_nnunet.evaluation.presentation.figures.style import REGION_COLOURS, looks
from segan_nnunet.evaluation.presentation.figures.volumes import limits_of_agreement, volume_agreement
from segan_nnunet.evaluation.presentation.report.case_list import case_list_data
from segan_nnunet.evaluation.presentation.report.slices import data_url, sheet, viewer_data
from segan_nnunet.evaluation.presentation.shown_cases import ShownCase, chosen_cases, largest_slice, shown_modality
from segan_nnunet.evaluation.scores.scores import TABLE_1
from segan_nnunet.evaluation.statistics.paired import summarise
from tests.hand_made_results import NAME, REGIONS, cubes, validate, write_dataset
from tests.test_score_table import scores_of


def shown_case() -> ShownCase:
    volume = cubes(6, 2)
    images = {"T2": np.ones((10, 10, 10)), "FLAIR": np.arange(1000).reshape(10, 10, 10)}
    return ShownCase("a", "best", images, volume, {"M": volume}, {"M": {"whole tumor": 1.0, "tumor core": np.nan}})


def test_best_median_and_worst_case_are_shown() -> None:
    scores = pd.DataFrame({"case": list("abcde"), "Dice": [0.5, 0.9, np.nan, 0.1, 0.7]})
    assert chosen_cases(scores) == {"best": "b", "median": "a", "worst": "d"}
    assert chosen_cases(scores[:2]) == {"best": "b", "worst": "a"}
    assert chosen_cases(scores[:1]) == {"best": "a"}
    assert chosen_cases(scores[2:3]) == {}


def test_t2_is_shown_or_else_the_last_channel() -> None:
    assert shown_modality({"T1c": 0, "T2": 0, "FLAIR": 0}) == "T2"
    assert shown_modality({"T1c": 0, "FLAIR": 0}) == "FLAIR"


def test_the_slice_with_the_largest_reference() -> None:
    mask = np.zeros((5, 4, 4), bool)
    mask[1, 0, 0] = mask[3, :2, 0] = True
    assert largest_slice(mask) == 3
    assert largest_slice(np.zeros((5, 4, 4), bool)) == 2


def test_outlines_are_drawn_in_the_paper_s_colours() -> None:
    axes = figure3([shown_case()], REGIONS).axes
    assert [len(a.collections) for a in axes] == [0, 2, 2]  # modality, reference, method
    drawn = axes[1].collections[0]
    yellow = np.atleast_2d(np.asarray(drawn.get_edgecolor()))[0, :3]
    np.testing.assert_allclose(yellow, to_rgb(REGION_COLOURS[0]))
    # the cube takes up voxels 1 to 6: its border runs from 0.5 to 6.5
    corners = np.concatenate([path.vertices for path in drawn.get_paths()])
    np.testing.assert_allclose([corners.min(axis=0), corners.max(axis=0)], [[0.5, 0.5], [6.5, 6.5]])
    assert len(drawn.get_paths()) == 4 * 6
    assert axes[2].get_title() == "M\nDice 1.00 –"


def test_the_border_of_a_voxel_is_its_four_edges() -> None:
    mask = np.zeros((3, 4), bool)
    mask[0, 2] = True  # at y = 0, x = 2, on the volume's border
    edges = {tuple(map(tuple, np.sort(edge, axis=0))) for edge in borders(mask)}
    low, high, left, right = -0.5, 0.5, 1.5, 2.5
    expected = [((left, low), (right, low)), ((left, high), (right, high))]
    expected += [((left, low), (left, high)), ((right, low), (right, high))]
    assert edges == set(expected)
    assert len(borders(np.zeros((3, 3), bool))) == 0


def test_bars_have_the_height_of_the_means() -> None:
    scores = scores_of({"A": [0.2, 0.4], "B": [0.6, 0.8]})
    patches = figure2(summarise(scores), ["whole tumor", "tumor core"]).axes[0].patches
    bars = [patch for patch in patches if isinstance(patch, Rectangle)]
    assert [bar.get_height() for bar in bars] == pytest.approx([0.3, 0.3, 0.7, 0.7])
    centres = [bar.get_x() + bar.get_width() / 2 for bar in bars]
    assert centres[0] < 0 < centres[2] and centres[1] < 1 < centres[3], "side by side around their region"


def test_every_case_is_a_point_at_its_value() -> None:
    values = [0.2, 0.4, 0.4, 0.9]
    axes = distributions(scores_of({"A": values, "B": [0.5] * 4}), ["tumor core"], TABLE_1[:1]).axes[0]
    first, second = (np.asarray(points.get_offsets()) for points in axes.collections)
    np.testing.assert_allclose(np.sort(first[:, 1]), values)
    assert len(np.unique(second[:, 0])) == 4, "equal cases lie side by side"
    assert axes.get_title() == "tumor core"
    np.testing.assert_allclose(sideways(np.array([1.0, 1.0, 1.0])).sum(), 0, atol=1e-12)


def test_limits_of_agreement_by_hand() -> None:
    low, bias, high = limits_of_agreement(np.array([-1.0, 0.0, 4.0]))
    assert bias == 1
    assert (low, high) == pytest.approx((1 - 1.96 * np.sqrt(7), 1 + 1.96 * np.sqrt(7)))  # (4 + 1 + 9) / 2 = 7
    scores = scores_of({"A": [0.5, 0.5]}).assign(prediction_ml=3.0, reference_ml=1.0)
    panel = volume_agreement(scores, ["tumor core"]).axes[0]
    np.testing.assert_allclose(np.asarray(panel.collections[0].get_offsets()), [[2, 2], [2, 2]])  # mean, difference


def test_training_curves_show_every_fold_and_region() -> None:
    log = TrainingLog(np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]), np.array([3.0, 2, 1]), np.array([3.0, 3, 3]))
    figure = training_curves({"A": [log, log], "B": [log]}, ["whole", "core"])
    above_a, above_b, below_a, _ = figure.axes
    assert [len(axes.lines) for axes in (above_a, above_b, below_a)] == [4, 2, 4]
    np.testing.assert_allclose(np.asarray(above_a.lines[1].get_xydata()), np.array([[1, 0.2], [2, 0.4], [3, 0.6]]))


def test_eight_methods_look_different() -> None:
    different = looks([f"M{index}" for index in range(8)]).values()
    assert all(len(set(kind)) == 8 for kind in zip(*different, strict=True))


def test_a_sheet_of_slices_is_cut_up_again() -> None:
    volume = np.random.default_rng(0).integers(0, 255, (7, 4, 5), dtype=np.uint8)
    pixels = sheet(volume, columns=3)
    assert pixels.shape == (3 * 4, 3 * 5)
    for index in range(7):
        row, column = divmod(index, 3)
        np.testing.assert_array_equal(pixels[4 * row : 4 * row + 4, 5 * column : 5 * column + 5], volume[index])
    encoded = data_url(pixels, "PNG").partition("base64,")[2]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded)))), pixels)


def test_the_viewer_gets_every_modality_segmentation_and_region() -> None:
    data = viewer_data([replace(shown_case(), sides=True)], REGIONS)
    case = json.loads(json.dumps(data))["cases"][0]
    assert set(case["images"]) == {"T2", "FLAIR"} and set(case["segmentations"]) == {"reference", "M"}
    assert case["sides"] is True, "left and right can be told, as in the figures"
    assert case["shown"] == "T2" and case["dice"]["M"]["tumor core"] is None
    assert (case["depth"], case["height"], case["width"], case["first"]) == (10, 10, 10, 0)
    assert [region["values"] for region in data["regions"]] == [[1, 2], [2]]


def test_the_list_of_cases_holds_every_score() -> None:
    scores = scores_of({"A": [0.12345, np.nan], "B": [0.5, 0.25]}).assign(fold=pd.array([3] * 12, "Int64"), grade="")
    data = json.loads(json.dumps(case_list_data(scores)))
    assert (data["methods"], data["about"], data["cases"]) == (["A", "B"], ["fold"], [["c0", "3"], ["c1", "3"]])
    assert [score["title"] for score in data["scores"]][:2] == ["Dice", "Precision"]
    assert data["regions"][1] == "tumor core"
    assert data["values"][0][1] == [[0.123, 0.5], [None, 0.25]], "Dice of the core: cases x methods, rounded as shown"


PROBE = """
<script>
const said = [];
const written = {}; // where each text stands, in parts of the canvas's width
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  written[text] = x / this.canvas.width;
  fillText.call(this, text, x, y);
};
window.addEventListener("error", (event) => said.push("error: " + event.message));
window.addEventListener("unhandledrejection", (event) => said.push("rejected: " + event.reason));
async function probe() {
  const canvas = document.querySelector("#viewer canvas");
  while (!canvas.dataset.ready) await new Promise((resolve) => setTimeout(resolve, 20));
  const context = canvas.getContext("2d");
  const coloured = () => {
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    let yellow = 0, blue = 0, sum = 0;
    for (let i = 0; i < pixels.length; i += 4) {
      if (pixels[i] > 230 && pixels[i + 1] > 200 && pixels[i + 2] < 60) yellow++;
      if (pixels[i] < 80 && pixels[i + 2] > 230) blue++;
      sum += pixels[i] + pixels[i + 1] + pixels[i + 2];
    }
    return { yellow, blue, sum, where: document.getElementById("where").textContent };
  };
  const box = (id, name) => [...document.querySelectorAll(`#${id} input`)].find((input) => input.value === name);
  const steps = { start: coloured() };
  box("outlines", "SegAN").click(); steps.reference = coloured();
  box("outlines", "reference").click(); steps.bare = coloured();
  box("outlines", "SegAN").click(); steps.method = coloured();
  box("regions", "whole tumor").click(); steps.core = coloured();
  const modality = document.getElementById("modality");
  modality.value = "FLAIR"; modality.dispatchEvent(new Event("change")); steps.flair = coloured();
  canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: 1, cancelable: true })); steps.wheel = coloured();
  canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" })); steps.key = coloured();
  const cases = document.getElementById("case");
  delete canvas.dataset.ready;
  cases.selectedIndex = 1; cases.dispatchEvent(new Event("change"));
  await new Promise((resolve) => setTimeout(resolve, 500)); steps.other = coloured();
  const list = document.querySelector("#case-list table");
  const column = (at) => [...list.tBodies[0].rows].map((row) => row.cells[at].textContent);
  const heads = () => [...list.tHead.rows[0].cells].map((head) => head.textContent);
  const set = (id, value) => {
    document.getElementById(id).value = value;
    document.getElementById(id).dispatchEvent(new Event("input"));
  };
  const cells = { heads: heads(), first: column(0) };
  set("list-region", "tumor core");
  list.querySelectorAll("button")[3].click(); cells.rising = column(3);
  list.querySelectorAll("button")[3].click(); cells.falling = column(3);
  set("list-filter", "< 0.5"); cells.bad = column(0);
  set("list-filter", "A"); cells.named = column(0);
  cells.count = document.getElementById("list-count").textContent;
  const entries = performance.getEntriesByType("resource").map((entry) => entry.name);
  const loaded = entries.filter((name) => !name.startsWith("data:"));
  set("list-filter", "");
  [...list.querySelectorAll("td button")].find((button) => button.textContent === "b #1").click();
  while (!canvas.dataset.ready) await new Promise((resolve) => setTimeout(resolve, 20));
  const where = () => document.getElementById("where").textContent;
  const opened = { focused: document.activeElement === canvas, chosen: cases.value, slices: [where()] };
  for (const key of ["ArrowUp", "ArrowRight", "ArrowDown", "PageUp", "ArrowUp"]) {
    canvas.dispatchEvent(new KeyboardEvent("keydown", { key }));
    opened.slices.push(where());
  }
  const swallowed = (deltaY) => !canvas.dispatchEvent(new WheelEvent("wheel", { deltaY, cancelable: true }));
  opened.swallowed = [swallowed(1), swallowed(-1)]; // at the last slice, and back from it
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = JSON.stringify({ steps, cells, opened, said, loaded, written, size: [canvas.width, canvas.height] });
  document.body.append(result);
}
window.addEventListener("DOMContentLoaded", probe);
</script>
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on four cases and two methods; one of them misses a core. Three of the cases are in the page."""
    folders = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        for part in ("raw", "preprocessed", "results"):
            (folders / f"nnUNet_{part}").mkdir()
            patch.setenv(f"nnUNet_{part}", str(folders / f"nnUNet_{part}"))
        write_dataset(folders)
        for model, second in (("SegAN__SegANPlans__2d", cubes(4, 2)), ("UNet__SegANPlans__2d", cubes(4))):
            cases = {"a": (cubes(6, 3), cubes(6, 3)), "b #1": (cubes(4, 2), second)}
            # by mean Dice below these two, whose means are 1 and 3/4: 128/189 and 128/280
            cases |= {"c": (cubes(4), cubes(6)), "d": (cubes(4), cubes(5))}
            validate(folders, model, 0, cases)
        compare(1)
        return folders / "nnUNet_results" / NAME / "comparison__2d" / "report.html"


def test_the_page_is_one_file_that_loads_nothing(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    addresses = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", text)
    assert addresses and all(address.startswith("data:") for address in addresses)
    assert not re.search(r"https?://|@import|url\(", text)
    for part in ("Table 1", "Statistics in words", "After Holm", "policy nnunet", "numpy", "seed 0", "Figure 3"):
        assert part in text
    assert "nnUNetv2_train 1 2d 0 -tr SegAN -p SegANPlans" in text, "how the predictions were made"


def test_a_real_browser_shows_the_slices_and_obeys(page: Path, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not browser:
        pytest.skip("no chromium to open the report in: apt-get install chromium")
    probed = tmp_path / "probed.html"
    probed.write_text(page.read_text(encoding="utf-8").replace("<head>", "<head>" + PROBE, 1), encoding="utf-8")
    shutil.copytree(page.parent / "report_cases", tmp_path / "report_cases")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000",
        f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", probed.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True).stdout
    found = re.search(r'<pre id="result">(.*?)</pre>', dom)
    assert found, "the viewer did not become ready"
    result = json.loads(found.group(1))
    assert result["said"] == [], "no script failed"
    assert result["loaded"] == []
    assert result["written"]["R"] < 0.1 < 0.9 < result["written"]["L"], "the patient's right is on the left"
    assert result["cells"] == {
        "heads": ["case", "fold", "SegAN", "UNet"], "first": ["a", "b #1", "c", "d"],
        "rising": ["0.000", "1.000", "–", "–"], "falling": ["1.000", "0.000", "–", "–"],
        "bad": ["b #1"], "named": ["a"], "count": "1 of 4 cases",
    }  # fmt: skip
    # the only case that is not in the page, loaded from its file; its cubes begin in the second slice of ten
    assert [path.name for path in (page.parent / "report_cases").iterdir()] == ["b #1.js"]
    slices = [f"slice {number}, FLAIR" for number in (2, 3, 4, 3, 10, 10)]
    assert result["opened"] == {"focused": True, "chosen": "b #1", "slices": slices, "swallowed": [False, True]}
    steps = result["steps"]
    assert steps["start"]["yellow"] > 0 and steps["start"]["blue"] > 0
    assert steps["reference"]["yellow"] > 0
    assert steps["bare"]["yellow"] == steps["bare"]["blue"] == 0, "no outline without a tick"
    assert steps["method"]["blue"] > 0
    assert steps["core"]["yellow"] == 0 and steps["core"]["blue"] > 0, "a region can be hidden"
    assert steps["flair"]["sum"] != steps["core"]["sum"] and steps["flair"]["where"].endswith("FLAIR")
    at = [int(re.findall(r"slice (\d+)", steps[step]["where"])[0]) for step in ("flair", "wheel", "key", "other")]
    # of equally large slices the first is shown: the cubes begin in the second slice
    assert at == [2, 3, 2, 2]
    assert steps["other"]["sum"] != steps["key"]["sum"], "the other case is shown"
    # the border of 6 x 6 voxels without what the core's 3 x 3 covers: 24 - 6 sides of voxels, two pixels wide
    zoom = result["size"][0] / 10
    assert steps["reference"]["yellow"] == pytest.approx(2 * 18 * zoom, rel=0.02)
    assert steps["reference"]["blue"] == pytest.approx(2 * 12 * zoom, rel=0.02)
