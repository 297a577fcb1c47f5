"""The memory that a conversion takes: a CT of 512 x 512 x 1500 within 3 GB, whatever its labels."""

import gzip
import subprocess
import sys
import zlib

import nibabel
import numpy as np
import pytest

pytestmark = pytest.mark.slow

SHAPE = (512, 512, 1500)
LIMIT_MB = 3000
MHA = (
    "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
    "CompressedData = {compressed}\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n"
    "ElementSpacing = 0.7 0.7 1\nDimSize = 512 512 1500\nElementType = {kind}\n{size}"
    "ElementDataFile = LOCAL\n"
)
NRRD = (
    "NRRD0004\ntype: {kind}\ndimension: 3\nspace: left-posterior-superior\nsizes: 512 512 1500\n"
    "space directions: (0.7,0,0) (0,0.7,0) (0,0,1)\nkinds: domain domain domain\n"
    "endian: little\nencoding: {encoding}\nspace origin: (0,0,0)\n\n"
)
CONVERT = """
import resource, sys
from pathlib import Path
from segbench.case_conversion import convert
done = convert(*sys.argv[1:3], out=sys.argv[3], modality="CT", name="CT_a", progress=False)
assert done.all_ok, done
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def slices(dtype, *, of_labels):
    """Yield the bytes of one slice after another, in a volume that is neither random nor flat."""
    y, x = np.mgrid[0:512, 0:512]
    noise = np.random.default_rng(0).integers(-40, 40, (512, 512))
    ball = (x - 256) ** 2 + (y - 256) ** 2
    for z in range(SHAPE[2]):
        inside = (ball < 100**2) & (300 < z < 1200)
        values = (
            inside * 2 if of_labels else inside * 60 + np.roll(noise, z, 1) - 1000 * (ball > 250**2)
        )
        yield values.astype(dtype).tobytes()


def nifti_header(dtype):
    header = nibabel.Nifti1Header()
    header.set_data_shape(SHAPE)
    header.set_data_dtype(dtype)
    header.set_sform(np.diag([-0.7, -0.7, 1, 1]), 1)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    return header.binaryblock + bytes(4)


def write(file, dtype, *, of_labels):
    parts = slices(dtype, of_labels=of_labels)
    kind = np.dtype(dtype)
    if file.name.endswith(".nii.gz"):
        with gzip.open(file, "wb", 1) as stream:
            stream.write(nifti_header(dtype))
            stream.writelines(parts)
    elif file.suffix == ".mha":
        compressor = zlib.compressobj(1)
        packed = b"".join(compressor.compress(part) for part in parts) + compressor.flush()
        names = {"float64": "MET_DOUBLE", "int64": "MET_LONG_LONG", "int16": "MET_SHORT"}
        size = f"CompressedDataSize = {len(packed)}\n"
        head = MHA.format(compressed="True", kind=names[kind.name], size=size)
        file.write_bytes(head.encode() + packed)
    else:
        names = {"float64": "double", "int64": "int64"}
        with file.open("wb") as stream:
            stream.write(NRRD.format(kind=names[kind.name], encoding="gzip").encode())
            with gzip.GzipFile("", "wb", 1, stream) as packed:
                packed.writelines(parts)
    return file


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """Return a CT as it is usually stored."""
    file = tmp_path_factory.mktemp("large") / "ct.nii.gz"
    return write(file, np.int16, of_labels=False)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd"])
@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_a_large_ct_with_wide_labels_stays_within_3_gb(tmp_path, show, image, suffix, dtype):
    labels = write(tmp_path / f"labels{suffix}", dtype, of_labels=True)
    words = [sys.executable, "-c", CONVERT, str(image), str(labels), str(tmp_path / "val")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peak = int(done.stdout.split()[-1])
    show(f"labels {np.dtype(dtype).name} as {suffix}: {peak} MB")
    assert peak < LIMIT_MB
