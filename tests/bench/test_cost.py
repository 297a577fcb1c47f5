"""What a case costs compared with the reference implementation, and how the cost grows.

``make bench`` shows the tables; docs/performance.md quotes and explains them. Each replay is a
process of its own. CPU seconds are compared, because wall seconds depend on what else is running.
"""

import itertools
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from segbench.core import Settings
from segbench.protocol.mask_pairs import PreparedReference
from segbench.protocol.metrics import NsdSettings
from segbench.protocol.scoring import score_pairs
from segbench.protocol.simulator import next_clicks
from tests.bench import reference as plain
from tests.bench.replay import IMPLEMENTATIONS, save
from tests.bench.volumes import VOLUMES, Volume, organs, three, with_errors
from tests.bench.without import TRICKS

pytestmark = pytest.mark.slow

BARS = {"three": 60, "organs": 85, "vessel": 58}  # times less CPU for a whole case with boxes
EMPTY_BAR = 12  # for the first step without boxes
MEMORY_BAR = 10  # times less memory above the label maps
WORTH = 0.08  # of a whole case, on one of the volumes; a tenth (decision 0017) less the noise
PHASE_BARS = {"clicks": 30, "DSC": 3, "DSC and NSD": 50}  # with what is kept over steps at hand
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))  # ratios are of the medians of so many
NEVER = Settings(nsd_gate=2)  # DSC alone


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Save the three volumes, so that a replay does not have to make them."""
    root = tmp_path_factory.mktemp("volumes")
    for name, make in VOLUMES.items():
        save(make(), root / name)
    return root


def run(folder, implementation, kind, without=None):
    command = [sys.executable, "-m", "tests.bench.replay", str(folder), implementation, kind]
    command += ["--without", without] if without else []
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def side_by_side(folder, kind, rounds):
    """Return the median by CPU seconds of some runs of both, taken in turns."""
    pairs = [[run(folder, name, kind) for name in IMPLEMENTATIONS] for _ in range(rounds)]
    by_cpu = (sorted(runs, key=lambda found: costs(found)[0]) for runs in zip(*pairs, strict=True))
    return [runs[len(runs) // 2] for runs in by_cpu]


def costs(found, phase=None):
    """Return CPU seconds, wall seconds and peak memory of a replay, or of one phase of it."""
    of = [found[what] for what in ("cpu", "wall", "extra_mb")]
    if phase is not None:
        return [each[phase] for each in of]
    return [*(sum(each.values()) for each in of[:2]), max(of[2].values())]


def ratios(fast, slow, phase=None):
    return [b / a for a, b in zip(costs(fast, phase), costs(slow, phase), strict=True)]


def rows(what, fast, slow):
    """Return a line for the whole replay and one for each phase of it."""
    lines = []
    for phase in (None, "clicks", "scores"):
        (cpu, _, mb), (plain_cpu, _, plain_mb) = costs(fast, phase), costs(slow, phase)
        times, walls, less = ratios(fast, slow, phase)
        lines.append(
            f"{what}, {phase or 'all'}: {plain_cpu:.2f} -> {cpu:.3f} CPU s, {times:.0f}x "
            f"(wall {walls:.0f}x); {plain_mb:.0f} -> {mb:.0f} MB, {less:.1f}x"
        )
    return "\n".join(lines)


@pytest.mark.parametrize("kind", ["boxes", "no-boxes"])
@pytest.mark.parametrize("name", VOLUMES)
def test_a_whole_case_costs_a_fraction(name, kind, folders, show):
    fast, slow = side_by_side(folders / name, kind, ROUNDS if kind == "boxes" else 1)
    show(rows(f"{name}, {kind}", fast, slow))
    assert [step["clicks"] for step in fast["steps"]] == [step["clicks"] for step in slow["steps"]]
    cpu, _, memory = ratios(fast, slow)
    assert kind == "no-boxes" or cpu >= BARS[name]
    assert memory >= MEMORY_BAR


@pytest.mark.parametrize("kind", ["step", "empty"])
@pytest.mark.parametrize("name", VOLUMES)
def test_a_single_step_costs_a_fraction(name, kind, folders, show):
    fast, slow = side_by_side(folders / name, kind, ROUNDS)
    show(rows(f"{name}, {kind}", fast, slow))
    cpu, _, memory = ratios(fast, slow)
    assert cpu >= (EMPTY_BAR if kind == "empty" else 30)
    assert memory >= MEMORY_BAR


def cpu_seconds(work, rounds=ROUNDS):
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


def phases(volume):
    """Return what to call for each phase of a step; what is kept over steps is there already."""
    labels, scored = volume.labels, volume.prediction
    # in turns, because what was counted of a prediction is remembered while it stays
    turns = itertools.cycle((np.roll(scored, 1, axis=2), scored))
    reference = PreparedReference(volume.reference, labels)
    nsd, dsc_only = (NsdSettings.of(volume.spacing, each) for each in (Settings(), NEVER))

    def scores(settings):
        return score_pairs(reference.compare(next(turns)), 0, settings)

    scores(nsd), scores(nsd)
    pairs = reference.compare(scored)
    return {
        "clicks": lambda: next_clicks(pairs),
        "DSC": lambda: scores(dsc_only),
        "DSC and NSD": lambda: scores(nsd),
    }


def plain_phases(volume):
    known = volume.prediction, volume.reference, volume.labels
    return {
        "clicks": lambda: plain.clicks(*known),
        "DSC": lambda: plain.dsc(*known),
        "DSC and NSD": lambda: plain.scores(*known, volume.spacing),
    }


@pytest.mark.parametrize("phase", ["clicks", "DSC", "DSC and NSD"])
@pytest.mark.parametrize("name", VOLUMES)
@pytest.mark.benchmark(timer=time.process_time)
def test_each_phase(name, phase, benchmark, show):
    volume = VOLUMES[name]()
    fast = phases(volume)[phase]
    benchmark.pedantic(fast, rounds=5)
    seconds, slow = cpu_seconds(fast, 5), cpu_seconds(plain_phases(volume)[phase], 1)
    show(f"{name:7} {phase:12} {slow:7.3f} s {seconds * 1e3:6.1f} ms {slow / seconds:6.1f}x")
    assert slow > PHASE_BARS[phase] * seconds


def slope(sizes, seconds):
    """Return the exponent of a power law through the points."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def grown(volume):
    """Return the costs of a step, without those of making what is kept over steps."""
    clicks, _, scores = phases(volume).values()
    return cpu_seconds(clicks) + cpu_seconds(scores)


def surface_of_size(n):
    """Return a volume with n thin plates: surface without much else."""
    reference = np.zeros((160, 256, 256), np.uint8)
    for plate in range(n):
        reference[10 + 4 * plate : 12 + 4 * plate, 20:230, 20:230] = 1
    return Volume(reference, np.roll(reference, 1, 1), (1.0, 1.0, 1.0))


def with_layers_wrong(times):
    volume = three()
    rng = np.random.RandomState(5)
    wrong = with_errors(volume.reference, rng, times=times)
    return Volume(volume.reference, wrong, volume.spacing)


GROWTH = {
    "voxels": [(scale**3, lambda scale=scale: three(scale)) for scale in (0.5, 0.75, 1, 1.4)],
    "labels": [(n, lambda n=n: organs(labels=n)) for n in (2, 4, 8, 13)],
    "surface": [(n, lambda n=n: surface_of_size(n)) for n in (4, 8, 16, 32)],
    "error layers": [(n, lambda n=n: with_layers_wrong(n)) for n in (1, 2, 4, 8)],
}


@pytest.mark.parametrize("what", GROWTH)
def test_the_cost_of_a_step_grows_at_most_in_proportion(what, show):
    sizes, seconds = zip(*((size, grown(make())) for size, make in GROWTH[what]), strict=True)
    exponent = slope(sizes, seconds)
    costs = " ".join(f"{each * 1e3:.0f}" for each in seconds)
    show(f"{what:12} x{sizes[-1] / sizes[0]:.0f}: {costs} ms, exponent {exponent:.2f}")
    assert exponent < 1.3


def test_how_far_the_floor_is(folders, show):
    for name in VOLUMES:
        prediction = np.load(folders / name / "prediction.npy")
        read = cpu_seconds(lambda array=prediction: array.ravel().view(np.uint64).max(), 5)
        volume = VOLUMES[name]()
        spent = grown(volume)
        show(
            f"{name:7} reading the prediction once {read * 1e3:.1f} ms "
            f"({prediction.nbytes / read / 1e9:.0f} GB/s), a step {spent * 1e3:.0f} ms: "
            f"{spent / read:.0f} times"
        )
        assert read < spent < 0.5


@pytest.mark.parametrize("trick", TRICKS)
def test_each_trick_is_worth_its_lines(trick, folders, show):
    worth = []
    for name in VOLUMES:
        pairs = [
            [run(folders / name, "segbench", "boxes", w) for w in (None, trick)]
            for _ in range(ROUNDS)
        ]
        with_it, without = (
            min(costs(found)[0] for found in runs) for runs in zip(*pairs, strict=True)
        )
        worth.append(without / with_it - 1)
    show(
        f"without {trick:26}"
        + " ".join(f"{name} {more:+.0%}" for name, more in zip(VOLUMES, worth, strict=True))
    )
    assert max(worth) >= WORTH
