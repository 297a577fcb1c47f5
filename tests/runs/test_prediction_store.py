"""Label maps, hashed and stored while the interaction continues: whole files, any dtype."""

import errno
import gc
import hashlib
import threading
import zipfile

import numpy as np
import pytest

from segbench.data.challenge_npz import write_prediction
from segbench.protocol.mask_pairs import PreparedReference
from segbench.runs.prediction_store import QUEUE_SIZE, PredictionWriter, segmentation_sha256
from tests.processes import largest_file


def maps(*values, dtype=np.uint8, order="C"):
    return [np.full((2, 3, 4), value, dtype, order) for value in values]


def written(file, label_maps, **options):
    with PredictionWriter(file, len(label_maps), **options) as writer:
        for labels in label_maps:
            writer.add(labels)


def named(labels, reference):
    prepared = PreparedReference(reference, set(np.unique(reference).tolist()) - {0})
    return segmentation_sha256(prepared.compare(labels))


def by_hand(labels, known):
    """Return what docs/results.md says, written down another way."""
    digest = hashlib.sha256()
    for label in sorted(set(np.unique(labels).tolist()) & known):
        at = np.argwhere(labels == label)
        low, sides = at.min(axis=0), np.ptp(at, axis=0) + 1
        digest.update((" ".join(map(str, [label, *low, *sides])) + "\n").encode())
        box = tuple(slice(a, a + n) for a, n in zip(low, sides, strict=True))
        digest.update(np.packbits(labels[box] == label, axis=-1, bitorder="little").tobytes())
    if set(np.unique(labels).tolist()) - known - {0}:
        digest.update(labels.tobytes())
    return digest.hexdigest()


def test_the_file_is_what_the_challenge_expects(tmp_path):
    file = tmp_path / "predictions" / "CT_a.npz"
    written(file, maps(0, 1, 2, 3, 4, 5))
    with np.load(file) as raw:
        assert raw["all_segs"].shape == (6, 2, 3, 4)
        assert raw["all_segs"][:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
        assert (raw["segs"] == 5).all()


@pytest.mark.parametrize("step", range(3))
def test_a_label_above_255_at_any_step_widens_the_whole_file(tmp_path, step):
    label_maps = maps(1, 2)
    label_maps[step:step] = maps(300, dtype=np.uint16)
    written(tmp_path / "predictions" / "CT_a.npz", label_maps)
    with np.load(tmp_path / "predictions" / "CT_a.npz") as raw:
        assert raw["all_segs"].dtype == np.uint16
        found = raw["all_segs"][:, 0, 0, 0].tolist()
        assert found == [int(label_map.max()) for label_map in label_maps]
        assert raw["segs"].max() == found[-1]
    assert [file.name for file in (tmp_path / "predictions").iterdir()] == ["CT_a.npz"]


@pytest.mark.parametrize("values", [(), (1,), (1, 3), (2,), (1, 2, 200)])
def test_the_name_of_a_label_map_is_that_of_the_docs(values):
    rng = np.random.default_rng(len(values))
    reference, labels = np.zeros((2, 5, 7, 150), np.uint8)
    reference[1:3, 2:5, 3:9], reference[3:, 1:, 60:140] = 1, 3
    for value in values:
        labels[rng.random(labels.shape) < 0.01] = value
    expected = by_hand(labels, known={1, 3})
    assert named(labels, reference) == expected
    assert named(np.asfortranarray(labels), reference) == expected
    assert named(labels.astype(np.uint16), reference) == expected


def test_every_voxel_counts_in_the_name():
    reference = np.zeros((4, 5, 70), np.uint8)
    reference[1:3, 1:4, 2:66] = 1
    names = {named(reference, reference)}
    for at in np.ndindex(reference.shape):
        labels = reference.copy()
        labels[at] = 1 - labels[at]
        names.add(named(labels, reference))
    assert len(names) == 1 + reference.size


def test_memory_order_does_not_change_the_content(tmp_path):
    labels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    written(tmp_path / "a.npz", [np.asfortranarray(labels)] * 2)
    with np.load(tmp_path / "a.npz") as raw:
        np.testing.assert_array_equal(raw["segs"], labels)
        np.testing.assert_array_equal(raw["all_segs"][1], labels)


def test_only_the_last_is_kept_if_only_it_is_wanted(tmp_path):
    written(tmp_path / "a.npz", maps(1, 2, 3), last_only=True)
    with np.load(tmp_path / "a.npz") as raw:
        assert raw["all_segs"][:, 0, 0, 0].tolist() == [3]


def test_nothing_is_stored_without_a_file(tmp_path):
    written(None, maps(1, 2))
    assert list(tmp_path.iterdir()) == []


def break_off(file):
    with PredictionWriter(file, 6) as writer:
        writer.add(maps(1)[0])
        raise KeyboardInterrupt


def test_a_fault_leaves_no_half_file(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        break_off(tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_at_any_byte_leaves_no_file(tmp_path):
    label_maps = list(np.random.default_rng(0).integers(0, 200, (3, 10, 40, 50), np.uint8))
    written(tmp_path / "a.npz", label_maps)
    size = (tmp_path / "a.npz").stat().st_size
    (tmp_path / "a.npz").unlink()
    gc.freeze()  # the collections below are of what is new: those of all tests would take long
    for n_bytes in [*range(0, size, size // 40), size - 1]:
        with largest_file(n_bytes), pytest.raises(OSError, match="File too large"):
            written(tmp_path / "a.npz", label_maps)
        gc.collect()  # an archive that is still open would report its failure here
        assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_before_the_first_byte_leaves_no_file(tmp_path, monkeypatch):
    def on_a_full_disk(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "open", on_a_full_disk)
    with pytest.raises(OSError, match="No space left"):
        written(tmp_path / "a.npz", maps(1, 2))
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_an_error_and_not_silence(tmp_path):
    (tmp_path / "predictions").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="predictions"):
        written(tmp_path / "predictions" / "a.npz", maps(*range(QUEUE_SIZE + 3)))


def test_the_same_maps_make_the_same_bytes_and_the_same_as_at_once(tmp_path):
    for name in "ab":
        written(tmp_path / f"{name}.npz", maps(1, 2, 3))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    write_prediction(tmp_path / "c.npz", maps(1, 2, 3))
    with np.load(tmp_path / "a.npz") as ours, np.load(tmp_path / "c.npz") as other:
        np.testing.assert_array_equal(ours["all_segs"], other["all_segs"])


def test_no_more_than_two_label_maps_wait_for_the_disk(tmp_path):
    disk = threading.Event()

    class SlowMap:
        """A label map whose voxels cannot be read before the disk is ready."""

        dtype, shape = np.dtype(np.uint8), (2, 3, 4)

        def __array__(self, dtype=None, copy=None):
            assert disk.wait(60)
            return np.zeros(self.shape, self.dtype)

    with PredictionWriter(tmp_path / "CT_a.npz", QUEUE_SIZE + 1) as writer:
        for _ in range(QUEUE_SIZE):
            writer.add(SlowMap())
        third = threading.Thread(target=writer.add, args=maps(9))
        third.start()
        third.join(0.3)
        assert third.is_alive()
        disk.set()
        third.join(60)
        assert not third.is_alive()
