"""Numbers in prose are printed or held by a cell beside them."""

import re

import build_notebook
import nbformat
import pytest
from prose import numbers_in, output_of, stated, unchecked

README = build_notebook.README.read_text(encoding="utf-8")
FENCE = re.compile(r"(?ms)^```\w*\n.*?^```$")
TESTS = build_notebook.ROOT / "tests"

# What no cell can bear out: (number, words near it) -> why.
EXCEPTIONS = {
    ("1958", "**perceptron** (1958)"): "a year",
    ("1989", "Cybenko and Hornik, 1989"): "a year",
    ("1993", "1993, for ReLU)"): "a year",
    ("20", "adds 10 % to a price"): "1.2 in the code",
    ("ten", "to ten times"): "a rule of thumb",
    ("ten", "ten of $g$ at 0.9"): "1 / (1 - 0.9)",
    ("2.718", "is about 2.718"): "the number e",
    ("3", "$y$ 3 times"): "a product to do in one's head",
    ("0.05", "tiny networks: 0.01 to 0.05"): "a rule of thumb",
    ("10", "divide the learning rate by 10"): "a rule of thumb",
    ("128", "of 16 to 128"): "a rule of thumb",
    ("256", "32 to 256"): "a rule of thumb",
}
# Where the numbers of a README section come from, beside its own programs
# and the cells of the tutorial.
SOURCES = {
    "How fast it is": ["benchmark_training.py"],
    "Prerequisites": ["noxfile.py", "../requirements.txt"],
    "Run it": ["../requirements.txt"],
}


@pytest.fixture(scope="module")
def told(script_text, stored):
    """The cells of the script, with the outputs that the notebook stores."""
    cells = build_notebook.notebook_from(script_text).cells
    for cell, old in zip(cells, stored.cells):
        if cell.cell_type == "code":
            cell.outputs = old.get("outputs", [])
    return cells


def test_every_number_is_printed_or_held_beside_it(told):
    left = [(number, source) for number, source in unchecked(told)
            if not any(number == n and words in " ".join(source.split())
                       for n, words in EXCEPTIONS)]
    assert left == []


def test_every_exception_is_needed(told):
    found = unchecked(told)
    for number, words in EXCEPTIONS:
        assert any(number == n and words in " ".join(source.split())
                   for n, source in found), words


def readme_sections():
    for part in re.split(r"(?m)^(?=#+ )", README):
        if part.strip():
            yield part.splitlines()[0].lstrip("# "), part


def test_every_number_in_the_readme_is_held_by_code(told):
    held = "\n".join(FENCE.findall(README) + [
        cell.source + "\n" + output_of(cell)
        for cell in told if cell.cell_type == "code"])
    for heading, part in readme_sections():
        more = "\n".join((TESTS / name).read_text(encoding="utf-8")
                         for name in SOURCES.get(heading, []))
        values = set(numbers_in(held + more))
        # Not the measured ratios and what they were measured with, nor the
        # versions and the program's output, which test_readme.py compares.
        part = re.sub(r"(?m)^\|.*\d\.\d\d \|$|skorch \d\.\d+|PyTorch 2\.\d+,"
                      r"|^\| \d+\.\d+\.\d+ \|.*$|^It prints .*$", "",
                      FENCE.sub("", part))
        for number, value in stated(part).items():
            assert value in values, (heading, number)


def notebook(*cells):
    """Return cells from strings: "# prose", or code and what it prints."""
    made = []
    for cell in cells:
        if isinstance(cell, str):
            made.append(nbformat.v4.new_markdown_cell(cell))
        else:
            made.append(nbformat.v4.new_code_cell(cell[0], outputs=[
                nbformat.v4.new_output("stream", text=cell[1])]))
    return made


@pytest.mark.parametrize("prose, code, printed", [
    ("The loss is 0.37.", "pass", "loss 0.36"), ("Take 12 steps.", "12.5", ""),
    ("All 1,797 digits", "1796", ""), ("seven layers", "6", ""),
    ("a factor of 10", "1e-10", "0.10"), ("$2^{16}$", "2", ""),
    ("| rate | 0.3 |", "0.03", ""), ("from -8 to 8", "7", "")])
def test_a_number_that_nothing_bears_out_is_found(prose, code, printed):
    assert unchecked(notebook(prose, (code, printed)))


@pytest.mark.parametrize("prose, code, printed", [
    ("The loss is 0.37.", "pass", "loss 0.37"), ("Take 12 steps.", "12", ""),
    ("All 1,797 digits", "", "1797"), ("seven layers", "7", ""),
    ("See Section 7 and Solution 4.", "", ""), ("`int64`, 32 bits", "", ""),
    ("## 5. Title\n\n1. first\n\n| 3 | row |", "", ""),
    ("one of two", "", "")])
def test_a_number_that_is_borne_out_is_not(prose, code, printed):
    assert unchecked(notebook(prose, (code, printed))) == []


def test_far_away_does_not_count_but_a_solution_does():
    far = [("pass", "")] * 3
    assert unchecked(notebook("Take 12.", *far, ("12", "")))
    exercise = "### Exercise 4\n\nTake 12."
    assert unchecked(notebook(exercise, *far, ("12", "")))
    assert not unchecked(notebook(
        exercise, *far, "**Solution 4.** So it is.", ("12", "")))
    assert unchecked(notebook(
        exercise, *far, "**Solution 4.** No.", ("pass", ""),
        "**Solution 5.** Yes.", ("12", "")))
