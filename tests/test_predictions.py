"""Label maps, hashed and stored beside the session: whole files, exact hashes, any dtype."""

import hashlib

import numpy as np
import pytest

from segbench.challenge import write_prediction
from segbench.predictions import BACKLOG, PredictionWriter, labels_sha256


def maps(*values, dtype=np.uint8, order="C"):
    return [np.full((2, 3, 4), value, dtype, order) for value in values]


def written(file, label_maps, **options):
    with PredictionWriter(file, len(label_maps), **options) as writer:
        for labels in label_maps:
            writer.add(labels)
    return writer.hashes


def test_the_file_is_what_the_challenge_expects(tmp_path):
    file = tmp_path / "predictions" / "CT_a.npz"
    hashes = written(file, maps(0, 1, 2, 3, 4, 5))
    with np.load(file) as raw:
        assert raw["all_segs"].shape == (6, 2, 3, 4)
        assert raw["all_segs"][:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
        assert (raw["segs"] == 5).all()
    assert hashes[3] == hashlib.sha256(bytes([3] * 24)).hexdigest()


def test_a_label_above_255_at_any_step_widens_the_whole_file(tmp_path):
    label_maps = maps(1) + maps(300, dtype=np.uint16) + maps(2)
    hashes = written(tmp_path / "predictions" / "CT_a.npz", label_maps)
    with np.load(tmp_path / "predictions" / "CT_a.npz") as raw:
        assert raw["all_segs"].dtype == np.uint16
        assert raw["all_segs"][:, 0, 0, 0].tolist() == [1, 300, 2]
    assert hashes == [labels_sha256(labels) for labels in label_maps]
    assert [file.name for file in (tmp_path / "predictions").iterdir()] == ["CT_a.npz"]


def test_memory_order_changes_neither_hash_nor_content(tmp_path):
    labels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert labels_sha256(labels) == labels_sha256(np.asfortranarray(labels))
    written(tmp_path / "a.npz", [np.asfortranarray(labels)] * 2)
    with np.load(tmp_path / "a.npz") as raw:
        np.testing.assert_array_equal(raw["segs"], labels)
        np.testing.assert_array_equal(raw["all_segs"][1], labels)


def test_only_the_last_is_kept_if_only_it_is_wanted(tmp_path):
    hashes = written(tmp_path / "a.npz", maps(1, 2, 3), last_only=True)
    assert len(hashes) == 3
    with np.load(tmp_path / "a.npz") as raw:
        assert raw["all_segs"][:, 0, 0, 0].tolist() == [3]


def test_hashes_need_no_file(tmp_path):
    assert len(written(None, maps(1, 2))) == 2
    assert list(tmp_path.iterdir()) == []


def break_off(file):
    with PredictionWriter(file, 6) as writer:
        writer.add(maps(1)[0])
        raise KeyboardInterrupt


def test_a_fault_leaves_no_half_file(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        break_off(tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_an_error_and_not_silence(tmp_path):
    (tmp_path / "predictions").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="predictions"):
        written(tmp_path / "predictions" / "a.npz", maps(*range(BACKLOG + 3)))


def test_the_same_maps_make_the_same_bytes_and_the_same_as_at_once(tmp_path):
    for name in "ab":
        written(tmp_path / f"{name}.npz", maps(1, 2, 3))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    write_prediction(tmp_path / "c.npz", maps(1, 2, 3))
    with np.load(tmp_path / "a.npz") as ours, np.load(tmp_path / "c.npz") as other:
        np.testing.assert_array_equal(ours["all_segs"], other["all_segs"])
