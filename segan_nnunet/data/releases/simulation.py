"""Simulate a BRATS release: tumours in deformed copies of the ICBM-152 brain, in the layout of any release.

It is small enough for a laptop (2 mm voxels), has the properties on which a converter or trainer depends, and is the
same for the same seed. It does not replace patients: its tumours are simpler than real ones.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from segan_nnunet.data.environment import usable_cores
from segan_nnunet.data.progress import progress_bar
from segan_nnunet.data.releases.release import Release
from segan_nnunet.data.releases.tables import load_release
from segan_nnunet.data.releases.templates import fill_template
from segan_nnunet.errors import InputError
from segan_nnunet.outputs import output_folder

Volume = NDArray[np.float32]  # (D, H, W): superior, posterior, left

SPACING_MM = 2.0
BACKGROUND, NECROSIS, EDEMA, NON_ENHANCING, ENHANCING = range(5)
LOW_GRADE_EVERY = 5  # as in BRATS 2015, where 54 of 274 cases are low grade

# Mean intensity of each tissue in each modality, white matter in T1 being 100.
TISSUES = ("white", "grey", "fluid", "edema", "necrosis", "non-enhancing", "enhancing")
CONTRASTS = {
    modality: dict(zip(TISSUES, intensities, strict=True))
    for modality, intensities in {
        "T1": (100, 74, 32, 70, 45, 60, 72),
        "T1c": (102, 78, 33, 72, 48, 64, 170),
        "T2": (58, 80, 150, 125, 140, 112, 98),
        "FLAIR": (66, 82, 28, 128, 84, 112, 104),
    }.items()
}
# The release's label for a simulated one begins with the first of these words that occurs.
LABEL_WORDS = {
    NECROSIS: ("necro", "resection", "cystic", "non-enhancing", "tumor core", "gross"),
    EDEMA: ("edema", "surrounding"),
    NON_ENHANCING: ("non-enhancing", "necro", "tumor core", "gross"),
    ENHANCING: ("enhancing", "tumor core", "gross"),
}
TUMOUR_TISSUES = {NECROSIS: "necrosis", EDEMA: "edema", NON_ENHANCING: "non-enhancing", ENHANCING: "enhancing"}


@dataclass(frozen=True)
class Anatomy:
    """Probabilities of the tissues, (D, H, W) each, 0 outside the brain."""

    white: Volume
    grey: Volume
    fluid: Volume

    @property
    def brain(self) -> NDArray[np.bool_]:
        """Mask of the brain."""
        return self.white + self.grey + self.fluid > 0.5


@cache
def icbm152() -> Anatomy:
    """Load the ICBM-152 2009 tissue maps that nilearn ships, at 2 mm, cropped to the brain with a margin of 4 voxels.

    Raises:
        InputError: nilearn is not installed.
    """
    try:
        from nilearn import datasets
    except ImportError as error:
        raise InputError("the simulated cohort needs nilearn: pip install 'segan-nnunet[demo]'") from error
    loaders = (datasets.load_mni152_wm_template, datasets.load_mni152_gm_template, datasets.load_mni152_brain_mask)
    maps = [load(resolution=int(SPACING_MM)).get_fdata() for load in loaders]
    # nilearn: (x to the right, y to the front, z up); here (z up, y to the back, x to the left), as in ITK
    white, grey, brain = (np.ascontiguousarray(m[::-1, ::-1].transpose(2, 1, 0)).astype(np.float32) for m in maps)
    box = ndimage.find_objects((brain > 0).astype(np.uint8))[0]
    box = tuple(slice(max(0, side.start - 4), side.stop + 4) for side in box)
    white, grey, brain = white[box], grey[box], brain[box]
    white, grey = white * brain, grey * brain
    return Anatomy(white, grey, np.clip(brain - white - grey, 0, 1))


def smooth_noise(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> Volume:
    """Draw a Gaussian random field with a correlation length of `scale` voxels, mean 0 and standard deviation 1."""
    # drawn on a coarse grid, then enlarged
    factor = max(1.0, scale / 2)
    coarse = tuple(int(np.ceil(size / factor)) + 4 for size in shape)
    field = ndimage.gaussian_filter(rng.standard_normal(coarse), scale / factor)
    field = ndimage.zoom(field, factor, order=1)[tuple(slice(size) for size in shape)]
    return ((field - field.mean()) / field.std()).astype(np.float32)


def deform(anatomy: Anatomy, rng: np.random.Generator) -> Anatomy:
    """Deform a head: random size, small rotation about the vertical axis, and a smooth displacement of some mm."""
    shape = anatomy.white.shape
    centre = np.array(shape).reshape(3, 1, 1, 1) / 2
    grid = np.indices(shape, dtype=np.float32) - centre
    grid *= 1 / rng.uniform(0.92, 1.05, size=(3, 1, 1, 1))
    angle = np.deg2rad(rng.uniform(-8, 8))
    turned = [
        grid[0],
        np.cos(angle) * grid[1] - np.sin(angle) * grid[2],
        np.sin(angle) * grid[1] + np.cos(angle) * grid[2],
    ]
    where = np.stack(turned) + centre + np.stack([1.2 * smooth_noise(shape, 10, rng) for _ in range(3)])
    tissues = (anatomy.white, anatomy.grey, anatomy.fluid)
    return Anatomy(*(ndimage.map_coordinates(tissue, where, order=1).astype(np.float32) for tissue in tissues))


def grow_tumour(anatomy: Anatomy, grade: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw the labels of one tumour, (D, H, W): an irregular core in white matter, and oedema around it.

    High grade: a necrotic centre, an enhancing rim of uneven thickness, patches that do not enhance. Low grade: a core
    that does not enhance, except for a nodule in every second case.
    """
    brain = anatomy.brain
    depth = ndimage.distance_transform_edt(brain)
    seeds = np.argwhere((anatomy.white > 0.7) & (depth > 6))
    centre = seeds[rng.integers(len(seeds))]
    radius = rng.uniform(6, 10.5)  # voxels of 2 mm
    axes = radius * rng.uniform(0.8, 1.25, size=3)
    offsets = (np.indices(brain.shape, dtype=np.float32).T - centre).T / axes.reshape(3, 1, 1, 1)
    distance = np.sqrt((offsets**2).sum(0)) * np.exp(0.22 * smooth_noise(brain.shape, 4, rng))  # 1 at the core's edge
    core = (distance < 1) & brain
    reach = rng.uniform(1.5, 2.1) * np.exp(0.25 * smooth_noise(brain.shape, 5, rng))
    oedema = (distance < reach) & (anatomy.white > 0.35) | (distance < 1.2) & brain
    oedema = ndimage.gaussian_filter(oedema.astype(np.float32), 1.0) > 0.5  # fluid has a smooth edge and no islands
    inner = distance * np.exp(0.2 * smooth_noise(brain.shape, 3, rng))

    labels = np.zeros(brain.shape, np.uint8)
    labels[oedema & brain] = EDEMA
    labels[core] = NON_ENHANCING
    if grade == "HGG":
        patchy = smooth_noise(brain.shape, 3, rng) > 1.0
        labels[core & (inner > 0.5) & ~patchy] = ENHANCING
        labels[core & (inner <= 0.5)] = NECROSIS
    elif rng.random() < 0.5:
        labels[core & (inner < 0.45)] = ENHANCING
    return labels


def image(anatomy: Anatomy, labels: NDArray[np.uint8], modality: str, rng: np.random.Generator) -> NDArray[np.int16]:
    """Draw one modality, (D, H, W): tissue contrasts, partial volume, texture, bias field, noise, a random scale."""
    contrast = CONTRASTS[modality]
    intensity = sum(getattr(anatomy, tissue) * contrast[tissue] for tissue in TISSUES[:3])
    remaining = 1.0 - ndimage.gaussian_filter((labels > 0).astype(np.float32), 0.6)
    intensity = intensity * remaining
    for label, tissue in TUMOUR_TISSUES.items():
        fraction = ndimage.gaussian_filter((labels == label).astype(np.float32), 0.6)
        intensity += fraction * contrast[tissue] * rng.normal(1, 0.06)
    intensity *= 1 + 0.05 * smooth_noise(labels.shape, 2, rng)
    intensity *= np.exp(0.08 * smooth_noise(labels.shape, 25, rng))
    intensity += 4 * rng.standard_normal(labels.shape)
    scaled = np.clip(intensity, 1, None) * rng.uniform(2, 12)
    return np.where(anatomy.brain, scaled, 0).astype(np.int16)


def release_labels(labels: NDArray[np.uint8], release: Release) -> NDArray[np.int16]:
    """Return simulated labels in the values of a release, by the names of its labels.

    A label that the release lacks becomes background (the oedema around a meningioma's gross tumour volume), or the
    label that includes it. After treatment the resection cavity takes the place of the necrosis.
    """
    values = np.zeros(labels.shape, np.int16)
    for label, words in LABEL_WORDS.items():
        fitting = (value for word in words for name, value in release.labels.items() if name.startswith(word))
        values[labels == label] = next(fitting, 0)
    return values


def write_case(
    release: Release, folder: Path, index: int, grade: str, volumes: dict[str, NDArray], truth: NDArray | None
) -> None:
    """Write one case in a release's layout.

    Args:
        release: its table, with an [example].
        folder: the release's folder.
        index: number of the case, from 1.
        grade: HGG or LGG.
        volumes: image of each of the release's channels, (D, H, W).
        truth: in the release's label values, or None for a test case.
    """
    volumes_of: dict[Path, list[NDArray]] = {}  # channels in the order of the table; those of a 4-D file share a path
    files = [(channel.templates[0], volumes[name]) for name, channel in release.channels.items()]
    files += [(release.truth[0], truth)] if truth is not None else []
    for position, (template, volume) in enumerate(files):
        values = {
            field: text.format(index=index, grade=grade, serial=40_000 + 10 * index + position)
            for field, text in release.example.items()
        }
        volumes_of.setdefault(folder / fill_template(template, values), []).append(volume)
    for path, channels in volumes_of.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        images = [sitk.GetImageFromArray(channel) for channel in channels]
        for one in images:
            one.SetSpacing([SPACING_MM] * 3)
        sitk.WriteImage(images[0] if len(images) == 1 else sitk.JoinSeries(images), str(path), True)


def simulate_release(folder: Path, cases: int, seed: int = 0, key: str = "brats2015", with_truth: bool = True) -> Path:
    """Write a simulated release of `cases` patients below a folder, and return the release's own folder.

    Every fifth patient has a low-grade tumour. Each case depends only on the seed and its own number.

    Args:
        folder: the parent of the release's folder.
        cases: number of patients.
        seed: of all random choices.
        key: name of the release.
        with_truth: whether the cases have a truth; without it they are test cases.

    Raises:
        InputError: fewer than one case, the folder already holds the release or cannot be written, there is no such
            release, or the simulation does not know one of its channels.
    """
    release = load_release(key)
    root = folder / release.example["folder"]
    if cases < 1:
        raise InputError(f"{cases} cases cannot be simulated; at least 1 is needed")
    if unknown := [name for name in release.channels if name not in CONTRASTS]:
        raise InputError(
            f"{release.title} has the channel {unknown[0]}, and the simulation knows only {', '.join(CONTRASTS)}. "
            "Rename the channel in the release's table, or add its contrasts to CONTRASTS"
        )
    grades = ["LGG" if index % LOW_GRADE_EVERY == LOW_GRADE_EVERY - 1 else "HGG" for index in range(cases)]
    with output_folder(root, option="FOLDER") as partial:
        anatomy = icbm152()
        with ThreadPoolExecutor(usable_cores()) as pool, progress_bar("simulating", cases) as advance:

            def simulate(index: int) -> None:
                rng = np.random.default_rng([seed, index])
                head = deform(anatomy, rng)
                labels = grow_tumour(head, grades[index], rng)
                volumes = {channel: image(head, labels, channel, rng) for channel in release.channels}
                truth = release_labels(labels, release) if with_truth else None
                write_case(release, partial, index + 1, grades[index], volumes, truth)
                advance()

            list(pool.map(simulate, range(cases)))
        if table := release.grade_file:
            names = [release.example["case"].format(index=index + 1) for index in range(cases)]
            rows = [f"{name},{grade}\n" for name, grade in zip(names, grades, strict=True)]
            (partial / table.name).write_text(f"{table.case_column},{table.grade_column}\n{''.join(rows)}")
    return root
