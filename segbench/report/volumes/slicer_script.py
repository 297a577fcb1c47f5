"""The script that opens one case of one run in 3D Slicer.

It names no file by a path of this machine: it looks next to itself.
"""

from __future__ import annotations

from collections.abc import Sequence

SCRIPT = '''\
"""Open this case in 3D Slicer: Slicer --python-script open_in_slicer.py"""
import os, slicer
LABEL_MAPS = {label_maps}
MARKUPS = {markups}
here = os.path.dirname(os.path.abspath(__file__))
tables = {{table: slicer.util.loadColorTable(f"{{here}}/../{{table}}.ctbl")
          for table in ("labels", "errors")}}
image = slicer.util.loadVolume(f"{{here}}/../image.nii.gz")
maps = [slicer.util.loadLabelVolume(f"{{here}}/{{file}}", {{"colorNodeID": tables[table].GetID()}})
        for file, table in LABEL_MAPS]
markups = [slicer.util.loadMarkups(f"{{here}}/{{file}}") for file in MARKUPS]
slicer.util.setSliceViewerLayers(background=image, label=maps[-1], fit=True)
'''


def slicer_script(
    label_maps: Sequence[str], error_maps: Sequence[str], markups: Sequence[str]
) -> str:
    """Return the script; the last label map is the one that it shows."""
    files = [("../reference.nii.gz", "labels"), *((file, "errors") for file in error_maps)]
    files += [(file, "labels") for file in label_maps]
    return SCRIPT.format(label_maps=files, markups=list(markups))
