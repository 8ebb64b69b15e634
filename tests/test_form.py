"""The script keeps its road and the form that readers and editors rely on."""

import ast
import re
from collections import Counter

import build_notebook
from conftest import run_python
from definitions import CELLS, is_definition_cell, parts_of
from minutes import code_lines, measure

TEXT = build_notebook.SCRIPT.read_text(encoding="utf-8")
ALL_CELLS = build_notebook.cells_of(TEXT)
MARKDOWN = [source for kind, source in ALL_CELLS if kind == "markdown"]
# Its titles, word for word: each sub-topic has a part of its own.
OUTLINE = """
1. Introduction to Neural Networks; What is a Neural Network?; Biological
Inspiration; Basic Components: Neurons, Weights, Biases, Layers; Types of
Neural Networks (Brief Overview); 2. The Perceptron: The Simplest Neural
Network; Single-Layer Perceptron; Linear Separability; 3. Activation Functions;
Purpose: Introducing Non-linearity; Sigmoid; Tanh (Hyperbolic Tangent); ReLU
(Rectified Linear Unit) and its variants (Leaky ReLU, ELU); Softmax (for output
layers in classification); Choosing an Activation Function; PyTorch
Implementation; 4. Multi-Layer Perceptrons (MLPs); Architecture: Input, Hidden,
and Output Layers; The Power of Hidden Layers: Universal Approximation Theorem
(Concept); Forward Propagation in an MLP; 5. Defining a Neural Network in
PyTorch (`nn.Module`); The `nn.Module` Class; Defining Layers (`nn.Linear`,
etc.); Implementing the `forward` method; Example: A Simple MLP for
Classification; 6. Loss Functions: Measuring Model Error; Purpose of Loss
Functions; Mean Squared Error (MSE) (`nn.MSELoss`): For Regression;
Cross-Entropy Loss (`nn.CrossEntropyLoss`): For Multi-class Classification;
Binary Cross-Entropy Loss (`nn.BCELoss`, `nn.BCEWithLogitsLoss`): For Binary
Classification; Choosing the Right Loss Function; 7. Optimizers: How Neural
Networks Learn; Gradient Descent (Concept); Stochastic Gradient Descent (SGD);
SGD with Momentum; Adam Optimizer (`torch.optim.Adam`); Learning Rate; Linking
Optimizers to Model Parameters; 8. The Training Loop: Forward and Backward
Propagation; Overview of the Training Process; Forward Propagation: Calculating
Predictions and Loss; Backward Propagation (Backpropagation): Calculating
Gradients (`loss.backward()`); Optimizer Step: Updating Weights
(`optimizer.step()`); Zeroing Gradients (`optimizer.zero_grad()`); Iterating
over Data (Epochs and Batches); 9. Building and Training Your First Neural
Network in PyTorch; Step 1: Prepare the Data (e.g., a simple synthetic
dataset); Step 2: Define the Model (using `nn.Module`); Step 3: Define Loss
Function and Optimizer; Step 4: Implement the Training Loop; Step 5: Evaluate
the Model (Conceptual)
""".strip().replace("\n", " ").split("; ")
# The most that each may be; sections in minutes, without their deeper parts.
BUDGETS = {"core": 260, "deeper": 120, "cells": 300, "lines": 3500,
           "words": 10500, "1": 18, "2": 21, "3": 29, "4": 19, "5": 18,
           "6": 21, "7": 25, "8": 28, "9": 70}
SIZES = Counter(cells=len(ALL_CELLS), lines=len(TEXT.splitlines()))
for (title, depth), row in measure(TEXT).items():
    SIZES.update({depth: row["minutes"], "words": row["words"]})
    if depth == "core":
        SIZES[title[0]] = row["minutes"]


def test_it_keeps_its_budgets_and_says_its_minutes():
    over = [what for what, most in BUDGETS.items() if SIZES[what] > most]
    assert over == []
    said = r"(?s)about\s+(\d+)\s+minutes.*?take\s+(\d+)\s+more"
    for text in MARKDOWN[0], build_notebook.README.read_text("utf-8"):
        assert re.findall(said, text) == [tuple(
            "%d" % round(SIZES[depth], -1) for depth in ("core", "deeper"))]


def test_headings_are_the_outlines_and_open_their_cells_in_order():
    titles = re.findall(r"(?m)^# ###? (.*)$", TEXT)
    assert [title for title in titles
            if title in OUTLINE or re.match(r"\d", title)] == OUTLINE
    for source in MARKDOWN:
        assert not re.search("\n#+ ", source), source
    for number in "123456789":  # core, deeper parts, exercise
        titles = [part.title for part in parts_of(TEXT)
                  if part.section == number]
        deeper = [title.startswith("Deeper: ") for title in titles]
        assert deeper[:-1] == sorted(deeper[:-1])
        assert titles.index("Exercise " + number) == len(titles) - 1


def test_a_network_is_trained_at_once_and_no_other_before_section_8():
    trains = re.compile(r"\b(fit|train_epoch)\((model|network)\b|"
                        r"(?s:^(?=.*\.step\(\)).*\b(model|network)\()")
    early = TEXT[:TEXT.index("# ## 8. ")]
    trained = [number for number, (kind, source)
               in enumerate(build_notebook.cells_of(early))
               if kind == "code" and trains.search(source)]
    assert len(trained) == 1 and trained[0] < 8


def test_cells_and_lines_have_the_form_that_editors_read():
    assert TEXT.startswith(
        "# %% [markdown]\n# # Neural Networks Fundamentals in PyTorch\n")
    assert re.findall(r"(?m)^# ?%%(?!$| \[markdown\]$).*$", TEXT) == []
    assert re.findall(r"(?m)^(?!# ### ).{80,}$", TEXT) == []
    for cell in re.findall(r"(?ms)^# %% \[m.*?(?=\s+^# %%|\s+\Z)", TEXT):
        assert not re.search(r"(?m)^(?!#)", cell), cell
    ast.parse(TEXT, feature_version=(3, 7))
    for source in MARKDOWN:
        assert source.count("$") % 2 == 0 and "\\{" not in source, source
        for row in re.findall(r"(?m)^\|.*$", source):  # of a table
            assert "|" not in "".join(re.findall(r"\$[^$]*\$", row)), row


def test_code_cells_are_short_and_hold_one_kind_of_thing():
    lengths = sorted(len(code_lines(source)) for source in CELLS[1:])
    assert 3 <= lengths[len(lengths) // 2] <= 8
    for source in CELLS[1:]:
        most = 25
        if re.search(r"(?m)^(@|def |class )", source):
            assert is_definition_cell(source), source
            most = 55
        elif re.search(r"\bshow\(", source):
            assert build_notebook.is_drawing(source), source
            most = 15
        elif "optimizer.step()" in source:  # a training loop
            most = 35
        assert len(re.findall(r".*\S.*", source)) <= most, source
        assert all(isinstance(node.value, ast.Call) for node
                   in ast.parse(source).body if isinstance(node, ast.Expr))


def test_a_failed_assertion_says_in_words_what_it_expected():
    for node in ast.walk(ast.parse(TEXT)):
        if isinstance(node, ast.Assert):
            said = ast.get_source_segment(TEXT, node.msg) if isinstance(
                node.msg, (ast.Constant, ast.JoinedStr)) else ""
            words = re.sub(r"\{[^}]*\}", "", said)  # not what it computes
            assert re.search("[a-z]{4}", words), (node.lineno, said)


def test_the_linter_is_content_and_imports_are_what_is_installed():
    result = run_python(
        ["-m", "ruff", "check", "--no-cache", "--config", ".ruff.toml",
         "--extend-select", "ERA",  # code in comments
         "tests", build_notebook.SCRIPT.name], build_notebook.ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    others = CELLS[0].split("\n\n")[1]  # the linter sorts out Python's own
    assert set(re.findall(r"(?m)^(?:import|from) (\w+)", others)) == {
        "torch", "numpy", "matplotlib", "sklearn"}
