"""Draw generated scenes from a seed, on the processor, so that a scene is the same on every device.

The crop resizes a box of ``s`` voxels to ``s / zoom(s)`` patch voxels (Eq. 12). Scenes draw ``s``
and build the object in the resulting size, so that training and test sizes agree.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from segbench.core import Box

from ..crop import window_around
from .render_drawing import Draws, draw_rendering
from .scene_parameters import (
    MAX_REGIONS,
    ObjectParameters,
    SceneParameters,
    Vector,
)
from .separable import NOISE_GRID

MIN_VOXELS, MAX_SHARE = 60, 0.6  # of an object: voxels, and share of the patch
TINY_VOXELS = (30, 100)  # of a tiny object
LARGE_SIDE = (150, 250)  # voxels of the scan
FAINT_CONTRAST = (0.01, 0.12)  # the others have 0.12 to 0.7


def draw_scene(rng: np.random.Generator, patch: int, kind: str) -> SceneParameters:
    """Draw a scene of a kind: ``nested``, ``large``, ``tiny``, ``faint`` or ``usual``."""
    draw = Draws(rng, patch)
    draw.background = float(rng.uniform(0, 0.7))
    voxels = (MIN_VOXELS, int(MAX_SHARE * patch**3))
    if kind == "nested":
        objects, target = _nested(draw)
    elif kind == "large":
        objects, target = _single(draw, _shown_radii(draw, rng.uniform(*LARGE_SIDE)), fine=True)
    elif kind == "tiny":
        objects, target = _single(draw, _tiny_radii(draw))
        voxels = TINY_VOXELS
    elif kind == "faint":
        objects, target = _faint(draw)
    else:
        usual = int(rng.integers(4))  # half one object among others, a quarter a crowd, or a tube
        makers = (_crowd, _tubes, _single, _single)
        objects, target = makers[usual](draw)
    std = float(rng.choice([0.05, 0.2, 0.5]))
    regions = int(rng.integers(1, MAX_REGIONS + 1))
    return SceneParameters(
        objects=tuple(objects),
        target=target,
        min_voxels=voxels[0],
        max_voxels=voxels[1],
        warp=patch * float(rng.choice([0.0, 0.02, 0.05])),
        warp_cells=draw.cells(3, 7),
        warp_noise=draw.noise(3),
        levels=rng.normal(draw.background, std, regions).astype(np.float32),
        region_cells=draw.cells(3, 8),
        region_noise=draw.noise(MAX_REGIONS),
        texture_cells=draw.cells(6, NOISE_GRID + 1),
        texture_noise=draw.noise(1),
        render=draw_rendering(draw),
        noise_seed=int(rng.integers(1 << 62)),
    )


Objects = tuple[list[ObjectParameters], int]


def _single(draw: Draws, radii: Vector | None = None, *, fine: bool = False) -> Objects:
    """Draw one blob among up to eight others of any brightness."""
    objects = _others(draw)
    radii = _radii(draw) if radii is None else radii
    target = _blob(draw, draw.near_middle(), radii, fine=fine, **_target_appearance(draw))
    return [*objects, target], len(objects)


def _faint(draw: Draws) -> Objects:
    """Draw a blob that hardly differs from its surroundings, as a prostate in ultrasound.

    Most have a core that differs more than the border does: the box shows the object, the edges
    in it do not.
    """
    rng = draw.rng
    objects = _others(draw)
    sign = 1.0 if rng.random() < 0.5 else -1.0
    core = (float(rng.uniform(0.1, 0.6)), float(rng.normal(0, 0.3)))
    target = _blob(
        draw,
        draw.near_middle(),
        _radii(draw),
        contrast=sign * draw.log_uniform(*FAINT_CONTRAST),
        core=core if rng.random() < 0.6 else None,
        texture=float(rng.uniform(0.02, 0.2)) if rng.random() < 0.7 else 0.0,
    )
    return [*objects, target], len(objects)


def _others(draw: Draws) -> list[ObjectParameters]:
    rng = draw.rng
    return [
        _blob(
            draw,
            rng.uniform(-0.6, 0.6, 3) * draw.patch,
            _radii(draw) * 0.7,
            brightness=float(rng.uniform(0, 1)),
        )
        for _ in range(int(rng.integers(0, 9)))
    ]


def _tubes(draw: Draws) -> Objects:
    """Draw one tube with up to four others, similar or not."""
    rng = draw.rng
    objects = [
        _tube(
            draw,
            rng.uniform(-0.5, 0.5, 3) * draw.patch,
            _radii(draw),
            brightness=float(rng.uniform(0, 1)),
        )
        for _ in range(int(rng.integers(0, 5)))
    ]
    target = _tube(draw, draw.near_middle(), _radii(draw), **_target_appearance(draw))
    return [*objects, target], len(objects)


def _crowd(draw: Draws) -> Objects:
    """Draw adjacent blobs of one size and brightness; the object is the central one."""
    rng = draw.rng
    radii = np.minimum(_radii(draw), draw.patch / 4)
    pitch = 2 * float(radii.max()) * rng.uniform(0.85, 1.6)
    away = float(rng.uniform(0.25, 0.8)) * (1 if rng.random() < 0.75 else -1)
    objects = [
        _blob(
            draw,
            place,
            radii,
            brightness=draw.background + away + float(rng.normal(0, 0.06)),
            competes=True,
        )
        for place in _lattice(draw, pitch)
    ]
    return objects, 0


def _nested(draw: Draws) -> Objects:
    """Draw an organ with one or two lesions inside; its label excludes them."""
    rng = draw.rng
    objects = _others(draw)
    outer_index = len(objects)
    side = draw.log_uniform(0.4 * draw.patch, 4 * draw.patch)
    radii = _shown_radii(draw, side)
    appearance = _target_appearance(draw) | {"core": None}
    middle = draw.near_middle()
    outer = _blob(draw, middle, radii, **appearance)
    lesions = []
    for _ in range(int(rng.integers(1, 3))):
        inner_radii = radii.min() * rng.uniform(0.2, 0.6) * rng.uniform(0.6, 1.0, 3)
        centre = middle + rng.uniform(-0.45, 0.45, 3) * radii.min()
        appearance = _target_appearance(draw) | {"inside_of": outer_index}
        lesions.append(_blob(draw, centre, np.maximum(inner_radii, 1.8), **appearance))
    objects_and_lesions = [*objects, outer, *lesions]
    if rng.random() < 0.4:
        return objects_and_lesions, outer_index
    # move the scene so that a lesion, the target, is near the middle of the patch
    offset = lesions[0].centre - draw.near_middle()
    moved = [_moved(shape, offset) for shape in objects_and_lesions]
    return moved, outer_index + 1


def _moved(shape: ObjectParameters, offset: Vector) -> ObjectParameters:
    return replace(shape, centre=shape.centre - offset)


def _target_appearance(draw: Draws) -> dict[str, Any]:
    """Return contrast, core (as in necrotic tumours) and texture of an object to segment."""
    rng = draw.rng
    core = (float(rng.uniform(0.2, 0.5)), float(rng.normal(0, 0.3)))
    return {
        "contrast": draw.contrast(),
        "core": core if rng.random() < 0.3 else None,
        "texture": float(rng.uniform(0.02, 0.12)) if rng.random() < 0.5 else 0.0,
        "hollow": float(rng.uniform(0.25, 0.5)) if rng.random() < 0.08 else 0.0,
    }


def _blob(
    draw: Draws, centre: Vector, radii: Vector, *, fine: bool = False, **appearance: Any
) -> ObjectParameters:
    """Return a rotated superellipsoid with a rough surface, from round to box-like."""
    rng = draw.rng
    return ObjectParameters(
        np.asarray(centre),
        _rotation(rng) / radii[:, None],
        draw.noise(1),
        draw.cells(8, NOISE_GRID + 1) if fine else draw.cells(4, 11),
        roughness=float(rng.choice([0.04, 0.08, 0.15] if fine else [0.0, 0.05, 0.1, 0.18])),
        power=float(rng.choice([2, 2, 2, 3, 5])),
        **appearance,
    )


def _tube(draw: Draws, centre: Vector, radii: Vector, **appearance: Any) -> ObjectParameters:
    """Return a winding tube, such as a spinal cord or a vessel; half of them along an axis."""
    rng = draw.rng
    length, width = float(radii.max()), float(radii.max() * rng.uniform(0.12, 0.4))
    sways = rng.uniform(0, 0.35, 2) * length
    calibre = 1 + 0.25 * np.sin(rng.uniform(0, 6))
    phases, speeds = rng.uniform(0, 6, 2), rng.uniform(0.5, 2.5, 2) / length
    turn = _rotation(rng) if rng.random() < 0.5 else np.eye(3)[rng.permutation(3)]
    tube = (length, max(width * float(calibre), 1.2), *sways, *phases, *speeds)
    return ObjectParameters(
        np.asarray(centre),
        turn,
        draw.noise(1),
        draw.cells(4, 11),
        tube=tuple(float(value) for value in tube),
        **(appearance | {"hollow": 0.0}),
    )


def _rotation(rng: np.random.Generator) -> Vector:
    orthogonal, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    return np.asarray(orthogonal)


def _lattice(draw: Draws, pitch: float) -> list[Vector]:
    """Return at most 27 positions on a jittered lattice, the central one first."""
    steps = np.arange(-1, 2)
    cells = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    cells = cells[np.argsort((cells**2).sum(1), kind="stable")]
    jitter = draw.rng.uniform(-0.2, 0.2, cells.shape)
    near = [np.asarray(place) for place in (cells + jitter) * pitch]
    return [place for place in near if np.abs(place).max() < 0.7 * draw.patch]


def _radii(draw: Draws) -> Vector:
    """Return half axes in patch voxels of an object of any size."""
    return _shown_radii(draw, draw.log_uniform(10, 4 * draw.patch))


def _shown_radii(draw: Draws, side: float) -> Vector:
    """Return half axes in patch voxels of an object of ``side`` voxels, resized by the crop."""
    edge = max(round(side), 1)
    box = Box(1, (0, 0, 0), (edge, edge, edge), mid_slice=0)
    shown = edge * draw.patch / window_around(box, draw.patch).size[0]
    aspect = draw.rng.uniform(0.45, 1.0, 3)
    return np.asarray(shown / 2 * aspect / aspect.max())


def _tiny_radii(draw: Draws) -> Vector:
    """Return half axes of an ellipsoid of a few voxels."""
    volume, aspect = draw.rng.uniform(*TINY_VOXELS), draw.rng.uniform(0.6, 1.0, 3)
    return np.asarray(aspect * math.cbrt(volume / (4 / 3 * math.pi * aspect.prod())))
