"""What the tutorial says of its experiments holds with every seed moved.

Each shift moves all seeds of the script at once; the cells then run in order
with all their assertions, and so do the checks of test_claims.py that are
marked "always". `pytest tests/test_seeds.py --shifts 20` takes twenty.
"""

import ast

from test_claims import SAID, SHOWN
from walk import Moved, Walk

ALWAYS = [(row[0], row[-1]) for row in SAID + SHOWN
          if hasattr(row[-1], "always")]


def pytest_generate_tests(metafunc):
    if "shift" in metafunc.fixturenames:
        metafunc.parametrize("shift", [331 * number + 17 for number in range(
            1, metafunc.config.getoption("shifts") + 1)])


def test_all_claims_hold_with_all_seeds_moved(shift):
    moved = Walk(shift, draw=False)
    assert moved.moved.count > 40
    failed = []
    for part, check in ALWAYS:
        try:
            assert check(moved)
        except AssertionError as error:
            failed.append((part, str(error)))
    assert failed == []


def test_shifts_reach_every_seed():
    source = "f(random_state=3); torch.manual_seed(4); RandomState(5)\n" \
        "for a, seed in g: pass\nh = [seed for seed in range(2)]"
    tree = ast.fix_missing_locations(Moved(1000).visit(ast.parse(source)))
    assert ast.dump(tree).count("value=1000") == 5
