"""A clean case, and one fault of every code planted into it."""

from pathlib import Path

import numpy as np

from segbench.data.challenge_boxes import boxes_to_array
from segbench.data.challenge_npz import write_arrays
from segbench.protocol.boxes import draw_box

SHAPE, SPACING = (26, 60, 66), (3.0, 1.0, 1.0)
RADII = {1: (7, 12, 10), 2: (6, 9, 11)}
CENTRES = {1: (11, 20, 20), 2: (13, 40, 45)}
AFFINE = np.diag([1.0, 1.0, 3.0, 1.0])


def ellipsoid(centre, radii, shape=SHAPE):
    z, y, x = np.indices(shape)
    parts = ((axis - c) / r for axis, c, r in zip((z, y, x), centre, radii, strict=True))
    return sum(part**2 for part in parts) < 1


def clean(seed=0, labels=(1, 2)):
    """Return the arrays of a case in which there is nothing to find."""
    rng = np.random.default_rng(seed)
    reference = np.zeros(SHAPE, np.uint8)
    for label in labels:
        reference[ellipsoid(CENTRES[label], RADII[label])] = label
    image = rng.integers(0, 60, SHAPE) + 90 * reference
    image[13, 30, 30] = 255
    boxes = [draw_box(reference == label, label, rng) for label in labels]
    return {
        "imgs": image.astype(np.uint8),
        "gts": reference,
        "spacing": np.array(SPACING),
        "boxes": boxes_to_array(boxes),
    }


def grid_arrays(shape=(66, 60, 26), affine=AFFINE, axes="LPS"):
    return {
        "grid_affine": affine,
        "grid_shape": np.array(shape),
        "grid_axes": np.array(axes),
        "grid_json": np.frombuffer(b'{"source_sha256": "0"}', np.uint8),
    }


def write(folder: Path, name: str, arrays) -> Path:
    """Write a case; None leaves a key out."""
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.npz"
    write_arrays(file, {key: array for key, array in arrays.items() if array is not None})
    return file


class Malicious:
    """Runs code if its pickle is loaded."""

    def __reduce__(self):
        return print, ("executed",)


def pickled():
    array = np.empty(1, object)
    array[0] = Malicious()
    return array


def changed(**changes):
    """Return a fault that replaces arrays of the only case; a function gets the clean ones."""

    def plant(folder):
        arrays = clean()
        values = {key: v(arrays) if callable(v) else v for key, v in changes.items()}
        write(folder, "CT_Toy_001", arrays | values)

    return plant


def box_changed(label=1, **changes):
    """Return a fault that replaces bounds of one box in the file."""

    def boxes(arrays):
        rows = [dict(row) for row in arrays["boxes"]]
        rows[label - 1] |= {key: v(rows[label - 1]) for key, v in changes.items()}
        array = np.empty(len(rows), object)
        array[:] = rows
        return array

    return changed(boxes=boxes)


def with_labels(paint):
    """Return a fault that changes the reference; boxes are drawn again."""

    def plant(folder):
        arrays = clean()
        arrays["gts"] = paint(arrays["gts"].copy())
        labels = [label for label in np.unique(arrays["gts"]).tolist() if label]
        rng = np.random.default_rng(0)
        drawn = [draw_box(arrays["gts"] == label, label, rng) for label in labels]
        write(folder, "CT_Toy_001", arrays | {"boxes": boxes_to_array(drawn)})

    return plant


def speck(reference, side=2):
    reference[3 : 3 + side, 50 : 50 + side, 5 : 5 + side] = 3
    return reference


def scattered(reference):
    reference[reference == 2] = 0
    for z in range(3, 24, 4):
        reference[z : z + 2, 40:44, 30:34] = reference[z : z + 2, 50:54, 40:44] = 2
    return reference


def at_border(reference):
    reference[2:20, 30:36, 60:66] = 3
    return reference


def several(*makes):
    """Return a fault of a folder: cases by number, each from the arrays that a function returns."""

    def plant(folder):
        for number, make in enumerate(makes, 1):
            write(folder, f"CT_Toy_{number:03}", make())

    return plant


def two_names(folder):
    write(folder, "b__CT_Toy_001", clean())
    write(folder / "b", "CT_Toy_001", clean(1))


def truncated(folder):
    file = write(folder, "CT_Toy_001", clean())
    file.write_bytes(file.read_bytes()[:-200])


def renamed(key, to):
    def plant(folder):
        arrays = clean()
        arrays[to] = arrays.pop(key)
        write(folder, "CT_Toy_001", arrays)

    return plant


def transposed(folder):
    arrays = clean()
    image, reference = arrays["imgs"].T, arrays["gts"].T
    write(folder, "CT_Toy_001", arrays | {"imgs": image, "gts": reference, "boxes": None})


def reversed_boxes(folder):
    """Write boxes of arrays in (x, y, z) next to arrays in (z, y, x)."""
    arrays, rng = clean(), np.random.default_rng(0)
    boxes = [draw_box(label == arrays["gts"].T, label, rng) for label in (1, 2)]
    write(folder, "CT_Toy_001", arrays | {"boxes": boxes_to_array(boxes)})


def flat_cells(folder):
    """Write labels so small in mm that a filled box has a high NSD."""
    write(folder, "Microscopy_Toy_001", clean() | {"spacing": np.array([0.3, 0.1, 0.1])})


FAULTS = {
    "data-refused": two_names,
    "file-unreadable": truncated,
    "pickle-refused": changed(boxes=lambda _: pickled()),
    "reference-invalid": changed(gts=lambda a: a["gts"].astype(np.float32)),
    "spacing-invalid": changed(spacing=np.array([3.0, 0.0, 1.0])),
    "boxes-invalid": changed(boxes=lambda a: a["boxes"][:1]),
    "image-invalid": changed(imgs=lambda a: a["imgs"][:, :, 1:]),
    "grid-invalid": changed(grid_affine=AFFINE),
    "pickle-unread": changed(notes=lambda _: pickled()),
    "key-misspelt": renamed("boxes", "bbox"),
    "spacing-order": changed(spacing=np.array(SPACING[::-1])),
    "array-order": transposed,
    "spacing-implausible": changed(spacing=np.array([16.0, 1.0, 1.0])),
    "size-implausible": changed(spacing=np.array([3.0, 0.3, 0.3])),
    "spacing-grid": changed(**grid_arrays(shape=(26, 60, 66))),
    "spacing-default": changed(spacing=np.ones(3)),
    "image-nonfinite": changed(imgs=lambda a: np.where(a["gts"] == 1, np.nan, a["imgs"])),
    "image-constant": changed(imgs=lambda a: np.full_like(a["imgs"], 120)),
    "intensity-range": changed(imgs=lambda a: a["imgs"].astype(np.int16) * 4 - 200),
    "label-unexpected": several(
        *(lambda seed=seed: clean(seed) for seed in range(3)),
        lambda: clean(3) | {"gts": speck(clean(3)["gts"], side=4), "boxes": None},
    ),
    "label-tiny": with_labels(speck),
    "label-missing": several(
        *(lambda seed=seed: clean(seed) for seed in range(3)), lambda: clean(3, labels=(1,))
    ),
    "label-gaps": changed(gts=lambda a: np.where(a["gts"] == 2, 5, a["gts"])),
    "label-fragmented": with_labels(scattered),
    "label-at-border": with_labels(at_border),
    "box-outside": box_changed(z_mid_x_max=lambda row: 66),
    "box-misses": box_changed(
        z_mid_x_min=lambda row: 55, z_mid_x_max=lambda row: 65, z_mid_y_min=lambda row: 1
    ),
    "box-axes": reversed_boxes,
    "box-order": changed(boxes=lambda a: a["boxes"][::-1]),
    "box-z": box_changed(z_max=lambda row: row["z_max"] + 1),
    "box-mid-slice": box_changed(z_mid=lambda row: row["z_mid"] + 1),
    "box-cuts": box_changed(z_mid_y_min=lambda row: row["z_mid_y_min"] + 3),
    "box-too-wide": box_changed(z_mid_y_max=lambda row: row["z_mid_y_max"] + 4),
    "nsd-saturated": flat_cells,
    "duplicate-case": several(clean, clean),
    "duplicate-image": several(
        clean, lambda: clean() | {"gts": np.roll(clean()["gts"], 1, axis=2), "boxes": None}
    ),
}
