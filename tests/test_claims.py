"""What the tutorial says and shows is so, on a walk through its cells.

SAID holds sentences that carry the teaching: (part, words of the script, a
check of the walk). SHOWN holds what cells print: (part, check). A check
returns something true, or asserts. Those marked "always" hold with all seeds
moved too (test_seeds.py).
"""

import pytest
from walk import TEXT, always, plain

SAID = [
    ("Walking Down a Slope", "The steps shorten as the ground flattens.",
     lambda t: (abs(t.line("03_walk", "steps")[0][1:]).max() < 5)),
]
SHOWN = [
    ("Walking Down a Slope", always(lambda t: t.numbers(
        "Walking Down", 0)[1::3] == [10.0, 8.0, 6.4, 5.12])),
]


@pytest.mark.parametrize("part, words, check", SAID)
def test_it_is_said_once_and_is_so(tour, part, words, check):
    assert plain(TEXT).count(words) == 1
    assert check(tour)


@pytest.mark.parametrize("part, check", SHOWN)
def test_what_is_shown_is_so(tour, part, check):
    assert check(tour)
