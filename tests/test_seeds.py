"""What the tutorial says of its experiments holds with every seed moved.

Each shift moves all seeds of the script at once. The cells then run in order,
but for those that draw, with all their checks; CLAIMS adds what the prose
says and no cell asserts.
"""

import ast
import contextlib
import io
import re

import build_notebook
import numpy as np
import pytest
import torch

TEXT = build_notebook.SCRIPT.read_text(encoding="utf-8")


class Moved(ast.NodeTransformer):
    """Adds a number to the seeds of a cell."""

    def __init__(self, shift):
        self.shift = shift
        self.count = 0

    def plus(self, node):
        self.count += 1
        return ast.BinOp(node, ast.Add(), ast.Constant(self.shift))

    def visit_Call(self, node):
        self.generic_visit(node)
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in ("manual_seed", "RandomState") and isinstance(
                node.args[0], ast.Constant):
            node.args[0] = self.plus(node.args[0])
        for keyword in node.keywords:
            if keyword.arg == "random_state" and isinstance(
                    keyword.value, ast.Constant):
                keyword.value = self.plus(keyword.value)
        return node

    def visit_For(self, node):
        self.generic_visit(node)
        if any(isinstance(part, ast.Name) and part.id == "seed"
               for part in ast.walk(node.target)):
            node.body.insert(0, ast.Assign(
                [ast.Name("seed", ast.Store())],
                self.plus(ast.Name("seed", ast.Load()))))
        return node

    def visit_comprehension(self, node):
        self.generic_visit(node)
        if getattr(node.target, "id", "") == "seed":
            self.count += 1
            node.iter = ast.Call(ast.Name("map", ast.Load()), [
                ast.Attribute(ast.Constant(self.shift), "__add__",
                              ast.Load()), node.iter], [])
        return node


def before_you_train(names, printed):
    *faulty, healthy = [[float(number) for number in re.findall(
        r"first +(.*?), last (.*?), zeroed (.*?), without gradient (\d)",
        line)[0]] for line in printed.splitlines()]
    unscaled, lost, relu_last, frozen = faulty
    assert unscaled[0] > 1
    for first, _, _, _ in (lost, relu_last, frozen, healthy):
        assert abs(first - np.log(2)) < 0.1
    assert abs(lost[1] - lost[2]) < 0.011 and lost[1] > 0.5
    assert relu_last[1] > 0.2
    assert [row[3] for row in (*faulty, healthy)] == [0, 0, 0, 2, 0]


def generalisation(names, printed):
    small, right, large = names["curves"].values()
    best = [min(curve["val_loss"]) for curve in (small, right, large)]
    assert best[0] > best[2] > best[1]
    assert large["val_loss"][-1] > 1.05 * best[2]
    assert large["train_loss"][-1] < 0.2 < 1 < small["train_loss"][-1]
    early = int(np.argmin(right["val_loss"]))
    assert right["train_loss"][early] > right["val_loss"][early]
    assert len(names["losses"]) < 25
    np.testing.assert_allclose(  # fit repeats the run on the right
        names["losses"], large["val_loss"][:len(names["losses"])], rtol=1e-4)
    generalisation_with_right_labels(names, 22 + names["SHIFT"])


def generalisation_with_right_labels(names, seed):
    """With right labels the loss rises all the same, the accuracy holds."""
    images, labels = names["images"], names["labels"]
    digits = names["datasets"].load_digits()
    _, (truth, _, _) = names["split_in_three"](
        digits.data, digits.target, seed, stratify=digits.target)
    truth = torch.tensor(truth[:100])
    assert (truth != labels[0][:100]).sum() == 20
    torch.manual_seed(seed)
    model = names["MLP"](64, [128], 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    batches = names["TensorBatches"](images[0][:100], truth, batch_size=50,
                                     shuffle=True)
    losses, accuracies = [], []
    for epoch in range(25):
        names["train_epoch"](model, batches, names["digit_loss"], optimizer)
        losses.append(names["evaluate"](model, names["val_set"],
                                        names["digit_loss"]))
        right = names["predict"](model, images[1]).argmax(dim=1) == labels[1]
        accuracies.append(right.float().mean().item())
    best = int(np.argmin(losses))
    assert losses[-1] > losses[best]
    assert accuracies[-1] > accuracies[best] - 0.05


def rare(names, printed):
    rows = [[float(n) for n in line.split()[-5:]]
            for line in printed.splitlines()[2:6]]
    nobody, plain, threshold, weighted = rows
    for found, missed, alarmed, spared, accuracy in (threshold, weighted):
        assert found > 0.75 * (found + missed) and alarmed > found
        assert accuracy < nobody[4] < plain[4]
    assert plain[0] < 70


def resting_places(names, printed):
    """XOR: all networks that fail end at one of the losses in the prose."""
    ends = {float(n) for line in printed.splitlines()
            for n in line.split("loss ")[1].split()}
    assert ends <= {0.35, 0.48, 0.69} and 0.35 in ends


def remedies(names, printed):
    means = names["means"]
    remedy = [means[name] for name in (
        "weight decay 2", "dropout 0.5", "16 units", "400 digits")]
    assert min(remedy) == means["16 units"]
    assert means["no hidden layer"] > means["128 units, no remedy"]


def wines(names, printed):
    assert int(re.search(r"Solution 9: (\d+)", printed).group(1)) > 30


CLAIMS = {"Before You Train for Hours": before_you_train,
          "Generalisation": generalisation,
          "Deeper: Five per Cent Positives": rare,
          "Deeper: XOR, Trained": resting_places,
          "Deeper: Remedies for Overfitting": remedies, "Solutions": wines}


@pytest.mark.parametrize("shift", range(1000, 21000, 1000))
def test_all_claims_hold_with_all_seeds_moved(shift):
    move = Moved(shift)
    names = {"__name__": "tutorial", "SHIFT": shift}
    printed, title, told = {}, "", set()
    threads = torch.get_num_threads()

    def check():
        if title in CLAIMS:
            CLAIMS[title](names, printed[title].getvalue())
            told.add(title)

    try:
        for kind, source in build_notebook.cells_of(TEXT):
            heading = re.match("###? (.*)", source)
            if kind == "markdown" and heading:
                check()
                title = heading.group(1)
                printed[title] = io.StringIO()
            if kind == "code" and not build_notebook.is_drawing(source):
                tree = ast.fix_missing_locations(
                    move.visit(ast.parse(source)))
                with contextlib.redirect_stdout(printed[title]):
                    exec(compile(tree, title, "exec"), names)
        check()
    finally:
        torch.set_num_threads(threads)
    assert told == set(CLAIMS) and move.count > 40


def test_shifts_reach_every_seed():
    source = "f(random_state=3); torch.manual_seed(4); RandomState(5)\n" \
        "for a, seed in g: pass\nh = [seed for seed in range(2)]"
    tree = ast.fix_missing_locations(Moved(1000).visit(ast.parse(source)))
    assert ast.dump(tree).count("value=1000") == 5
