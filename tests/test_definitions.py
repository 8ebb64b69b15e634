"""The definitions do what their docstrings say, those for data apart.

Each one is loaded with what it needs alone, as a reader would paste it.
Values are checked against an independent reference, gradients by gradcheck.
"""

import ast
import builtins
import inspect
import pickle
import subprocess
import symtable
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from definitions import IMPORTS, NEEDS, SOURCES, load
from examples import DEVICES, regression_set
from hypothesis import given
from hypothesis import strategies as st
from scipy import special
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from torch import nn


def free_names(table):
    """Names that a source reads from outside itself, all scopes included."""
    names = {symbol.get_name() for symbol in table.get_symbols()
             if symbol.is_global() and symbol.is_referenced()}
    return names.union(*(free_names(t) for t in table.get_children()))


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_needs_what_it_names_and_nothing_else(name):
    namespace = {}
    exec(IMPORTS, namespace)
    tables = {part: symtable.symtable(SOURCES[part], part, "exec")
              for part in [name] + NEEDS[name]}
    defined = {symbol.get_name() for table in tables.values()
               for symbol in table.get_symbols() if symbol.is_assigned()}
    used = set().union(*map(free_names, tables.values()))
    assert not used - defined - set(namespace) - set(dir(builtins))
    for needed in NEEDS[name]:
        assert needed in used


# One screen: the longest that each may be, in lines.
SCREENS = {"fit": 55, "check_targets": 48, "check_batch": 48, "evaluate": 20}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_fits_on_a_screen(name):
    node, = [node for node in ast.parse(SOURCES[name]).body
             if getattr(node, "name", "") == name]
    last = max(getattr(part, "lineno", 0) for part in ast.walk(node))
    assert last - node.lineno + 1 <= SCREENS.get(name, 45)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_has_a_docstring(name):
    assert load(name).__doc__


def test_every_definition_is_tested():
    text = "".join(path.read_text(encoding="utf-8")
                   for path in Path(__file__).parent.glob("test_*.py"))
    untested = [name for name in SOURCES if 'load("%s")' % name not in text]
    assert untested == []


# Activations: value against SciPy or a closed form, gradient by gradcheck.

WIDE = np.concatenate([np.linspace(-800, 800, 1601), [1e-4, -1e-4, 1e-30]])
ACTIVATIONS = [
    ("sigmoid", load("sigmoid"), torch.sigmoid, special.expit),
    ("tanh", load("tanh"), torch.tanh, np.tanh),
    ("relu", load("relu"), torch.relu, lambda z: np.maximum(z, 0)),
    ("leaky_relu", load("leaky_relu"), nn.LeakyReLU(),
     lambda z: np.maximum(z, 0.01 * z)),
]
IDS = [row[0] for row in ACTIVATIONS]


@pytest.mark.parametrize("dtype, rtol", [(torch.float32, 2e-6),
                                         (torch.float64, 1e-13)])
@pytest.mark.parametrize("name, ours, theirs, reference", ACTIVATIONS,
                         ids=IDS)
def test_activation_values(name, ours, theirs, reference, dtype, rtol):
    z = torch.tensor(WIDE, dtype=dtype)
    result = ours(z)
    assert result.dtype == dtype and result.shape == z.shape
    expected = reference(z.numpy().astype(np.float64))
    # tanh subtracts 1, and keeps the digits of 1 near zero.
    atol = torch.finfo(dtype).eps if name == "tanh" else 1e-37
    np.testing.assert_allclose(result.numpy(), expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("name, ours, theirs, reference", ACTIVATIONS,
                         ids=IDS)
def test_activation_gradients(name, ours, theirs, reference):
    gradient_of = load("gradient_of")
    z = torch.tensor(WIDE)
    torch.testing.assert_close(gradient_of(ours, z), gradient_of(theirs, z))
    zero = torch.zeros(3)
    torch.testing.assert_close(gradient_of(ours, zero),
                               gradient_of(theirs, zero))
    away_from_corners = torch.tensor([-3.0, -0.5, 0.5, 3.0],
                                     dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ours, away_from_corners)


@pytest.mark.parametrize("name, ours, theirs, reference", ACTIVATIONS,
                         ids=IDS)
def test_activation_edge_cases(name, ours, theirs, reference):
    assert ours(torch.zeros(0, 3)).shape == (0, 3)
    assert ours(torch.tensor(1.5)).shape == ()
    assert ours(torch.tensor([float("nan")])).isnan().all()
    extremes = torch.tensor([float("inf"), float("-inf")])
    torch.testing.assert_close(ours(extremes), theirs(extremes))


@pytest.mark.parametrize("device", DEVICES)
def test_softmax(device):
    softmax = load("softmax")
    torch.manual_seed(0)
    logits = 100 * torch.randn(4, 5, dtype=torch.float64, device=device)
    for dim in (0, 1):
        result = softmax(logits, dim=dim)
        np.testing.assert_allclose(
            result.cpu(), special.softmax(logits.cpu().numpy(), axis=dim))
        ones = torch.ones_like(result.sum(dim=dim))
        torch.testing.assert_close(result.sum(dim=dim), ones)
        torch.testing.assert_close(softmax(logits + 1000, dim=dim), result)
    small = (logits / 100).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: softmax(z, dim=1), small)


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=5),
       st.floats(-1e4, 1e4))
def test_softmax_is_a_distribution_that_a_shift_leaves_alone(row, shift):
    logits = torch.tensor([row], dtype=torch.float64)
    result = load("softmax")(logits, dim=1)
    assert (result >= 0).all() and abs(result.sum().item() - 1) < 1e-9
    torch.testing.assert_close(load("softmax")(logits + shift, dim=1), result,
                               rtol=1e-6, atol=1e-9)


def test_softmax_refuses_an_empty_dimension():
    with pytest.raises((RuntimeError, IndexError)):
        load("softmax")(torch.zeros(2, 0), dim=1)
    assert load("softmax")(torch.zeros(0, 3), dim=1).shape == (0, 3)


@pytest.mark.parametrize("name, ours, theirs, reference", ACTIVATIONS,
                         ids=IDS)
@given(st.floats(-2.0 ** 100, 2.0 ** 100, width=32))
def test_activation_anywhere(name, ours, theirs, reference, number):
    z = torch.tensor([number])
    gradient_of = load("gradient_of")
    torch.testing.assert_close(ours(z), theirs(z))
    torch.testing.assert_close(gradient_of(ours, z), gradient_of(theirs, z))


def test_gradient_of_leaves_all_else_alone():
    points = torch.tensor([1.0, 2.0])
    gradient = load("gradient_of")(lambda z: z ** 3, points)
    assert gradient.tolist() == [3.0, 12.0]
    assert not points.requires_grad and points.grad is None
    network = nn.Linear(2, 1)
    load("gradient_of")(network, torch.ones(3, 2))
    assert network.weight.grad is None


def test_gradient_of_refuses_a_function_of_something_else():
    fixed = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError):
        load("gradient_of")(lambda z: fixed ** 2, torch.zeros(2))


# The perceptron.

def test_perceptron_learns_what_a_line_separates():
    torch.manual_seed(0)
    X = torch.randn(200, 3)
    y = (X @ torch.tensor([1.0, -2.0, 0.5]) + 0.3 > 0).float()
    far = (X @ torch.tensor([1.0, -2.0, 0.5]) + 0.3).abs() > 0.2
    perceptron = load("Perceptron")(3)
    mistakes = perceptron.fit(X[far], y[far], max_passes=1000)
    assert mistakes[-1] == 0
    assert torch.equal(perceptron.predict(X[far]), y[far])


def test_perceptron_applies_rosenblatts_rule():
    perceptron = load("Perceptron")(2)
    mistakes = perceptron.fit(torch.tensor([[2.0, 3.0]]), torch.tensor([0.0]),
                              max_passes=1)
    assert mistakes == [1]  # 0 counts as "at least 0", so it answers 1
    assert perceptron.weights.tolist() == [-2.0, -3.0]
    assert perceptron.bias.item() == -1.0


def test_perceptron_learns_one_sample():
    perceptron = load("Perceptron")(2)
    mistakes = perceptron.fit(torch.ones(1, 2), torch.tensor([0.0]))
    assert mistakes == [1, 0]
    assert perceptron.predict(torch.ones(1, 2)).item() == 0.0


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
                min_size=1, max_size=20), st.integers(-5, 5))
def test_perceptron_ends_without_mistakes_if_a_line_exists(points, height):
    X = torch.tensor(points, dtype=torch.float32)
    y = (X[:, 1] > height + 0.5).float()  # a gap, since all are whole
    mistakes = load("Perceptron")(2).fit(X, y, max_passes=20000)
    assert mistakes[-1] == 0


# Modules.

@pytest.mark.parametrize("device", DEVICES)
def test_simple_mlp(device):
    torch.manual_seed(0)
    model = load("SimpleMLP")(784, 128, 10).to(device)
    x = torch.rand(3, 784, device=device)
    hidden = torch.relu(x @ model.fc1.weight.T + model.fc1.bias)
    expected = hidden @ model.fc2.weight.T + model.fc2.bias
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    assert model(x[:1]).shape == (1, 10)
    assert model(x[:0]).shape == (0, 10)


def test_mlp_has_the_layers_asked_for():
    MLP = load("MLP")
    kinds = [type(layer).__name__
             for layer in MLP(3, [5, 4], 2, nn.Tanh, dropout=0.2).layers]
    assert kinds == ["Linear", "Tanh", "Dropout", "Linear", "Tanh", "Dropout",
                     "Linear"]
    shapes = [tuple(p.shape) for p in MLP(3, (5, 4), 2).parameters()]
    assert shapes == [(5, 3), (5,), (4, 5), (4,), (2, 4), (2,)]
    assert len(list(MLP(3, [], 2).parameters())) == 2
    assert MLP(3, [5], 2)(torch.zeros(0, 3)).shape == (0, 2)
    assert MLP(3, [5], 2)(torch.zeros(1, 3)).shape == (1, 2)


def relu_by_another_name(*shape):
    """A function that makes no layer, though it can be called."""
    return torch.zeros(shape)


@pytest.mark.parametrize("arguments, options, error, words", [
    ((3, [5], 2), {"activation": nn.ReLU()}, TypeError, "class"),
    ((3, [5], 2), {"activation": torch.relu}, TypeError, "class"),
    ((3, [5], 2), {"activation": nn.functional.relu}, TypeError, "class"),
    ((3, [5], 2), {"activation": "relu"}, TypeError, "class"),
    ((3, [5], 2), {"activation": None}, TypeError, "class"),
    ((3, [5], 2), {"activation": relu_by_another_name}, TypeError, "class"),
    ((3, [5.0], 2), {}, ValueError, "above 0"),
    ((3, ["5"], 2), {}, ValueError, "above 0"),
    ((3, "5", 2), {}, ValueError, "above 0"),
    ((3, [[5, 4]], 2), {}, ValueError, "above 0"),
    (((3,), [5], 2), {}, ValueError, "above 0"),
    ((3, [5], [2]), {}, ValueError, "above 0"),
    ((3, [5, 0], 2), {}, ValueError, "above 0"),
    ((3, -5, 2), {}, ValueError, "above 0"),
    ((3, [5], 0), {}, ValueError, "above 0"),
    ((3, [5], 2), {"dropout": -0.5}, ValueError, "(?i)dropout"),
    ((3, [5], 2), {"dropout": 50}, ValueError, "(?i)dropout"),
])
def test_mlp_refuses_what_makes_no_network(arguments, options, error, words):
    with pytest.raises(error, match=words):
        load("MLP")(*arguments, **options)


@pytest.mark.parametrize("hidden_sizes", [
    5, np.int64(5), (5,), range(5, 6), torch.Size([5]), np.array([5])])
def test_mlp_takes_sizes_of_any_kind(hidden_sizes):
    model = load("MLP")(np.int64(3), hidden_sizes, 2)
    assert [tuple(p.shape) for p in model.parameters()] \
        == [(5, 3), (5,), (2, 5), (2,)]


def test_check_layers_returns_the_sizes():
    assert load("check_layers")(3, [5, 4], 2, nn.Tanh) == [3, 5, 4, 2]


def test_mlp_makes_a_new_activation_for_each_layer():
    for activation in (nn.PReLU, lambda: nn.PReLU(init=0.1)):
        model = load("MLP")(3, [5, 4], 2, activation=activation)
        learnt = [p for name, p in model.named_parameters()
                  if "activation" in name]
        assert len(learnt) == 2 and learnt[0] is not learnt[1]


def test_mlp_loads_weights_with_and_without_dropout():
    MLP = load("MLP")
    for activation in (nn.ReLU, nn.PReLU):
        plain, dropping = (MLP(3, [5, 4], 2, activation, dropout)
                           for dropout in (0.0, 0.5))
        dropping.load_state_dict(plain.state_dict())
        x = torch.randn(6, 3)
        assert torch.equal(dropping.eval()(x), plain(x))
        plain.load_state_dict(dropping.state_dict())


@pytest.mark.parametrize("name, sizes", [("MLP", (3, [5], 2)),
                                         ("SimpleMLP", (3, 5, 2))])
def test_networks_refuse_another_dtype(name, sizes):
    with pytest.raises(RuntimeError, match="(?i)double"):
        load(name)(*sizes)(torch.zeros(4, 3).double())
    assert load(name)(*sizes).double()(torch.zeros(4, 3).double()).dtype \
        == torch.float64


@pytest.mark.parametrize("name, sizes", [("MLP", (3, [5], 2)),
                                         ("SimpleMLP", (3, 5, 2))])
def test_networks_refuse_another_width(name, sizes):
    with pytest.raises(RuntimeError, match="4x2 and 3x5"):
        load(name)(*sizes)(torch.zeros(4, 2))


# Losses: value against scikit-learn, gradient by gradcheck.

def test_cross_entropy():
    cross_entropy = load("cross_entropy")
    torch.manual_seed(0)
    logits = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 1, 2, 3, 0, 0, 2])
    probabilities = special.softmax(logits.detach().numpy(), axis=1)
    expected = log_loss(targets, probabilities, labels=range(4))
    loss = cross_entropy(logits, targets)
    assert loss.shape == () and abs(loss.item() - expected) < 1e-12
    assert torch.autograd.gradcheck(lambda z: cross_entropy(z, targets),
                                    logits)
    huge = torch.tensor([[1e4, -1e4]])
    assert cross_entropy(huge, torch.tensor([1])).item() == 2e4
    equal = torch.tensor([[1e8, 1e8]])
    loss = cross_entropy(equal, torch.tensor([0])).item()
    assert loss == pytest.approx(np.log(2), rel=1e-6)


@pytest.mark.parametrize("device", DEVICES)
@given(st.data())
def test_cross_entropy_agrees_with_torch(device, data):
    rows, classes = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    logits = torch.tensor(data.draw(st.lists(
        st.lists(st.floats(-1e3, 1e3), min_size=classes, max_size=classes),
        min_size=rows, max_size=rows)), device=device, requires_grad=True)
    targets = torch.tensor(data.draw(st.lists(
        st.integers(0, classes - 1), min_size=rows, max_size=rows)),
        device=device)
    losses = [loss_fn(logits, targets) for loss_fn
              in (load("cross_entropy"), nn.CrossEntropyLoss())]
    torch.testing.assert_close(*losses)
    ours, theirs = (torch.autograd.grad(loss, logits)[0] for loss in losses)
    torch.testing.assert_close(ours, theirs)


def test_losses_show_a_nan_in_the_logits():
    logits = torch.tensor([[float("nan"), 0.0]])
    assert load("cross_entropy")(logits, torch.tensor([1])).isnan()
    loss = load("binary_cross_entropy_with_logits")(logits, torch.ones(1, 2))
    assert loss.isnan()


def test_binary_cross_entropy_with_logits():
    loss_fn = load("binary_cross_entropy_with_logits")
    torch.manual_seed(0)
    logits = torch.randn(9, 1, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0.0, 1.0, 1.0] * 3, dtype=torch.float64)[:, None]
    expected = log_loss(targets.flatten(),
                        special.expit(logits.detach().numpy()).flatten())
    loss = loss_fn(logits, targets)
    assert loss.shape == () and abs(loss.item() - expected) < 1e-12
    assert torch.autograd.gradcheck(lambda z: loss_fn(z, targets), logits)
    assert loss_fn(torch.tensor([1e4]), torch.tensor([0.0])).item() == 1e4
    small = loss_fn(torch.tensor([16.0]), torch.tensor([1.0])).item()
    assert small == pytest.approx(np.log1p(np.exp(-16)), rel=0.1)
    zero = torch.zeros(1, requires_grad=True)
    loss_fn(zero, torch.ones(1)).backward()
    assert zero.grad.item() == -0.5


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0, 1)), min_size=1,
                max_size=9))
def test_binary_cross_entropy_agrees_with_torch(pairs):
    logits, targets = torch.tensor(pairs).T
    logits = logits.clone().requires_grad_()
    losses = [loss_fn(logits, targets) for loss_fn in (
        load("binary_cross_entropy_with_logits"), nn.BCEWithLogitsLoss())]
    torch.testing.assert_close(*losses)
    ours, theirs = (torch.autograd.grad(loss, logits)[0] for loss in losses)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


# Optimizers.

def test_ravine():
    ravine = load("ravine")
    assert ravine(torch.tensor([2.0, 1.0])).item() == 0.5 * (4 + 20)
    assert ravine(torch.ones(5, 2)).tolist() == [10.5] * 5
    assert ravine(torch.ones(2).double(), (0.1, 0.3)).item() \
        == pytest.approx(0.2, rel=1e-14)


def quartic(w):
    return ((w ** 2 - 1) ** 2).sum() + (w[0] * w[1])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_step_matches_torch(momentum):
    sgd_step = load("sgd_step")
    ours = torch.tensor([0.3, -2.0, 1.5], requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    velocity = torch.zeros(3)
    optimizer = torch.optim.SGD([theirs], lr=0.01, momentum=momentum)
    for _ in range(25):
        ours.grad = theirs.grad = None
        quartic(ours).backward()
        quartic(theirs).backward()
        sgd_step(ours, velocity, 0.01, momentum)
        optimizer.step()
        torch.testing.assert_close(ours, theirs)


def test_adam_step_matches_torch():
    adam_step = load("adam_step")
    ours = torch.tensor([0.3, -2.0, 1.5], requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    mean, mean_square = torch.zeros(3), torch.zeros(3)
    optimizer = torch.optim.Adam([theirs], lr=0.05, betas=(0.8, 0.99),
                                 eps=1e-6)
    for step in range(1, 26):
        ours.grad = theirs.grad = None
        quartic(ours).backward()
        quartic(theirs).backward()
        adam_step(ours, mean, mean_square, step, 0.05, 0.8, 0.99, 1e-6)
        optimizer.step()
        torch.testing.assert_close(ours, theirs)


# Folds, an engine, digits with wrong labels, a file for another program.

def test_fold_maps_0_to_1_onto_itself_twice():
    x = torch.linspace(0, 1, 101, dtype=torch.float64)
    np.testing.assert_allclose(load("fold")(x), 1 - (2 * x - 1).abs(),
                               atol=1e-15)


@given(st.lists(st.floats(-2, 2), min_size=3, max_size=3))
def test_value_has_the_slopes_of_torch(numbers):
    def formula(a, b, c):
        d = a * b + c
        e = (d + d * a).tanh()
        return e * e + d * c + a + e

    ours = [load("Value")(number) for number in numbers]
    theirs = torch.tensor(numbers, dtype=torch.float64, requires_grad=True)
    for _ in range(2):  # there is nothing to clear
        value = formula(*ours)
        value.backward()
    expected = formula(*theirs)
    expected.backward()
    assert value.data == pytest.approx(expected.item(), abs=1e-12)
    np.testing.assert_allclose([number.grad for number in ours], theirs.grad,
                               atol=1e-12)


def test_noisy_digits_spoils_every_fifth_label_of_the_training_set_alone():
    digits = load_digits()
    images, labels = load("noisy_digits")(random_state=3)
    X, y = load("split_in_three")(digits.data / 16, digits.target,
                                  random_state=3, stratify=digits.target)
    for ours, truth in zip(images, X):
        np.testing.assert_allclose(ours, truth, rtol=1e-6)
    wrong = [(ours.numpy() != truth).nonzero()[0].tolist()
             for ours, truth in zip(labels, y)]
    assert wrong == [list(range(0, len(y[0]), 5)), [], []]
    assert labels[0].dtype == torch.int64
    assert 0 <= labels[0].min() and labels[0].max() <= 9


@pytest.fixture(scope="module")
def saved_network(tmp_path_factory):
    """A file as the tutorial writes it, and the network it came from."""
    torch.manual_seed(0)
    model = load("MLP")(2, [5], 1, nn.Tanh)
    path = tmp_path_factory.mktemp("saved") / "network.pt"
    torch.save({"sizes": [2, [5], 1], "activation": "Tanh",
                "weights": model.state_dict(),
                "mean": torch.tensor([1.0, 20.0]).double(),
                "scale": torch.tensor([0.5, 4.0]).double(),
                "classes": ["no", "yes"]}, path)
    return path, model


@pytest.mark.parametrize("kind", [
    list, np.array, torch.tensor, pd.DataFrame,
    lambda rows: np.array(rows[::-1])[::-1]])
def test_classify_scales_and_names(saved_network, kind):
    path, model = saved_network
    rows = [[1.0, 20.0], [-4.0, 30.0], [6.0, 10.0]]
    scaled = torch.tensor([[0.0, 0.0], [-10.0, 2.5], [10.0, -2.5]])
    expected = torch.sigmoid(model(scaled)).flatten().tolist()
    found = load("classify")(path, kind(rows))
    np.testing.assert_allclose([p for _, p in found], expected, rtol=1e-6)
    assert [name for name, _ in found] == [
        "yes" if p > 0.5 else "no" for p in expected]


@pytest.mark.parametrize("rows", [
    [[1.0]], [[1.0, 2.0, 3.0]], [1.0, 2.0], [[float("nan"), 1.0]],
    [[float("inf"), 1.0]], []])
def test_classify_refuses_other_rows(saved_network, rows):
    with pytest.raises(ValueError, match="2 columns"):
        load("classify")(saved_network[0], rows)


CLASSIFIER = """
import sys
{imports}
{definitions}
for name, p in classify(sys.argv[1], [[-4.0, 30.0], [6.0, 10.0]]):
    print(name, round(p, 3))
"""


def test_another_program_classifies_with_the_file_alone(saved_network,
                                                        tmp_path):
    path, model = saved_network
    program = tmp_path / "other.py"
    program.write_text(CLASSIFIER.format(
        imports=IMPORTS, definitions="\n".join(
            SOURCES[name] for name in NEEDS["classify"] + ["classify"])))
    printed = subprocess.run(
        [sys.executable, "-W", "error", str(program), str(path)],
        cwd=str(tmp_path), stdout=subprocess.PIPE, check=True,
        timeout=300).stdout.decode()
    expected = torch.sigmoid(model(torch.tensor([[-10.0, 2.5],
                                                 [10.0, -2.5]])))
    assert printed.split()[1::2] == [
        str(round(p, 3)) for p in expected.flatten().tolist()]


def test_training_goes_on_only_with_the_optimizers_state(tmp_path):
    X, y = regression_set()
    network, path = load("SimpleMLP"), tmp_path / "state.pt"

    def steps(model, optimizer, number):
        for _ in range(number):
            optimizer.zero_grad()
            nn.MSELoss()(model(X), y).backward()
            optimizer.step()
        return model.fc1.weight.detach()

    torch.manual_seed(0)
    model = network(3, 4, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    steps(model, optimizer, 5)
    torch.save([model.state_dict(), optimizer.state_dict()], path)
    expected = steps(model, optimizer, 3)
    weights, state = torch.load(path)
    for whole in (True, False):
        model = network(3, 4, 1)
        model.load_state_dict(weights)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        if whole:
            optimizer.load_state_dict(state)
        assert torch.equal(steps(model, optimizer, 3), expected) == whole


@pytest.mark.skipif("weights_only" not in inspect.signature(
    torch.load).parameters, reason="PyTorch before 1.13")
@pytest.mark.parametrize("what, passes", [
    (StandardScaler(), False), (np.zeros(2), False), (np.float64(1.0), False),
    (torch.zeros(2), True), ([1, 2.0, "three"], True)])
def test_weights_only_refuses_what_the_prose_says(tmp_path, what, passes):
    torch.save({"what": what}, tmp_path / "file.pt")
    try:
        torch.load(tmp_path / "file.pt", weights_only=True)
    except pickle.UnpicklingError:
        assert not passes
    else:
        assert passes
