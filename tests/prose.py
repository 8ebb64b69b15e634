"""Find the numbers in prose that no cell beside them prints or holds."""

import re

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
WORDS = {word: number for number, word in enumerate(
    "three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen twenty".split(),
    start=3)}
WORDS["hundred"] = 100
WORD = re.compile(r"\b(%s)s?\b" % "|".join(WORDS), flags=re.I)


def numbers_in(text):
    """Return the numbers in a text, as floats, in order."""
    return [float(number.replace(",", "")) for number in NUMBER.findall(text)]


def stated(text):
    """Return the numbers that prose states, digits and words, {as written:
    value}. One and two are words of speech, and are not looked at."""
    text = NOT_STATED.sub(" ", text)
    found = {number: float(number.replace(",", ""))
             for number in NUMBER.findall(text)}
    found.update((word, float(WORDS[word.lower()]))
                 for word in WORD.findall(text))
    return found


def output_of(cell):
    return "".join(output.text for output in cell.get("outputs", [])
                   if output.output_type == "stream")


def evidence(cells, index, reach=3):
    """Return the code and output of the code cells nearest to a cell."""
    code = [i for i, cell in enumerate(cells) if cell.cell_type == "code"]
    before = [i for i in code if i < index][-reach:]
    after = [i for i in code if i > index][:reach]
    return "\n".join(cells[i].source + "\n" + output_of(cells[i])
                     for i in before + after)


def solution(cells, number):
    """Return the code and output of the solution of an exercise."""
    parts, inside = [], False
    for cell in cells:
        if cell.cell_type == "markdown":
            found = re.findall(r"\*\*Solution (\d+)\.", cell.source)
            inside = number in found if found else inside
        elif inside:
            parts.append(cell.source + "\n" + output_of(cell))
    return "\n".join(parts)


def unchecked(cells):
    """Return (number as written, its cell) for all that nothing bears out.

    A number in prose must stand in the code or the output of one of the
    three code cells before it or after it; one in an exercise may also stand
    in its solution.
    """
    found = []
    for index, cell in enumerate(cells):
        if cell.cell_type != "markdown":
            continue
        near = evidence(cells, index)
        held = near
        exercise = re.match(r"### Exercise (\d+)\n", cell.source)
        if exercise:
            held += solution(cells, exercise.group(1))
        held = set(numbers_in(held))
        found += [(number, cell.source)
                  for number, value in stated(cell.source).items()
                  if value not in held]
    return found
