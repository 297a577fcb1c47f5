"""Files appear whole or not at all."""

import hashlib
import os

import pytest

from segbench.files import (
    atomic_write,
    partial_file,
    remove_partial_files,
    sha256_of,
    write_text,
)


def test_a_file_appears_when_it_is_complete(tmp_path):
    file = tmp_path / "a.bin"
    with atomic_write(file) as stream:
        stream.write(b"half")
        stream.flush()
        assert not file.exists()
    assert [each.name for each in tmp_path.iterdir()] == ["a.bin"]
    assert file.read_bytes() == b"half"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "a.txt"
    write_text(file, "old")
    with pytest.raises(TypeError), atomic_write(file) as stream:
        stream.writelines([b"new", None])
    assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]


def test_the_content_is_on_the_disk_before_the_file_has_its_name(tmp_path, monkeypatch):
    file, named = tmp_path / "a.txt", []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: named.append(file.exists()) or fsync(handle))
    write_text(file, "text")
    assert named == [False]


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    file = tmp_path / "a.txt"
    with atomic_write(file) as first, atomic_write(file) as second:
        first.write(b"first")
        second.write(b"second")
    assert file.read_bytes() in (b"first", b"second")


def test_text_that_utf_8_cannot_encode_is_escaped(tmp_path):
    write_text(tmp_path / "a.txt", "é \ud800\n")
    assert (tmp_path / "a.txt").read_bytes() == "é \\ud800\n".encode()


def test_the_sha256_is_that_of_the_bytes(tmp_path):
    content = b"abc" * 1_000_000  # more than one chunk
    (tmp_path / "a.bin").write_bytes(content)
    assert sha256_of(tmp_path / "a.bin") == hashlib.sha256(content).hexdigest()


def test_what_killed_writers_left_is_removed_by_name(tmp_path):
    wanted = [tmp_path / "a[1].npz", tmp_path / "no folder" / "b"]
    kept = [tmp_path / "a[1].npz", tmp_path / ".a[1].npz.123.partial"]
    kept += [partial_file(tmp_path / "a1.npz"), partial_file(tmp_path / "a[1].npz.npz")]
    for file in (*kept, partial_file(wanted[0]), partial_file(wanted[0])):
        file.write_text("half")
    remove_partial_files(*wanted)
    assert set(tmp_path.iterdir()) == set(kept)
