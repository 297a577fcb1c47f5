"""What `segbench.models.contract_check` asks a model, in which order, and what it answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from segbench.contract import ModelHandle
from segbench.core import AdapterInfo, Case, Interactions, StepOutput
from segbench.models.check_cases import (
    N_STEPS,
    check_interactions,
    next_check_interactions,
)
from segbench.protocol.interaction import validated_output


class CheckedModel(ModelHandle, Protocol):
    """A model of which `close` ends the process: the next `predict` starts a fresh one."""

    info: AdapterInfo

    def close(self) -> None:
        """End the process."""


@dataclass(frozen=True)
class RepeatedAnswers:
    """What a model answered to questions that it was asked before, or is asked alone."""

    twice: StepOutput  # the last step, at once again
    out_of_order: StepOutput  # the step before, on a fresh image
    second_image: StepOutput  # after the first one
    first_again: StepOutput  # step 1, after the second image
    second_alone: StepOutput  # in a fresh process
    second_in_order: StepOutput  # the same question after that of the boxes


@dataclass(frozen=True)
class Questions:
    """A model and the two cases that it is asked about."""

    model: CheckedModel
    first: Case
    second: Case

    def in_order(self) -> Iterator[tuple[Interactions, StepOutput]]:
        """Yield each step of the first case and its raw output, until one is not valid."""
        self.model.set_image(self.first.image, self.first.labels)
        asked = check_interactions(self.first, 0)
        for _ in range(N_STEPS):
            output = self.model.predict(asked)
            yield asked, output
            answer = validated_output(output, self.first.image.voxels.shape).segmentation
            if answer is None:
                return
            asked = next_check_interactions(self.first, asked, answer)

    def repeated(self, asked: Sequence[Interactions]) -> RepeatedAnswers:
        """Ask again the steps that were asked in order, and around the second image."""
        twice = self._ask(self.first, asked[-1])
        out_of_order = self.first_image(asked[-2])
        second_image = self.second_image()
        first_again = self.first_image(asked[1])
        self.model.close()
        alone, in_order = self.second_image(), self.second_image(in_order=True)
        return RepeatedAnswers(twice, out_of_order, second_image, first_again, alone, in_order)

    def fresh_process(self, asked: Interactions) -> StepOutput:
        """Ask a fresh process, and return the output."""
        self.model.close()
        return self.first_image(asked)

    def first_image(self, asked: Interactions) -> StepOutput:
        """Set the first image, ask, and return the output."""
        self.model.set_image(self.first.image, self.first.labels)
        return self._ask(self.first, asked)

    def second_image(self, *, in_order: bool = False) -> StepOutput:
        """Set the second image, ask for its first clicks, and return the output.

        ``in_order`` asks for the boxes before.
        """
        self.model.set_image(self.second.image, self.second.labels)
        if in_order:
            self._ask(self.second, check_interactions(self.second, 0))
        return self._ask(self.second, check_interactions(self.second, 1))

    def without_boxes(self, *, in_order: bool = False) -> StepOutput:
        """Ask for the first clicks of the first image, which then has no boxes.

        ``in_order`` asks for a step 0 before, which such a case does not have.
        """
        self.model.set_image(self.first.image, self.first.labels)
        if in_order:
            self._ask(self.first, check_interactions(self.first, 0, boxes=False))
        return self._ask(self.first, check_interactions(self.first, 1, boxes=False))

    def _ask(self, case: Case, asked: Interactions) -> StepOutput:
        return validated_output(self.model.predict(asked), case.image.voxels.shape)
