"""Cases replayed by segbench or by the reference implementation, with what they cost.

``python -m tests.bench.replay FOLDER segbench boxes`` prints CPU seconds, wall seconds, the peak
memory above the label maps, clicks and scores as JSON. It is a process of its own, because memory
that one implementation has freed hides what the other one needs.
"""

import argparse
import json
import re
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from segbench.protocol.mask_pairs import PreparedReference
from segbench.protocol.metrics import NsdSettings
from segbench.protocol.scoring import score_pairs
from segbench.protocol.simulator import next_clicks
from tests.bench import reference as plain
from tests.bench.volumes import Volume, corrected
from tests.bench.without import TRICKS

N_STEPS = 6


@dataclass
class Stopwatch:
    """CPU seconds, wall seconds and peak memory by phase, memory in MB above the beginning."""

    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    wall: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    extra_mb: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    start_mb: float = field(default_factory=lambda: memory_mb("VmRSS"))

    @contextmanager
    def phase(self, name):
        # not ru_maxrss, which starts at the peak of the process that started this one
        Path("/proc/self/clear_refs").write_text("5")  # the peak is reset
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.cpu[name] += time.process_time() - cpu
        self.wall[name] += time.perf_counter() - wall
        self.extra_mb[name] = max(self.extra_mb[name], memory_mb("VmHWM") - self.start_mb)


def memory_mb(what: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", status)[1]) / 1024


class Fast:
    """segbench: what is kept over steps is prepared again for each replay."""

    def __init__(self, volume: Volume, watch: Stopwatch):
        self.watch, self.nsd = watch, NsdSettings.of(volume.spacing)
        with watch.phase("scores"):
            self.reference = PreparedReference(volume.reference, volume.labels)
        self.pairs = None

    def scores(self, prediction):
        with self.watch.phase("scores"):
            self.pairs = self.reference.compare(prediction)
            scores = score_pairs(self.pairs, 0, self.nsd)
        return [score.dsc for score in scores], [score.nsd for score in scores]

    def clicks(self, prediction):
        """Place clicks by the mask pairs that were scored; nothing was scored before a box."""
        with self.watch.phase("clicks"):
            pairs = self.reference.compare(prediction) if self.pairs is None else self.pairs
            return next_clicks(pairs)


class Plain:
    """The reference implementation."""

    def __init__(self, volume: Volume, watch: Stopwatch):
        self.watch, self.volume = watch, volume

    def scores(self, prediction):
        known = self.volume.reference, self.volume.labels, self.volume.spacing
        with self.watch.phase("scores"):
            return plain.scores(prediction, *known)

    def clicks(self, prediction):
        with self.watch.phase("clicks"):
            return plain.clicks(prediction, self.volume.reference, self.volume.labels)


IMPLEMENTATIONS = {"segbench": Fast, "plain": Plain}


def replay(
    volume: Volume, implementation: str, watch: Stopwatch, *, boxes: bool, n_steps: int = N_STEPS
):
    """Yield clicks, DSC and NSD of each step; predictions get better around each click.

    With boxes the first prediction is that of the volume; without, it is the result of clicks on
    nothing. Making predictions is not part of the phases.
    """
    case = IMPLEMENTATIONS[implementation](volume, watch)
    clicks, prediction, buffer = (), volume.prediction, volume.buffer
    if buffer is None:
        prediction, buffer = prediction.copy(), np.empty_like(prediction)
    if not boxes:
        buffer[:] = 0
        clicks = case.clicks(buffer)
    for step in range(0 if boxes else 1, n_steps):
        yield clicks, *case.scores(prediction)
        if step < n_steps - 1:
            clicks = case.clicks(prediction)
            prediction, buffer = corrected(prediction, volume.reference, clicks, buffer), prediction


def one_step(volume: Volume, implementation: str, watch: Stopwatch):
    """Yield what one step gives: what is made once a case is part of it."""
    case = IMPLEMENTATIONS[implementation](volume, watch)
    scores = case.scores(volume.prediction)
    yield case.clicks(volume.prediction), *scores


REPLAYS = {
    "boxes": lambda *what: replay(*what, boxes=True),
    "no-boxes": lambda *what: replay(*what, boxes=False),
    "step": one_step,
    "empty": one_step,
}


def load(folder: Path) -> Volume:
    arrays = (np.load(folder / f"{name}.npy") for name in ("reference", "prediction"))
    return Volume(*arrays, tuple(np.load(folder / "spacing.npy").tolist()))


def save(volume: Volume, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("reference", "prediction", "spacing"):
        np.save(folder / f"{name}.npy", getattr(volume, name))


def main(folder: Path, implementation: str, kind: str, without: str | None) -> None:
    if without is not None:
        TRICKS[without]()
    volume = load(folder)
    if kind == "empty":
        volume.prediction[:] = 0
    # predictions come from a model, which is not measured: their memory is allocated before
    volume = replace(volume, buffer=np.full_like(volume.prediction, 1))
    facts, watch = [], Stopwatch()
    for interactions, dsc, nsd in REPLAYS[kind](volume, implementation, watch):
        clicks = [[click.label, *click.voxel, click.positive] for click in interactions]
        facts.append({"clicks": clicks, "dsc": dsc, "nsd": nsd})
    cost = {"cpu": watch.cpu, "wall": watch.wall, "extra_mb": watch.extra_mb}
    json.dump({**cost, "steps": facts}, sys.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("implementation", choices=IMPLEMENTATIONS)
    parser.add_argument("kind", choices=REPLAYS)
    parser.add_argument("--without", choices=TRICKS)
    main(**vars(parser.parse_args()))
