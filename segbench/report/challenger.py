"""Scores of ranked methods as a table for the R package challengeR.

References
----------
Wiesenfarth et al., Sci Rep 11:2369 (2021), doi:10.1038/s41598-021-82017-6: challengeR.
"""

from __future__ import annotations

import pandas as pd

from segbench.errors import RunError
from segbench.report.case_scores import ranked_only
from segbench.report.comparison import KEY
from segbench.report.frames import MEASURES, Results

COLUMNS = ("task", "algorithm", "case", "value")
HASH_LENGTH = 8


def challenger_frame(results: Results) -> pd.DataFrame:
    """Return one row per measure, case and ranked method, as challengeR reads them.

    Returns
    -------
    DataFrame with the columns
        task : the measure, such as "DSC AUC"
        algorithm : the method
        case : its name; where two methods have different files of that name, also their hash
        value : the score under the policy of the results, higher is better; NaN where the method
            has no score of the case. A case that no method has scored is left out.

    Raises
    ------
    RunError
        If no ranked method has a scored case.
    """
    cases = ranked_only(results.cases)
    methods = pd.unique(cases["method"])
    scored = cases[cases["scored"].astype(bool)]
    if scored.empty:
        raise RunError("challenger: expected a ranked run with a scored case, found none")
    scores = scored.assign(case=_case_names(scored)).set_index(["case", "method"])[list(MEASURES)]
    names = sorted(set(scores.index.get_level_values("case")))
    complete = scores.reindex(pd.MultiIndex.from_product([names, methods]))
    parts = [
        pd.DataFrame(
            {
                "task": title,
                "algorithm": complete.index.get_level_values(1),
                "case": complete.index.get_level_values(0),
                "value": complete[measure].to_numpy(),
            }
        )
        for measure, title in MEASURES.items()
    ]
    return pd.concat(parts, ignore_index=True)


def challenger_files(results: Results) -> dict[str, bytes]:
    """Return ``challenger.csv``: exact floats, NA where there is no score."""
    text = challenger_frame(results).to_csv(index=False, na_rep="NA", lineterminator="\n")
    return {"challenger.csv": text.encode("utf-8", "backslashreplace")}


def _case_names(cases: pd.DataFrame) -> pd.Series[str]:
    """Return names that are equal only if the files are."""
    versions = cases[KEY].fillna("").drop_duplicates()
    several = versions["case"][versions["case"].duplicated()]
    hashes = cases[KEY[1:]].fillna("").agg(_short_hash, axis=1)
    return cases["case"].mask(cases["case"].isin(several), cases["case"] + hashes)


def _short_hash(files: pd.Series[str]) -> str:
    return f" ({' '.join(sha256[:HASH_LENGTH] for sha256 in files if sha256)})"
