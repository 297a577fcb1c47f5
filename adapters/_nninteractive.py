"""Shared by both nnInteractive adapters: the options, the session, the replay of prompts.

nnInteractive (Isensee, Rokuss, Krämer et al., arXiv:2503.08373) runs through its own inference
session. A session has state: the strength of a click decays with every later one, and its mask
is the one before other labels overwrote it. So only the image is kept between steps: for each
label the previous segmentation is set, all prompts are replayed, oldest first, and the network
runs once, at the newest prompt, as in the authors' challenge submission.

The session places some of its full-resolution patches at random, with numpy's global generator.
The generator is seeded for each label of each step.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from segbench.core import AdapterInfo, Box, Image, Interactions, LabelMap, Mask, Prompt
from segbench.errors import AdapterError
from segbench_adapters import kit

from ._nninteractive_model import TrainedModel, read_model, require_torch_modules

REVISION = "2"  # of this replay: increase it when outputs may change


@dataclass(frozen=True)
class Options:
    """The options of both adapters, as ``make_adapter`` describes them."""

    model: str
    fold: str = ""
    device: str = "auto"
    autozoom: bool = True
    decay: float | None = None
    perfect: str = "again"
    seed: int = 0
    trust: bool = False

    def check(self, name: str) -> None:
        """Refuse numbers out of range."""
        if not 0 <= self.seed < 1 << 32:
            raise AdapterError(f"{name}: seed: expected a number below 2**32, found {self.seed}")
        if self.decay is not None and not 0 < self.decay <= 1:
            raise AdapterError(
                f"{name}: decay: expected a number above 0, at most 1, found {self.decay}"
            )


@dataclass(frozen=True)
class Release:
    """A release of nnInteractive, and how its session is set up."""

    name: str
    packages: Mapping[str, str]  # distribution -> prefix of its version
    session_files: tuple[str, ...]  # of the model's folder; the first that exists is used
    session_options: Mapping[str, bool]
    prepare: Callable[[Any], None] | None = None  # called after loading


class NnInteractive:
    """A session to which all prompts are added again at each step, label by label."""

    def __init__(self, session: Any, info: AdapterInfo, *, perfect: str, seed: int) -> None:
        self.info, self._session, self._perfect, self._seed = info, session, perfect, seed

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Set a new image; the session normalises it by its non-zero region."""
        import torch

        if not image.voxels.any():
            raise AdapterError(f"{self.info.name}: an image of zeros cannot be normalised")
        self._labels, self._shape = labels, image.voxels.shape
        self._target = torch.zeros(self._shape, dtype=torch.uint8)
        with stdout_suppressed():
            self._session.set_image(kit.finite_image(image.voxels)[None].astype(np.float32))
            self._session.set_target_buffer(self._target)
            self._session._finish_preprocessing_and_initialize_interactions()

    def predict(self, interactions: Interactions) -> LabelMap:
        """Segment label by label; later labels overwrite earlier ones, as in the submission."""
        segmentation = np.zeros(self._shape, kit.label_map_dtype(self._labels))
        for label in self._labels:
            segmentation[self._label_mask(label, interactions)] = label
        return segmentation

    def close(self) -> None:
        """Release the image."""
        with stdout_suppressed():
            self._session._reset_session()

    def _label_mask(self, label: int, interactions: Interactions) -> Mask:
        rounds = [
            [prompt for prompt in round_ if prompt.label == label] for round_ in interactions.rounds
        ]
        steps_without_click = [
            step for step, prompts in enumerate(rounds) if step > 0 and not prompts
        ]
        if steps_without_click and self._perfect == "fail":
            raise AdapterError(
                f"{self.info.name}: label {label} got no click in step {steps_without_click[0]}, "
                "on which the challenge submission fails (perfect=fail)"
            )
        prompts = [prompt for round_ in rounds for prompt in round_]
        previous: Mask = interactions.previous_segmentation == label
        keeps_mask = self._perfect == "keep" and interactions.step in steps_without_click
        return previous if keeps_mask or not prompts else self._predict_mask(previous, prompts)

    def _predict_mask(self, previous: Mask, prompts: Sequence[Prompt]) -> Mask:
        """Return the session's mask after the previous mask and all prompts, in this order."""
        session = self._session
        with stdout_suppressed(), seeded(self._seed):
            session.new_interaction_centers, session.new_interaction_zoom_out_factors = [], []
            session.reset_interactions()
            if previous.any():
                session.add_initial_seg_interaction(previous.astype(np.uint8), run_prediction=False)
            for prompt in prompts:
                add_prompt(session, prompt)
            # 1.0.1 would run the network once per prompt
            del session.new_interaction_centers[:-1]
            del session.new_interaction_zoom_out_factors[:-1]
            session._predict()
        return self._target.numpy() > 0


def add_prompt(session: Any, prompt: Prompt) -> None:
    """Add one prompt to a session without running the network."""
    if isinstance(prompt, Box):
        bounds = [[low, high] for low, high in zip(prompt.low, prompt.high)]
        session.add_bbox_interaction(bounds, include_interaction=True, run_prediction=False)
    else:
        session.add_point_interaction(
            prompt.voxel, include_interaction=prompt.positive, run_prediction=False
        )


def load_adapter(release: Release, options: Options) -> NnInteractive:
    """Return the adapter for one release.

    Raises
    ------
    AdapterError
        A number out of range, a missing or malformed model folder, a checkpoint that would
        execute code, or an environment that is not the release's.
    """
    options.check(release.name)
    model = read_model(release.name, options.model, options.fold, release.session_files)
    versions = check_packages(release)
    session = load_session(release, model, options)
    if options.decay is not None:
        session.interaction_decay = options.decay
    note = session_note(session, model, decay_given=options.decay is not None)
    info = AdapterInfo(
        name=release.name,
        version=f"{REVISION} ({versions})",
        licence=f"Apache-2.0 (code); weights: {model.licence}",
        weights_sha256=kit.sha256_of(model.checkpoint),
        deterministic=session.device.type == "cpu",
        note=f"{note}, seed {options.seed}",
    )
    return NnInteractive(session, info, perfect=options.perfect, seed=options.seed)


def check_packages(release: Release) -> str:
    """Return the package versions; refuse other releases, which behave differently."""
    found = {}
    for package, prefix in release.packages.items():
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "none"
        if not f"{found[package]}.".startswith(f"{prefix}."):
            raise AdapterError(
                f"{release.name}: expected {package} {prefix} in {sys.executable}, found "
                f"{found[package]}; the header of the adapter's file declares its environment: "
                "install uv to build it (pip install uv), or pass --python INTERPRETER"
            )
    return ", ".join(f"{package} {version}" for package, version in found.items())


def load_session(release: Release, model: TrainedModel, options: Options) -> Any:
    """Return a session of the installed package with the model loaded."""
    import torch

    guard = contextlib.nullcontext() if options.trust else kit.loading_safely(model.checkpoint)
    with contextlib.redirect_stdout(sys.stderr), guard:
        if not options.trust:
            require_torch_modules(release.name, model.plans)
        module = importlib.import_module("nnInteractive.inference.inference_session")
        session = module.nnInteractiveInferenceSession(
            device=kit.select_device(options.device),
            torch_n_threads=torch.get_num_threads(),  # the session sets the number
            do_autozoom=options.autozoom,
            **release.session_options,
        )
        try:
            session.initialize_from_trained_model_folder(str(model.folder), use_fold=model.fold)
        except (KeyError, RuntimeError) as error:
            raise AdapterError(
                f"{release.name}: {model.checkpoint}: expected weights that fit the folder's "
                f"plans, found {type(error).__name__}: {' '.join(str(error).split())[:300]}"
            ) from error
        if release.prepare is not None:
            release.prepare(session)
    return session


def session_note(session: Any, model: TrainedModel, *, decay_given: bool) -> str:
    """Return the facts about model and session that a report must state."""
    source = (
        "given" if decay_given else "recorded" if model.records_decay else "the package's default"
    )
    patch = "x".join(map(str, session.configuration_manager.patch_size))
    zoom = "" if session.do_autozoom else ", no autozoom"
    return f"fold {model.fold}, patch {patch}, decay {session.interaction_decay} ({source}){zoom}"


@contextlib.contextmanager
def stdout_suppressed() -> Iterator[None]:
    """Drop what the session prints: several lines per prompt."""
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        yield


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed numpy's global generator, which the session uses, and restore its state."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
