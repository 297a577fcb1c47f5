"""The table of normals is the published one, and its absence is named."""

import pytest
from surface_distance import lookup_tables

from segbench.protocol import surface_normals


def test_the_normals_are_those_of_the_published_package():
    assert surface_normals.published_normals() == lookup_tables._NEIGHBOUR_CODE_TO_NORMALS
    assert len(surface_normals.published_normals()) == 256


@pytest.mark.parametrize(
    ("package", "module"), [("surface_distance_2", "lookup_tables"), ("surface_distance", "tables")]
)
def test_a_missing_table_is_named(monkeypatch, package, module):
    monkeypatch.setattr(surface_normals, "PACKAGE", package)
    monkeypatch.setattr(surface_normals, "MODULE", module)
    with pytest.raises(ModuleNotFoundError, match=f"no module named '{package}.{module}'"):
        surface_normals.published_normals.__wrapped__()
