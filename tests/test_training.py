"""Training, evaluation and prediction, and how they end when they fail."""

import copy
import os
import subprocess
import sys
from math import inf, nan

import numpy as np
import pytest
import torch
from definitions import load
from torch import nn
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
X = torch.randn(8, 3)
Y = X @ torch.tensor([[1.0], [-2.0], [0.5]])
DATA, MSE, SGD = TensorDataset(X, Y), nn.MSELoss(), torch.optim.SGD
PAIR, TWO = [(X, Y)], [(X[:5], Y[:5]), (X[5:].numpy(), Y[5:].tolist())]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def zeros():  # a linear model
    return nn.Linear(3, 1).apply(lambda model: [
        parameter.data.zero_() for parameter in model.parameters()])


def fit(model=None, train=PAIR, val=PAIR, loss_fn=MSE, num_epochs=2, lr=0.1,
        owner=None, **options):
    model = model or zeros()
    optimizer = SGD((owner or model).parameters(), lr)
    return model, load("fit")(model, train, val, loss_fn, optimizer,
                              num_epochs, **options)


def watch(model):
    """Return a list to be filled with what passes through a model, and how."""
    seen = []
    model.register_forward_pre_hook(lambda model, given: seen.append(
        (len(given[0]), model.training, torch.is_grad_enabled())))
    return seen


@pytest.mark.parametrize("error, words, options", [
    (ValueError, "gradient.*frozen", {"model": zeros().requires_grad_(False)}),
    (ValueError, "leaves Py", {"loss_fn": lambda a, b: MSE(a, b).item()
                               if a.requires_grad else MSE(a, b)}),
    (ValueError, "^invalid literal", {"loss_fn": lambda a, b: MSE(
        a, b) if not a.requires_grad else int("an error of its own")}),
    (ValueError, "drop_last=True or another batch_size", {
        "model": nn.Sequential(nn.BatchNorm1d(3), zeros()),
        "train": PAIR + [(X[:1], Y[:1])]}),
    (ValueError, "no parameter of this model", {"owner": zeros()}),
    (ValueError, "inputs are on meta, but the model on", {"device": "meta"}),
    (ValueError, "not finite in epoch 1: lower the learning", {"lr": 1e30}),
    (ValueError, "in epoch 1", {
        "loss_fn": lambda a, b: MSE(a, b) + (inf if a.requires_grad else 0)}),
    (ValueError, "targets, without NaN", {"val": PAIR + [(X, Y * nan)]}),
    (KeyboardInterrupt, "", {"loss_fn": lambda a, b: MSE(a, b)  # a step on
     if a.requires_grad or not a.any() else exec("raise KeyboardInterrupt")})
] + [(error, words.format(name + "_batches"), {name: wrong})
     for name in ("train", "val") for error, words, wrong in [
         (TypeError, "{0} is a Dataset.*DataLoader.{0}", DATA),
         (TypeError, "{} is a generator.*list", iter(PAIR)),
         (ValueError, "no batches in {}", [])] + [
         (ValueError, "each of {} must be a pair", pairs) for pairs in (
             X, [(X, Y, Y)], PAIR + [(X, "red")], [{"X": X, "Y": Y}])]])
def test_fit_that_fails_keeps_the_best_weights(error, words, options):
    """fit: Raises what the checks raise; the model keeps its best weights
    then too, and when you interrupt it. train_epoch: Raises what check_loss
    raises. check_loss: Else ValueError: for a loss without gradient, and for
    a batch of one sample where BatchNorm needs two. check_pairs: Raises
    TypeError for a Dataset or a generator in place of batches, ValueError for
    no batches or no pairs of tensors, calling them name. check_optimizer:
    Raise ValueError if an optimizer holds no parameter of the model.
    check_finite: Raise ValueError if a loss is NaN or infinity."""
    model = options.setdefault("model", zeros())
    before = [parameter.clone() for parameter in model.parameters()]
    pytest.raises(error, fit, **options).match(words)
    assert_close(before, list(model.parameters()), rtol=0, atol=0)
    assert model.training


@pytest.mark.filterwarnings("error")
def test_parts_of_the_loop_do_what_they_say():
    """check_loss: Return loss_fn(model(inputs), targets), if it can be learnt
    from. check_pairs: Check batches and yield their (inputs, targets) as
    tensors on a device. modes_kept: Give each layer its mode back after a
    with block. check_model: Raise TypeError for what is not a model.
    check_optimizer: Warns if it holds others while some of the model's are
    not in it. train_epoch: Train a model, which is in train mode, on each
    batch once. There must be batches, (inputs, targets) on the model's
    device. Returns the mean loss of the samples, taken while the weights
    move, for a loss that is a mean."""
    ours, theirs = (nn.Sequential(nn.Dropout(), zeros()) for _ in range(2))
    first, second = (SGD(ours.parameters(), 0.1, momentum=0.9),
                     SGD(theirs.parameters(), 0.1, momentum=0.9))
    pairs, losses = list(zip(X.split(5), Y.split(5))) * 2, []
    torch.manual_seed(1)
    mean = load("train_epoch")(ours, pairs, MSE, first)
    torch.manual_seed(1)
    for inputs, targets in pairs:
        second.zero_grad()
        loss = MSE(theirs(inputs), targets)
        loss.backward()
        second.step()
        losses += [loss.item()] * len(inputs)
    assert mean == pytest.approx(np.mean(losses))
    assert_close(ours[1].weight, theirs[1].weight)
    pytest.raises(ZeroDivisionError, load("train_epoch"), ours, [], MSE, None)
    model, check = nn.Sequential(zeros(), zeros()), load("check_optimizer")
    assert load("check_loss")(model[0], X, Y, MSE) == MSE(model[0](X), Y)
    pytest.raises(ValueError, load("check_finite"), nan, 3)
    pytest.raises(TypeError, load("check_model"), "MLP").match("is built")
    pair, = load("check_pairs")(PAIR, "meta", "")
    assert pair[0].is_meta and pair[1].is_meta
    model[1].eval()
    with pytest.raises(KeyError), load("modes_kept")(model):
        model[0].eval()
        model[1].train()
        raise KeyError
    assert [part.training for part in model] == [True, False]
    one, two, other = (list(part.parameters()) for part in (*model, zeros()))
    check(SGD(one, 0.1), model)
    check(SGD(one + two + other, 0.1), model)
    pytest.warns(UserWarning, check, SGD(one + other, 0.1), model)
    pytest.raises(ValueError, check, torch.optim.Adam, model)


@pytest.mark.parametrize("sizes", [(8,), (2, 6), (1,) * 8])
def test_evaluate_depends_on_no_batch_size(sizes):
    """evaluate: Return the loss of a model on all samples of the batches
    together. Holds all outputs; if their shapes differ, it is their
    mean by samples."""
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout()).double()
    data, seen = (X.double(), (Y[:, 0] > 0).long()), watch(model)
    loss_fn = nn.CrossEntropyLoss(torch.tensor([1.0, 19.0]).double())
    batches = list(zip(*[part.split(sizes) for part in data]))
    assert load("evaluate")(model, batches, loss_fn) == pytest.approx(
        loss_fn(model[0](data[0]), data[1]).item(), rel=1e-12)
    assert seen == [(size, False, False) for size in sizes] and model.training
    images = [(torch.randn(n, 1, n), torch.zeros(n, 1, n)) for n in sizes]
    assert load("evaluate")(nn.Identity(), images, MSE) == pytest.approx(
        sum(len(a) * MSE(a, b).item() for a, b in images) / 8)
    pytest.raises(ValueError, load("evaluate"), nn.Identity(), [
        (Y, Y), (Y, Y[:, 0])], MSE).match("reshape")


@pytest.mark.parametrize("batches", [DataLoader(DATA, batch_size=3), load(
    "TensorBatches")(X, Y, batch_size=3, shuffle=True)])
def test_fit_learns_and_reports(batches, capsys):
    """fit: Batches yield pairs (inputs, targets) anew in each epoch, as
    TensorBatches or a DataLoader do. log_every=n prints every n-th epoch;
    Returns a number per epoch: {"train_loss": [...], "val_loss": [...]}."""
    model, history = fit(zeros().to(DEVICE), batches, log_every=40,
                         num_epochs=100, device=DEVICE)
    assert_close(model(X.to(DEVICE)).cpu(), Y, rtol=0.01, atol=0.01)
    losses = list(zip(history["train_loss"], history["val_loss"]))
    assert len(losses) == 100 and capsys.readouterr().out.splitlines() == [
        "epoch %3d: training loss %.4f, validation loss %.4f" % (
            (n,) + losses[n - 1]) for n in (40, 80)]


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_fit_goes_back_to_the_best(patience):
    """fit: Train a model and leave it with the best weights it has had. The
    best weights have the lowest validation loss, at entry or after an epoch.
    patience=n stops after n epochs without a new best."""
    # Towards Y, past the validation targets Y / 2, while training improves.
    model, history = fit(val=[(X, Y / 2)], num_epochs=20, patience=patience)
    losses, best = history["val_loss"], np.argmin(history["val_loss"])
    assert 0 < best < 15 and np.diff(history["train_loss"]).max() < 0
    assert len(losses) == (best + 1 + patience if patience else 20)
    assert MSE(model(X), Y / 2).item() == pytest.approx(losses[best])
    for lr in (0.1, 0.0):  # away from the targets, and nowhere: entry is best
        model, history = fit(val=[(X, -Y)], num_epochs=9, patience=2, lr=lr)
        assert len(history["val_loss"]) == 2 and not model.weight.data.any()
    assert fit(loss_fn=lambda a, b: MSE(a, b) + (
        0 if a.requires_grad or a.any() else nan))[0].weight.data.any()


@pytest.mark.parametrize("mode", [True, False])
def test_modes_and_the_batches_that_a_model_sees(mode):
    """fit: A layer that you froze with eval() stays so in a model in train
    mode. predict: Return the model's outputs for inputs, on the CPU. Shapes:
    inputs (num_samples, ...) as the model takes them; the outputs as it gives
    them. Runs in eval mode."""
    model = nn.Sequential(nn.BatchNorm1d(3).eval(), zeros()).to(DEVICE)
    seen, model.training = watch(model[1].train(mode)), mode
    fit(model, TWO, num_epochs=1, device=DEVICE)
    assert seen == [(5, False, False), (8, False, False), (5, True, True), (
        3, True, True), (8, False, False)]
    assert model[0].running_mean.any() != mode
    for n, sizes in [(2500, [1, 1024, 1024, 452]), (1, [1, 1]), (0, [0, 0])]:
        inputs = torch.randn(n, 1, 3)
        outputs = load("predict")(model[1], inputs, DEVICE)
        assert seen[-len(sizes):] == [(size, False, False) for size in sizes]
        assert_close(outputs, model[1](inputs.to(DEVICE)).detach().cpu())
    assert [part.training for part in model] == [False, mode]
    pytest.raises(NotImplementedError, load("predict"), zeros().to("meta"), X,
                  "meta").match("meta")  # which cannot go to the CPU


def test_training_goes_on_only_with_the_optimizers_state():
    def steps(model, state=None):
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        optimizer.load_state_dict(copy.deepcopy(
            state or optimizer.state_dict()))
        load("train_epoch")(model, PAIR * 3, MSE, optimizer)
        return model, copy.deepcopy(optimizer.state_dict())

    model, state = steps(zeros())
    again, fresh = (copy.deepcopy(model) for _ in range(2))
    steps(model, state)
    assert torch.equal(steps(again, state)[0].weight, model.weight)
    assert not torch.equal(steps(fresh)[0].weight, model.weight)


PEAK = """
import re
import torch
from definitions import load

def peak():
    status = open("/proc/self/status").read()
    return int(re.findall("VmHWM:.*?([0-9]+)", status)[0]) / 1024

batches = load("TensorBatches")(
    torch.ones(500000, 100), batch_size=1000, shuffle=True)  # 191 MB
next(iter(batches))
before = peak()
for rows, in batches:
    pass
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"),
                    reason="reads the memory as Linux tells it")
def test_a_shuffled_pass_makes_no_second_copy():
    printed = subprocess.run(
        [sys.executable, "-c", PEAK], cwd=os.path.dirname(__file__),
        stdout=subprocess.PIPE, check=True, timeout=120).stdout
    assert float(printed) < 30
