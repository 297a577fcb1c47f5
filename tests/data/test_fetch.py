"""`segbench fetch`: from a hub on this machine, without a network."""

import hashlib
import io
import json
import time
import zipfile

import pytest
from click.testing import CliRunner

from segbench.cli import cli
from segbench.data.challenge_npz import write_arrays
from segbench.runs.job import close_models
from tests.conftest import small_case
from tests.hub import COMMITS, Hub, serve_hub
from tests.processes import run_without

REPO = "datasets/junma/CVPR-BiomedSegFM"
NAMES = ("CT_Toy_001", "US_Toy_002")


def npz(tmp_path, case, *keys):
    """Return the bytes of a case with some of its keys."""
    arrays = {"imgs": case.image.voxels, "gts": case.reference, "spacing": case.image.spacing}
    file = tmp_path / "case.npz"
    write_arrays(file, {key: arrays[key] for key in keys})
    return file.read_bytes()


def sha256(content):
    return hashlib.sha256(content).hexdigest().encode()


def zipped(entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def files(tmp_path):
    """Return a split of files: images, two kinds of references, training cases, others."""
    found = {"README.md": b"card", "3D_train_npz_all/CT/x.npz": b"too large"}
    for seed, name in enumerate(NAMES):
        case = small_case(name, with_boxes=False, seed=seed)
        image, reference = npz(tmp_path, case, "imgs", "spacing"), npz(tmp_path, case, "gts")
        found[f"3D_val_npz/{name}.npz"] = image
        found[f"3D_val_gt/3D_val_gt_interactive/{name}.npz"] = reference
        found[f"3D_val_gt/3D_val_gt_text/{name}.npz"] = b"other labels"
        whole = npz(tmp_path, case, "imgs", "gts", "spacing")
        found[f"3D_train_npz_random_10percent_16G/{name[:2]}/Toy/{name}.npz"] = whole
    return found


@pytest.fixture
def served(files):
    with serve_hub(Hub(REPO, {}, files)) as hub:
        yield hub


def fetch(hub, out, *words, **options):
    words = ["fetch", "segfm3d", "--out", str(out), "--endpoint", hub.url, *words]
    return CliRunner().invoke(cli, words, catch_exceptions=False, **options)


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "segbench-fetch" not in path.name
    }


def expected_val(files):
    images = {f"images/{n}.npz": files[f"3D_val_npz/{n}.npz"] for n in NAMES}
    path = "3D_val_gt/3D_val_gt_interactive"
    return images | {f"references/{n}.npz": files[f"{path}/{n}.npz"] for n in NAMES}


def test_validation_cases_are_placed_as_a_run_wants_them(served, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the run folder is in the working directory
    done = fetch(served, tmp_path / "data", "--accept-licence")
    assert done.exit_code == 0, done.output
    assert tree(tmp_path / "data") == expected_val(files)
    assert not (tmp_path / "data" / ".downloads").exists()
    *_, command = done.stdout.splitlines()
    assert command.split()[:4] == ["segbench", "run", "--model", "boxfill"]
    ran = CliRunner().invoke(cli, command.split()[1:], catch_exceptions=False)
    close_models()
    assert ran.exit_code == 0, ran.output
    assert "2 cases" in ran.stdout


def test_the_coreset_keeps_its_folders(served, tmp_path):
    done = fetch(served, tmp_path / "data", "--split", "coreset", "--accept-licence")
    assert done.exit_code == 0, done.output
    assert set(tree(tmp_path / "data")) == {
        "cases/CT/Toy/CT_Toy_001.npz",
        "cases/US/Toy/US_Toy_002.npz",
    }
    command = f"{done.stdout.splitlines()[-1]} --in-process --out {tmp_path / 'run'}"
    ran = CliRunner().invoke(cli, command.split()[1:], catch_exceptions=False)
    close_models()
    assert ran.exit_code == 0, ran.output


def test_archives_give_the_same_files(files, tmp_path):
    image = {f"3D_val_npz/{n}.npz": files[f"3D_val_npz/{n}.npz"] for n in NAMES}
    references = {f"{n}.npz": files[f"3D_val_gt/3D_val_gt_interactive/{n}.npz"] for n in NAMES}
    archives = {
        "README.md": b"card",
        "3D_val_npz.zip": zipped(image),
        "3D_val_gt_interactive_seg.zip": zipped(references),
        "3D_val_gt_text.zip": zipped({"CT_Toy_001.npz": b"other labels"}),
    }
    with serve_hub(Hub(REPO, {}, archives)) as hub:
        done = fetch(hub, tmp_path / "data", "--accept-licence")
        assert done.exit_code == 0, done.output
        assert tree(tmp_path / "data") == expected_val(files)
        again = fetch(hub, tmp_path / "data", "--accept-licence")
        assert "0 of 2 files to download" in again.stdout


def test_a_reference_goes_where_its_image_is(files, tmp_path):
    moved = {"README.md": b"card"}
    for name in NAMES:
        moved[f"3D_val_npz/{name[:2]}/{name}.npz"] = files[f"3D_val_npz/{name}.npz"]
        path = f"3D_val_gt/3D_val_gt_interactive/{name}.npz"
        moved[path] = files[path]
    with serve_hub(Hub(REPO, {}, moved)) as hub:
        fetch(hub, tmp_path / "data", "--accept-licence")
    assert set(tree(tmp_path / "data")) == {
        f"{role}/{name[:2]}/{name}.npz" for role in ("images", "references") for name in NAMES
    }


def test_the_licence_is_shown_first_and_no_means_nothing(served, tmp_path):
    done = fetch(served, tmp_path / "data", input="n\n")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "segfm3d, val"
    assert lines[1].startswith("licence: CC BY-NC-SA 4.0")
    assert "huggingface.co/datasets/junma/CVPR-BiomedSegFM" in done.stdout
    assert "nothing was downloaded, --accept-licence answers yes" in done.stderr
    assert not (tmp_path / "data").exists()
    assert not any(path.endswith(".npz") for _, path in served.requests)
    assert fetch(served, tmp_path / "data", input="y\n").exit_code == 0


def test_the_revision_is_recorded_and_kept(served, files, tmp_path):
    fetch(served, tmp_path / "data", "--accept-licence")
    record = (tmp_path / "data" / "segbench-fetch-val.jsonl").read_text().splitlines()
    header, *lines = map(json.loads, record)
    assert header["revision"] == COMMITS[1]
    assert header["licence"].startswith("CC BY-NC-SA 4.0")
    assert len(lines) == 4
    assert str(tmp_path) not in "".join(record)
    served.files[COMMITS[0]] = files
    done = fetch(served, tmp_path / "data", "--accept-licence", "--revision", COMMITS[0])
    assert done.exit_code == 2
    assert f"expected revision {COMMITS[1]}, of which files are there, found" in done.stderr


def test_a_pinned_revision_is_downloaded(served, files, tmp_path):
    served.files[COMMITS[0]] = files | {"3D_val_npz/CT_Toy_001.npz": b"older"}
    done = fetch(served, tmp_path / "data", "--accept-licence", "--revision", COMMITS[0])
    assert f"revision {COMMITS[0]}" in done.stdout
    assert (tmp_path / "data" / "images" / "CT_Toy_001.npz").read_bytes() == b"older"


def test_what_is_there_is_not_downloaded_again(served, files, tmp_path):
    fetch(served, tmp_path / "data", "--accept-licence")
    served.requests.clear()
    (tmp_path / "data" / "images" / "CT_Toy_001.npz").unlink()
    done = fetch(served, tmp_path / "data", "--accept-licence")
    assert "1 of 4 files to download" in done.stdout
    got = {path.rsplit("/", 1)[1] for kind, path in served.requests if kind == "GET"}
    assert {name for name in got if ".npz" in name} == {"CT_Toy_001.npz"}
    assert tree(tmp_path / "data") == expected_val(files)


def test_a_broken_connection_is_taken_up_again(served, files, tmp_path):
    large = f"3D_val_npz/{NAMES[0]}.npz"
    files[large] = bytes(range(256)) * (24 << 12)  # 24 MB; the client writes 10 MB at a time
    served.truncated_responses = 1
    done = fetch(served, tmp_path / "data", "--accept-licence")
    assert done.exit_code == 0, done.output
    assert [path.endswith(large) for path in served.resumed] == [True]
    assert tree(tmp_path / "data") == expected_val(files)


def test_a_call_that_broke_off_keeps_whole_files(served, files, tmp_path):
    (tmp_path / "data").mkdir()
    last = f"3D_val_gt/3D_val_gt_interactive/{NAMES[1]}.npz"
    content = files.pop(last)
    files[last] = content + b"!"
    listed = served.listing
    served.listing = lambda url: (
        (listed(url) or b"").replace(sha256(content + b"!"), sha256(content)) or None
    )
    done = fetch(served, tmp_path / "data", "--accept-licence")
    assert done.exit_code == 2
    assert "expected sha256" in done.stderr
    assert len(list((tmp_path / "data").rglob("*.npz"))) == 3
    files[last] = content
    done = fetch(served, tmp_path / "data", "--accept-licence")
    assert done.exit_code == 0, done.output
    assert "1 of 4 files to download" in done.stdout
    assert tree(tmp_path / "data") == expected_val(files)


def test_a_download_that_fails_names_the_page(served, tmp_path, monkeypatch):
    # huggingface_hub tries again after a second, five times
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    served.truncates_responses = True
    done = fetch(served, tmp_path / "data", "--accept-licence")
    assert done.exit_code == 2
    assert "check the network, or get the files from https://huggingface.co/data" in done.stderr


def test_a_crash_between_a_file_and_its_line_costs_one_download(served, files, tmp_path):
    fetch(served, tmp_path / "data", "--accept-licence")
    record = tmp_path / "data" / "segbench-fetch-val.jsonl"
    record.write_text(record.read_text()[:-20])  # the last line is cut
    done = fetch(served, tmp_path / "data", "--accept-licence")
    assert done.exit_code == 0, done.output
    assert "1 of 4 files to download" in done.stdout
    assert tree(tmp_path / "data") == expected_val(files)
    assert all(json.loads(line) for line in record.read_text().splitlines())


def test_a_file_of_somebody_else_stays(served, tmp_path):
    mine = tmp_path / "data" / "images" / "US_Toy_002.npz"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    done = fetch(served, tmp_path / "data", "--accept-licence")
    assert done.exit_code == 2
    assert "US_Toy_002.npz: expected nothing or the case that was downloaded" in done.stderr
    assert mine.read_bytes() == b"mine"


def test_a_file_with_another_checksum_is_refused(served, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "tests.hub.file_entry",
        lambda path, content: {
            **{"type": "file", "path": path, "size": len(content), "oid": "f"},
            "lfs": {"oid": "0" * 64, "size": len(content), "pointerSize": 1},
        },
    )
    done = fetch(served, tmp_path / "data", "--accept-licence")
    assert done.exit_code == 2
    assert f"expected sha256 {'0' * 64}, found" in done.stderr
    assert not list((tmp_path / "data").rglob("*.npz"))


def test_an_archive_that_leads_out_is_refused(files, tmp_path):
    evil = {"README.md": b"card", "3D_val_npz.zip": zipped({"../../evil.npz": b"evil"})}
    evil["3D_val_gt/3D_val_gt_interactive/a.npz"] = b"reference"
    with serve_hub(Hub(REPO, {}, evil)) as hub:
        done = fetch(hub, tmp_path / "data", "--accept-licence")
    assert done.exit_code == 2
    assert "3D_val_npz.zip: expected names inside of it, found '../../evil.npz'" in done.stderr
    assert not list(tmp_path.rglob("evil.npz"))


def test_a_path_of_the_hub_that_leads_out_is_refused(files, tmp_path):
    evil = files | {"3D_val_npz/../../../evil.npz": b"evil"}
    with serve_hub(Hub(REPO, {}, evil)) as hub:
        done = fetch(hub, tmp_path / "data", "--accept-licence")
    assert done.exit_code == 2
    assert "evil.npz: expected a path inside of the repository" in done.stderr
    assert not list(tmp_path.rglob("evil.npz"))


def test_a_repository_without_the_folders_is_named(tmp_path):
    with serve_hub(Hub(REPO, {}, {"README.md": b"card", "data/a.npz": b""})) as hub:
        done = fetch(hub, tmp_path / "data", "--accept-licence")
    assert done.exit_code == 2
    assert "expected images and references of val, found none at revision" in done.stderr
    assert "look at https://huggingface.co/datasets/" in done.stderr


def test_without_a_server_it_gives_up_within_ten_seconds(tmp_path):
    began = time.monotonic()
    words = ["fetch", "segfm3d", "--out", str(tmp_path / "data"), "--accept-licence"]
    done = CliRunner().invoke(cli, [*words, "--endpoint", "http://127.0.0.1:9"])
    assert time.monotonic() - began < 10
    assert done.exit_code == 2
    assert "get the files from https://huggingface.co/datasets/junma/CVPR" in done.stderr
    assert not (tmp_path / "data").exists()


def test_without_huggingface_hub_the_extra_is_named(tmp_path):
    words = ["fetch", "segfm3d", "--out", tmp_path / "data", "--accept-licence"]
    status, errors = run_without("huggingface_hub", *words)
    assert status == 2
    assert errors.endswith(
        "expected the package huggingface_hub to get it, found none; "
        "pip install 'segbench[models]'\n"
    )
