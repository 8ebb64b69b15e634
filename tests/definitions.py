"""Load single definitions of the tutorial, each with its imports alone."""

import ast
import re
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent \
    / "neural_networks_fundamentals.py"


def code_cells(text):
    """Return the sources of the code cells of a percent script, in order."""
    parts = re.split(r"(?m)^(# %%.*)$", text)
    return [source.strip("\n") + "\n"
            for head, source in zip(parts[1::2], parts[2::2])
            if head == "# %%"]


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
for cell in CELLS:
    if is_definition_cell(cell):
        for node in ast.parse(cell).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                SOURCES[node.name] = cell


def load(name):
    """Return one definition, run in a namespace that has only the imports."""
    namespace = {"__name__": name}
    exec(IMPORTS, namespace)
    exec(SOURCES[name], namespace)
    return namespace[name]
