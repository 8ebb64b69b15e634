"""The definitions, data apart, do what the docstrings quoted here say."""

import ast
from functools import partial
from math import inf, nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from definitions import CELLS, NEEDS, SOURCES, load
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

SGD, Adam = torch.optim.SGD, torch.optim.Adam
SCREENS = {"fit": 57, "check_targets": 57, "check_batch": 50}  # else 45 lines


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_needs_what_it_names_and_nothing_else(name):
    used = {node.id for part in [name] + NEEDS[name]
            for node in ast.walk(ast.parse(SOURCES[part]))
            if isinstance(node, ast.Name)}
    assert used & set(SOURCES) - {name} == set(NEEDS[name])


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_fits_on_a_screen(name):
    assert SOURCES[name].count("\n") <= SCREENS.get(name, 45)


def test_every_definition_is_tested():
    text = "".join(path.read_text(encoding="utf-8")
                   for path in Path(__file__).parent.glob("test_*.py"))
    assert [n for n in SOURCES if 'load("%s")' % n not in text] == []


def test_helpers_of_the_set_up(tmp_path, monkeypatch, capsys):
    """print: Print, after the headings of the script that have gone by. show:
    Show a figure in a notebook; save figures/<name>.png in a script.
    scatter_classes: Draw class 0 as circles and class 1 as triangles.
    draw_boundary: Draw the probability of class 1, a function of points.
    draw_ravine: Draw {name: points} on the ravine of Section 7, always to one
    scale."""
    names, shown = {"__name__": "tutorial"}, []
    exec(CELLS[0], names)
    names["headings"] = [(0, "# ## 1. `A`"), (4, "# ### B"), (9, "# ### C")]
    exec("\n" * 5 + "print('x', 2)", names)
    assert capsys.readouterr().out.endswith("\n\n\n1. A\n====\n\n\n# B\nx 2\n")
    points = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    fig = names["draw_boundary"](points, torch.tensor([0, 1, 1]),
                                 lambda p: (p[:, 0] > 3).float(), "title")
    assert [(line.get_marker(), len(line.get_xdata()))
            for line in fig.axes[0].lines] == [("o", 1), ("^", 2)]
    image, = fig.axes[0].images
    across = np.linspace(*image.get_extent()[:2], 80)
    assert (image.get_array() == (across > 3)).all()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(names["sys"].modules, "IPython.display", type("", (), {
        "display": lambda data, raw: shown.append(data["image/png"])}))
    for names["IN_NOTEBOOK"] in (False, True):
        names["show"](fig, "name")
    saved = Path("figures/name.png").read_bytes()
    assert [names["base64"].b64decode(png) for png in shown] == [saved]
    paths = {"a": list(points), "b": list(-9 * points)}
    for ax, key in zip(names["draw_ravine"](paths).axes, paths):
        heights = load("ravine")(torch.tensor(np.concatenate([
            curve.vertices for drawn in ax.collections
            for curve in drawn.get_paths()]))).round().unique()
        assert (ax.get_title(), ax.get_xlim(), ax.get_ylim(), len(heights)) \
            == (key, (-10, 6), (-5, 5), 5)  # one height along each curve
        assert np.array_equal(ax.lines[0].get_xydata(), np.stack(paths[key]))


def test_perceptron_applies_rosenblatts_rule():
    """Perceptron: One neuron with a step activation, taught by Rosenblatt's
    rule. Shapes: float32 tensors X (num_samples, in_features) and y
    (num_samples,) of 0s and 1s. Source: F. Rosenblatt, "Principles of
    Neurodynamics", 1962. Perceptron.predict: Return 1.0 where the weighted
    sum is at least 0, else 0.0. Perceptron.fit: Learn for max_passes, or
    until one is clean; return mistakes."""
    neuron, X = load("Perceptron")(2), torch.tensor([[1.0, 0.0], [-1.0, -2]])
    assert neuron.fit(X, torch.zeros(2), max_passes=1) == [2]  # 0 answers 1
    assert neuron.weights.tolist() == [0.0, 2.0] and neuron.bias == -2.0
    assert neuron.fit(X[:1], torch.ones(1)) == [1, 0]
    assert neuron.weights.tolist() == [1.0, 2.0] and neuron.bias == -1.0
    assert neuron.predict(torch.cat([X, -X])).tolist() == [1.0, 0.0, 0.0, 1.0]
    assert len(neuron.fit(X[[0, 0]], torch.tensor([0.0, 1.0]))) == 100


Z = torch.cat([torch.linspace(-800, 800, 1601), torch.linspace(-9, 9, 1001),
               torch.tensor([1e-4, 1e-30, inf, -inf, nan])])
EACH = [Z, Z[:4].reshape(2, 1, 2), Z[0], Z[:0]]
LOGITS = torch.tensor([[1.0, -2, 0.5], [1e4, 0, -1e4], [1e8, 1e8, 1e8]])
YES, CLASSES = torch.tensor([[1.0, 0.3, 0.0]] * 3), torch.tensor([2, 0, 1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ours, theirs, inputs", [
    (load("sigmoid"), torch.sigmoid, EACH), (load("tanh"), torch.tanh, EACH),
    (load("relu"), torch.relu, EACH), (load("leaky_relu"), F.leaky_relu, EACH),
    (partial(load("leaky_relu"), negative_slope=2), nn.LeakyReLU(2), EACH),
    (partial(load("softmax"), dim=1), nn.Softmax(1), [LOGITS, LOGITS[:0]]),
    (partial(load("softmax"), dim=0), nn.Softmax(0), [LOGITS, LOGITS[0]]),
    (lambda z: load("cross_entropy")(z, CLASSES),
     lambda z: F.cross_entropy(z, CLASSES), [LOGITS]),
    (lambda z: load("binary_cross_entropy_with_logits")(z, YES.to(z)),
     lambda z: F.binary_cross_entropy_with_logits(z, YES.to(z)), [LOGITS]),
    (load("fold"), lambda x: 1 - abs(2 * x - 1), [torch.rand(9)]),
    (load("ravine"), lambda w: w[..., 0] ** 2 / 2 + 10 * w[..., 1] ** 2,
     [LOGITS[0, :2], torch.rand(4, 3, 2)]),
    (partial(load("ravine"), curvatures=(0.1, 0.3)),
     lambda w: w[..., 0] ** 2 / 20 + 0.15 * w[..., 1] ** 2, [LOGITS[:, :2]])])
def test_functions_and_their_slopes_are_torchs(ours, theirs, inputs, dtype):
    """sigmoid: Return 1 / (1 + exp(-z)) for decimals z of any shape, stably.
    tanh: Return the hyperbolic tangent of each entry. Any shape. In 32 bits
    off by up to 0.0000002, near zero too. relu: Return max(0, z)
    for each entry of any shape; its slope at 0 is 0. leaky_relu: Return z
    where z > 0, and negative_slope * z elsewhere; any shape. Source: A. Maas
    et al., "Rectifier nonlinearities improve neural network acoustic models",
    2013. gradient_of: For a function that acts entry by entry, these are its
    slopes. softmax: Turn logits into probabilities that sum to 1 along
    dimension dim. Shapes: any, with at least one entry along dim; the same
    shape out. cross_entropy: Return the mean of -log(softmax probability of
    the right class). Shapes: logits (batch_size, num_classes), floating
    point; targets (batch_size,), int64 from 0 to num_classes - 1. Returns one
    number. binary_cross_entropy_with_logits: Return the mean binary
    cross-entropy of sigmoid(logits), one number. Shapes: two floating-point
    tensors of one shape, the targets from 0 to 1. fold: Map 0 to 1 onto
    itself, twice: up to 1 and back. ravine: Return half the sum of curvature
    times coordinate squared. Shapes: (..., 2) in, floating point, and (...)
    out."""
    eps, slopes = torch.finfo(dtype).eps, load("gradient_of")
    rtol, atol = (0, 1.7 * eps) if theirs is torch.tanh else (20 * eps, 1e-37)
    for z in (part.to(dtype) for part in inputs):
        assert_close(ours(z), theirs(z.double()).to(dtype), rtol=rtol,
                     atol=atol, equal_nan=True)
        assert_close(slopes(ours, z), slopes(theirs, z), equal_nan=True)
    assert load("tanh")(torch.tensor(1e-9)) == 0  # off by all
    pytest.raises((RuntimeError, IndexError), load("softmax"), z[:0], dim=0)


@pytest.mark.parametrize("hidden, sizes", [
    ([], [3, 2]), (np.array([5, 4]), [3, 5, 4, 2]), (np.int64(5), [3, 5, 2])])
def test_networks_have_the_layers_asked_for(hidden, sizes):
    """SimpleMLP: A network with one hidden ReLU layer, for classification.
    Shapes: (batch_size, input_size) in, logits (batch_size, num_classes) out.
    MLP: A multi-layer perceptron with any number of hidden layers.
    hidden_sizes is a sequence such as [64, 32] (empty, it leaves one linear
    layer) or one number; activation a class such as nn.ReLU or anything else
    that returns a new layer when called; dropout the probability of dropping
    a hidden unit, from 0 up to 1. Shapes: (batch_size, in_features) in,
    (batch_size, out_features) out, without an activation at the end. Raises
    what check_layers and nn.Dropout, if there is one, raise. check_layers:
    Return the sizes of all layers, or raise an error. That is ValueError for a
    size that is not a whole number above 0, and TypeError for an activation
    that does not return a layer when called."""
    MLP, check_layers = load("MLP"), load("check_layers")
    assert check_layers(np.int64(3), hidden, 2, nn.ReLU) == sizes
    for given, more in [([], [nn.ReLU()]), (
            [lambda: nn.PReLU(), 1], [nn.PReLU(), nn.Dropout(1)])]:
        model = MLP(3, hidden, 2, *given)
        expected = [layer for pair in zip(sizes, sizes[1:])
                    for layer in [nn.Linear(*pair)] + more][:-len(more)]
        assert list(map(str, model.layers)) == list(map(str, expected))
        assert len(set(model.layers)) == len(expected)
    MLP(3, hidden, 2, nn.PReLU).load_state_dict(model.state_dict())
    for act in (check_layers, MLP):
        for wrong in (3, [5.0], 2), (3, "5", 2), (3, [[5]], 2), (0, 5, 2), (
                (3,), 5, 2), (3, [5, 0], 2), (3, hidden, -2):
            pytest.raises(ValueError, act, *wrong, nn.ReLU).match("above 0")
        for wrong in (nn.ReLU(), torch.relu, "relu", None, dict, nn.Linear):
            pytest.raises(TypeError, act, 3, hidden, 2, wrong).match(
                "must make a layer when called")
    for share in (-1, 1.5):
        pytest.raises(ValueError, MLP, 3, [5], 2, dropout=share)
    simple, x = load("SimpleMLP")(3, 5, 2), torch.randn(4, 3)
    assert_close(simple(x), simple.fc2(torch.relu(simple.fc1(x))))
    assert simple(x).shape == model(x).shape == (4, 2)


@pytest.mark.parametrize("ours, given, theirs, options", [
    (load("sgd_step"), [0.01], SGD, {"lr": 0.01}),
    (load("sgd_step"), [0.01, 0.9], SGD, {"lr": 0.01, "momentum": 0.9}),
    (load("adam_step"), [], Adam, {}),
    (load("adam_step"), [0.05, 0.8, 0.99, 1e-6], Adam, {
        "lr": 0.05, "betas": (0.8, 0.99), "eps": 1e-6})])
def test_steps_are_those_of_torch(ours, given, theirs, options):
    """sgd_step: Move a parameter by one step of SGD with momentum, in place.
    The parameter holds its gradient in .grad. The velocity is a tensor of its
    shape, zeros before the first step, and is updated too. Matches
    torch.optim.SGD. Source: B. Polyak, "Some methods of speeding up the
    convergence of iteration methods", 1964. adam_step: Move a parameter by
    one step of Adam, in place. The parameter holds its gradient in .grad.
    mean and mean_square are tensors of its shape, zeros before the first
    step, and are updated too. step counts from 1. Matches torch.optim.Adam.
    Source: D. Kingma and J. Ba, "Adam: a method for stochastic optimization",
    2015."""
    moved, led = (torch.tensor([0.3, -2.0, 1.5]).double().requires_grad_()
                  for _ in range(2))
    adam, optimizer = theirs is Adam, theirs([led], **options)
    state = list(torch.zeros(1 + adam, 3).double())
    for step in range(1, 26):
        for w in (moved, led):
            w.grad = None
            ((w ** 2 - 1) ** 2 @ torch.tensor([1, 1e-4, 1e-8]).double()
             + w[0] * w[1]).backward()  # 1e-8: so that an epsilon shows
        ours(moved, *state, *[step] * adam, *given)
        optimizer.step()
        assert_close(moved, led)
    kept = [tensor for tensor in optimizer.state[led].values()
            if torch.is_tensor(tensor) and tensor.shape == led.shape]
    assert_close(state, kept or [led.grad])


def test_an_engine_and_gradient_of_find_torchs_slopes():
    """Value: A number with + and * between Values, and tanh().
    Value.backward: Set .grad of each value behind this one to its slope.
    gradient_of: Return the gradient of function(points).sum() at the points.
    Shapes: any floating-point tensor in, the same shape out."""
    def formula(a, b, c):
        d = a * b + c
        e = (d + d * a).tanh()
        return [a, b, c, d, e, e * e + d * c + a + e]
    given = torch.tensor([0.5, -1.5, 1.25], requires_grad=True)
    ours = formula(*map(load("Value"), given.tolist()))
    theirs = formula(*given)
    slopes = torch.stack(torch.autograd.grad(theirs[-1], theirs))
    for _ in range(2):  # there is nothing to clear
        ours[-1].backward()
        assert_close(torch.tensor([value.grad for value in ours]), slopes)
    assert ours[-1].data == pytest.approx(theirs[-1].item())
    layer, points = nn.Linear(2, 3), torch.ones(4, 2)
    found = load("gradient_of")(lambda z: layer(z).cumsum(0), points)
    assert_close(found, torch.arange(4.0, 0, -1).outer(layer.weight.sum(0)))
    assert layer.weight.grad is None and not points.requires_grad


def test_left_out_leaves_out_one_part():
    """left_out: Train on two moons without one part; return last loss and
    accuracy. part is "nothing", "zero_grad()", "step()", "shuffling",
    "scaling" or "eval()"."""
    losses, right = zip(*[load("left_out")(part, seed=3) for part in (
        "nothing", "eval()", "zero_grad()", "step()", "shuffling", "scaling")])
    assert losses[0] == losses[1] < min(losses[2:]) / 1.1
    assert losses[0] < 0.3 and losses[3] > 0.65 and 0.9 < right[0] > right[1]
    assert {round(5000 * share) % 5 for share in right} == {0}  # of 1000


def test_every_fifth_label_of_noisy_digits_is_wrong():
    """noisy_digits: Return images and labels of digits, each in three sets,
    as tensors. Shapes: images (num_samples, 64), from 0 to 1; labels
    (num_samples,), int64. Every fifth label of the training set is wrong."""
    X, y = load_digits(return_X_y=True)
    images, labels = load("noisy_digits")(random_state=3)
    X_parts, y_parts = load("split_in_three")(X / 16, y, 3, stratify=y)
    assert_close(images, [torch.tensor(part).float() for part in X_parts])
    assert {(part.max().item(), part.shape[1]) for part in images} == {(1, 64)}
    wrong = [(part != torch.tensor(truth)).nonzero()[:, 0].tolist()
             for part, truth in zip(labels, y_parts)]
    assert wrong == [list(range(0, len(labels[0]), 5)), [], []]
    assert labels[0].max() == 9 and labels[2].dtype == torch.int64


def test_classify_scales_and_names_rows(tmp_path):
    """classify: Return (class name, probability of class 1) for each raw row.
    path is a file as written below, of a network with one logit. rows
    (num_rows, in_features) is an array, a list or a data frame, in its own
    units, its columns in the order of training. Raises ValueError for rows of
    another width, for NaN and infinity."""
    model, path = load("MLP")(2, [5], 1, nn.Tanh), str(tmp_path / "it.pt")
    model.layers[-1].bias.data -= model(torch.zeros(1, 2))[0]  # row 1: 0.5
    torch.save({"sizes": [2, [5], 1], "activation": "Tanh",
                "weights": model.state_dict(), "classes": ["no", "yes"],
                "mean": torch.tensor([1.0, 20.0]).double(),
                "scale": torch.tensor([0.5, 4.0]).double()}, path)
    scaled = torch.tensor([[0.0, 0.0], [-10.0, 2.5], [10.0, -2.5]])
    expected = [("yes" if p > 0.5 else "no", pytest.approx(p))
                for p in torch.sigmoid(model(scaled)).flatten().tolist()]
    for kind in (list, np.array, pd.DataFrame):
        rows = kind([[1.0, 20.0], [-4.0, 30.0], [6.0, 10.0]])
        assert load("classify")(path, rows) == expected
    saved = torch.load(path)  # units that 32 bits cannot tell apart
    saved["mean"] += 2 ** 30
    torch.save(saved, path)
    assert load("classify")(path, np.array(rows) + 2 ** 30) == expected
    for wrong in ([[1]], [[1] * 3], [1, 2], [[nan, 1]], [[inf, 1]], [
            [1e39, 1]]):
        pytest.raises(ValueError, load("classify"), path, wrong).match("2 co")
