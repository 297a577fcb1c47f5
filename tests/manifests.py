"""A complete manifest, for tests that need a run folder without a run."""

from segbench.core import AdapterInfo, Settings
from segbench.results import Policy
from segbench.runs.manifest_json import Call, Data, Manifest, Protocol

TOY = AdapterInfo("toy")


def manifest(info=TOY, *, settings=Settings(), n_cases=1) -> Manifest:
    """Return the manifest of one call of an adapter without options."""
    call = Call(
        *("segbench run", "all", Policy(), 1, 1, 900.0, {"versions": {}}, {}, "Linux", None, None),
        written="2026-01-01T00:00:00+00:00",
    )
    return Manifest(
        schema=2,
        protocol=Protocol(settings.protocol, settings.version, settings.hash),
        settings=settings,
        adapter=info,
        adapter_source_sha256="ef" * 32,
        options={},
        boxes="given",
        exact_sum=False,
        name=info.name,
        model=info.name,
        data=Data("/somewhere/val", None, n_cases, "01" * 32),
        calls=(call,),
    )
