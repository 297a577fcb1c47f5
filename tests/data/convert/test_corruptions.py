"""Damaged files are refused by name, or read as what they still are; never anything else."""

import resource
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import SimpleITK as sitk

from segbench.data.convert.nifti import write_nifti
from segbench.data.convert.readers import ReadingOptions, read_image
from segbench.errors import CaseError
from tests.data.convert.sources import affine_of, scan

KINDS = [".nii", ".nii.gz", ".mha", "-compressed.mha", ".nrrd", "-compressed.nrrd"]
PER_KIND = 40  # 240 in all
LIMIT = 1 << 28  # bytes beyond what the process has already


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Return a folder with one sound file of each kind."""
    folder = tmp_path_factory.mktemp("sound")
    image, _ = scan()
    for name in (".nii", ".nii.gz"):
        write_nifti(folder / f"scan{name}", image, affine_of())
    for name in KINDS[2:]:
        stored = sitk.GetImageFromArray(image.transpose(2, 1, 0))
        sitk.WriteImage(stored, folder / f"scan{name}", useCompression="compressed" in name)
    return folder


def damaged(content, seed):
    """Return a file's bytes cut off, with wrong bytes in its header, or anywhere."""
    rng = np.random.default_rng(seed)
    wrong = bytearray(content)
    if seed % 4 == 0:
        return bytes(wrong[: rng.integers(0, len(wrong))])
    last = min(len(wrong), 400) if seed % 4 < 3 else len(wrong)
    for at in rng.integers(0, last, rng.integers(1, 9)):
        wrong[at] = rng.integers(256)
    return bytes(wrong)


def read_all(folder):
    """Return what became of every damaged file, and how much memory was taken for all."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {}
    for file in sorted(folder.iterdir()):
        try:
            read_image(file, ReadingOptions(axes="LPS"))
            found[file.name] = "read"
        except CaseError as error:
            found[file.name] = str(error)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used
    return found, grown * 1024


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_refused_by_name(sound, tmp_path, kind):
    content = (sound / f"scan{kind}").read_bytes()
    for seed in range(PER_KIND):
        (tmp_path / f"{seed:03d}{kind}").write_bytes(damaged(content, seed))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:  # its memory is measured
        found, grown = pool.submit(read_all, tmp_path).result()
    refused = {name: text for name, text in found.items() if text != "read"}
    assert len(found) == PER_KIND
    assert len(refused) >= PER_KIND // 4  # all that are cut off, and others
    assert all(name in text and str(tmp_path) not in text for name, text in refused.items())
    assert grown < LIMIT


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_file_is_read(sound, kind):
    image, _ = scan()
    volume = read_image(sound / f"scan{kind}", ReadingOptions())
    assert np.array_equal(volume.voxels, image)


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_is_seen(sound, tmp_path, kind):
    content = (sound / f"scan{kind}").read_bytes()
    for end in (0, 1, 100, len(content) // 2, len(content) - 1):
        file = tmp_path / f"cut{kind}"
        file.write_bytes(content[:end])
        with pytest.raises(CaseError, match=f"cut{kind}"):
            read_image(file, ReadingOptions(axes="LPS"))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "gz" in kind or "comp" in kind])
def test_wrong_compressed_bytes_are_seen(sound, tmp_path, kind):
    content = bytearray((sound / f"scan{kind}").read_bytes())
    content[-200] ^= 0xFF
    file = tmp_path / f"wrong{kind}"
    file.write_bytes(content)
    with pytest.raises(CaseError, match=f"wrong{kind}"):
        read_image(file, ReadingOptions())
