"""The road: parts, core and deeper, budgets, pictures beside their words."""

import ast
import re

import build_notebook
import minutes
import pytest
from conftest import run_python
from definitions import CELLS, parts_of

TEXT = build_notebook.SCRIPT.read_text(encoding="utf-8")
PARTS = parts_of(TEXT)
# The outline's sub-topics, word for word: each has a part of its own.
OUTLINE = """
What is a Neural Network?
Biological Inspiration
Basic Components: Neurons, Weights, Biases, Layers
Types of Neural Networks (Brief Overview)
Single-Layer Perceptron
Linear Separability
Purpose: Introducing Non-linearity
Sigmoid
Tanh (Hyperbolic Tangent)
ReLU (Rectified Linear Unit) and its variants (Leaky ReLU, ELU)
Softmax (for output layers in classification)
Choosing an Activation Function
PyTorch Implementation
Architecture: Input, Hidden, and Output Layers
The Power of Hidden Layers: Universal Approximation Theorem (Concept)
Forward Propagation in an MLP
The `nn.Module` Class
Defining Layers (`nn.Linear`, etc.)
Implementing the `forward` method
Example: A Simple MLP for Classification
Purpose of Loss Functions
Mean Squared Error (MSE) (`nn.MSELoss`): For Regression
Cross-Entropy Loss (`nn.CrossEntropyLoss`): For Multi-class Classification
Binary Cross-Entropy Loss (`nn.BCELoss`, `nn.BCEWithLogitsLoss`): For Binary \
Classification
Choosing the Right Loss Function
Gradient Descent (Concept)
Stochastic Gradient Descent (SGD)
SGD with Momentum
Adam Optimizer (`torch.optim.Adam`)
Learning Rate
Linking Optimizers to Model Parameters
Overview of the Training Process
Forward Propagation: Calculating Predictions and Loss
Backward Propagation (Backpropagation): Calculating Gradients \
(`loss.backward()`)
Optimizer Step: Updating Weights (`optimizer.step()`)
Zeroing Gradients (`optimizer.zero_grad()`)
Iterating over Data (Epochs and Batches)
Step 1: Prepare the Data (e.g., a simple synthetic dataset)
Step 2: Define the Model (using `nn.Module`)
Step 3: Define Loss Function and Optimizer
Step 4: Implement the Training Loop
Step 5: Evaluate the Model (Conceptual)
""".replace("\\\n", "").strip().splitlines()
# The most that each may be.
BUDGETS = {"core": 260, "deeper": 120, "cells": 300, "lines": 3500,
           "words": 10500}
SECTIONS = {"1": 18, "2": 21, "3": 29, "4": 19, "5": 18, "6": 21, "7": 25,
            "8": 28, "9": 70}


def minutes_of(depth):
    return sum(row["minutes"] for (_, where), row
               in minutes.measure(TEXT).items() if where == depth)


def test_each_sub_topic_of_the_outline_has_a_part():
    titles = [part.title for part in PARTS]
    assert [title for title in titles if title in OUTLINE] == OUTLINE


def test_every_part_opens_its_cell():
    for kind, source in build_notebook.cells_of(TEXT):
        if kind == "markdown":
            headings = re.findall("(?m)^###? ", source)
            assert len(headings) <= 1
            assert not headings or source.startswith(headings[0]), source


def test_deeper_parts_follow_the_core_and_the_exercise_comes_last():
    for number in "123456789":
        titles = [part.title for part in PARTS if part.section == number]
        deeper = [title.startswith("Deeper: ") for title in titles]
        assert titles[-1] == "Exercise " + number
        assert deeper[:-1] == sorted(deeper[:-1])
        assert titles.count("Exercise " + number) == 1


def test_the_core_runs_without_the_deeper_parts(tmp_path):
    deeper = {source for part in PARTS if part.title.startswith("Deeper: ")
              for kind, source in part.cells if kind == "code"}
    assert len(deeper) > 20
    core = [source for source in CELLS if source.strip("\n") not in deeper]
    assert len(core) == len(CELLS) - len(deeper)
    path = tmp_path / "core.py"
    path.write_bytes("\n\n".join(core).encode("utf-8"))
    result = run_python(["-W", "error", str(path)], tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


def trains(source):
    """True for a cell that moves the weights of a network it calls."""
    return bool(
        re.search(r"\b(fit|train_epoch)\((model|network)\b", source)
        or (".step()" in source
            and re.search(r"\b(model|network)\(", source)))


def test_the_first_network_is_trained_in_the_first_cells():
    cells = build_notebook.cells_of(TEXT)
    first = [kind == "code" and trains(source) for kind, source in cells]
    assert first.index(True) < 8


def test_no_other_network_is_trained_before_section_8():
    early = [source for part in PARTS if part.section in tuple("1234567")
             for kind, source in part.cells if kind == "code"]
    assert len(early) > 50
    assert [source for source in early if trains(source)] == []


@pytest.mark.parametrize("what, value", [
    ("core", minutes_of("core")), ("deeper", minutes_of("deeper")),
    ("cells", len(build_notebook.cells_of(TEXT))),
    ("lines", len(TEXT.splitlines())),
    ("words", sum(row["words"] for row in minutes.measure(TEXT).values()))])
def test_it_keeps_its_budget(what, value):
    assert value <= BUDGETS[what]


@pytest.mark.parametrize("number", sorted(SECTIONS))
def test_each_section_keeps_its_budget(number):
    value, = [row["minutes"] for (section, depth), row
              in minutes.measure(TEXT).items()
              if section.startswith(number + ".") and depth == "core"]
    assert value <= SECTIONS[number]


def test_the_front_says_the_minutes():
    front = build_notebook.cells_of(TEXT)[0][1]
    core, deeper = (int(number) for number in re.search(
        r"about (\d+)\s+minutes(?s:.*?)They take (\d+)\s+more",
        front).groups())
    wanted = [10 * round(minutes_of(depth) / 10)
              for depth in ("core", "deeper")]
    assert [core, deeper] == wanted
    readme = build_notebook.README.read_text(encoding="utf-8")
    assert re.findall(r"about\s+(\d+) minutes|take (\d+)\s+more", readme) == [
        (str(core), ""), ("", str(deeper))]


def test_cells_that_show_a_figure_do_nothing_else():
    for source in CELLS[1:]:
        if not re.search(r"(?m)^show\(", source):
            continue
        assert build_notebook.is_drawing(source), source
        assert len(source.strip().splitlines()) <= 15, source
        calls = {node.func.attr if isinstance(node.func, ast.Attribute)
                 else getattr(node.func, "id", "")
                 for node in ast.walk(ast.parse(source))
                 if isinstance(node, ast.Call)}
        assert not calls & {"fit", "backward", "step", "print"}, source
