"""An official metrics CSV compared with its stored predictions, scored again.

``find_parity`` goes from the folders to a `Parity`; ``stored_maps`` and ``rescored`` score,
``row_tests``, ``step_tests``, ``summary_tests`` and ``folder_tests`` establish causes, and
``parity_text`` shows them.
"""

from segbench.report.parity.causes import CAUSES, Difference
from segbench.report.parity.find_parity import Parity, parity
from segbench.report.parity.parity_text import parity_csv, parity_frame, parity_json, parity_text

__all__ = [
    "CAUSES",
    "Difference",
    "Parity",
    "parity",
    "parity_csv",
    "parity_frame",
    "parity_json",
    "parity_text",
]
