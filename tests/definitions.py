"""Load single definitions of the tutorial, each with what it needs alone.

That is the imports, and the definitions that its docstring names ("Needs
this_one and that_one."): what a reader pastes.
"""

import ast
import re
from collections import namedtuple
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent \
    / "neural_networks_fundamentals.py"


def code_cells(text):
    """Return the sources of the code cells of a percent script, in order."""
    parts = re.split(r"(?m)^(# %%.*)$", text)
    return [source.strip("\n") + "\n"
            for head, source in zip(parts[1::2], parts[2::2])
            if head == "# %%"]


# A part is what stands below a "###" heading; its section is the number of the
# "##" heading above it, or None. Its cells are (kind, source).
Part = namedtuple("Part", "section title cells")


def parts_of(text, with_sections=False):
    """Return the parts of a percent script, in order.

    With sections, what stands directly below a "##" heading is a part too,
    and so is the front.
    """
    parts, section = [Part(None, "", [])], None
    for head, source in zip(*[iter(re.split(
            r"(?m)^(# %%.*)$", text)[1:])] * 2):
        kind = "markdown" if "[markdown]" in head else "code"
        source = source.strip("\n")
        heading = re.match("# (##+) (.*)", source)
        if kind == "markdown" and heading and heading.group(1) == "##":
            number = re.match(r"\d+", heading.group(2))
            section = number.group() if number else None
            title = heading.group(2) if with_sections else ""
            parts.append(Part(section, title, []))
        elif kind == "markdown" and heading:
            parts.append(Part(section, heading.group(2), []))
        parts[-1].cells.append((kind, source))
    return [part for part in parts if part.title or with_sections]


def is_definition_cell(source):
    """True if a cell holds only definitions and UPPER_CASE constants."""
    tree = ast.parse(source)
    return all(
        isinstance(node, (ast.FunctionDef, ast.ClassDef))
        or isinstance(node, ast.Assign)
        and all(isinstance(t, ast.Name) and t.id.isupper()
                for t in node.targets)
        for node in tree.body)


def imports_of(source):
    """Return the top-level import statements of a source, as a source."""
    nodes = [node for node in ast.parse(source).body
             if isinstance(node, (ast.Import, ast.ImportFrom))]
    lines = source.splitlines()
    return "\n".join(lines[node.lineno - 1] for node in nodes) + "\n"


CELLS = code_cells(SCRIPT.read_text(encoding="utf-8"))
IMPORTS = imports_of(CELLS[0])
SOURCES = {}  # the name of a definition -> the cell that holds it
NEEDS = {}  # its name -> the names of the definitions that it needs
for cell in CELLS:
    if is_definition_cell(cell):
        for node in ast.parse(cell).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                SOURCES[node.name] = cell
                NEEDS[node.name] = re.findall(r"\w+(?=,|\.|\s+and)", " ".join(
                    re.findall(r"(?s)\bNeeds (.*?\.)",
                               ast.get_docstring(node) or "")))


def load(name):
    """Return one definition, run where only what it needs is defined."""
    namespace = {"__name__": name}
    exec(IMPORTS, namespace)
    for needed in NEEDS[name] + [name]:
        exec(SOURCES[needed], namespace)
    return namespace[name]
