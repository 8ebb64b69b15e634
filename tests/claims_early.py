r"""Rows of test_claims.py: the set-up, the first look, Sections 1 to 5.

NUMBERS: part, cell: those that it prints, made from the names after it (k
holds them). CURVES: figure: labels of its axes | line, style ~ y for its x.
CLAIMS: part: words :: what is true then. An indented line goes on.
"""

import re

import numpy as np
import torch
from definitions import CELLS, load
from matplotlib.colors import to_hex
from torch import nn
from torch.nn import functional as F
from walk import always

CORNERS = torch.cartesian_prod(*torch.tensor([[0.0, 1], [0, 1]]))
AND, OR, XOR = CORNERS.amin(1), CORNERS.amax(1), CORNERS.sum(1) % 2
BCE, ONES = F.binary_cross_entropy_with_logits, torch.ones(1, 3)
MLP, Perceptron, d = map(load, ("MLP", "Perceptron", "gradient_of"))
NUMBERS = """
First Look 0: 1, torch.manual_seed(shift) and BCE(nn.Sequential(nn.Linear(
  2, 32), nn.ReLU(), nn.Linear(32, 1))(X), y), 200, BCE(model(X), y)
Basic 0: [0.5 * 2 - 1 * 3 + 4] * 3
Basic 1: 2, 2, 2, 3, [[w @ x + c for w, c in zip(W, b)] for x in X]
Basic 2: 2, 3, ONES.shape[0], nn.Linear(2, 3).weight.T.shape[0], 3, 3, 1, 3
Single 1: [[p.fit(CORNERS, gate), p.weights, p.bias] for p, gate in [
  (Perceptron(2), AND), (Perceptron(2), OR)]]
Linear 0: 100, Perceptron(2).fit(X, y)
Linear 2: np.take(Perceptron(2).fit(CORNERS, XOR), [*range(9), 99])
The Way 0: [[weight, XOR] for weight in (1.0, 1.1, 1.2)]
Purpose 0: 1.1, 1.2, 1.1 * 1.2
Walking 0: [[n, 12.5 * 0.8 ** n, 5 * 0.8 ** n] for n in range(1, 5)]
Walking 3: 2, 5, 2 * 5, -1, 2, 5, -2, 4, 10
Sigmoid 0: -100, 0
ReLU 2: [[weight, float("%.2g" % d(lambda u: F.mse_loss(f(u[0] * X + u[1]), X),
  torch.tensor([weight, bias]))[0])] for f in (F.relu, F.leaky_relu, F.elu)
  for weight, bias in [(3.0, 1.0), (3 - 2 * 20 / 3, 1 - 2 * 6)]]
Softmax 1: [torch.softmax(torch.tensor([1.0, 2, 3]), 0)] * 2, 1, 1, 1, 0, 0, 3
PyTorch 0: 1 / 4, 1, 1, 1
Initial 0: 0.5, 1, 2, 0, 1, float("%.0e" % 2 ** 50), [[[float(w) for w in
  name.split()[1:] if "n" not in w], s[0] ** (1 / 49), float("%.0e" % s[0])]
  for name, s in sizes.items()]
Architecture 0: [[a, b, max(0, a + b), max(0, a + b - 1), a != b]
  for a, b in CORNERS.tolist()]
The Power 1: [[abs(joined(x) - np.sin(x)).max(), x[-1]] for x in (
  np.linspace(0, 6, 241), np.linspace(0, 9, 361))]
Forward 0: 5, 3, 5, 4, 5, 6, 5, 2
What Depth 1: 0.2, 2 - 2 * (2 * 2 * 0.2), [[2 * n, 2 ** n, n, 2 * n + 1]
  for n in range(1, 6)]
Defining 0: 0, 4 * 4 + 4 + 4 * 2 + 2
Example 0: 32, 32, 10, 128, 784, 128 * 784, 128, 128, 10, 128, 10 * 128, 10,
  10, 128 * 784 + 128 + 10 * 128 + 10
Two 0: k[:4], [nn.Sequential(*model.layers[:2], model.layers[3])(point)] * 4
"""
CURVES = """
00_first_look: feature 1|feature 2
  | class 0 o ~ X[y[:, 0] == 0, 1] | class 1 ^ ~ X[y[:, 0] == 1, 1]
02_perceptron: feature 1|feature 2
  | class 0 o ~ X[y == 0, 1] | class 1 ^ ~ X[y == 1, 1]
  | after pass 1 : ~ -(x * early.weights[0] + early.bias) / early.weights[1]
  | at the end - ~ -(x * w[0] + b) / w[1]
03_walk: w|height | height - ~ x ** 2 | steps o ~ x ** 2
  | slope 10, at w = 5 -. ~ 25 + 10 * (x - 5)
03_activations: | | function - ~ getattr(F, title)(x)
  | slope -- ~ d(getattr(F, title), x)
04_xor: input 1|input 2; hidden unit 1|hidden unit 2
  | class 0 o ~ x if "Inputs" in title else x / 2
  | class 1 ^ ~ 1 - x if "Inputs" in title else 0 * x
04_universal: x| | target sin x - ~ np.sin(x)
  | sum of the pieces -- ~ joined(x)
04_folds: x| | _child0 - ~ 1 - abs(dict(zip(["2 units, 1 deep", "4 units, "
  "2 deep", "10 units, 5 deep", "10 units, one layer"], [2, 4, 32, 11]))[title]
  * x % 2 - 1)
"""
CLAIMS = """
First Look: blue where it is sure of the circles, red of the triangles ::
  near(image.get_array(), torch.sigmoid(model(torch.cartesian_prod(*2 * [
  torch.linspace(*image.get_extent()[:2], 80)]).flip(1))).detach().view(80, 80))
  for image in axes("00_first_look")[0].images if ]
First Look: No straight line divides the moons so. ::
  Perceptron(2).fit(X, y, 30)[-1]
Basic: `1x3` is your data (`mat1`) and `2x3` the transposed weight ::
  "mat1 and mat2 shapes cannot be multiplied (1x3 and 2x3)" in t.printed("Basic")
Single: answers 1 when the weighted sum is at least 0 ::
  Perceptron(2).predict(CORNERS).all()
Linear: so few mistakes follow :: np.diff(Perceptron(2).fit(X, y))[0] < 0
Linear: because no line does it ::
  Perceptron(2).fit(CORNERS, XOR)[-1] > Perceptron(2).fit(CORNERS, OR)[-1]
The Way: "the first, but not the second" (first minus second minus 0.5) ::
  torch.equal(at_least_one, OR) and torch.equal(both, AND)
"""


def joined(x):
    """Straight lines between the sines of 0 to 6; the last one goes on."""
    return np.interp(x, range(7), np.sin(range(7))) + np.where(
        x > 6, x - 6, 0) * (np.sin(6) - np.sin(5))


def flat(value):
    """The numbers in nested lists and tensors."""
    if isinstance(value, (list, tuple)):
        return sum(map(flat, value), [])
    return torch.as_tensor(value).flatten().tolist()


def near(found, wanted, atol=1e-4):
    np.testing.assert_allclose(found, wanted, 1e-5, atol)
    return True


def rows(table, pattern):
    return [re.fullmatch(pattern, " ".join(row.split())).groups()
            for row in re.split(r"\n(?! )", table.strip())]


def value(expression, names, **more):
    return eval(f"({expression})", dict(names, **globals(), **more))


def shows(part, cell, wanted):
    return part, always(lambda t: near(t.numbers(part, int(cell)), flat(value(
        wanted, t.names(part, int(cell)), shift=t.shift,
        k=t.numbers(part, int(cell)))), 0.0051))


def says(part, words, claim):
    def check(t):
        return value(claim, t.names(part), t=t, axes=lambda name: [
            ax for ax in t.figures[name].axes])
    return part, words, check if "axes" in claim else always(check)


def draws(figure, labels, curves):
    curves = dict(curve.split(" ~ ") for curve in curves.split(" | "))
    labels = labels.split("; ")

    def check(t):
        names, seen = t.shown[[
            figure in cell for cell in CELLS].index(True)][2], set()
        for n, ax in enumerate(t.figures[figure].axes):
            if ax.axison:
                assert f"{ax.get_xlabel()}|{ax.get_ylabel()}" == labels[
                    n % len(labels)], n
            for line in ax.lines:
                label = f"{line.get_label()} " + line.get_marker().replace(
                    "None", line.get_linestyle())
                x, y = torch.tensor(line.get_xydata().T)
                if label in curves:
                    near(y, value(curves[label], names, x=x,
                                  title=ax.get_title()))
                    seen.add(label)
        return seen == set(curves)
    return figure, check


SHOWN = [shows(*row) for row in rows(NUMBERS, r"(.*?) (\d): (.*)")] + [
    draws(*row) for row in rows(CURVES, r"(\w+): (.*?\|.*?) \| (.*)")]
SAID = [says(*row) for row in rows(CLAIMS, r"(.*?): (.*?) :: (.*)")]
