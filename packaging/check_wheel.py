"""Build sdist and wheel, install the wheel outside the repository, and run the whole pipeline on simulated cases.

    python packaging/check_wheel.py WORK [PYTHON]

WORK is a new folder. PYTHON's environment provides nnU-Net, torch and `build`. The default is the running Python.
"""

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# files that no module imports, so a build may omit them
DATA_FILES = (
    "trainers/segan_trainers.py",
    "dataset_conversion/brats2015.toml",
    "experiments/device_trainers/trainers_of_the_check.py",
    "evaluation/presentation/report/report.html.jinja",
    "py.typed",
)
DATASET = "Dataset015_BRATS2015"
TRAINER = "SegANTrainer_1epochs"
MODEL = ["-d", "15", "-c", "2d", "-tr", TRAINER, "-p", "SegANPlans"]


def main(work: Path, python: str) -> None:
    """Run all steps. A command that fails ends the program."""
    work.mkdir(parents=True)
    run([python, "-m", "build", "--outdir", str(work / "dist"), str(ROOT)], work, dict(os.environ))
    (wheel,), (sdist,) = (list((work / "dist").glob(pattern)) for pattern in ("*.whl", "*.tar.gz"))
    in_wheel = set(zipfile.ZipFile(wheel).namelist())
    in_sdist = {name.partition("/")[2] for name in tarfile.open(sdist).getnames()}
    for name in DATA_FILES:
        assert f"segan_nnunet/{name}" in in_wheel, f"{wheel.name} lacks {name}"
        assert {name, f"segan_nnunet/{name}"} & in_sdist, f"{sdist.name} lacks {name}"
    assert "segan_trainers.py" in in_wheel & in_sdist, "users' own files of trainers import it"
    environment = install(wheel, work, python)
    imported = run(["python", "-c", "import segan_nnunet; print(segan_nnunet.__file__)"], work, environment)
    assert str(work / "installed") in imported, f"the imported package is not the wheel's: {imported}"
    run_pipeline(work, environment)
    print("the wheel runs the whole pipeline")


def install(wheel: Path, work: Path, python: str) -> dict[str, str]:
    """Install a wheel in a new environment that uses PYTHON's libraries. Return its environment variables."""
    venv.create(work / "installed", with_pip=False)
    (site,) = (work / "installed").glob("lib/python*/site-packages")
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    libraries = run([python, "-c", code], work, dict(os.environ)).strip()
    scripts = work / "installed" / "bin"
    run([python, "-m", "pip", "--python", str(scripts / "python"), "install", "--no-deps", str(wheel)], work,
        dict(os.environ))  # fmt: skip
    (site / "libraries.pth").write_text(libraries)  # Python does not follow the .pth of an editable install
    for name, module, function in (
        ("nnUNetv2_train", "run.run_training", "run_training_entry"),
        ("nnUNetv2_predict", "inference.predict_from_raw_data", "predict_entry_point"),
    ):
        script = scripts / name
        script.write_text(f"#!{scripts / 'python'}\nfrom nnunetv2.{module} import {function} as run\n"
                          "if __name__ == '__main__':\n    run()\n")  # fmt: skip
        script.chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for part in ("raw", "preprocessed", "results"):
        folder = work / f"nnUNet_{part}"
        folder.mkdir()
        environment[f"nnUNet_{part}"] = str(folder)
    environment |= {"PATH": f"{scripts}:{environment['PATH']}", "nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1"}
    environment["nnUNet_extTrainer"] = run(["segan_nnunet", "trainer-folder"], work, environment).strip()
    return environment


def run_pipeline(work: Path, environment: dict[str, str]) -> None:
    """Simulate, convert, plan, split, train one epoch, predict, compare."""
    release = work / "release"
    commands = [
        ["segan_nnunet", "simulate", "brats2015", str(release), "--cases", "5"],
        ["segan_nnunet", "convert", "brats2015", str(release / "BRATS2015_Training"), "-d", "15"],
        ["segan_nnunet", "plan", "-d", "15", "--width", "4", "--batch-size", "4", "--patch-size", "48", "48"],
        ["segan_nnunet", "split", "-d", "15"],
        ["nnUNetv2_train", "15", "2d", "0", *MODEL[4:], "-device", "cpu"],
    ]
    for command in commands:
        run(command, work, environment)
    images = work / "images"
    images.mkdir()
    case = json.loads((work / "nnUNet_preprocessed" / DATASET / "splits_final.json").read_text())[0]["val"][0]
    for image in (work / "nnUNet_raw" / DATASET / "imagesTr").glob(f"{case}_*"):
        (images / image.name).symlink_to(image.resolve())
    predict = ["nnUNetv2_predict", *MODEL, "-f", "0", "-i", str(images), "-o", str(work / "predicted")]
    run([*predict, "-device", "cpu", "-npp", "0", "-nps", "0"], work, environment)
    assert (work / "predicted" / f"{case}.mha").is_file()
    run(["segan_nnunet", "compare", "-d", "15", "-c", "2d", "-o", str(work / "comparison")], work, environment)
    assert TRAINER in (work / "comparison" / "table1.md").read_text()


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run a command in a folder and return what it printed."""
    print("$", *command, flush=True)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2] if len(sys.argv) > 2 else sys.executable)
