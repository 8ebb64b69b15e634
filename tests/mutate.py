"""Break the tutorial in small ways, one at a time, and see what notices.

Usage: python tests/mutate.py [--only WORDS] [--kind cell] [--jobs 2]

Each entry of mutants.json, [kind, words, what they become], is a wrong edit to
the README (kind "readme") or the script. Each assertion of the script has one
that it sees, of kind "cell" or "assertion". An edit is made in a copy, and the
tests run there until one fails, the most likely first. A mutant counts as
caught only if a test fails, not if pytest itself does. Not run are the tests
that any edit would fail, or most: those of the stored notebook, of form and of
lengths.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MUTANTS = json.loads(Path(__file__).with_name("mutants.json").read_text(
    encoding="utf-8"))
SCRIPT, README = "neural_networks_fundamentals.py", "README.md"
RUNS, CLAIMS = "test_script.py::test_runs_clean", "test_claims.py"
FORMULAS, DOCSTRINGS = "test_formulas.py", "test_docstrings.py"
TABLES, PROSE, PAGE = "test_tables.py", "test_prose.py", "test_readme.py"
DEFINITIONS = ["test_definitions.py", "test_data.py", "test_training.py",
               "test_verdicts.py"]
SETS = ["test_script.py::test_" + name for name in (
    "the_test_set_is_neither_learnt_from_nor_chosen_by",
    "training_data_is_learnt_from_and_validation_data_judges",
    "networks_go_to_the_device_where_their_data_is")]
# What is run for each kind of mutant, in this order.
FILES = {
    "definition": DEFINITIONS + [DOCSTRINGS, FORMULAS, RUNS, CLAIMS],
    "cell": [RUNS, CLAIMS, *SETS, "test_seeds.py"],
    "assertion": [RUNS],  # the script's own assertions must notice
    "formula": [FORMULAS],
    "table": [TABLES, FORMULAS, CLAIMS, PROSE],
    "docstring": [DOCSTRINGS] + DEFINITIONS,
    "caption": [CLAIMS, PROSE, FORMULAS],
    "words": [CLAIMS, PROSE, FORMULAS, TABLES],
    "readme": [TABLES, PAGE, PROSE],
}
PROSE_KINDS = ("formula", "table", "caption", "words", "readme")
LEFT_OUT = ["test_readme.py::test_length"]


def edit(text, mutant):
    """Return a text with a mutant in it; prose may be wrapped elsewhere."""
    kind, before, after = mutant
    pattern = re.escape(before)
    if kind in PROSE_KINDS:
        pattern = r"(?:\n# ?|\s)+".join(map(re.escape, before.split()))
    if len(re.findall(pattern, text)) != 1:
        sys.exit("not there once: %r" % before)
    return re.sub(pattern, lambda _: after, text)


def failure(folder, kind):
    """Return the test that fails first in a copy of the project, or None."""
    for file in FILES[kind]:
        process = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p",
             "no:cacheprovider", "--tb=no", "--shifts", "1", file]
            + ["--deselect=" + test for test in LEFT_OUT],
            cwd=str(folder / "tests"), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1200)
        output = process.stdout.decode("utf-8", "replace")
        failed = [line.split()[1] for line in output.splitlines()
                  if line.startswith(("FAILED ", "ERROR "))]
        if process.returncode and not failed:
            sys.exit("the tests did not run:\n" + output[-3000:])
        if failed:
            return failed[0]
    return None


def mutate(mutant):
    kind = mutant[0]
    name = README if kind == "readme" else SCRIPT
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        shutil.copytree(str(ROOT), str(copy), ignore=shutil.ignore_patterns(
            ".git", ".venv", "__pycache__", "figures", ".*_cache"))
        text = (copy / name).read_text(encoding="utf-8")
        (copy / name).write_bytes(edit(text, mutant).encode("utf-8"))
        return failure(copy, kind)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="words in the edit")
    parser.add_argument("--kind", default="", choices=["", *FILES])
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    chosen = [m for m in MUTANTS if options.only in m[1] + m[2]
              and m[0].startswith(options.kind)]
    texts = {name: (ROOT / name).read_text(encoding="utf-8")
             for name in (SCRIPT, README)}
    for mutant in chosen:
        edit(texts[README if mutant[0] == "readme" else SCRIPT], mutant)
    for kind in sorted({kind for kind, _, _ in chosen}):
        unbroken = failure(ROOT, kind)
        if unbroken:
            sys.exit("fails without any mutant: " + unbroken)
    tried, caught = Counter(), Counter()
    with ThreadPoolExecutor(options.jobs) as pool:
        for mutant, test in zip(chosen, pool.map(mutate, chosen)):
            kind, before, after = mutant
            tried[kind] += 1
            caught[kind] += test is not None
            print("%-10s %-60.60s %s" % (kind, " ".join(after.split())
                                         or "(gone) " + before,
                                         test or "SURVIVED"), flush=True)
    for kind in tried:
        print("%s: %d caught of %d" % (kind, caught[kind], tried[kind]))
    sys.exit(caught != tried)


if __name__ == "__main__":
    main()
