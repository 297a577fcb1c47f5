"""Generated scenes: what a seed decides, and painting in batches on any device."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from adapters.ours.training.samples import SampleGenerator, SamplePainter, scene_kind
from adapters.ours.training.scene_drawing import draw_scene
from adapters.ours.training.scene_painting import BACKGROUND, paint_geometry, paint_scenes
from adapters.ours.training.schedule import Schedule
from adapters.ours.training.separable import (
    apply_along_axes,
    blur,
    smooth_noise,
    thick_slice_matrix,
)
from segbench.errors import AdapterError

CPU, PATCH = torch.device("cpu"), 32
KINDS = ("usual", "nested", "large", "tiny", "faint")
ONLY_TINY = {
    "share_generated": 1,
    "share_tiny": 1,
    "share_nested": 0,
    "share_large": 0,
    "share_faint": 0,
}
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")


def drawn(count, kinds=KINDS, patch=PATCH):
    """Scenes of the kinds in turn."""
    return [
        draw_scene(np.random.default_rng([8, i]), patch, kinds[i % len(kinds)])
        for i in range(count)
    ]


def noiseless(scene):
    """The scene without voxel noise, whose generator belongs to a device."""
    return replace(scene, render=replace(scene.render, modality="ct", noise=0.0))


def test_a_batch_of_scenes_is_each_scene_alone():
    scenes = drawn(12)
    images, masks = paint_scenes(scenes, PATCH, CPU)
    for scene, image, mask in zip(scenes, images, masks, strict=True):
        alone, alone_mask = paint_scenes([scene], PATCH, CPU)
        assert torch.equal(alone_mask[0], mask)
        torch.testing.assert_close(alone[0], image, rtol=1e-4, atol=1e-4)


@needs_cuda
def test_a_scene_is_the_same_on_a_gpu_up_to_rounding():
    scenes = [noiseless(scene) for scene in drawn(12)]
    here, there = (paint_scenes(scenes, PATCH, torch.device(name)) for name in ("cpu", "cuda"))
    assert (here[1] != there[1].cpu()).float().mean() < 1e-4
    assert (here[0] - there[0].cpu()).abs().median() < 1e-4


def test_images_are_finite_and_voxel_noise_comes_from_the_seed():
    scenes = drawn(12)
    images, _ = paint_scenes(scenes, PATCH, CPU)
    again, _ = paint_scenes(scenes, PATCH, CPU)
    assert images.shape == (12, PATCH, PATCH, PATCH)
    assert images.isfinite().all()
    assert torch.equal(images, again)
    other, _ = paint_scenes([replace(scene, noise_seed=1) for scene in scenes], PATCH, CPU)
    assert not torch.equal(images, other)


def test_nested_objects_are_both_labelled_and_the_outer_one_excludes_the_inner_ones():
    targets = {"outer": 0, "inner": 0}
    for scene in drawn(24, ["nested"]):
        inner = [i for i, thing in enumerate(scene.objects) if thing.inside_of is not None]
        (outer,) = {scene.objects[i].inside_of for i in inner}
        targets["outer" if scene.target == outer else "inner"] += 1
        owner, _ = paint_geometry([scene], PATCH, CPU)
        without, _ = paint_geometry(
            [replace(scene, objects=scene.objects[: outer + 1])], PATCH, CPU
        )
        for i in inner:
            assert (without[owner == i] == outer).all()
    assert min(targets.values()) > 3


def test_tiny_and_large_objects_have_their_sizes():
    tiny = SamplePainter(SampleGenerator([], Schedule(**ONLY_TINY)), {}, CPU)
    batch = tiny.paint([tiny.sampler.draw(index, PATCH) for index in range(20)], PATCH)
    voxels = batch.references.flatten(1).sum(1)
    assert 30 <= voxels.min() <= voxels.max() <= 100
    large = drawn(20, ["large"])
    _, masks = paint_scenes(large, PATCH, CPU)
    extent = masks.any(3).any(2).sum(1).float() / PATCH
    # the crop rule shows 150 voxels in a patch of 32 at 150 / 161 of the patch, less by the aspect
    assert extent.median() > 0.5


def test_shares_of_special_scenes_are_those_of_the_schedule():
    schedule = Schedule(share_nested=0.3, share_large=0.1, share_tiny=0.2, share_faint=0.05)
    kinds = [scene_kind(schedule, number) for number in (np.arange(1000) + 0.5) / 1000]
    shares = [kinds.count(kind) for kind in ("nested", "large", "tiny", "faint", "usual")]
    assert shares == [300, 100, 200, 50, 350]


def test_a_sample_that_is_drawn_again_keeps_its_kind_and_its_box():
    generator = SampleGenerator([], Schedule(share_nested=0.5))
    for index in range(20):
        first, again = (generator.draw(index, 16, attempt) for attempt in (0, 1))
        nested = [
            any(shape.inside_of is not None for shape in sample.scene.objects)
            for sample in (first, again)
        ]
        assert nested[0] == nested[1]
        assert (first.box is None) == (again.box is None)
        assert first.scene.noise_seed != again.scene.noise_seed


def test_crowds_compete_for_voxels():
    crowds = [s for s in drawn(40, ["usual"]) if s.objects and all(o.competes for o in s.objects)]
    assert crowds
    owner, _ = paint_geometry(crowds[:3], PATCH, CPU)
    assert (owner == 0).flatten(1).any(1).all()
    assert (owner == BACKGROUND).flatten(1).any(1).all()


def test_unusable_scenes_are_drawn_again():
    generator = SampleGenerator([], Schedule(share_without_box=0))
    painter = SamplePainter(generator, {}, CPU)
    batch = painter.paint([generator.draw(index, 16) for index in range(40)], 16)
    voxels = batch.references.flatten(1).sum(1)
    assert voxels.min() >= 30
    assert voxels.max() <= 0.6 * 16**3


def test_objects_that_are_never_visible_are_an_error_not_an_endless_search():
    class Invisible(SampleGenerator):
        def draw(self, index, patch, attempt=0):
            sample = super().draw(index, patch, attempt)
            return replace(sample, scene=replace(sample.scene, min_voxels=patch**3))

    painter = SamplePainter(Invisible([], Schedule()), {}, CPU)
    with pytest.raises(AdapterError, match="no object of the expected size on a patch of 8 in 100"):
        painter.paint([painter.sampler.draw(0, 8)], 8)


def test_matrices_act_on_their_own_sample_and_axis():
    volumes = torch.rand(2, 1, 3, 4, 5)
    double = torch.stack([torch.eye(4), 2 * torch.eye(4)])
    same = [torch.eye(n).expand(2, n, n) for n in (3, 5)]
    result = apply_along_axes(volumes, (same[0], double, same[1]))
    torch.testing.assert_close(result, volumes * torch.tensor([1.0, 2.0]).view(2, 1, 1, 1, 1))


def test_a_blur_keeps_constants_and_spreads_a_voxel_like_a_gaussian():
    constant = torch.full((1, 1, 9, 9, 9), 3.0)
    torch.testing.assert_close(blur(constant, torch.tensor([1.5])), constant)
    voxel = torch.zeros(1, 1, 21, 21, 21)
    voxel[..., 10, 10, 10] = 1
    spread = blur(voxel, torch.tensor([1.0]))[0, 0, 10, 10]
    assert (spread[11] / spread[10]).item() == pytest.approx(np.exp(-0.5), abs=1e-4)
    assert torch.equal(blur(voxel, torch.tensor([0.1])), voxel)


def test_thick_slices_are_averages():
    """Six voxels in slices of three: the middles of the slices have the averages."""
    matrix = thick_slice_matrix(6, 3)
    values = matrix @ torch.tensor([0.0, 3.0, 6.0, 6.0, 9.0, 12.0])
    assert values[1].item() == pytest.approx(3.0)
    assert values[4].item() == pytest.approx(9.0)


def test_smooth_noise_has_unit_deviation_and_few_cells_are_smooth():
    grids = torch.randn(2, 1, 12, 12, 12)
    noise = smooth_noise(grids, torch.tensor([3, 12]), 24)
    torch.testing.assert_close(noise.flatten(1).std(1), torch.ones(2), atol=0.03, rtol=0)
    roughness = noise.diff(dim=-1).abs().flatten(1).mean(1)
    assert roughness[0] < roughness[1]
