"""What the tutorial says and shows is so, on a walk through its cells.

SAID holds sentences that carry the teaching: (part, words of the script, a
check of the walk). SHOWN holds what cells print and draw: (part, check). A
check returns something true, or asserts. Those marked "always" hold with all
seeds moved too (test_seeds.py). The rows stand in claims_early.py (up to
Section 5), claims_middle.py (6 to 8) and claims_late.py; those for words that
define or direct in claims_words.py (up to 5) and claims_words_late.py.
"""

import claims_early
import claims_late
import claims_middle
import claims_words
import claims_words_late
import pytest
from walk import TEXT, plain

TABLES = [claims_early, claims_words, claims_middle, claims_late,
          claims_words_late]
SAID = [row for table in TABLES for row in table.SAID]
SHOWN = [row for table in TABLES for row in getattr(table, "SHOWN", [])]


@pytest.mark.parametrize("part, words, check", SAID)
def test_it_is_said_once_and_is_so(tour, part, words, check):
    assert plain(TEXT).count(words) == 1
    assert check(tour)


@pytest.mark.parametrize("part, check", SHOWN)
def test_what_is_shown_is_so(tour, part, check):
    assert check(tour)
