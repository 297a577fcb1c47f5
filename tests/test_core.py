"""The nouns: interactions, prompts as JSON, settings."""

import pytest

from segbench.core import (
    Box,
    Click,
    Interactions,
    Settings,
    prompt_from_json,
    prompt_to_json,
)


def test_interactions_have_a_step_boxes_clicks_and_the_newest_prompts():
    box, click = Box(1, (0, 0, 0), (1, 1, 1), 0), Click(1, (0, 0, 0), True)
    interactions = Interactions(((box,), (click,), ()), None)
    assert (interactions.step, interactions.boxes, interactions.clicks) == (2, (box,), (click,))
    assert interactions.new == ()
    assert Interactions(((box,), (click,)), None).new == (click,)


def test_the_hash_names_the_protocol():
    assert Settings().hash == Settings().hash
    assert Settings(nsd_tolerance_mm=1.0).hash != Settings().hash


@pytest.mark.parametrize("prompt", [Box(1, (0, 1, 2), (3, 4, 5), 1), Click(7, (1, 2, 3), False)])
def test_prompts_survive_json_with_their_kind(prompt):
    raw = prompt_to_json(prompt)
    assert raw["kind"] == type(prompt).__name__.lower()
    assert prompt_from_json(raw) == prompt


def test_a_prompt_of_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind 'box' or 'click', found 'scribble'"):
        prompt_from_json({"kind": "scribble", "label": 1})
