"""The table of surface normals of the package surface-distance, read without the package itself.

``import surface_distance`` imports scipy.ndimage, which takes more than twice the time of all that
a score needs otherwise. The table is in a module that imports numpy only.
"""

from __future__ import annotations

from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec

PACKAGE, MODULE = "surface_distance", "lookup_tables"

Normals = list[list[float]]  # one for each triangle of a surface, (z, y, x)


@cache
def published_normals() -> list[Normals]:
    """Return the normals of the surface at a corner, for each code of the voxels around it.

    Raises
    ------
    ModuleNotFoundError
        If surface-distance is not installed or has no such table.
    """
    package = find_spec(PACKAGE)  # finds the package, imports nothing
    folders = package.submodule_search_locations if package else None
    found = PathFinder.find_spec(MODULE, folders or [])
    if found is None or found.loader is None:
        raise ModuleNotFoundError(f"no module named '{PACKAGE}.{MODULE}'", name=PACKAGE)
    module = module_from_spec(found)
    found.loader.exec_module(module)
    normals: list[Normals] = module._NEIGHBOUR_CODE_TO_NORMALS
    return normals
