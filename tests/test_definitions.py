"""The definitions do what their docstrings say, bad input included.

Each one is loaded with only its imports, as a reader would paste it. Values
are checked against an independent reference, gradients by gradcheck.
"""

import builtins
import symtable

import numpy as np
import pytest
import torch
from definitions import IMPORTS, SOURCES, load
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from sklearn.metrics import accuracy_score, log_loss
from torch import nn
from torch.utils.data import DataLoader

# The same examples in each run, and no folder left behind.
settings.register_profile("repeatable", deadline=None, derandomize=True,
                          database=None, max_examples=60)
settings.load_profile("repeatable")
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()
COUNTEREXAMPLES = {"PlainList", "RightList"}  # shown as a mistake, not to copy


def free_names(table):
    """Names that a source reads from outside itself, all scopes included."""
    names = {symbol.get_name() for symbol in table.get_symbols()
             if symbol.is_global() and symbol.is_referenced()}
    return names.union(*(free_names(t) for t in table.get_children()))


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_needs_only_its_imports(name):
    namespace = {}
    exec(IMPORTS, namespace)
    table = symtable.symtable(SOURCES[name], name, "exec")
    defined = {symbol.get_name() for symbol in table.get_symbols()
               if symbol.is_assigned()}
    missing = free_names(table) - defined - set(namespace) - set(dir(builtins))
    assert not missing


@pytest.mark.parametrize("name", sorted(set(SOURCES) - COUNTEREXAMPLES))
def test_has_a_docstring(name):
    assert load(name).__doc__


def test_every_definition_is_tested_here():
    with open(__file__, encoding="utf-8") as file:
        text = file.read()
    untested = [name for name in SOURCES if 'load("%s")' % name not in text]
    assert set(untested) == COUNTEREXAMPLES


# Activations: value against SciPy or a closed form, gradient by gradcheck.

WIDE = np.concatenate([np.linspace(-800, 800, 1601), [1e-4, -1e-4, 1e-30]])
ACTIVATIONS = [
    ("sigmoid", load("sigmoid"), torch.sigmoid, special.expit),
    ("tanh", load("tanh"), torch.tanh, np.tanh),
    ("relu", load("relu"), torch.relu, lambda z: np.maximum(z, 0)),
    ("leaky_relu", load("leaky_relu"), nn.LeakyReLU(),
     lambda z: np.maximum(z, 0.01 * z)),
    ("elu", load("elu"), nn.ELU(),
     lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0)))),
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
    np.testing.assert_allclose(result.numpy(), expected, rtol=rtol,
                               atol=1e-37)


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
    assert len(perceptron.history) == len(mistakes)
    assert torch.equal(perceptron.predict(X[far]), y[far])


def test_perceptron_applies_rosenblatts_rule():
    perceptron = load("Perceptron")(2)
    mistakes = perceptron.fit(torch.tensor([[2.0, 3.0]]), torch.tensor([0.0]),
                              max_passes=1)
    assert mistakes == [1]  # 0 counts as "at least 0", so it answers 1
    assert perceptron.weights.tolist() == [-2.0, -3.0]
    assert perceptron.bias.item() == -1.0


@pytest.mark.parametrize("X, y", [
    (torch.zeros(4, 3), torch.zeros(4)), (torch.zeros(4), torch.zeros(4)),
    (torch.zeros(4, 2), torch.zeros(3)),
    (torch.zeros(4, 2), torch.ones(4) * 2),
    (torch.zeros(4, 2), torch.full((4,), -1.0)),
    (torch.zeros(4, 2), torch.full((4,), float("nan"))),
    (torch.full((4, 2), float("nan")), torch.zeros(4)),
    (torch.zeros(4, 2).double(), torch.zeros(4)),
    (torch.zeros(4, 2).long(), torch.zeros(4)),
    (torch.zeros(0, 2), torch.zeros(0))])
def test_perceptron_refuses_bad_data(X, y):
    perceptron = load("Perceptron")(2)
    with pytest.raises(ValueError, match="must"):
        perceptron.fit(X, y)
    assert perceptron.weights.tolist() == [0.0, 0.0]
    assert perceptron.history == []


@pytest.mark.parametrize("device", DEVICES)
def test_perceptron_learns_one_sample_on_any_device(device):
    perceptron = load("Perceptron")(2, device=device)
    mistakes = perceptron.fit(torch.ones(1, 2, device=device),
                              torch.tensor([0], device=device))
    assert mistakes == [1, 0]
    assert perceptron.predict(torch.ones(1, 2, device=device)).item() == 0.0


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
                min_size=1, max_size=20), st.integers(-5, 5))
def test_perceptron_ends_without_mistakes_if_a_line_exists(points, height):
    X = torch.tensor(points, dtype=torch.float32)
    y = (X[:, 1] > height + 0.5).float()  # a gap, since all are whole
    mistakes = load("Perceptron")(2).fit(X, y, max_passes=20000)
    assert mistakes[-1] == 0


def test_scatter_classes_draws_each_class_once():
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    fig, ax = plt.subplots()
    load("scatter_classes")(ax, torch.tensor([[0.0, 1.0], [2.0, 3.0]]),
                            torch.tensor([1, 0]))
    zeros, ones = ax.get_lines()
    assert zeros.get_xydata().tolist() == [[2.0, 3.0]]
    assert ones.get_xydata().tolist() == [[0.0, 1.0]]
    assert zeros.get_marker() != ones.get_marker()
    with pytest.raises(ValueError, match="0 or 1"):
        load("scatter_classes")(ax, torch.zeros(2, 2), torch.tensor([1, 2]))
    plt.close(fig)


# Universal approximation.

def test_relu_interpolant_joins_the_points():
    knots = torch.tensor([-1.0, 0.0, 0.5, 2.0], dtype=torch.float64)
    values = torch.tensor([2.0, -1.0, 3.0, 0.0], dtype=torch.float64)
    network = load("relu_interpolant")(knots, values)
    x = torch.linspace(-1, 2, 301, dtype=torch.float64)
    with torch.no_grad():
        result = network(x.reshape(-1, 1)).flatten()
    np.testing.assert_allclose(result, np.interp(x, knots, values), atol=1e-12)


@pytest.mark.parametrize("knots, values", [
    (torch.tensor([0.0, 2.0, 1.0]), torch.zeros(3)),
    (torch.tensor([0.0, 0.0]), torch.zeros(2)),
    (torch.tensor([0.0, 1.0]), torch.zeros(3)),
    (torch.tensor([0.0]), torch.zeros(1)),
    (torch.tensor([[0.0, 1.0], [2.0, 3.0]]), torch.zeros(2, 2)),
    (torch.tensor([-float("inf"), 0.0]), torch.zeros(2)),
    (torch.tensor([0.0, float("nan")]), torch.zeros(2)),
    (torch.tensor([0.0, 1.0]), torch.tensor([0.0, float("nan")]))])
def test_relu_interpolant_refuses_bad_knots(knots, values):
    with pytest.raises(ValueError):
        load("relu_interpolant")(knots, values)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=12), st.data())
def test_relu_interpolant_agrees_with_numpy(values, data):
    steps = data.draw(st.lists(st.floats(0.1, 3), min_size=len(values),
                               max_size=len(values)))
    knots = torch.tensor(steps, dtype=torch.float64).cumsum(0)
    values = torch.tensor(values, dtype=torch.float64)
    network = load("relu_interpolant")(knots, values)
    x = torch.linspace(knots[0].item(), knots[-1].item(), 50,
                       dtype=torch.float64)
    with torch.no_grad():
        result = network(x.reshape(-1, 1)).flatten()
    np.testing.assert_allclose(result, np.interp(x, knots, values), atol=1e-6)


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


def test_mlp_refuses_an_impossible_dropout():
    with pytest.raises(ValueError):
        load("MLP")(3, [5], 2, dropout=-0.5)


@pytest.mark.parametrize("shape", [(4, 2), (2,), ()])
def test_mlp_refuses_another_width(shape):
    with pytest.raises(ValueError, match="expected 3 features"):
        load("MLP")(3, [5], 2)(torch.zeros(shape))


def test_mlp_refuses_an_activation_that_is_no_class():
    with pytest.raises(TypeError, match="must be a class"):
        load("MLP")(3, [5], 2, activation=nn.ReLU())


@pytest.mark.parametrize("name, sizes", [("MLP", (3, [5], 2)),
                                         ("SimpleMLP", (3, 5, 2))])
def test_networks_refuse_another_dtype(name, sizes):
    with pytest.raises(RuntimeError, match="(?i)double"):
        load(name)(*sizes)(torch.zeros(4, 3).double())
    assert load(name)(*sizes).double()(torch.zeros(4, 3).double()).dtype \
        == torch.float64


def test_simple_mlp_refuses_another_width():
    with pytest.raises(RuntimeError, match="4x2 and 3x5"):
        load("SimpleMLP")(3, 5, 2)(torch.zeros(4, 2))


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


@pytest.mark.parametrize("logits, targets", [
    (torch.zeros(2, 3), torch.zeros(2)),
    (torch.zeros(2, 3), torch.zeros(3).long()),
    (torch.zeros(2, 3), torch.tensor([0, 3])),
    (torch.zeros(2, 3), torch.tensor([0, -1])),
    (torch.zeros(2, 3), torch.tensor([[0], [1]])),
    (torch.zeros(3), torch.tensor([0, 1, 2])),
    (torch.zeros(0, 3), torch.zeros(0).long()),
    (torch.zeros(2, 3).long(), torch.zeros(2).long()),
    (torch.zeros(2, 3).bool(), torch.zeros(2).long())])
def test_cross_entropy_refuses_bad_targets(logits, targets):
    with pytest.raises(ValueError):
        load("cross_entropy")(logits, targets)


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


@pytest.mark.parametrize("logits, targets", [
    (torch.zeros(2, 1), torch.zeros(2)),
    (torch.zeros(2), torch.tensor([0, 2.0])),
    (torch.zeros(2), torch.tensor([-0.1, 0])),
    (torch.zeros(2), torch.tensor([float("nan"), 0])),
    (torch.zeros(0), torch.zeros(0))])
def test_binary_cross_entropy_refuses_bad_targets(logits, targets):
    with pytest.raises(ValueError):
        load("binary_cross_entropy_with_logits")(logits, targets)


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
    for shape in [(), (1,), (3,), (3, 1)]:
        with pytest.raises(ValueError, match="shape"):
            ravine(torch.ones(shape))


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


@pytest.mark.parametrize("gradient, state_shape, step", [
    (None, (3,), 1), (torch.ones(3), (1, 3), 1), (torch.ones(3), (), 1),
    (torch.ones(3), (2,), 1), (torch.ones(3), (3,), 0)])
def test_steps_refuse_bad_input_and_change_nothing(gradient, state_shape,
                                                   step):
    parameter = torch.ones(3, requires_grad=True)
    parameter.grad = gradient
    right, wrong = torch.ones(3), torch.ones(state_shape)
    with pytest.raises(ValueError, match="gradient"):
        load("adam_step")(parameter, right, wrong, step)
    if step:
        with pytest.raises(ValueError, match="gradient"):
            load("sgd_step")(parameter, wrong, 0.1, momentum=0.9)
    for tensor in (parameter, right, wrong):
        assert torch.equal(tensor, torch.ones(tensor.shape))


# Data.

def test_array_dataset():
    ArrayDataset = load("ArrayDataset")
    X, y = np.arange(6.0).reshape(3, 2), np.array([0, 1, 2])
    dataset = ArrayDataset(X, y)
    row, target = dataset[1]
    assert len(dataset) == 3 and row.tolist() == [2.0, 3.0]
    assert row.dtype == torch.float32 and target.dtype == torch.int64
    with pytest.raises(ValueError):
        ArrayDataset(X, y[:2])
    assert len(ArrayDataset(X[:0], y[:0])) == 0
    (inputs, targets), = DataLoader(ArrayDataset(X[:1], y[:1]), batch_size=4)
    assert inputs.tolist() == [[0.0, 1.0]] and targets.tolist() == [0]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch_size", [1, 3, 10, 11])
def test_tensor_batches_cover_the_data_once(batch_size, device):
    torch.manual_seed(0)
    X = torch.arange(20.0, device=device).reshape(10, 2)
    y = torch.arange(10, device=device)
    batches = load("TensorBatches")(X, y, batch_size=batch_size, shuffle=True)
    passes = [list(batches), list(batches)]
    for one_pass in passes:
        assert len(one_pass) == len(batches)
        assert all(len(b[1]) == batch_size for b in one_pass[:-1])
        targets = torch.cat([b[1] for b in one_pass])
        assert sorted(targets.tolist()) == list(range(10))
        assert torch.equal(torch.cat([b[0] for b in one_pass]), X[targets])
        assert one_pass[0][0].device == X.device
    first, second = (torch.cat([b[1] for b in p]).tolist() for p in passes)
    assert first != second
    assert first != list(range(10))


def test_tensor_batches_keep_the_order_unless_told():
    batches = load("TensorBatches")(torch.arange(5), batch_size=2)
    assert [b[0].tolist() for b in batches] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("tensors, batch_size", [
    ((), 2), ((torch.zeros(0),), 2), ((torch.zeros(3), torch.zeros(4)), 2),
    ((torch.zeros(3),), 0), ((torch.zeros(3),), -1),
    ((torch.zeros(3),), 2.5), ((torch.zeros(3),), float("nan"))])
def test_tensor_batches_refuse_bad_input(tensors, batch_size):
    with pytest.raises(ValueError):
        load("TensorBatches")(*tensors, batch_size=batch_size)


@given(st.integers(1, 40), st.integers(1, 50), st.booleans())
def test_tensor_batches_are_a_data_loaders(length, batch_size, shuffle):
    numbers = torch.arange(length)
    batches = load("TensorBatches")(numbers, batch_size=np.int64(batch_size),
                                    shuffle=shuffle)
    loader = DataLoader(numbers, batch_size=batch_size)
    assert len(batches) == len(loader)
    sizes = [len(part) for part, in batches]
    assert sizes == [len(part) for part in loader]
    seen = torch.cat([part for part, in batches]).tolist()
    assert (sorted(seen) if shuffle else seen) == list(range(length))


def test_split_in_three():
    split_in_three = load("split_in_three")
    X, y = np.arange(100), np.arange(100) % 4 == 0
    (X_train, X_val, X_test), (y_train, y_val, y_test) = split_in_three(
        X, y, random_state=0, stratify=y)
    assert [len(part) for part in (X_train, X_val, X_test)] == [60, 20, 20]
    assert sorted(np.concatenate([X_train, X_val, X_test])) == list(range(100))
    for inputs, targets in [(X_train, y_train), (X_val, y_val),
                            (X_test, y_test)]:
        assert np.array_equal(inputs % 4 == 0, targets)
        assert np.mean(targets) == 0.25
    again = split_in_three(X, y, random_state=0, stratify=y)
    assert np.array_equal(again[0][2], X_test)
    others = X % 10 == 0  # groups that are not the targets
    for seed in range(5):
        parts, _ = split_in_three(X, y, seed, stratify=others)
        assert [np.sum(part % 10 == 0) for part in parts] == [6, 2, 2]


@given(st.integers(10, 60), st.integers(0, 9))
def test_split_in_three_deals_out_every_sample_once(length, seed):
    X, y = np.arange(length), -np.arange(length)
    X_parts, y_parts = load("split_in_three")(X, y, random_state=seed)
    assert sorted(np.concatenate(X_parts)) == list(range(length))
    for inputs, targets in zip(X_parts, y_parts):
        assert np.array_equal(inputs, -targets)
    assert len(X_parts[1]) == -(-(length - len(X_parts[2])) // 4)
    assert len(X_parts[2]) == -(-length // 5)


def test_to_tensors():
    to_tensors = load("to_tensors")
    result = to_tensors([np.ones((2, 3)), np.zeros(2)])
    assert [t.dtype for t in result] == [torch.float32] * 2
    assert to_tensors([np.arange(3)], dtype=torch.int64)[0].tolist() \
        == [0, 1, 2]


# Training and evaluation.

def regression_set(n=64, device="cpu"):
    torch.manual_seed(0)
    X = torch.randn(n, 3, device=device)
    return X, X @ torch.tensor([[1.0], [-2.0], [0.5]], device=device)


def fit_linear(device="cpu", num_epochs=5, data=None, lr=0.1, **options):
    X, y = regression_set(device=device) if data is None else data
    batches = load("TensorBatches")(X, y, batch_size=16, shuffle=True)
    torch.manual_seed(1)
    model = nn.Linear(3, 1).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    history = load("fit")(model, batches, batches, nn.MSELoss(), optimizer,
                          num_epochs, device, **options)
    return model, history


@pytest.mark.parametrize("device", DEVICES)
def test_fit_learns_and_reports(device, capsys):
    model, history = fit_linear(device, num_epochs=20, log_every=10)
    assert history["val_loss"][-1] < 1e-3 * history["val_loss"][0]
    assert len(history["train_loss"]) == len(history["val_loss"]) == 20
    assert capsys.readouterr().out.count("\n") == 2
    torch.testing.assert_close(
        model.weight.detach().cpu(), torch.tensor([[1.0, -2.0, 0.5]]),
        rtol=0.05, atol=0.05)


def test_fit_takes_a_data_loader_and_means_are_per_sample():
    X, y = regression_set(n=50)
    loader = DataLoader(load("ArrayDataset")(X, y), batch_size=16)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    history = load("fit")(model, loader, loader, nn.MSELoss(), optimizer, 1)
    exact = nn.MSELoss()(model(X), y).item()
    assert history["train_loss"] == pytest.approx([exact], rel=1e-5)
    assert history["val_loss"] == pytest.approx([exact], rel=1e-5)


def test_fit_keeps_the_best_weights():
    # A learning rate that diverges: the first epoch is the best.
    model, history = fit_linear(lr=1.05, num_epochs=4)
    X, y = regression_set()
    best = nn.MSELoss()(model(X), y).item()
    assert min(history["val_loss"]) < history["val_loss"][-1]
    assert best == pytest.approx(min(history["val_loss"]), rel=1e-5)


def test_fit_chooses_the_epoch_by_validation_loss():
    X, y = regression_set()  # the training loss falls, the other one rises
    model = nn.Linear(3, 1)
    history = fit_on([(X, y)], [(X, -y)], model=model, num_epochs=4)
    assert history["val_loss"] == sorted(history["val_loss"])
    assert history["train_loss"] == sorted(history["train_loss"])[::-1]
    assert nn.MSELoss()(model(X), -y).item() \
        == pytest.approx(history["val_loss"][0], rel=1e-5)


def test_fit_validates_in_eval_mode_and_gives_the_mode_back():
    modes = []

    class Spy(nn.Linear):
        def forward(self, x):
            modes.append((self.training, torch.is_grad_enabled()))
            return super().forward(x)

    X, y = regression_set(n=8)
    model = Spy(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for mode in (True, False):
        model.train(mode)
        load("fit")(model, [(X, y)], [(X, y)], nn.MSELoss(), optimizer, 1)
        assert model.training == mode
    assert modes == [(True, True), (False, False)] * 2


def test_fit_stops_at_a_loss_that_is_not_finite():
    X, y = regression_set()
    X[3, 1] = float("nan")
    with pytest.raises(ValueError, match="not finite in epoch 1"):
        fit_linear(data=(X, y))


def fit_on(train, val, loss_fn=None, model=None, num_epochs=2):
    model = nn.Linear(3, 1) if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return load("fit")(model, train, val, loss_fn or nn.MSELoss(), optimizer,
                       num_epochs)


def test_fit_refuses_to_train_on_nothing():
    batch = regression_set(n=4)
    with pytest.raises(ValueError, match="no batches in train_batches"):
        fit_on([], [batch])
    with pytest.raises(ValueError, match="no batches in val_batches"):
        fit_on([batch], [])
    with pytest.raises(ValueError, match="in train_batches .a generator"):
        fit_on((b for b in [batch]), [batch])


def test_fit_for_no_epochs_does_nothing():
    model = nn.Linear(3, 1)
    before = model.weight.detach().clone()
    history = fit_on([regression_set(n=4)], [regression_set(n=4)],
                     model=model, num_epochs=0)
    assert history == {"train_loss": [], "val_loss": []}
    assert torch.equal(model.weight, before)


def test_fit_keeps_the_digits_of_float64():
    X, y = (tensor.double() for tensor in regression_set(n=7))
    model = nn.Linear(3, 1).double()
    exact = nn.MSELoss()(model(X), y).item()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    history = load("fit")(model, [(X, y)], [(X[:4], y[:4]), (X[4:], y[4:])],
                          nn.MSELoss(), optimizer, 1)
    assert history["val_loss"] == pytest.approx([exact], rel=1e-14)


def test_fit_gives_every_layer_its_mode_back():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    model[1].eval()
    fit_on([regression_set(n=4)], [regression_set(n=4)], model=model)
    assert [layer.training for layer in model] == [True, False, True]
    assert model.training


@pytest.mark.parametrize("loss_fn, targets, error", [
    (nn.CrossEntropyLoss(), torch.tensor([0, 5]), (IndexError, RuntimeError)),
    (nn.CrossEntropyLoss(), torch.tensor([0, -1]),
     (IndexError, RuntimeError)),
    (nn.CrossEntropyLoss(), torch.tensor([0.0, 1.0]), RuntimeError),
    (nn.BCEWithLogitsLoss(), torch.tensor([0.0, 1.0]), ValueError)])
def test_fit_that_fails_leaves_the_model_as_it_was(loss_fn, targets, error):
    model = nn.Linear(3, 2)
    good = (torch.ones(2, 3), torch.tensor([0, 1]))
    if isinstance(loss_fn, nn.BCEWithLogitsLoss):
        good = (torch.ones(2, 3), torch.ones(2, 2))
    before = model.weight.detach().clone()
    with pytest.raises(error):
        fit_on([good, (torch.ones(2, 3), targets)], [good], loss_fn, model)
    assert torch.equal(model.weight, before) and model.training


def test_fit_refuses_another_width():
    X, y = torch.ones(2, 5), torch.ones(2, 1)
    with pytest.raises(ValueError, match="expected 3 features"):
        fit_on([(X, y)], [(X, y)], model=load("MLP")(3, [4], 1))


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_fit_interrupted_leaves_the_best_model(stop):
    X, y = regression_set()
    seen = []

    def loss_fn(outputs, targets):
        seen.append(1)
        if len(seen) > 5:
            raise stop
        return nn.MSELoss()(outputs, targets)

    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    weights = []
    original = model.load_state_dict
    model.load_state_dict = lambda w: (weights.append(w), original(w))
    with pytest.raises(stop):
        load("fit")(model, [(X, y)] * 2, [(X, y)], loss_fn, optimizer, 9)
    assert len(weights) == 1
    torch.testing.assert_close(model.weight, weights[0]["weight"])
    assert model.training


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mode", [True, False])
def test_predict(mode, device):
    model = nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.5)).to(device)
    model.train(mode)
    inputs = torch.randn(5, 3)
    outputs = load("predict")(model, inputs, device)
    assert model.training == mode and model[1].training == mode
    assert outputs.device.type == "cpu" and not outputs.requires_grad
    expected = model[0](inputs.to(device)).detach().cpu()
    torch.testing.assert_close(outputs, expected)


@pytest.mark.parametrize("num_samples", [0, 1])
def test_predict_takes_none_and_one(num_samples):
    outputs = load("predict")(nn.Linear(3, 2), torch.zeros(num_samples, 3))
    assert outputs.shape == (num_samples, 2)


def test_predict_leaves_frozen_layers_frozen():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    model[1].eval()
    load("predict")(model, torch.randn(5, 3))
    assert (model.training, model[1].training) == (True, False)


def test_predict_gives_the_mode_back_after_an_error():
    model = nn.Linear(3, 1)
    with pytest.raises(RuntimeError):
        load("predict")(model, torch.zeros(2, 4))
    assert model.training


def test_binary_accuracy():
    binary_accuracy = load("binary_accuracy")
    logits = torch.tensor([[2.0], [-1.0], [0.5], [-3.0]])
    targets = torch.tensor([[1.0], [0.0], [0.0], [0.0]])
    assert binary_accuracy(logits, targets) == 0.75
    nothing = torch.full((4, 1), float("nan"))
    assert binary_accuracy(nothing, torch.zeros(4, 1)) == 0.0
    with pytest.raises(ValueError):
        binary_accuracy(logits, targets.flatten())
    with pytest.raises(ValueError):
        binary_accuracy(torch.zeros(0), torch.zeros(0))
    for bad in (2.0, -1.0, 0.5, float("nan")):
        with pytest.raises(ValueError, match="0 or 1"):
            binary_accuracy(torch.zeros(1), torch.tensor([bad]))


@given(st.lists(st.tuples(st.floats(-9, 9), st.integers(0, 1)), min_size=1,
                max_size=30))
def test_binary_accuracy_agrees_with_sklearn(pairs):
    logits, targets = zip(*pairs)
    expected = accuracy_score(targets, np.array(logits) > 0)
    assert load("binary_accuracy")(
        torch.tensor(logits, dtype=torch.float64), torch.tensor(targets)) \
        == pytest.approx(expected)


@pytest.mark.parametrize("device", DEVICES)
def test_steps_per_second(device, monkeypatch):
    calls = []
    item = torch.Tensor.item

    def wait(tensor):
        if tensor.requires_grad:  # computed from the weights
            calls.append("wait")
        return item(tensor)

    monkeypatch.setattr(torch.Tensor, "item", wait)

    class Clock:  # passes of 9, 2 and 4 seconds
        readings = iter([0.0, 9.0, 10.0, 12.0, 20.0, 24.0])

        def perf_counter(self):
            calls.append("clock")
            return next(self.readings)

    class Spy(nn.Linear):
        def forward(self, x):
            assert self.training
            calls.append("step")
            return super().forward(x)

    model = Spy(3, 1).to(device).eval()
    before = model.weight.detach().clone()
    steps_per_second = load("steps_per_second")
    steps_per_second.__globals__["time"] = Clock()
    speed = steps_per_second(model, [regression_set(n=4)] * 6, nn.MSELoss(),
                             device)
    assert speed == 6 / 2
    assert calls == (["clock"] + ["step"] * 6 + ["wait", "clock"]) * 3
    torch.testing.assert_close(model.weight.detach(), before)
    assert not model.training
    with pytest.raises(ValueError, match="no batches"):
        steps_per_second(model, [], nn.MSELoss())
    with pytest.raises(ValueError, match="no repeats"):
        steps_per_second(model, [regression_set(n=4)], nn.MSELoss(),
                         repeats=0)
