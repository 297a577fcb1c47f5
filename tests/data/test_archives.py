"""Archives of cases: unpacked whole, and refused if they could do harm."""

import io
import tarfile
import zipfile

import pytest

from segbench.data.archives import is_archive, unpack_cases, without_suffix
from segbench.errors import CaseError

CONTENT = {"a/CT_1.npz": b"one" * 50, "a/b/CT_2.npz": b"two", "a/notes.txt": b"no case"}


def make_zip(file, entries):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file


def make_tar(file, entries):
    with tarfile.open(file, "w:gz" if file.name.endswith("gz") else "w") as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file


MAKERS = {"a.zip": make_zip, "a.tar": make_tar, "a.tar.gz": make_tar, "a.tgz": make_tar}


@pytest.mark.parametrize("name", MAKERS)
def test_cases_are_unpacked_and_nothing_else(tmp_path, name):
    archive = MAKERS[name](tmp_path / name, CONTENT)
    files = unpack_cases(archive, lambda inner: tmp_path / "out" / inner)
    found = {file.relative_to(tmp_path / "out").as_posix(): file.read_bytes() for file in files}
    assert found == {inner: found for inner, found in CONTENT.items() if inner.endswith("npz")}
    there = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert sorted(there) == sorted(files)
    assert is_archive(name)
    assert without_suffix(f"x/{name}") == "x/a"


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    "evil", ["../evil.npz", "a/../../evil.npz", "/tmp/evil.npz", "..\\evil.npz", "C:evil.npz"]
)
def test_a_name_that_leads_out_is_refused_before_anything_is_written(tmp_path, name, evil):
    archive = MAKERS[name](tmp_path / name, {"good.npz": b"good", evil: b"evil"})
    with pytest.raises(CaseError, match=rf"{name}: expected names inside of it, found"):
        unpack_cases(archive, lambda inner: tmp_path / "out" / inner)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_in_a_tar_is_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("CT_1.npz")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(CaseError, match="CT_1.npz: expected a file, found a link or a device"):
        unpack_cases(tmp_path / "a.tar", lambda inner: tmp_path / "out" / inner)


def test_a_link_in_a_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("CT_1.npz")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(CaseError, match="found a link"):
        unpack_cases(tmp_path / "a.zip", lambda inner: tmp_path / "out" / inner)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_bomb_is_refused_by_its_size(tmp_path, name):
    archive = MAKERS[name](tmp_path / name, {"CT_1.npz": bytes(10_000_000)})
    with pytest.raises(CaseError, match="20 times its own size, found more"):
        unpack_cases(archive, lambda inner: tmp_path / "out" / inner)
    assert not (tmp_path / "out").exists()


def test_a_zip_that_lies_about_a_size_is_refused(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"CT_1.npz": b"x" * 1000})
    raw = archive.read_bytes().replace((1000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    archive.write_bytes(raw)
    with pytest.raises(CaseError, match=r"a\.zip: "):
        unpack_cases(archive, lambda inner: tmp_path / "out" / inner)
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("name", MAKERS)
def test_a_damaged_archive_is_named(tmp_path, name):
    archive = MAKERS[name](tmp_path / name, CONTENT)
    archive.write_bytes(archive.read_bytes()[:40])
    with pytest.raises(
        CaseError, match=rf"{name}: expected an archive that can be unpacked, found "
    ):
        unpack_cases(archive, lambda inner: tmp_path / "out" / inner)


def test_too_little_space_is_said_before_anything_is_written(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "a.zip", CONTENT)
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr("segbench.data.archives.shutil.disk_usage", lambda _: usage)
    with pytest.raises(CaseError, match=r"expected 0\.0 GB of free disk .*, found 0\.0 GB"):
        unpack_cases(archive, lambda inner: tmp_path / "out" / inner)
    assert not (tmp_path / "out").exists()
