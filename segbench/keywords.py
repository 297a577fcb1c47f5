"""Wrong keywords of the public functions are answered with the right one."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Collection
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# what other libraries call it -> what it is called here
SYNONYMS = {
    **dict.fromkeys(("workers", "n_workers", "num_workers", "processes", "n_processes"), "jobs"),
    **dict.fromkeys(("output", "output_dir", "out_dir", "save_dir", "folder", "run_folder"), "out"),
    **dict.fromkeys(("gts", "labels_dir", "reference_dir", "ground_truth"), "references"),
    **dict.fromkeys(("kwargs", "model_kwargs", "config", "params"), "option"),
    **dict.fromkeys(("pattern", "filter", "subset"), "case"),
    **dict.fromkeys(("n_cases", "max_cases", "n", "first"), "limit"),
    **dict.fromkeys(("dataset", "data_dir", "data_path", "images"), "data"),
    **dict.fromkeys(("overwrite", "force", "restart", "clean"), "fresh"),
    **dict.fromkeys(("verbose", "quiet", "show_progress"), "progress"),
    **dict.fromkeys(("timeout",), "step_timeout"),
}
# what an option of a model is often called -> what it is called here
OF_THE_MODEL = {
    **{"device": "device", "gpu": "device", "cuda": "device"},
    **dict.fromkeys(("weights", "checkpoint", "ckpt"), "weights"),
}


def suggest_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function answer an unknown keyword with the most similar one it has."""
    known = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in known:
                raise TypeError(f"{function.__name__}: `{name}`{suggestion(name, known)}")
        return function(*args, **kwargs)

    return checked


def suggestion(name: str, known: Collection[str]) -> str:
    """Return the end of a message on an unknown keyword: the right one, or all of them."""
    if name in OF_THE_MODEL and "option" in known:
        return f": options of the model go into `option`: option={{'{name}': ...}}"
    synonym = SYNONYMS.get(name)
    near = difflib.get_close_matches(name, known, n=1)
    right = synonym if synonym in known else near[0] if near else None
    if right is not None:
        return f": did you mean `{right}`?"
    return f": no such keyword; known: {', '.join(known)}"
