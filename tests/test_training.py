"""Training, evaluation and prediction, and how they end when they fail."""

import copy
import math
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from definitions import load
from examples import DEVICES, regression_set
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

X, Y = regression_set(n=8)
PAIR = [(X, Y)]


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
    loader = DataLoader(TensorDataset(X, y), batch_size=16)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    history = load("fit")(model, loader, loader, nn.MSELoss(), optimizer, 1)
    exact = nn.MSELoss()(model(X), y).item()
    assert history["train_loss"] == pytest.approx([exact], rel=1e-5)
    assert history["val_loss"] == pytest.approx([exact], rel=1e-5)


def test_fit_keeps_the_weights_of_the_best_epoch_by_validation_loss():
    # Towards y, past the validation targets y / 2, while training improves.
    X, y = regression_set()
    model = nn.Linear(3, 1)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    history = fit_on([(X, y)], [(X, y / 2)], model=model, num_epochs=12)
    best = int(np.argmin(history["val_loss"]))
    assert 0 < best < 11
    assert history["train_loss"] == sorted(history["train_loss"])[::-1]
    assert nn.MSELoss()(model(X), y / 2).item() \
        == pytest.approx(history["val_loss"][best], rel=1e-5)


def test_fit_never_leaves_a_model_worse():
    # Weights at entry compete: here each step leads away from the targets.
    X, y = regression_set()
    model = nn.Linear(3, 1)
    before = copy.deepcopy(model.state_dict())
    at_entry = nn.MSELoss()(model(X), model(X).detach() - y).item()
    history = fit_on([(X, model(X).detach() + y)],
                     [(X, model(X).detach() - y)], model=model)
    assert min(history["val_loss"]) > at_entry
    assert len(history["val_loss"]) == 2
    for name, weights in model.state_dict().items():
        assert torch.equal(weights, before[name])


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_fit_stops_when_patience_ends(patience):
    X, y = regression_set()  # the validation loss falls, then rises for good
    model = nn.Linear(3, 1)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    history = load("fit")(model, [(X, y)], [(X, y / 2)], nn.MSELoss(),
                          optimizer, 20, patience=patience)
    best = int(np.argmin(history["val_loss"])) + 1
    assert 1 < best < 15
    assert len(history["val_loss"]) == (best + patience if patience else 20)


def test_patience_counts_from_the_entry_too():
    model = nn.Linear(3, 1)
    before = model.weight.detach().clone()
    batches = [(X, model(X).detach())]  # perfect already: no new best
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    history = load("fit")(model, batches, batches, nn.MSELoss(), optimizer,
                          20, patience=2)
    assert len(history["val_loss"]) == 2
    assert torch.equal(model.weight, before)


@pytest.mark.parametrize("sizes", [(50,), (16, 34), (1,) * 50])
def test_validation_loss_depends_on_no_batch_size(sizes):
    X, y = regression_set(n=50)
    rare = (X[:, 0] > 1).long()
    for loss_fn, model, targets in [
            (nn.MSELoss(), nn.Linear(3, 1), y),
            (nn.CrossEntropyLoss(weight=torch.tensor([1.0, 19.0])),
             nn.Linear(3, 2), rare)]:
        expected = loss_fn(model(X), targets).item()
        batches = list(zip(X.split(sizes), targets.split(sizes)))
        assert load("evaluate")(model, batches, loss_fn) \
            == pytest.approx(expected, rel=1e-5)


def test_evaluate_checks_all_targets():
    X, y = regression_set(n=8)
    with pytest.raises(ValueError, match="shape"):
        load("evaluate")(nn.Linear(3, 1), [(X, y.flatten())], nn.MSELoss())
    model = nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.5))
    losses = {load("evaluate")(model, [(X, y)], nn.MSELoss())
              for _ in range(5)}
    assert len(losses) == 1 and model[1].training


def test_fit_checks_the_first_batch_that_it_draws():
    # Drawing another one would shift the shuffle of the epoch.
    X, y = regression_set(n=8)
    seen = []

    class Spy(nn.Linear):
        def forward(self, x):
            seen.append(x[:, 0].tolist())
            return super().forward(x)

    torch.manual_seed(1)  # as fit_on does
    batches = load("TensorBatches")(X, y, batch_size=4, shuffle=True)
    expected = [part[:, 0].tolist() for part, _ in batches]
    fit_on(batches, [(X, y)], model=Spy(3, 1), num_epochs=1)
    whole = X[:, 0].tolist()
    assert seen == [expected[0], whole] + expected + [whole]


def test_check_loss_returns_the_loss():
    model = nn.Linear(3, 1)
    loss = load("check_loss")(model, X, Y, nn.MSELoss())
    assert loss.requires_grad and loss == nn.MSELoss()(model(X), Y)


def test_check_finite():
    for loss in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="epoch 3: lower the learning"):
            load("check_finite")(loss, 3)
    load("check_finite")(0.0, 3)


@pytest.mark.parametrize("model", [nn.Linear, "MLP", None, torch.relu])
def test_check_model_refuses_what_is_not_built(model):
    with pytest.raises(TypeError, match="module that is built"):
        load("check_model")(model)


def test_a_last_batch_of_one_says_what_to_do():
    X, y = regression_set(n=9)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    TensorBatches = load("TensorBatches")
    with pytest.raises(ValueError, match="drop_last=True or another batch"):
        fit_on(TensorBatches(X, y, batch_size=4), [(X, y)], model=model)
    fit_on(TensorBatches(X, y, batch_size=4, drop_last=True), [(X, y)],
           model=model)
    fit_on(TensorBatches(X, y, batch_size=1), [(X, y)])  # no BatchNorm


def test_another_value_error_of_a_batch_of_one_is_passed_on():
    class Picky(nn.Linear):
        def forward(self, x):
            if self.training:
                raise ValueError("of its own")
            return super().forward(x)

    with pytest.raises(ValueError) as caught:
        fit_on([regression_set(n=2)], [regression_set(n=2)],
               model=Picky(3, 1))
    assert str(caught.value) == "of its own"


def test_layers_that_the_user_froze_stay_so():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    model[1].eval()
    fit_on([regression_set()], [regression_set()], model=model)
    assert torch.equal(model[1].running_mean, torch.zeros(3))
    assert [layer.training for layer in model] == [True, False, True]
    model.eval()  # no layer is frozen by itself: all of them train
    fit_on([regression_set()], [regression_set()], model=model)
    assert not torch.equal(model[1].running_mean, torch.zeros(3))
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("train, val, error, words", [
    (TensorDataset(X, Y), PAIR, TypeError, "train_batches is a Data"),
    (PAIR, TensorDataset(X, Y), TypeError,
     "DataLoader.val_batches"),
    ((pair for pair in PAIR), PAIR, TypeError, "train_batches is a gener"),
    (PAIR, (pair for pair in PAIR), TypeError, "val_batches is a generator"),
    (zip(X.split(4), Y.split(4)), PAIR, TypeError, "generator"),
    (iter(PAIR), PAIR, TypeError, "pass a list"),
    ([], PAIR, ValueError, "no batches in train_batches"),
    (PAIR, [], ValueError, "no batches in val_batches"),
    ((X, Y), PAIR, ValueError, "pair of inputs and targets"),
    (X, PAIR, ValueError, "pair of inputs and targets"),
    ([(X, Y, Y)], PAIR, ValueError, "pair of inputs and targets"),
    (load("TensorBatches")(X, batch_size=4), PAIR, ValueError, "pair"),
    ([{"inputs": X, "targets": Y}], PAIR, ValueError, "pair"),
    (PAIR, (X, Y), ValueError, "val_batches must be a pair"),
])
def test_fit_names_what_is_no_batch(train, val, error, words):
    with pytest.raises(error, match=words):
        fit_on(train, val)


def test_fit_takes_arrays_in_its_batches():
    batches = [(X.numpy(), Y.tolist())]
    assert fit_on(batches, batches) == fit_on(PAIR, PAIR)


@pytest.mark.parametrize("optimizer", [
    torch.optim.SGD(nn.Linear(3, 1).parameters(), lr=0.1), torch.optim.Adam,
    None])
def test_fit_refuses_an_optimizer_of_another_model(optimizer):
    with pytest.raises(ValueError, match="no parameter of this model"):
        load("fit")(nn.Linear(3, 1), PAIR, PAIR, nn.MSELoss(), optimizer, 1)


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
    # In eval mode: the check, the weights at entry, and the validation.
    assert modes == [(False, False), (False, False), (True, True),
                     (False, False)] * 2


def test_fit_stops_at_a_loss_that_is_not_finite():
    X, y = regression_set()
    X[3, 1] = float("nan")
    with pytest.raises(ValueError, match="not finite in epoch 1"):
        fit_linear(data=(X, y))


def fit_on(train, val, loss_fn=None, model=None, num_epochs=2):
    torch.manual_seed(1)
    model = nn.Linear(3, 1) if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return load("fit")(model, train, val, loss_fn or nn.MSELoss(), optimizer,
                       num_epochs)


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
    with pytest.raises(ValueError, match="in_features.*2x5 and 3x4"):
        fit_on([(X, y)], [(X, y)], model=load("MLP")(3, [4], 1))


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ZeroDivisionError])
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


def test_train_epoch_is_the_five_lines_over_all_pairs():
    X, y = regression_set(n=10)
    ours, theirs = nn.Linear(3, 1), nn.Linear(3, 1)
    theirs.load_state_dict(ours.state_dict())
    loss_fn, total = nn.MSELoss(), 0.0
    pairs = list(zip(X.split(4), y.split(4)))
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
                  for model in (ours, theirs)]
    for _ in range(2):
        mean = load("train_epoch")(ours, pairs, loss_fn, optimizers[0])
        total = 0.0
        for inputs, targets in pairs:
            optimizers[1].zero_grad()
            loss = loss_fn(theirs(inputs), targets)
            loss.backward()
            optimizers[1].step()
            total += loss.item() * len(inputs)
        assert mean == pytest.approx(total / 10)
    assert torch.equal(ours.weight, theirs.weight)


@pytest.mark.parametrize("device", DEVICES)
def test_check_pairs_yields_tensors_on_the_device(device):
    pairs = list(load("check_pairs")([(X, Y), (X.numpy(), Y.numpy())], device,
                                  "mine"))
    for inputs, targets in pairs:
        assert torch.equal(inputs.cpu(), X) and torch.equal(targets.cpu(), Y)
        assert inputs.device.type == targets.device.type == device
    with pytest.raises(ValueError, match="no batches in mine"):
        list(load("check_pairs")([], device, "mine"))


def test_modes_kept_after_an_error_too():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout())
    model[1].eval()
    with pytest.raises(KeyError):
        with load("modes_kept")(model):
            model[1].train()
            model[0].eval()
            raise KeyError
    assert [module.training for module in model.modules()] \
        == [True, True, False]


def test_check_classes_is_quiet_when_all_are_ignored():
    ignored = torch.full((2,), -100)
    load("check_classes")(torch.zeros(2, 3), ignored, nn.CrossEntropyLoss())
    with pytest.raises(ValueError, match="from -100 to -100"):
        load("check_classes")(torch.zeros(2, 3), ignored,
                              nn.CrossEntropyLoss(ignore_index=0))


PEAK = """
import resource, sys
import torch
from definitions import load

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

model, X = load("MLP")(20, [1024, 1024], 1), torch.randn(100000, 20)
load("predict")(model, X[:2000])
before = peak()
load("predict")(model, X)
print(peak() - before)
data = torch.zeros(1000000, 100)  # 400 MB
batches = load("TensorBatches")(data, batch_size=1000, shuffle=True)
before = peak()
for rows, in batches:
    pass
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"),
                    reason="measures memory in kilobytes, as Linux does")
def test_peak_memory_of_prediction_and_of_a_shuffled_pass():
    result = subprocess.run(
        [sys.executable, "-c", PEAK], cwd=os.path.dirname(__file__),
        stdout=subprocess.PIPE, universal_newlines=True, timeout=120)
    predicted, passed = map(float, result.stdout.split())
    assert predicted < 100  # all activations: 400 MB for each layer
    assert passed < 40  # a second copy: 400 MB


def test_check_pairing_asks_what_the_loss_does_with_the_shapes():
    check = load("check_pairing")
    check(torch.zeros(3, 1), torch.zeros(3, 1), nn.MSELoss())
    check(torch.zeros(3, 1), torch.ones(3),
          lambda outputs, targets: (outputs.flatten() - targets).sum())
    with pytest.raises(ValueError, match="would broadcast"):
        check(torch.zeros(3, 1), torch.arange(3.0), nn.L1Loss())


def test_left_out_returns_a_loss_and_an_accuracy():
    loss, accuracy = load("left_out")("step()", seed=0)
    assert 0.5 < loss < 1.5 and 0 < accuracy < 1
    assert load("left_out")("nothing", seed=0)[0] < loss


def test_a_head_replaced_after_the_optimizer_was_made_is_told_of():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model[1] = nn.Linear(4, 1)
    with pytest.warns(UserWarning, match="make it anew"):
        load("check_optimizer")(optimizer, model)
    own_loss = nn.PReLU()  # parameters beside those of the model are fine
    for parameters in (model.parameters(), model[1].parameters(),
                       list(model.parameters()) + list(own_loss.parameters())):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            load("check_optimizer")(torch.optim.SGD(parameters, lr=0.1), model)


def test_a_loss_without_gradient_says_so():
    frozen = nn.Linear(3, 1).requires_grad_(False)
    with pytest.raises(ValueError, match="no gradient.*frozen"):
        load("fit")(frozen, PAIR, PAIR, nn.MSELoss(),
                    torch.optim.SGD(frozen.parameters(), lr=0.1), 1)
    with pytest.raises(ValueError, match="no gradient"):
        fit_on(PAIR, PAIR, lambda outputs, targets:
               ((outputs > 0).float() - targets).abs().mean())


def test_batches_of_several_widths_are_averaged_by_samples():
    model = nn.Sequential(nn.Embedding(9, 3), nn.Linear(3, 5))
    model = nn.Sequential(model, nn.Flatten(0, 1))
    batches = [(torch.randint(9, (size, width)),
                torch.randint(5, (size * width,)))
               for size, width in [(4, 5), (2, 7), (4, 5)]]
    loss_fn = nn.CrossEntropyLoss()
    whole = loss_fn(*[torch.cat(part) for part in zip(
        *[(model(inputs), targets) for inputs, targets in batches])])
    assert load("evaluate")(model, batches, loss_fn) \
        == pytest.approx(whole.item(), rel=1e-5)
    images = [(torch.randn(2, 1, side, side), torch.randn(2, 1, side, side))
              for side in (4, 6)]
    conv = nn.Conv2d(1, 1, 3, padding=1)
    expected = np.mean([nn.MSELoss()(conv(a), b).item() for a, b in images])
    assert load("evaluate")(conv, images, nn.MSELoss()) \
        == pytest.approx(expected, rel=1e-5)


def test_an_epoch_at_a_time_goes_back_to_the_best():
    X, y = regression_set()
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0)  # diverges
    before = nn.MSELoss()(model(X), y).item()
    for _ in range(3):
        load("fit")(model, [(X, y)], [(X, y)], nn.MSELoss(), optimizer, 1)
    assert nn.MSELoss()(model(X), y).item() <= before


@pytest.mark.parametrize("batch_size", [0, -1])
def test_predict_refuses_batches_of_nothing(batch_size):
    with pytest.raises(RuntimeError, match="split"):
        load("predict")(nn.Linear(3, 1), X, batch_size=batch_size)


def test_a_loss_that_leaves_pytorch_says_so():
    with pytest.raises(ValueError, match="leaves PyTorch"):
        load("check_loss")(nn.Linear(3, 1), X, Y, lambda outputs, targets:
                           ((outputs - targets) ** 2).mean().item())
