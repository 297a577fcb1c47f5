"""Reading and writing the challenge's files: every key, both directions, no pickle executed."""

import contextlib
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from segbench.core import Box
from segbench.data.challenge_boxes import BOX_KEYS, box_to_dict, parse_box
from segbench.data.challenge_npz import ChallengeFile, write_arrays, write_case, write_prediction
from segbench.errors import CaseError


class Malicious:
    """Pickles into a call of os.system."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def object_member(payload: bytes) -> bytes:
    """Return the bytes of an .npy of one object, as numpy writes it, with the given pickle."""
    stream = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": (1,)}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + payload


def npz(file: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for key, data in members.items():
            archive.writestr(f"{key}.npy", data)
    return file


def read(file: Path, key: str):
    with ChallengeFile(file) as opened:
        return opened.read(key)


def test_a_case_is_read_as_it_was_written(tmp_path, make_case):
    case = make_case("CT_Toy_001")
    write_case(tmp_path / "a.npz", case)
    with ChallengeFile(tmp_path / "a.npz") as file:
        assert file.keys == ("imgs", "gts", "spacing", "boxes")
        np.testing.assert_array_equal(file.read("imgs"), case.image.voxels)
        assert tuple(file.read("spacing")) == case.image.spacing
        pairs = zip(case.labels, file.read("boxes"), strict=True)
        assert tuple(parse_box(label, raw) for label, raw in pairs) == case.boxes


def test_numpy_reads_what_we_write(tmp_path, make_case):
    write_case(tmp_path / "a.npz", make_case("CT_Toy_001"))
    with np.load(tmp_path / "a.npz", allow_pickle=True) as raw:
        assert raw["boxes"][0]["z_max"] == 5  # inclusive
        assert raw["gts"].max() == 3


def test_we_read_what_numpy_writes(tmp_path):
    clicks = np.empty(2, object)
    clicks[:] = [{"fg": [[1, 2, 3]], "bg": []}, {"fg": [], "bg": [np.int64(4)]}]
    order = np.array([["fg", None], ["bg", "bg"]], object)
    np.savez_compressed(tmp_path / "a.npz", clicks=clicks, clicks_order=order)
    assert read(tmp_path / "a.npz", "clicks").tolist() == clicks.tolist()
    assert read(tmp_path / "a.npz", "clicks_order").tolist() == order.tolist()


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("root", ["numpy.core", "numpy._core"])
def test_pickles_of_numpy_1_and_2_load(tmp_path, protocol, root):
    """The two differ in one name, which is text in the pickle (numpy writes protocol 3 or 4)."""
    if protocol == 2:
        pytest.skip(
            "bytes are pickled through a codec in protocol 2; numpy never wrote it to files"
        )
    inner = {"z_min": np.int64(3), "values": np.arange(4.0), "name": "liver", "none": None}
    array = np.empty(1, object)
    array[0] = inner
    root_written = (
        b"numpy._core" if b"numpy._core" in pickle.dumps(array, protocol) else b"numpy.core"
    )
    payload = _rename(pickle.dumps(array, protocol), root_written, root.encode())
    file = npz(tmp_path / "a.npz", boxes=object_member(payload))
    raw = read(file, "boxes")[0]
    assert raw["z_min"] == 3
    assert raw["values"].tolist() == [0, 1, 2, 3]


def _rename(payload: bytes, old: bytes, new: bytes) -> bytes:
    """Rename modules in a pickle, whose strings are prefixed with their length."""
    for tail in (b".multiarray", b".numeric"):
        was, now = old + tail, new + tail
        payload = payload.replace(b"c" + was + b"\n", b"c" + now + b"\n")
        payload = payload.replace(bytes([len(was)]) + was, bytes([len(now)]) + now)
    # protocol 4 and 5 put opcodes in frames with a length: remove the frames
    while (at := payload.find(b"\x95")) >= 0 and payload[at + 3 : at + 9] == bytes(6):
        payload = payload[:at] + payload[at + 9 :]
    return payload


@pytest.mark.parametrize("key", ["boxes", "clicks", "spacing"])
def test_a_malicious_pickle_is_refused_by_name_and_never_runs(tmp_path, key):
    victim = tmp_path / "victim"
    payload = pickle.dumps(Malicious(f"touch {victim}"))
    file = npz(tmp_path / "a.npz", **{key: object_member(payload)})
    with pytest.raises(
        CaseError, match=r"a\.npz: \w+: expected plain .* names (posix|nt)\.system;"
    ):
        read(file, key)
    assert not victim.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("numpy", "load"),
        ("numpy.core.multiarray", "fromfile"),
        ("functools", "partial"),
        ("pickle", "loads"),
    ],
)
def test_all_names_but_those_of_numpy_arrays_are_refused(tmp_path, module, name):
    payload = f"c{module}\n{name}\n.".encode()
    file = npz(tmp_path / "a.npz", boxes=object_member(payload))
    with pytest.raises(CaseError, match=f"names {module}.{name}"):
        read(file, "boxes")


def dtype_with_state(name, state):
    """Return the opcodes of a dtype with a given state."""
    spelt = pickle.dumps((name, False, True), 3)[2:-1]
    return b"cnumpy\ndtype\n" + spelt + b"R" + pickle.dumps(state, 3)[2:-1] + b"b"


OBJECTS = dtype_with_state("O8", (3, "|", None, None, None, -1, -1, 63))
POINTERS = (3, "|", None, ("a",), {"a": 0}, 8, 1, 0)  # fields, and flags that deny the objects


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (dtype_with_state("V8", POINTERS) + b".", "the dtype 'V8'"),
        (dtype_with_state("i8", POINTERS) + b".", "a structured dtype"),
        (
            b"cnumpy.core.multiarray\nscalar\n" + OBJECTS + b"C\x08AAAAAAAA\x86R.",
            "a scalar of object",
        ),
        (b"cnumpy\nndarray\n}b.", "sets the state of something that has none"),
        (b"cnumpy\nndarray\n.", "holds the name ndarray"),
        (b"cnumpy\nndarray\n(tR.", "is damaged or not of plain arrays"),
        (b"]" + b"(hh" + b".", "is damaged or not of plain arrays"),
        (b"\x80\x04P0\n.", "uses the operation PERSID"),
        (b"(I1\nd.", "uses the operation DICT"),
    ],
)
def test_a_pickle_that_would_mislead_numpy_is_refused(tmp_path, payload, message):
    """A dtype with false flags would turn bytes of the file into pointers to objects."""
    file = npz(tmp_path / "a.npz", boxes=object_member(payload))
    with pytest.raises(CaseError, match=message):
        read(file, "boxes")


def in_array(value):
    """Return a value in an array of objects."""
    array = np.empty(1, object)
    array[0] = value
    return array


def nested(value, wrap, times):
    for _ in range(times):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap", [lambda v: [v], lambda v: (v,), lambda v: {"a": v}, in_array], ids=str
)
def test_values_may_be_nested_20_deep(tmp_path, wrap):
    for levels, message in ((19, None), (20, "unfolds to more than 1000000 values, 20 deep")):
        array = in_array(nested("liver", wrap, levels))  # the array is a level of its own
        file = npz(tmp_path / "a.npz", boxes=object_member(pickle.dumps(array, 3)))
        with pytest.raises(CaseError, match=message) if message else contextlib.nullcontext():
            assert len(read(file, "boxes")) == 1


def test_few_bytes_that_unfold_to_many_values_are_refused(tmp_path):
    for n_lists, message in ((998, None), (1000, "unfolds to more than 1000000 values, 20 deep")):
        shared = list(range(1000))
        array = in_array([shared] * n_lists)
        file = npz(tmp_path / "a.npz", boxes=object_member(pickle.dumps(array, 3)))
        with pytest.raises(CaseError, match=message) if message else contextlib.nullcontext():
            assert len(read(file, "boxes")) == 1


def test_a_memo_with_a_large_index_reserves_no_memory(tmp_path):
    payload = b"K\x01r\xff\xff\xff\x7f."  # a real unpickler reserves gigabytes for this
    file = npz(tmp_path / "a.npz", boxes=object_member(payload))
    with pytest.raises(CaseError, match="holds a int and no array"):
        read(file, "boxes")


def test_a_pickle_above_the_size_limit_is_refused(tmp_path):
    payload = pickle.dumps(b"x" * (1 << 25))
    file = npz(tmp_path / "a.npz", boxes=object_member(payload))
    with pytest.raises(CaseError, match="has 16777217 bytes, more than 16777216"):
        read(file, "boxes")


@pytest.mark.parametrize("payload", [b"", b"garbage", pickle.dumps([1])[:-1], pickle.dumps(5)])
def test_a_damaged_pickle_is_a_case_error(tmp_path, payload):
    file = npz(tmp_path / "a.npz", boxes=object_member(payload))
    with pytest.raises(CaseError, match=r"a\.npz: boxes"):
        read(file, "boxes")


def test_a_truncated_archive_is_a_case_error(tmp_path, make_case):
    file = tmp_path / "a.npz"
    write_case(file, make_case("CT_Toy_001"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(CaseError, match=r"a\.npz: expected an \.npz"):
        ChallengeFile(file)


def test_a_flipped_byte_is_detected(tmp_path, make_case):
    file = tmp_path / "a.npz"
    write_case(file, make_case("CT_Toy_001"))
    data = bytearray(file.read_bytes())
    data[len(data) // 4] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(
        CaseError, match=r"a\.npz: imgs: expected an array that can be read, found BadZip"
    ):
        read(file, "imgs")


def test_a_header_with_a_larger_shape_than_the_file_allocates_no_memory(tmp_path):
    stream = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**6, 10)}
    np.lib.format.write_array_header_1_0(stream, header)
    file = npz(tmp_path / "a.npz", imgs=stream.getvalue())
    with pytest.raises(CaseError, match="expected 10000000000000 x uint8 as in the header, found"):
        read(file, "imgs")


def test_the_error_of_a_missing_key_names_the_existing_ones(tmp_path):
    write_arrays(tmp_path / "a.npz", {"imgs": np.zeros(3)})
    with pytest.raises(CaseError, match="expected a key 'gts', found imgs"):
        read(tmp_path / "a.npz", "gts")


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_order_is_kept(tmp_path, order):
    array = np.asarray(np.arange(24).reshape(2, 3, 4), order=order)
    write_arrays(tmp_path / "a.npz", {"gts": array})
    array_read = read(tmp_path / "a.npz", "gts")
    np.testing.assert_array_equal(array_read, array)
    assert array_read.flags.f_contiguous == (order == "F")


def test_equal_arrays_give_equal_bytes(tmp_path, make_case):
    for name in "ab":
        write_case(tmp_path / f"{name}.npz", make_case("CT_Toy_001"))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_prediction_is_written_as_the_official_file(tmp_path):
    maps = [np.full((2, 3, 4), step, np.uint8) for step in range(6)]
    write_prediction(tmp_path / "a.npz", maps)
    with np.load(tmp_path / "a.npz") as raw:
        assert raw["segs"].shape == (2, 3, 4)
        assert raw["all_segs"].shape == (6, 2, 3, 4)
        assert raw["segs"][0, 0, 0] == 5


def test_box_bounds_are_inclusive_in_the_file_and_half_open_here():
    raw = dict(zip(BOX_KEYS, (1, 5, 3, 10, 20, 11, 22), strict=True))
    box = parse_box(7, raw)
    assert box == Box(7, low=(1, 20, 10), high=(6, 23, 12), mid_slice=3)
    assert box_to_dict(box) == raw
    assert parse_box(7, list(raw.values())) == box


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z_max": 0}, "each min up to its max"),
        ({"z_mid_x_min": -1}, "expected bounds from 0 on"),
        ({"z_min": 1.5}, "int"),
    ],
)
def test_an_empty_or_negative_box_is_refused(change, message):
    raw = dict(zip(BOX_KEYS, (1, 5, 3, 10, 20, 11, 22), strict=True)) | change
    with pytest.raises(ValueError, match=message):
        parse_box(1, raw)
