"""Words that a beginner acts on, in the front and Sections 1 to 5, are so.

Which way, which of two, rows or columns, first or second: SAID holds such
sentences, (part, words of the script, check), as claims_early.py does. A
check runs what the sentence says, and would fail were it turned round. TITLES
holds (figure, function): what its titles must be, by what it shows.
"""

from unittest import mock

import numpy as np
import torch
from claims_early import AND, CORNERS, XOR, holds, lines_show_weights
from definitions import load
from torch import nn, ones, randn, tensor
from torch.nn import functional as F
from walk import always

MLP, Perceptron, fold, gradient_of, relu, sigmoid, softmax, tanh = map(load, (
    "MLP", "Perceptron", "fold", "gradient_of", "relu", "sigmoid", "softmax",
    "tanh"))
COUNTS = "no one two three four five six seven".split()
EXAMPLE, FAR = tensor([[2.0, 3.0]]), tensor([-200.0, 0.0, 200.0])
W_1, W_2, B = randn(3, 9999)  # of as many neurons with two inputs
MET = (B < 0) & (W_2 + B >= 0) & (W_1 + B >= 0)  # three corners of XOR


def stops(action, *given):
    """True if an action raises an error."""
    try:
        action(*given)
    except (AttributeError, RuntimeError):
        return True
    return False


def entry_of_a_product(t):
    left, right = randn(2, 3, 3)
    return torch.isclose((left @ right)[0, 1], sum(left[0] * right[:, 1]))


def one_pass(X, y, bias=0.0):
    """Show a neuron one example at a time; return a row for each.

    That is: sum, answer, whether it is right, weights and bias afterwards.
    """
    neuron, rows = Perceptron(2), []
    neuron.bias = tensor(bias)
    for x, target in zip(X, y):
        z, answer = neuron.weights @ x + neuron.bias, neuron.predict(x)
        neuron.fit(x[None], target[None], 1)
        rows.append([z, answer, answer == target, neuron.weights.tolist(),
                     neuron.bias])
    return rows


def weights_after(bias, target):
    """Return the weights, zeros at first, after a look at EXAMPLE."""
    return one_pass(EXAMPLE, tensor([target]), bias)[0][3]


def passes(X):
    """Return how many passes a perceptron needs for AND on these inputs."""
    return len(Perceptron(2).fit(X, AND, 999))


def exponents(function, *given):
    """Return the numbers of which a function takes the exponential."""
    with mock.patch.object(torch, "exp", wraps=torch.exp) as exp:
        function(*given)
    return torch.cat([call[0][0] for call in exp.call_args_list])


def bends(function):
    """Return where its slope changes between 0 and 1, in sixteenths."""
    slopes = gradient_of(function, (torch.arange(16.0) + 0.5) / 16)
    return [i for i in range(1, 16) if slopes[i] != slopes[i - 1]]


class LayerFirst(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(1, 1)
        super().__init__()


SAID = [
    # 1. Introduction to Neural Networks
    ("Basic", "is what is left when all inputs are zero",
     holds("Basic", lambda n: n.neuron(0 * n.inputs) == n.bias)),
    ("Basic", "Give each neuron one row of",
     holds("Basic", lambda n: n.X[0] @ n.W[1] == (n.X @ n.W.T)[0, 1])),
    ("Basic", "entry in row 1 and column 2 is row 1 of the left times column "
     "2 of the right", always(entry_of_a_product)),
    ("Basic", "a row per sample, a column per neuron",
     always(lambda t: nn.Linear(2, 3)(ones(5, 2)).shape == (5, 3))),
    ("Basic", "The inner two numbers",
     always(lambda t: stops(torch.mm, ones(2, 3), ones(4, 2))
            and not stops(torch.mm, ones(2, 3), ones(3, 4)))),
    ("Basic", "the number of columns in your data",
     always(lambda t: stops(nn.Linear(1, 2), ones(1, 3))
            and not stops(nn.Linear(3, 2), ones(1, 3)))),
    ("01_network", "thick when it is large", lines_show_weights),

    # 2. The Perceptron
    ("Single", "When he was right he changes nothing",
     always(lambda t: weights_after(-1.0, 0.0) == weights_after(0.0, 1.0)
            == [0, 0])),
    ("Single", "A missed 1 adds the example to the weights, which raises the "
     "sum for it; a false 1 subtracts it",
     always(lambda t: [weights_after(-1.0, 1.0), weights_after(0.0, 0.0)]
            == [[2, 3], [-2, -3]])),
    ("Single", "the sum is 0, so the answer is 1, and wrong: $b$ becomes -1",
     always(lambda t: one_pass(CORNERS, AND)[0] == [0, 1, 0, [0, 0], -1])),
    ("Single", "(0, 1) and (1, 0) the sum is -1 and the answer 0, which is "
     "right", always(lambda t: one_pass(CORNERS, AND)[1:3]
                     == 2 * [[-1, 0, 1, [0, 0], -1]])),
    ("Single", "the answer is 0 too, and wrong: $w$ becomes (1, 1) and $b$ 0",
     always(lambda t: one_pass(CORNERS, AND)[3] == [-1, 0, 0, [1, 1], 0])),
    ("Single", "AND, which is 1 when both inputs are 1",
     always(lambda t: t.numbers("Single", 1)[:6]
            == Perceptron(2).fit(CORNERS, CORNERS.amin(dim=1)))),
    ("Single", "OR, which is 1 when at least one input is",
     holds("Single", lambda n: tensor(n.y).equal(n.corners.amax(dim=1)))),
    ("Linear", "Large numbers and a narrow gap make it slow, so scale large "
     "features down",
     always(lambda t: passes(CORNERS) < min(passes(X) for X in (
         CORNERS * tensor([1.0, 10]), 10 * CORNERS,
         torch.cat([CORNERS[:3], tensor([[0.6, 0.6]])]))))),
    ("Linear", "is 1 when exactly one of the two inputs is 1",
     holds("Linear", lambda n: n.xor.equal((CORNERS.sum(1) == 1).float()))),
    ("Linear", "So (0, 0), (0, 1), (1, 0) and (1, 1) require, in this order",
     always(lambda t: [x @ tensor([2.0, 3.0]) + 4 for x in CORNERS]
            == [4, 3 + 4, 2 + 4, 2 + 3 + 4])),
    ("Linear", "$-b$, which is positive. The fourth says the opposite",
     always(lambda t: (-B > 0)[MET].all() and (W_1 + W_2 + B > 0)[MET].all())),
    ("The Way", "which way to move a weight in the first layer",
     holds("The Way", lambda n: n.at_least_one.equal(
         (CORNERS.sum(1) >= 0.5).float()) and Perceptron(2).fit(torch.stack(
             [n.at_least_one, n.both], dim=1), XOR)[-1] == 0)),

    # 3. Activation Functions
    ("Walking", "step against it",
     always(lambda t: all((w - 0.1 * gradient_of(torch.square, w)) ** 2
                          < w ** 2 for w in EXAMPLE[0]))),
    ("Walking", "Subtract a tenth of it",
     always(lambda t: t.numbers("Walking", 0)[2] == 5 - 10 / 10)),
    ("Walking", "changes when only that one changes",  # here in a product
     always(lambda t: gradient_of(torch.prod, EXAMPLE).tolist()
            == [[(2 + 1) * 3 - 2 * 3, 2 * (3 + 1) - 2 * 3]])),
    ("Walking", "before you change marked numbers in place",
     always(lambda t: stops(nn.Linear(1, 1).weight.add_, 1)
            and not stops(torch.no_grad()(nn.Linear(1, 1).weight.add_), 1))),
    ("Walking", "gives the same numbers unmarked",
     holds("Walking", lambda n: n.w.detach() == n.w and n.w.requires_grad
           and not n.w.detach().requires_grad)),
    ("Sigmoid", "squashes any sum into the range from 0 to 1",
     always(lambda t: sigmoid(FAR).tolist() == [0, 0.5, 1])),
    ("Sigmoid", "one over infinity is zero",
     holds("Sigmoid", lambda n: 1 / (1 + torch.exp(-n.z)) == 0)),
    ("Sigmoid", "never takes the exponential of a positive number",
     always(lambda t: max(exponents(sigmoid, FAR)) <= 0)),
    ("Sigmoid", "which is safe where the first form is not",
     always(lambda t: torch.stack([gradient_of(form, FAR).isnan() for form in (
         lambda z: 1 / (1 + torch.exp(-z)),
         lambda z: torch.exp(z) / (1 + torch.exp(z)))]).tolist()
         == [[True, False, False], [False, False, True]])),
    ("Sigmoid", "takes `a` where `c` is true, else `b`",
     always(lambda t: torch.where(FAR > 0, FAR, 7 + FAR).tolist()
            == [-193, 7, 200])),
    ("Tanh", "into the range from -1 to 1, centred on zero",
     always(lambda t: tanh(FAR).tolist() == [-1, 0, 1])),
    ("ReLU", "keeps positive numbers and replaces the others by zero",
     always(lambda t: relu(FAR).tolist() == [0, 0, 200])),
    ("ReLU", "wherever $z$ is positive. (At its corner, 0, PyTorch takes the "
     "slope as 0.)",
     always(lambda t: gradient_of(torch.relu, FAR).tolist() == [0, 0, 1])),
    ("ReLU", "for negative $z$",
     always(lambda t: np.allclose(F.elu(tensor([-1.0, 1.0])),
                                  [np.exp(-1) - 1, 1]))),
    ("Softmax", "adding a number $c$ to every logit changes nothing",
     always(lambda t: softmax(EXAMPLE + 7, 1).allclose(softmax(EXAMPLE, 1)))),
    ("Softmax", "subtract the largest logit first, and no exponential exceeds",
     always(lambda t: exponents(softmax, EXAMPLE, 1).tolist() == [[-1, 0]])),
    ("Softmax", "1 when each row is a sample",  # then it is alone in its sum
     always(lambda t: [softmax(CORNERS, dim)[:1].allclose(
         softmax(CORNERS[:1], dim)) for dim in (0, 1)] == [False, True])),
    ("Initial", "which sets half of the sums to 0",
     always(lambda t: 0.45 < (relu(randn(300, 64) @ randn(64, 300)) == 0)
            .float().mean() < 0.55)),
    ("Initial", "whose slope is at most a quarter",
     always(lambda t: max(gradient_of(sigmoid, FAR / 100)) == 1 / 4)),

    # 4. Multi-Layer Perceptrons
    ("Architecture", "with an activation after each but the last",
     holds("Forward Propagation in", lambda n: [
         isinstance(layer, nn.Linear) for layer in n.network]
         == [True, False, True, False, True])),
    ("The Power", "changes the slope from $t$ on, and nothing to the left",
     always(lambda t: gradient_of(lambda x: x + 4 * relu(x - 2), tensor(
         [0.0, 1.9, 2.1, 9.0])).tolist() == [1, 1, 1 + 4, 1 + 4])),
    ("The Power", "the *change* of slope needed at its knot",
     holds("The Power", lambda n: n.changes.cumsum(0).allclose(n.slopes))),
    ("The Power", "trust a network at most inside the range of its data",
     holds("The Power", lambda n: n.errors[n.x <= 6].max() < 0.2
           and n.errors[n.x > 6].max() > 1)),
    ("What Depth", "the right half comes to lie on the left",
     always(lambda t: fold(tensor([0.1, 0.4, 0.6, 0.9])).allclose(
         2 * tensor([0.1, 0.4, 0.4, 0.1])))),
    ("What Depth", "A fold bends each straight piece in its middle",
     always(lambda t: [bends(fold), bends(lambda x: fold(fold(x)))]
            == [[8], [4, 8, 12]])),

    # 5. Defining a Neural Network in PyTorch
    ("The `nn", "call `super().__init__()` and assign the layers",
     always(lambda t: stops(LayerFirst))),
    ("Example", "three times as many in colour",
     holds("Example", lambda n: ones(1, 3, 28, 28).numel()
           == 3 * n.images.shape[1])),
    ("Two", "which reach all layers inside it",
     always(lambda t: not any(module.training for module in MLP(
         2, [9], 1, dropout=0.5).eval().modules()))),
    ("Two", "is to forget `eval()` before using",  # train() is there already
     always(lambda t: MLP(2, [9], 1, dropout=0.5).layers[2].training)),
]


def tells_apart(ax):
    """True if the rule finds a line between the two kinds of dots drawn."""
    dots = [tensor(line.get_xydata()).float() for line in ax.lines[:2]]
    kinds = torch.arange(2.0).repeat_interleave(len(dots[0]))
    return Perceptron(2).fit(torch.cat(dots), kinds)[-1] == 0


TITLES = [
    ("01_network", lambda ax: "A network with {} hidden layers".format(
        COUNTS[sum("hidden" in text.get_text() for text in ax.texts)])),
    ("02_perceptron", lambda ax: "A perceptron finds {} line between two "
     "clouds".format("a" if tells_apart(ax) else "no")),
    ("03_walk", lambda ax: "Walking {} a valley".format(
        "down" if max(np.diff(ax.lines[1].get_ydata())) < 0 else "up")),
    ("03_initial_weights", lambda ax: "Gradients through {} layers".format(
        len(ax.lines[0].get_xdata()))),
    ("04_xor", lambda ax: "Hidden units: one line does" if tells_apart(ax)
     else "Inputs: no line separates them"),
    ("04_universal", lambda ax: "{} ReLU pieces follow a curve".format(
        COUNTS[len(ax.lines) - 2].capitalize())),
]


def titles_are(figure, title_of):
    return lambda t: all(ax.get_title() == title_of(ax)
                         for ax in t.figures[figure].axes)


SHOWN = [(figure, titles_are(figure, title)) for figure, title in TITLES]
SHOWN += [("03_activations", lambda t: all(np.array_equal(
    t.names("PyTorch")[ax.figure.get_supxlabel()], ax.lines[0].get_xdata())
    for ax in t.figures["03_activations"].axes[:5]))]  # one label for all
