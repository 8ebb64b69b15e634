"""The script keeps the form that its readers and editors rely on."""

import ast
import re
import sys

import build_notebook
import pytest
from definitions import IMPORTS, code_cells, is_definition_cell
from minutes import code_lines

SCRIPT_TEXT = build_notebook.SCRIPT.read_text(encoding="utf-8")
CODE = code_cells(SCRIPT_TEXT)


def test_begins_with_the_title():
    assert SCRIPT_TEXT.startswith(
        "# %% [markdown]\n# # Neural Networks Fundamentals in PyTorch\n")


def test_cell_heads_are_plain():
    heads = re.findall(r"(?m)^# ?%%.*$", SCRIPT_TEXT)
    assert set(heads) == {"# %%", "# %% [markdown]"}


def test_markdown_lines_are_comments():
    for part in re.split(r"(?m)^(?=# %%)", SCRIPT_TEXT):
        if part.startswith("# %% [markdown]"):
            assert all(line.startswith("#")
                       for line in part.rstrip("\n").splitlines())


def test_formulas_break_no_table():
    for line in SCRIPT_TEXT.splitlines():
        if line.startswith("# |"):
            assert not any("|" in formula for formula
                           in re.findall(r"\$[^$]*\$", line)), line


def test_lines_fit():
    wide = [line for line in SCRIPT_TEXT.splitlines() if len(line) > 79]
    assert [line for line in wide if not line.startswith("# ### ")] == []


@pytest.mark.skipif(sys.version_info < (3, 8), reason="This Python is the "
                    "one in question.")
def test_parses_as_python_37():
    ast.parse(SCRIPT_TEXT, feature_version=(3, 7))


def test_code_cells_are_short():
    lengths = sorted(len(code_lines(source)) for source in CODE[1:])
    assert 3 <= lengths[len(lengths) // 2] <= 8
    training = [s for s in CODE if "optimizer.step()" in s]
    for source in CODE[1:]:
        if not is_definition_cell(source) and source not in training:
            lines = [line for line in source.splitlines() if line.strip()]
            assert len(lines) <= 25, source


def test_definitions_stand_alone_in_their_cells():
    for source in CODE[1:]:
        if re.search(r"(?m)^(def|class) ", source):
            assert is_definition_cell(source), source


def test_no_cell_relies_on_a_bare_last_expression():
    for source in CODE:
        last = ast.parse(source).body[-1]
        if isinstance(last, ast.Expr):
            assert isinstance(last.value, ast.Call), source


def test_imports_are_in_the_setup_cell():
    for source in CODE[1:]:
        assert not re.search(r"(?m)^(import|from) ", source), source


def test_setup_imports_only_what_the_requirements_name():
    allowed = {"torch", "numpy", "matplotlib", "sklearn"}
    standard = {"base64", "builtins", "contextlib", "copy", "inspect", "io",
                "itertools", "math", "pathlib", "re", "signal", "sys",
                "tempfile", "textwrap", "threading", "time", "warnings"}
    modules = set(re.findall(r"(?m)^(?:import|from) (\w+)", IMPORTS))
    assert modules <= allowed | standard


def test_no_code_hides_in_comments():
    for source in CODE:
        for comment in re.findall(r"(?m)^\s*# ?(.*)$", source):
            try:
                tree = ast.parse(comment)
            except SyntaxError:
                continue
            assert all(isinstance(node, ast.Expr)
                       and isinstance(node.value, ast.Name)
                       for node in tree.body), comment
