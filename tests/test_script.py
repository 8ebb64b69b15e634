"""The script runs anywhere, and section by section."""

import ast
import re

import build_notebook
import pytest
from compare import FIGURES, is_blank
from conftest import run_python
from definitions import code_cells, is_definition_cell

SCRIPT_TEXT = build_notebook.SCRIPT.read_text(encoding="utf-8")
CODE = code_cells(SCRIPT_TEXT)
HEADINGS = re.findall(r"(?m)^# ## (\d+\. .*)$", SCRIPT_TEXT)
OUTLINE = [
    "1. Introduction to Neural Networks",
    "2. The Perceptron: The Simplest Neural Network",
    "3. Activation Functions",
    "4. Multi-Layer Perceptrons (MLPs)",
    "5. Defining a Neural Network in PyTorch (`nn.Module`)",
    "6. Loss Functions: Measuring Model Error",
    "7. Optimizers: How Neural Networks Learn",
    "8. The Training Loop: Forward and Backward Propagation",
    "9. Building and Training Your First Neural Network in PyTorch",
]


def test_runs_clean(run):
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.rstrip().endswith("every assertion on the way has held.")


def test_saves_every_figure_it_shows(run):
    names = FIGURES.findall(SCRIPT_TEXT)
    assert sorted(names) == sorted(run.figures)
    assert not any(is_blank(png) for png in run.figures.values())
    assert re.findall(r"\[figure saved: figures/(.*)\.png\]", run.stdout) \
        == names


def test_titles_are_the_outlines_and_printed_once_in_order(run):
    assert HEADINGS == OUTLINE
    titles = re.findall(r"(?m)^(\d+\. .*)\n=+$", run.stdout)
    assert titles == [title.replace("`", "") for title in OUTLINE]


def test_a_terminal_can_hold_the_text(run):
    assert [line for line in run.stdout.splitlines()
            if len(line) > 79 and not line.startswith("# ")] == []


@pytest.mark.parametrize("title", [title.split()[0] for title in HEADINGS]
                         + ["First", "Solutions"])
def test_each_section_runs_alone(title, tmp_path):
    cells = list(build_notebook.cells_of(SCRIPT_TEXT))
    starts = [index for index, (kind, source) in enumerate(cells)
              if kind == "markdown" and source.startswith("## ")]
    first, = [index for index in starts
              if cells[index][1].startswith("## " + title)]
    last = min([i for i in starts if i > first] + [len(cells)])
    code = [source for kind, source in cells[:first] if kind == "code"]
    kept = [code[0]] + [s for s in code[1:] if is_definition_cell(s)]
    kept += [source for kind, source in cells[first:last] if kind == "code"]
    path = tmp_path / "section.py"
    path.write_bytes("\n\n".join(kept).encode("utf-8"))
    result = run_python(["-W", "error", str(path)], tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


def names_below(node):
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def test_the_test_set_is_neither_learnt_from_nor_chosen_by():
    trained = compared = 0
    for source in CODE:
        if is_definition_cell(source):
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and names_below(node.func) & {
                    "fit", "TensorBatches", "train_epoch", "check_batch",
                    "evaluate"}:
                trained += 1
                assert not [n for n in names_below(node) if "test" in n]
            if isinstance(node, ast.For) and (
                    "models" in names_below(node.iter)
                    or "hidden_sizes" in names_below(node.target)):
                compared += 1
                assert not [n for n in names_below(node) if "test" in n]
    assert trained >= 10 and compared >= 1


def test_scalers_learn_from_the_training_set_alone():
    seen = re.findall(r"StandardScaler\(\)\.fit\((.*?)\)", "\n".join(CODE))
    assert set(seen) == {"X[:400]", "X_parts[0]", "p[0]"}
