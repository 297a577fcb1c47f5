"""Run folders made from results, without a model."""

import pytest

from segbench.core import AdapterInfo, Settings
from segbench.runs.run_folder import write_case_result, write_manifest
from tests.manifests import manifest


@pytest.fixture
def run(tmp_path):
    def make(name, cases, *, folder=None, settings=Settings(), planned=None, **info):
        out = tmp_path / (folder or name)
        facts = manifest(
            AdapterInfo(name, **info), settings=settings, n_cases=planned or max(len(cases), 1)
        )
        write_manifest(out, facts)
        for result in cases:
            write_case_result(out, result)
        return out

    return make
