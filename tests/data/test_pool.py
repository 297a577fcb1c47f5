"""Items in processes of their own, also if one dies."""

import pytest

from segbench.data.pool import each


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_item_comes_with_its_result(jobs):
    assert sorted(each(abs, [-3, 1, -2], jobs)) == [(-3, 3), (-2, 2), (1, 1)]


def test_no_items_need_no_process():
    assert list(each(abs, [], 2)) == []


def test_an_item_that_ends_its_process_has_no_result_and_the_others_have_theirs():
    items = ["1 + 1", "__import__('os')._exit(3)", *(f"{n} * 10" for n in range(4))]
    found = dict(each(eval, items, 2))
    assert found == {"1 + 1": 2, items[1]: None, **{f"{n} * 10": n * 10 for n in range(4)}}
