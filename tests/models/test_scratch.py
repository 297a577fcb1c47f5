"""The scratch folder: which files are in it, and when an array is written."""

import os

import numpy as np
import pytest

from segbench.models.scratch import ScratchFolder
from tests.processes import ended_pid

ZEROS = np.zeros((2, 3, 4), np.uint8)


@pytest.fixture
def folder(tmp_path):
    folder = ScratchFolder(tmp_path)
    yield folder
    folder.remove()
    assert not folder.path.exists()


def write_output(folder, number):
    """Write an output as the worker does."""
    np.save(folder.path / f"segmentation-{number}.npy", ZEROS + number)
    return folder.read_output(number)


def test_an_output_becomes_the_previous_segmentation_by_its_name_alone(folder):
    folder.write_previous(ZEROS)
    output = write_output(folder, 1)
    inode = (folder.path / "segmentation-1.npy").stat().st_ino
    folder.write_previous(output)
    assert (folder.path / "previous.npy").stat().st_ino == inode
    folder.write_previous(output)  # after a failed step
    assert (folder.path / "previous.npy").stat().st_ino == inode
    assert output[0, 0, 0] == 1


def test_the_last_output_of_a_case_is_deleted_when_the_next_case_starts(folder):
    folder.write_image(ZEROS)
    folder.write_previous(ZEROS)
    write_output(folder, 1)
    folder.write_image(ZEROS)
    folder.write_previous(ZEROS.copy())
    assert {file.name for file in folder.path.iterdir()} == {"image.npy", "previous.npy"}


def test_folders_of_processes_that_no_longer_run_are_removed(tmp_path):
    kept = {f"segbench-{os.getppid()}-b", "segbench-x-c"}
    for name in {f"segbench-{ended_pid()}-a", *kept}:
        (tmp_path / name).mkdir()
    folder = ScratchFolder(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {*kept, folder.path.name}
