"""The report in a real browser: it loads only the cases that the user opens, and slices, list and keyboard work."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from segan_nnunet.comparison import compare
from segan_nnunet.evaluation.methods.methods_on_cases import Folders
from segan_nnunet.evaluation.scores.definitions import Lesions, Measures
from segan_nnunet.evaluation.settings import Settings
from tests.hand_made_results import NAME, cubes, validate, write_dataset, write_folder

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
  const size = [canvas.width, canvas.height];
  result.textContent = JSON.stringify({ steps, cells, opened, said, loaded, written, size });
  document.body.append(result);
}
window.addEventListener("DOMContentLoaded", probe);
</script>
"""


LAYOUT = """
<script>
async function measure() {
  await new Promise((resolve) => setTimeout(resolve, 100));
  document.querySelectorAll("details").forEach((closed) => { closed.open = true; });
  const page = document.documentElement;
  const lines = (cell) => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    return new Set([...range.getClientRects()].map((box) => Math.round(box.bottom))).size;
  };
  const numbers = [...document.querySelectorAll("td:not(:first-child):not(.words)")];
  const broken = numbers.filter((cell) => /^[\\d−+]/.test(cell.textContent) && lines(cell) > 1 &&
    !cell.textContent.includes("without"));
  const cut = [...document.querySelectorAll("td:first-child")].filter((cell) => cell.scrollWidth > cell.clientWidth);
  const box = document.getElementById("lesion_scores").parentElement;
  const set = (id, value) => {
    document.getElementById(id).value = value;
    document.getElementById(id).dispatchEvent(new Event("input"));
  };
  set("list-score", "Missed lesions");
  const heads = [...document.querySelectorAll("h1, h2")].map((head) => head.textContent);
  const result = {
    width: page.clientWidth, wide: page.scrollWidth, cells: numbers.length, heads,
    lesions: box.scrollWidth - box.clientWidth,
    broken: broken.map((cell) => cell.textContent), cut: cut.map((cell) => cell.textContent),
    conclusion: [...document.querySelectorAll("#conclusion li")].map((line) => line.textContent),
    below: document.getElementById("conclusion").getBoundingClientRect().top + scrollY,
    text: document.body.innerText,
    missed: [...document.querySelectorAll("#case-list tbody tr")]
      .map((row) => [...row.cells].slice(-2).map((cell) => cell.textContent).join(" ")),
  };
  parent.postMessage(JSON.stringify(result), "*");
}
window.addEventListener("DOMContentLoaded", measure);
</script>
"""
FRAME = """<body style="margin: 0"><script>
addEventListener("message", (event) => {
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = event.data;
  document.body.append(result);
});
</script><iframe src="PAGE" style="border: 0; width: WIDTHpx; height: 900px"></iframe></body>
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a report on four cases and two methods. One method misses a core. The page contains three of the cases."""
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


def test_the_page_is_one_file_that_loads_no_other_files(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    addresses = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", text)
    assert addresses and all(address.startswith("data:") for address in addresses)
    assert not re.search(r"https?://|@import|url\(", text)
    for part in (
        "Table 1",
        "Conclusion",
        "after Holm",
        "Primary endpoint",
        "policy nnunet",
        "numpy",
        "seed 0",
        "Figure 3",
    ):
        assert part in text
    assert "nnUNetv2_train 1 2d 0 -tr SegAN -p SegANPlans" in text, "how the predictions were made"


def open_in_browser(page: Path, tmp_path: Path) -> dict[str, Any]:
    """Open a page in Chromium; return the JSON that a script wrote into its element `result`."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not browser:
        pytest.skip("no chromium to open the report in: apt-get install chromium")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000",
        f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True).stdout
    match = re.search(r'<pre id="result">(.*?)</pre>', dom, re.DOTALL)
    assert match, "the page did not become ready"
    return json.loads(html.unescape(match.group(1)))


def with_script(page: Path, script: str, copy: Path) -> Path:
    """Write a copy of a report that runs a script."""
    copy.write_text(page.read_text(encoding="utf-8").replace("<head>", "<head>" + script, 1), encoding="utf-8")
    return copy


def test_a_real_browser_shows_the_slices_and_handles_input(page: Path, tmp_path: Path) -> None:
    shutil.copytree(page.parent / "report_cases", tmp_path / "report_cases")
    result = open_in_browser(with_script(page, PROBE, tmp_path / "probed.html"), tmp_path)
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


METHODS = ["SegANTrainer (SegANPlans)", "UNetSoftmaxTrainer (SegANPlans)", "nnUNetTrainer (nnUNetPlans)"]


@pytest.fixture(scope="module")
def folders_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a report on twelve cases without images: three methods, lesions, spread. One method misses a case."""
    folder = tmp_path_factory.mktemp("folders")
    cases = [f"BraTS-GLI-{number:05d}-000" for number in range(12)]
    sides = {case: 3 + number % 3 for number, case in enumerate(cases)}
    truth = write_folder(folder / "truth", {case: cubes(side + 1, side) for case, side in sides.items()})
    predictions = {}
    for name, less in zip(METHODS, (0, 1, 1), strict=True):
        masks = {case: cubes(side + 1 - less, side - less) for case, side in sides.items()}
        if name == METHODS[1]:
            masks[cases[0]] = cubes()
        predictions[name] = write_folder(folder / name, masks)
    settings = Settings(measures=Measures(lesions=Lesions.BRATS_2023), spread=True, processes=1)
    compare(output=folder / "out", folders=Folders(predictions, truth), settings=settings)
    return folder / "out" / "report.html"


@pytest.mark.parametrize("width", [390, 1280])
def test_the_report_fits_phone_and_desktop_screens(folders_page: Path, width: int, tmp_path: Path) -> None:
    """The page never scrolls sideways, its conclusion comes first, and no number is broken across lines."""
    probed = with_script(folders_page, LAYOUT, tmp_path / "probed.html")
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.replace("PAGE", probed.as_uri()).replace("WIDTH", str(width)), encoding="utf-8")
    result = open_in_browser(frame, tmp_path)
    assert result["wide"] <= result["width"] <= width
    assert result["cells"] > 500 and result["broken"] == [] and result["cut"] == []
    assert result["heads"][:2] == [f"Comparison of {METHODS[0]}, {METHODS[1]} and {METHODS[2]}", "Conclusion"]
    assert len(result["conclusion"]) == 3 and result["below"] < 900, "seen without scrolling"
    assert "This rests on 12 cases, which are few" in result["conclusion"][2]
    if width == 1280:
        assert result["lesions"] == 0, "the widest table fits"
    assert "HD95 (mm)" in result["text"] and "_mm" not in result["text"]
    assert "Mean ranks, from the best: SegANTrainer (SegANPlans) 1.00" in result["text"]
    assert "no image found, slice" not in result["text"]
    assert result["missed"] == ["1 0", *["0 0"] * 11], "lesions of each case, as whole numbers"
