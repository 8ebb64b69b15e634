"""What the front and Sections 1 to 5 say and show is so.

SAID holds (part, words of the script, check), SHOWN holds (part, check); the
part of a figure is its name. A check takes a walk `t` through the tutorial,
and returns something true or asserts. Those marked "always" hold with all
seeds moved too; those that look at a figure don't. To extend the lists, add a
row; the helpers below make the common checks.
"""

import re
from types import SimpleNamespace

import numpy as np
import torch
from definitions import CELLS, load
from matplotlib.colors import to_rgb
from torch import nn
from torch.nn import functional as F
from walk import always

MLP, Perceptron, gradient_of = map(load, ("MLP", "Perceptron", "gradient_of"))

CORNERS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
AND, OR, XOR = torch.tensor([[0.0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 0]])
# The sine in straight pieces of Section 4, and what each of its units adds.
GRID, SLOPES = np.arange(361) / 40, np.diff(np.sin(range(7)))
SINE = np.where(GRID <= 6, np.interp(GRID, range(7), np.sin(range(7))),
                np.sin(6) + (GRID - 6) * SLOPES[5])
PIECES = [change * np.maximum(GRID - knot, 0)
          for knot, change in enumerate(np.diff(SLOPES, prepend=0))]


def after(t, title, cell=-1):
    """Return the names after a cell of a part (-1: the last)."""
    return SimpleNamespace(**t.names(title, cell))


def agree(found, expected, atol=0.0051):
    expected = [number.detach() if torch.is_tensor(number) else number
                for number in expected]
    np.testing.assert_allclose(
        found, [float(number) for number in expected], rtol=0, atol=atol)
    return True


def holds(title, function):
    """Check that a function of the names after a part is true."""
    return always(lambda t: function(after(t, title)))


def prints(title, cell, expected):
    """Check all numbers that a cell prints, in order.

    expected is a list, or a function of the names after the cell.
    """
    return always(lambda t: agree(
        t.numbers(title, cell), expected(after(t, title, cell))
        if callable(expected) else expected))


def draws(figure, label, style, height):
    """Check the height of all lines of a figure with a label and a style.

    A line without a label has the label "". Its style is its marker or, if
    it has none, its line style. height is a function of x and of the names
    after the cell that draws, among them the panel's title.
    """
    position = [f'"{figure}"' in cell for cell in CELLS].index(True)

    def check(t):
        found = 0
        for ax in t.figures[figure].axes:
            n = SimpleNamespace(**dict(
                t.shown[position][2], title=ax.get_title()))
            for line in ax.lines:
                marker = line.get_marker().replace("None", "")
                if (re.sub("^_.*", "", line.get_label()) == label
                        and (marker or line.get_linestyle()) == style):
                    x, y = torch.tensor(line.get_xydata().T)
                    agree(y, height(x, n), atol=1e-4)
                    found += 1
        return found
    return check


def labels_axes(figure, *expected):
    """Check the (label of x, label of y) of all axes that have labels."""
    def check(t):
        labels = [(ax.get_xlabel(), ax.get_ylabel())
                  for ax in t.figures[figure].axes]
        return [pair for pair in labels if any(pair)] == [*expected]
    return check


def first_look_losses(t):
    """Start the first network once more; its end is still there."""
    n = after(t, "First", 0)
    torch.manual_seed(t.shift)
    start = n.loss_fn(MLP(2, [32], 1)(n.X), n.y)
    end = n.loss_fn(n.model(n.X), n.y)
    return agree(t.numbers("First", 0), [1, start, 200, end], atol=0.01)


def shade_is_the_answer(t):
    image, = t.figures["00_first_look"].axes[0].images
    side = torch.linspace(*image.get_extent()[:2], 80)
    points = torch.cartesian_prod(side, side).flip(1)  # row by row, upwards
    answers = after(t, "First").model(points).sigmoid().detach()
    assert (image.origin, image.get_cmap().name) == ("lower", "coolwarm")
    return np.allclose(image.get_array(), answers.reshape(80, 80), atol=1e-3)


def lines_show_weights(t):
    """Draw the random weights of the picture once more."""
    torch.manual_seed(1)
    for line in t.figures["01_network"].axes[0].lines[:36]:
        weight = torch.randn(()).item()
        blue = to_rgb(line.get_color())[2] > 0.5
        assert line.get_linewidth() == 2 * abs(weight)
        assert (line.get_linestyle(), blue) == (
            ("-", True) if weight > 0 else ("--", False))
    return True


def zero_line(neuron, x1):
    """Return x2 where the weighted sum is zero."""
    return -(neuron.weights[0] * x1 + neuron.bias) / neuron.weights[1]


def taught(X, y, passes):
    perceptron = Perceptron(2)
    perceptron.fit(X, y, passes)
    return perceptron


def gates_are_learned(t):
    expected = []
    for gate in re.findall("AND|OR", t.printed("Single", 1)):
        neuron = Perceptron(2)
        mistakes = neuron.fit(CORNERS, {"AND": AND, "OR": OR}[gate])
        expected += [*mistakes, *neuron.weights, neuron.bias]
    return agree(t.numbers("Single", 1), expected)


def steps_of_unit(t):
    """Check weights and slopes of the unit before and after its step."""
    X, expected = after(t, "ReLU").X, []

    def loss_with(f):
        return lambda unit: (f(unit[0] * X + unit[1]) - X).square().mean()
    for f in (F.relu, F.leaky_relu, F.elu):
        for unit in ([3.0, 1.0], [-31 / 3, -11.0]):
            slope = gradient_of(loss_with(f), torch.tensor(unit))[0]
            expected += [round(unit[0], 1), f"{slope:.2g}"]
    return agree(t.numbers("ReLU", 2), expected)


def factors_through_layers(n):
    expected = [0.5, 1, 2, 0.5 ** 50, 1, f"{2 ** 50:.0e}"]
    for name, values in n.sizes.items():
        gain = re.findall(r"[\d.]+$", name)
        expected += [*gain, values[0] ** (1 / 49), f"{values[0]:.0e}"]
    return expected


def sizes_are_drawn(t):
    ax, = t.figures["03_initial_weights"].axes
    sizes = dict(after(t, "Initial").sizes)
    for line in ax.lines:
        values = sizes.pop(line.get_label())
        assert np.array_equal(line.get_xydata(), np.c_[1:51, values])
        assert line.get_ydata()[-1] == 1
    return ax.get_yscale() == "log" and not sizes


def corners_are_named(t):
    axes = t.figures["04_xor"].axes
    named = 0
    for ax, places in zip(axes, [CORNERS, after(t, "The Power").hidden]):
        for text in ax.texts:
            for x1, x2 in re.findall(r"(\d), (\d)", text.get_text()):
                place = places[2 * int(x1) + int(x2)]
                assert np.allclose(text.get_position(), place, atol=0.1)
                named += 1
    return named == 8


def calls_forward_and_hooks(t):
    module = nn.Identity()
    module.register_forward_hook(lambda *_: 7)
    return module(1) == 7


def modes_do_different_things(t):
    n, numbers = after(t, "Two", 0), t.numbers("Two", 0)
    linear, activation, _, output = n.model.layers
    answer = output(activation(linear(n.point)))  # without dropout
    assert t.printed("Two", 0).startswith("train()")
    assert len({*numbers[:4]}) > 1 and n.model(n.point).requires_grad
    return agree(numbers[4:], 4 * [answer])


SAID = [
    # First Look
    ("First", "blue where it is sure of the circles, red of the triangles",
     shade_is_the_answer),
    ("First", "No straight line divides",
     holds("First", lambda n: Perceptron(2).fit(n.X, n.y, 30)[-1] > 0)),

    # 1. Introduction to Neural Networks
    ("Basic", "`1x3` is your data (`mat1`) and `2x3` the transposed weight "
     "(`mat2`)",
     always(lambda t: re.search("mat1 and mat2.*1x3 and 2x3",
                                t.printed("Basic")))),
    ("Basic", "solid blue when positive, dashed orange when negative",
     lines_show_weights),
    ("Basic", "Data flows to the right.",
     lambda t: [text.get_text() for text in sorted(
         t.figures["01_network"].axes[0].texts,
         key=lambda text: text.get_position()[0])] == [
         "input\n(3 units)", "hidden 1\n(4 units)", "hidden 2\n(4 units)",
         "output\n(2 units)"]),

    # 2. The Perceptron
    ("Single", "sum is at least 0, and 0 otherwise",
     always(lambda t: Perceptron(2).predict(CORNERS).all())),
    ("02_perceptron", "Each line is where the weighted sum is zero",
     draws("02_perceptron", "at the end", "-",
           lambda x, n: zero_line(n.perceptron, x))),
    ("Linear", "because no line does it",
     always(lambda t: Perceptron(2).fit(CORNERS, XOR, 500)[-1] > 0)),
    ("The W", "second minus 0.5)",
     holds("The W", lambda n: n.at_least_one.equal(OR)
           and n.both.equal(AND))),
    ("The W", "the answers did not",
     prints("The W", 0, [1.0, *XOR, 1.1, *XOR, 1.2, *XOR])),

    # 3. Activation Functions
    ("Purpose", "Any number of linear layers is worth one",
     prints("Purpose", 0, [1.1, 1.2, 1.32])),
    ("Walking", "The steps shorten as the ground flattens.",
     prints("Walking", 0, [
         value for step in range(1, 5)
         for value in (step, 10 * 0.8 ** (step - 1), 5 * 0.8 ** step)])),
    ("03_walk", "at 5 and has the slope there",
     draws("03_walk", "slope 10, at w = 5", "-.",
           lambda x, n: 5 ** 2 + 10 * (x - 5))),
    ("Sigmoid", "is too large for a 32-bit number and becomes infinite",
     always(lambda t: torch.exp(-after(t, "Sigmoid").z) == np.inf
            > np.exp(100.0) and "nan" in t.printed("Sigmoid"))),
    # The slopes at weight 3 and bias 1 are 20 / 3 and 6; the rate is 2 here
    # and 0.1 below, where the unit lives.
    ("ReLU", "so low that every sum is negative.",
     holds("ReLU", lambda n: max(
         (3 - 2 * 20 / 3) * n.X + (1 - 2 * 6)) < 0)),
    ("ReLU", "With ReLU the slope is now zero for all samples",
     always(steps_of_unit)),
    ("ReLU", "Leaky ReLU's slope is negative, so",
     always(lambda t: t.numbers("ReLU", 2)[7] < 0)),
    ("ReLU", "ELU's is next to nothing",
     always(lambda t: t.numbers("ReLU", 2)[7]
            < 100 * t.numbers("ReLU", 2)[11] < 0)),
    ("ReLU", "smaller rate would have kept the unit alive",
     holds("ReLU", lambda n: min(
         (3 - 0.1 * 20 / 3) * n.X + (1 - 0.1 * 6)) > 0)),
    ("Softmax", "samples of a batch compete",
     holds("Softmax", lambda n: torch.allclose(
         n.softmax(n.logits, 0).sum(0), torch.ones(3)))),
    ("PyTorch", "sigmoid and tanh on both sides, ReLU and ELU on the left",
     always(lambda t: [
         (gradient_of(f, torch.tensor([-4.0, 4.0])) < 0.02).tolist()
         for f in (torch.sigmoid, torch.tanh, F.relu, F.elu)
     ] == 2 * [[True, True]] + 2 * [[True, False]])),
    ("Initial", "early layers hardly learn; too large ones make it **explode",
     holds("Initial", lambda n: [
         name for name, values in n.sizes.items()
         if 1e-4 < values[0] < 1e4] == ["ReLU 1.41", "sigmoid 11"])),

    # 4. Multi-Layer Perceptrons
    ("04_xor", "triangles now share one",
     draws("04_xor", "class 1", "^",
           lambda x, n: 1 - x if "Inputs" in n.title else 0 * x)),
    ("04_xor", "separates them from the circles",
     draws("04_xor", "", "--", lambda x, n: (x - 0.5) / 2)),
    ("The Power", "labelled by their inputs", corners_are_named),
    ("The Power", "each thin blue line is what one unit adds",
     lambda t: np.allclose(PIECES, [
         line.get_ydata() for line in
         t.figures["04_universal"].axes[0].lines[1:7]], atol=1e-5)),
    ("04_universal", "at each. Past 6 it goes straight on",
     draws("04_universal", "sum of the pieces", "--", lambda x, n: SINE)),
    ("Forward Propagation in", "the rows, one per sample, stay; the columns "
     "become each layer's units",
     prints("Forward Propagation in", 0, [5, 3, 5, 4, 5, 6, 5, 2])),
    ("What Depth", "with ten units depth makes far more pieces from 0 to 1",
     prints("What Depth", 1, [0.2, 0.4] + [
         value for folds in range(1, 6)
         for value in (2 * folds, 2 ** folds, folds, 2 * folds + 1)])),
    ("What Depth", "Slopes along a chain multiply",
     holds("What Depth", lambda n: (n.slope.abs() == 2.0 ** 5).all())),
    ("What Depth", "equally many weights and biases",
     always(lambda t: sum(map(torch.numel, MLP(1, [10], 1).parameters()))
            == sum(map(torch.numel, MLP(1, 5 * [2], 1).parameters())))),

    # 5. Defining a Neural Network in PyTorch
    ("Defining", "A plain list is not a shelf: its layers are not found",
     prints("Defining", 0, [0, 4 * 5 + 2 * 5])),
    ("Implementing", "which runs `forward` and anything attached",
     always(calls_forward_and_hooks)),
    ("Example", "maps these names to the numbers",
     always(lambda t: re.findall(r"(\w+\.\w+) \(", t.printed("Example"))
            == [*after(t, "Example").SimpleMLP(1, 1, 1).state_dict()])),
    ("Two", "sets each to zero with probability $p$, and scales the rest by",
     always(lambda t: {*F.dropout(torch.ones(99), 0.2).tolist()}
            == {0, 1.25})),
    ("Two", "the first changes what layers compute, the second stops the "
     "memory", always(modes_do_different_things)),
    ("03_initial_weights",
     "Read from right to left; equal distances are equal factors.",
     sizes_are_drawn),
    ("Initial Weights", "Those of `nn.Linear` suit a few layers.",
     holds("Initial Weights", lambda n: n.sizes["ReLU, nn.Linear's"][0] < 1e-9
           and n.sizes["ReLU, nn.Linear's"][-4] > 0.01)),
    ("04_xor", "On the left are the four corners; on the right the same four",
     lambda t: [ax.get_title()[:6] for ax in t.figures["04_xor"].axes]
     == ["Inputs", "Hidden"]),
    ("04_universal", "straight between the knots, and on the curve at each",
     lambda t: agree(t.line("04_universal", "sum of the pieces")[1][
         :241:40].flatten(), np.sin(range(7)), atol=1e-5)),
    ("08_backpropagation", "Read the values above the names from left to "
     "right, and the slopes below them",
     lambda t: t.figures["08_backpropagation"].axes[0].get_title()
     == "Values (above) go forward, slopes (below) come back"),
]

SHOWN = [
    # Set-up and First Look
    ("Set-up", always(lambda t: after(t, "Set-up").device.type
                      in t.printed("Set-up"))),
    ("First", always(first_look_losses)),
    ("00_first_look",
     labels_axes("00_first_look", ("feature 1", "feature 2"))),
    ("00_first_look", draws("00_first_look", "class 0", "o",
                            lambda x, n: n.X[n.y[:, 0] == 0, 1])),

    # 1. Introduction to Neural Networks
    ("Basic", prints("Basic", 0, 3 * [0.5 * 2 - 1 * 3 + 4])),
    ("Basic", prints("Basic", 1, lambda n: [
        2, 2, 2, 3, *[row @ x + bias for x in n.X
                      for row, bias in zip(n.W, n.b)]])),
    ("Basic", prints("Basic", 2, [2, 3, 1, 2, 3, 3, 1, 3])),
    ("01_network", labels_axes("01_network")),

    # 2. The Perceptron
    ("Single", always(gates_are_learned)),
    ("Linear", prints("Linear", 0, lambda n: [
        100, *Perceptron(2).fit(n.X, n.y)])),
    ("Linear", prints("Linear", 2, np.take(
        Perceptron(2).fit(CORNERS, XOR), [*range(9), 99]))),
    ("02_perceptron",
     labels_axes("02_perceptron", ("feature 1", "feature 2"))),
    ("02_perceptron", draws("02_perceptron", "class 0", "o",
                            lambda x, n: n.X[n.y == 0, 1])),
    ("02_perceptron", draws("02_perceptron", "class 1", "^",
                            lambda x, n: n.X[n.y == 1, 1])),
    ("02_perceptron", draws("02_perceptron", "after pass 1", ":",
                            lambda x, n: zero_line(n.early, x))),
    ("Linear", always(lambda t: after(t, "Linear", 0).early.weights.equal(
        taught(after(t, "Linear", 0).X, after(t, "Linear", 0).y, 1).weights))),

    # 3. Activation Functions
    ("03_walk", labels_axes("03_walk", ("w", "height"))),
    ("03_walk", draws("03_walk", "height", "-", lambda x, n: x ** 2)),
    ("03_walk", draws("03_walk", "steps", "o", lambda x, n: x ** 2)),
    ("Walking", prints("Walking", 3, [2, 5, 2 * 5, -1, 2, 5, -2, 4, 10])),
    ("Sigmoid", prints("Sigmoid", 0, [-100, 0])),
    ("Softmax", prints("Softmax", 1, lambda n: [
        *2 * [*n.logits[0].softmax(0)], 1, 1, 1, 0, 0, 3])),
    ("PyTorch", prints("PyTorch", 0, [1 / 4, 1, 1, 1])),
    ("03_activations", labels_axes("03_activations")),
    ("03_activations", draws("03_activations", "function", "-",
                             lambda x, n: getattr(F, n.title)(x))),
    ("03_activations", draws(
        "03_activations", "slope", "--",
        lambda x, n: gradient_of(getattr(F, n.title), x))),
    ("Initial", prints("Initial", 0, factors_through_layers)),
    ("03_initial_weights",
     labels_axes("03_initial_weights", ("layer", "last = 1"))),

    # 4. Multi-Layer Perceptrons
    ("Architecture", prints("Architecture", 0, [
        number for a, b in CORNERS.tolist()
        for number in (a, b, max(0, a + b), max(0, a + b - 1), a != b)])),
    ("04_xor", labels_axes("04_xor", ("input 1", "input 2"),
                           ("hidden unit 1", "hidden unit 2"))),
    ("04_xor", draws("04_xor", "class 0", "o", lambda x, n:
                     x if "Inputs" in n.title else x / 2)),
    ("The Power", prints("The Power", 1, [
        number for end in (6, 9)
        for number in (abs(SINE - np.sin(GRID))[GRID <= end].max(), end)])),
    ("04_universal", labels_axes("04_universal", ("x", ""))),
    ("04_universal", draws("04_universal", "target sin x", "-",
                           lambda x, n: x.sin())),
    ("04_folds", labels_axes("04_folds", *4 * [("x", "")])),
    ("04_folds", draws("04_folds", "", "-", lambda x, n: 1 - abs({
        "2 units, 1 deep": 2 * x, "4 units, 2 deep": 4 * x,
        "10 units, 5 deep": 32 * x, "10 units, one layer": F.relu(11 * x - 1),
    }[n.title] % 2 - 1))),

    # 5. Defining a Neural Network in PyTorch
    ("Example", prints("Example", 0, [
        32, 32, 10, 128, 784, 128 * 784, 128, 128, 10, 128, 10 * 128, 10, 10,
        128 * 785 + 10 * 129])),
]
