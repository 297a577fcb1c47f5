"""Clicks that hurt: the share of clicks after which their label's DSC is lower.

``python -m tests.bench.harmful_clicks RUN...`` prints the shares of run folders.
"""

import argparse
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.core import Click
from segbench.results import CaseResult
from segbench.runs.run_folder import read_run

MAX_FALL = 0.01  # of DSC; a click that lowers it by more hurts


@dataclass(frozen=True)
class ClickEffect:
    """What one click did to the DSC of its label."""

    case: str
    modality: str
    step: int
    click: Click
    change: float

    @property
    def hurts(self) -> bool:
        """Whether the DSC fell by more than the tolerance."""
        return self.change < -MAX_FALL


def click_effects(results: Iterable[CaseResult]) -> Iterator[ClickEffect]:
    """Yield the effect of every click; one without a score before or after it has none."""
    for result in results:
        dsc = {(s.step, s.label): s.dsc for step in result.steps for s in step.scores}
        for step, prompts in enumerate(result.rounds):
            for click in prompts:
                before, after = dsc.get((step - 1, click.label)), dsc.get((step, click.label))
                if isinstance(click, Click) and None not in (before, after):
                    yield ClickEffect(result.case, result.modality, step, click, after - before)


def harmful_share(effects: Sequence[ClickEffect]) -> float:
    """Return the share of clicks that hurt; NaN of none."""
    return sum(effect.hurts for effect in effects) / len(effects) if effects else math.nan


def described(effects: Sequence[ClickEffect]) -> str:
    """Return the shares of all, of positive and of background clicks as text."""
    positive = [effect for effect in effects if effect.click.positive]
    background = [effect for effect in effects if not effect.click.positive]
    groups = {"all": effects, "positive": positive, "background": background}
    return ", ".join(
        f"{name} {harmful_share(group):.1%} of {len(group)}" for name, group in groups.items()
    )


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    for folder in parser.parse_args().runs:
        effects = list(click_effects(read_run(folder).case_results))
        print(f"{folder.name}: {described(effects)}")  # noqa: T201
        for modality in sorted({effect.modality for effect in effects}):
            of_modality = [effect for effect in effects if effect.modality == modality]
            print(f"  {modality}: {described(of_modality)}")  # noqa: T201


if __name__ == "__main__":
    _main()
