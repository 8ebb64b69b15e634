"""Numbers in prose are printed or held by a cell beside them."""

import re

import build_notebook
import pytest
from nbformat import v4

README = build_notebook.README.read_text(encoding="utf-8")
FENCE = re.compile(r"(?ms)^```\w*\n.*?^```$")
# What a number may belong to that states nothing: a reference, a name, the
# place in a list or table, an address.
NOT_STATED = re.compile(
    r"<https?://[^>]*>|https?://\S+|\]\([^)]*\)"
    r"|\bSections? \d+(?: and \d+)?|\b(?:Exercise|Solution|Step) \d+"
    r"|about\s+\d+\s+minutes|They\s+take\s+\d+\s+more"
    r"|\b(?:int|float)\d+\b|\b(?:32|64)[- ]bits?\b|\bin 32\s+bits\b"
    r"|(?m:^\s*\d+\. |^\| \d+ \||^\|? ?\[?\d+\. |^#+ \d+\. )")
NUMBER = re.compile(r"(?<![\w.])\d{1,3}(?:,\d{3})+(?![\d,])"
                    r"|(?<!\w)(?<!\d\.)\d+(?:\.\d+)?(?:e[-+]?\d+)?")
# One and two are words of speech.
WORDS = dict(zip("three four five six seven eight nine ten eleven twelve "
                 "thirteen fourteen fifteen sixteen seventeen eighteen "
                 "nineteen twenty hundred".split(), [*range(3, 21), 100]))
WORD = re.compile(r"(?i)\b(%s)s?\b" % "|".join(WORDS))
# What no cell can bear out, (number, words near it): years, rules of thumb,
# a number of mathematics, sums to do in one's head.
EXCEPTIONS = [
    ("1989", "Cybenko; Hornik"), ("1993", "1993, for ReLU)"),
    ("ten", "to ten times"), ("0.05", "tiny networks: 0.01 to 0.05"),
    ("10", "divide the learning rate by 10"), ("256", "32 to 256"),
    ("128", "of 16 to 128"), ("2.718", "is about 2.718"),
    ("20", "adds 10 % to a price"), ("ten", "ten of $g$ at 0.9"),
    ("3", "$y$ 3 times")]
# Where the numbers of a README section come from, beside its own programs
# and the cells of the tutorial.
SOURCES = {"How fast it is": ["tests/benchmark_training.py"],
           "Prerequisites": ["tests/noxfile.py", "requirements.txt"],
           "Run it": ["requirements.txt"]}


def numbers_in(text):
    return {number: float(number.replace(",", ""))
            for number in NUMBER.findall(text)}


def stated(text):
    """Return the numbers that prose states, {as written: value}."""
    text = NOT_STATED.sub(" ", text)
    return dict(numbers_in(text), **{
        word: WORDS[word.lower()] for word in WORD.findall(text)})


def held(cell):
    return "\n".join([cell.source] + [
        output.get("text", "") for output in cell.outputs])


def unchecked(cells):
    """Return (number as written, its cell) for all that nothing bears out.

    A number must stand in the code or the output of one of the three code
    cells before it or after it; one in an exercise may stand in its solution.
    """
    code, solved, found = [], [], []
    for index, cell in enumerate(cells):
        if cell.cell_type == "code":
            code.append((index, held(cell), solved))
        else:
            solved = re.findall(r"\*\*Solution (\d+)\.", cell.source) or solved
    for index, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            exercise = set(re.findall(r"^### Exercise (\d+)\n", cell.source))
            near = [text for i, text, _ in code if i < index][-3:] \
                + [text for i, text, _ in code if i > index][:3] \
                + [text for _, text, of in code if exercise & set(of)]
            values = numbers_in("\n".join(near)).values()
            found += [(number, " ".join(cell.source.split()))
                      for number, value in stated(cell.source).items()
                      if value not in values]
    return found


@pytest.fixture(scope="module")
def told(script_text, stored):
    """The cells of the script, with the outputs that the notebook stores."""
    cells = build_notebook.notebook_from(script_text).cells
    for cell, old in zip(cells, stored.cells):
        cell.outputs = old.get("outputs", [])
    return cells


def test_every_number_is_held_beside_it_or_an_exception(told):
    excepted = {(number, source): [
        row for row in EXCEPTIONS if row[0] == number and row[1] in source]
        for number, source in unchecked(told)}
    assert [number for number in excepted if not excepted[number]] == []
    assert set(sum(excepted.values(), [])) == set(EXCEPTIONS)


def test_every_number_in_the_readme_is_held_by_code(told):
    known = FENCE.findall(README) + [
        held(cell) for cell in told if cell.cell_type == "code"]
    for part in re.split(r"(?m)^(?=#+ )", README):
        heading = part.split("\n")[0].lstrip("# ")
        values = numbers_in("\n".join(known + [
            (build_notebook.ROOT / name).read_text(encoding="utf-8")
            for name in SOURCES.get(heading, [])])).values()
        # Not the measured ratios and what they were measured with, nor the
        # versions and the program's output, which test_readme.py compares.
        part = re.sub(r"(?m)^\|.*(?: \d(?:\.\d+)? \|){4}$|PyTorch 2\.\d+ on"
                      r"|^\| \d+\.\d+\.\d+ \|.*$|^It prints .*$", "",
                      FENCE.sub("", part))
        for number, value in stated(part).items():
            assert value in values, (heading, number)


# Cells with a slash between: prose, or code after ">".
EXERCISE = "### Exercise 4\nTake 12. / >a / >b / >c / "
BORNE_OUT = [
    "The loss is 0.37. / >loss 0.37", "Take 12 steps. / >12", "1,797 / >1797",
    "one of two", ">7 / >a / >b / Seven layers", "See Section 7. `int64`",
    "## 5. Title\n\n1. first\n\n| 3 | row |", "Solution 4 has 32 bits.",
    EXERCISE + "**Solution 4.** So. / Or so. / >12"]
NOT_BORNE_OUT = [
    "The loss is 0.37. / >loss 0.36", "Take 12 steps. / >12.5", "12 / 12",
    "All 1,797 digits / >1796", "seven layers / >6", "Hundreds / >9",
    "a factor of 10 / >1e-10, 0.10", "$2^{16}$ / >2", "| rate | 0.3 | / >0.03",
    "from -8 to 8 / >7", "Take 12. / >a / >b / >c / >12",
    ">12 / >a / >b / >c / Take 12.", EXERCISE + ">12",
    EXERCISE + "**Solution 4.** No. / >a / **Solution 5.** Yes. / >12"]


@pytest.mark.parametrize("text", BORNE_OUT + NOT_BORNE_OUT)
def test_a_number_that_nothing_bears_out_is_found(text):
    cells = [v4.new_code_cell(cell) if cell[0] == ">"
             else v4.new_markdown_cell(cell) for cell in text.split(" / ")]
    assert (unchecked(cells) == []) == (text in BORNE_OUT)
