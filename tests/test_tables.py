"""Each row of a table, in the README and in the script, does what it says.

Its entry names a row by some of its words and by its seal, a checksum, and
holds the code that bears the row out, as text, so that what the row quotes can
be looked for there. The seal is there so that who edits a row looks at its
code. When both fit again, put the seal that the failing test prints into the
entry.
"""

import doctest
import re
import textwrap
import warnings
import zlib
from collections import namedtuple
from operator import attrgetter

import build_notebook
import pytest
import torch
from conftest import run_python
from definitions import IMPORTS, NEEDS, SOURCES, load, parts_of
from sklearn.datasets import make_moons
from torch import nn, zeros
from walk import TEXT, plain

# A row with code that bears it out. The code may use the row's text, "row".
Fact = namedtuple("Fact", "words seal code")
# An error message. Each mistake raises it, and no cure raises or warns.
Message = namedtuple("Message", "words seal mistakes cures")
# A silent fault. What shows it is true after each mistake, and after no cure.
Symptom = namedtuple("Symptom", "words seal shows mistakes cures")
# A line of the first program. Its part of the script has the words "told".
Line = namedtuple("Line", "words seal told")

LOOP = "zero_grad(); find_loss(); backward(); step()"
BCE, CE, MSE = nn.BCEWithLogitsLoss(), nn.CrossEntropyLoss(), nn.MSELoss()
Judgement = namedtuple("Judgement", "new_loss own_loss wrong_size")
check_batch, gradient_of = load("check_batch"), load("gradient_of")


def moons(number, noise):
    """Return some half-moons as two tensors of floats."""
    X, y = make_moons(number, noise=noise, random_state=1)
    return torch.tensor(X).float(), torch.tensor(y).float().reshape(-1, 1)


def net(columns=1, *more, dropout=0.0):
    """Return a small network, with the same weights each time."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Dropout(dropout),
                         nn.Linear(32, columns), *more)


(X, y), (noisy_X, noisy_y) = moons(200, 0.2), moons(1000, 0.35)
classes = (y + (X[:, :1] > 1)).flatten().long()  # 0, 1 or 2


def train(loss_fn=BCE, model=None, X=X, y=y, lr=0.05, steps=100, rule="Adam",
          loop=LOOP, owner=None, **options):
    """Train on one batch (the weights of an owner, if any); return losses."""
    model, losses = model or net(), []
    optimizer = getattr(torch.optim, rule)(
        (owner or model).parameters(), lr=lr, **options)
    lines = {"zero_grad": optimizer.zero_grad, "step": optimizer.step,
             "find_loss": lambda: losses.append(loss_fn(model(X), y)),
             "backward": lambda: losses[-1].backward()}
    for _ in range(steps):
        exec(loop, lines)
    return [loss.item() for loss in losses]


def judged(number, order=slice(None), scale=1, dropout=0, steps=300, **more):
    """Train on the first noisy moons; judge on those, and from 600 on."""
    model, X, y = net(dropout=dropout), noisy_X[order], noisy_y[order]
    own_X, own_y, new_y = X[:number], y[:number], y[600:]
    train(BCE, model, own_X, own_y, steps=steps, **more)
    outputs = model.eval()(scale * X[600:])
    wrong = (outputs > 0) != (new_y == 1)
    return Judgement(BCE(outputs, new_y), BCE(model(own_X), own_y),
                     outputs[wrong].abs().mean())


def fits(row, columns, loss_fn, targets):
    """Train as a row says, and hold what it predicts to the targets."""
    model = net(columns)
    check_batch(model, X, targets, loss_fn)
    train(loss_fn, model, y=targets)
    prediction = row.strip("| ").split(" | ")[4].strip("`")
    found = eval(prediction.replace("the output", "logits"),
                 {"logits": model(X)})
    assert ((found.float() - targets).abs() < 0.5).float().mean() > 0.9


def reload(what, path):
    """Save something in a list, and load it as weights only."""
    torch.save([what], str(path))
    torch.load(str(path), weights_only=True)


def workers(kind, guard, path):
    """Run a program that loads with a worker below a line that guards it."""
    path.write_text(
        "from torch.utils.data import *\n%s\n    print(*%s([4], num_workers=1,"
        " multiprocessing_context='spawn'))\n" % (guard, kind.__name__))
    result = run_python([str(path)], path.parent)
    if result.returncode:
        raise RuntimeError(result.stderr.split("RuntimeError: ")[1])
    assert result.stdout == "tensor([4])\n"


# README, "How to choose": activations.
ACTIVATIONS = [
    Fact("hidden layers, to begin with | ReLU", "50d1",
         "assert gradient_of(nn.ReLU(), w).equal(w)"),
    Fact("hidden layers with many dead units", "a847", """
        assert gradient_of(nn.LeakyReLU(), -w).min() > 0
        assert gradient_of(nn.ReLU(), -w).max() == 0"""),
    Fact("hidden layers, bounded or centred", "c11a", """
        assert torch.tanh(99 * w).equal(w)
        assert torch.tanh(-99 * w).equal(-w)"""),
    Fact("output layer | none | the losses below", "64c0",
         "assert BCE(w, w).isclose(nn.BCELoss()(w.sigmoid(), w))"),
]
# README, "How to choose": losses.
LOSSES = [
    Fact("regression | 1 number", "e57b",
         "fits(row, 1, nn.MSELoss(), 2 * X[:, :1])"),
    Fact("two classes | 1 logit | float, (N, 1)", "2c79",
         "fits(row, 1, nn.BCEWithLogitsLoss(), y)"),
    Fact("C classes | C logits | int64, (N,)", "1edb",
         "fits(row, 3, nn.CrossEntropyLoss(), classes)"),
    Fact("several yes/no labels", "33c7", """
        two_labels = torch.cat([y, X > 0], dim=1)
        fits(row, 3, nn.BCEWithLogitsLoss(), two_labels)"""),
]
# README, "Error messages".
MESSAGES = [
    Message("mat1 and mat2 shapes cannot be multiplied", "7dc2", mistakes=[
        "nn.Linear(2, 16)(zeros(32, 3))",
        "nn.Linear(784, 10)(zeros(64, 28, 28))",
        "nn.Linear(1, 1)(targets)  # without reshape(-1, 1)",
    ], cures=[
        "nn.Linear(in_features=3, out_features=16)(zeros(32, 3))",
        "nn.Sequential(nn.Flatten(), nn.Linear(784, 10))(zeros(64, 28, 28))",
        "nn.Linear(1, 1)(targets.reshape(-1, 1))"]),
    Message("Target size (torch.Size([8])) must be", "f921",
            mistakes=["BCE(column, targets)",
                      "BCE(column.squeeze(), column)",
                      "BCE(logits, targets.long())"],
            cures=["BCE(column, targets.reshape(-1, 1))  # no squeeze()",
                   "CE(logits, targets.long())"]),
    Message("different to the input size` (a warning)", "2d0c",
            mistakes=["MSE(column, targets)"],
            cures=["MSE(column, targets.reshape(-1, 1))"]),
    Message("0D or 1D target tensor expected", "05fb", mistakes=[
        "CE(logits, column.long())",
        "CE(logits, torch.eye(8, 4))",
    ], cures=[
        "targets = column.long(); CE(logits, targets.flatten())",
        "targets = torch.eye(8, 3); CE(logits, targets.argmax(dim=1))"]),
    Message("Expected floating point type for target", "b434",
            mistakes=["CE(logits, torch.eye(8, 3).long())",
                      "CE(targets, targets.long())"],
            cures=["""
                targets = torch.eye(8, 3).long()
                CE(logits, targets.argmax(dim=1))"""]),
    Message("Target 3 is out of bounds.", "a79a",
            mistakes=["CE(logits[:2], torch.tensor([0, 3]))",
                      "CE(logits[:2], torch.tensor([0, -1]))"],
            cures=["CE(logits[:2], torch.tensor([1, 3]) - 1)", """
                layer = nn.Linear(2, out_features=4)
                CE(layer(zeros(2, 2)), torch.tensor([0, 3]))"""]),
    Message("expected target dtype to be Long or Byte", "de96",
            mistakes=["CE(logits, targets)"],
            cures=["CE(logits, targets.long())"]),
    Message("result type Float can't be cast", "987e", mistakes=[
        "BCE(w, w.detach().long()).backward()",
        "nn.BCELoss()(w.sigmoid(), w.long())",
    ], cures=[
        "targets = w.long(); BCE(w, targets.float()).backward()",
        "targets = w.long(); nn.BCELoss()(w.sigmoid(), targets.float())"]),
    Message("mat1 and mat2 must have the same dtype", "e8fb",
            mistakes=["nn.Linear(2, 1)(torch.tensor(X))"],
            cures=["nn.Linear(2, 1)(torch.tensor(X, dtype=torch.float32))"]),
    Message("could not convert string to float", "2bc8",
            mistakes=['np.asarray([["red"], ["blue"]], dtype="float32")'],
            cures=["""
                words = np.array([["red"], ["blue"]])
                np.asarray(words == ["blue", "red"], dtype="float32")"""]),
    Message("must be Tensor, not numpy.ndarray", "b59f",
            mistakes=["nn.Linear(2, 1)(X)"],
            cures=["nn.Linear(2, 1)(torch.tensor(X, dtype=torch.float32))"]),
    Message("Subtraction, the `-` operator", "653b",
            mistakes=["BCE(targets, targets > 0)"],
            cures=["targets = targets > 0; BCE(zeros(8), targets.float())"]),
    Message("Can't call numpy() on Tensor", "350e",
            mistakes=["w.numpy()"], cures=["w.detach().cpu().numpy()"]),
    Message("backward through the graph a second time", "563a", mistakes=[
        "loss = (w ** 2).sum(); loss.backward(); loss.backward()",
        "for _ in (1, 2): kept = (w * kept).sum(); kept.backward()",
    ], cures=[
        "for _ in (1, 2): kept = (w * kept.detach()).sum(); kept.backward()"]),
    Message("element 0 of tensors does not require grad", "fa3c", mistakes=[
        "with torch.no_grad(): loss = w.sum()\nloss.backward()",
        "torch.tensor(w.detach().numpy().sum()).backward()",
        "w.argmax().backward()",
        "(w > 0).float().sum().backward()",
        "w.requires_grad_(False).sum().backward()",
    ], cures=[  # setting it on the loss stops the message, and that is all
        "w.detach().sum().requires_grad_().backward(); assert w.grad is None",
        "w.sum().backward(); assert w.grad.equal(w)",
        "w.requires_grad_(False); w.requires_grad_().sum().backward()"]),
    Message("grad can be implicitly created only", "a4c3",
            mistakes=['nn.MSELoss(reduction="none")(w, 2 * w).backward()'],
            cures=["""
                losses = nn.MSELoss(reduction="none")(w, 2 * w)
                losses.mean().backward()"""]),
    Message("a leaf Variable that requires grad", "7376",
            mistakes=["w += 1"], cures=["with torch.no_grad(): w += 1"]),
    Message("optimizer got an empty parameter list", "5a51", mistakes=["""
        module.rest = [nn.Linear(2, 1)]
        torch.optim.SGD(module.parameters(), lr=0.1)""",
    ], cures=["""
        module.rest = nn.ModuleList([nn.Linear(2, 1)])
        torch.optim.SGD(module.parameters(), lr=0.1)""", """
        module.rest = nn.Sequential(nn.Linear(2, 1))
        torch.optim.SGD(module.parameters(), lr=0.1)"""]),
    Message("Weights only load failed", "8f4c",
            mistakes=["reload(nn.Linear(2, 1), path)",
                      "reload(np.zeros(2), path)",
                      "reload(StandardScaler(), path)"],
            cures=["reload([model.state_dict(), w, 1.0, [2]], path)"]),
    Message("Expected more than 1 value per channel", "2331", mistakes=[
        "nn.BatchNorm1d(1)(w[:1, None])",
    ], cures=[
        "model = nn.BatchNorm1d(1); model.eval(); model(w[:1, None])", """
        batches = DataLoader(zeros(5, 3), batch_size=2, drop_last=True)
        for rows in batches: nn.BatchNorm1d(3)(rows)"""]),
    Message("has been modified by an inplace operation", "0dea",
            mistakes=["x = w.sigmoid(); x += 1; x.sum().backward()",
                      "nn.ReLU(inplace=True)(w.sigmoid()).sum().backward()"],
            cures=["x = w.sigmoid(); x = x + 1; x.sum().backward()",
                   "nn.ReLU()(w.sigmoid()).sum().backward()"]),
    Message("Error(s) in loading state_dict", "566c", mistakes=[
        "nn.Linear(3, 1).load_state_dict(nn.Linear(2, 1).state_dict())",
        "network.load_state_dict(nn.Linear(2, 1).state_dict())", """
        wrapper = nn.DataParallel(network)
        assert "module.0.weight" in wrapper.state_dict()
        network.load_state_dict(wrapper.state_dict())""",
    ], cures=["model.load_state_dict(network.state_dict())"]),
    Message("Expected input batch_size (128) to match", "52ed", mistakes=[
        "k = 4; CE(zeros(32, 4, 4).view(-1, k), zeros(32).long())",
    ], cures=["""
        layer = nn.Linear(in_features=16, out_features=3)
        outputs = layer(zeros(32, 4, 4).flatten(start_dim=1))
        CE(outputs, zeros(32).long())"""]),
    Message("all elements of input should be between", "132c",
            mistakes=["nn.BCELoss()(2 * w, w)"], cures=["BCE(2 * w, w)"]),
    Message("Boolean value of Tensor with more than one", "a272",
            mistakes=["outputs = targets; nn.MSELoss(outputs, targets)"],
            cures=["outputs = targets; nn.MSELoss()(outputs, targets)"]),
    Message("An attempt has been made to start", "97f0",
            mistakes=["workers(DataLoader, 'if True:', path)"],
            cures=["""
                workers(DataLoader, 'if __name__ == "__main__":', path)"""]),
]
# README, "When nothing is said".
SYMPTOMS = [
    Symptom("the loss is negative", "c2de", shows="losses[-1] < 0",
            mistakes=["losses = train(BCE, y=y + 1)",
                      "losses = train(y=2 * y - 1)"],
            cures=["y = y + 1; losses = train(y=(y == y.max()).float())",
                   "y = 2 * y - 1; losses = train(y=(y == y.max()).float())",
                   "losses = train(CE, net(3), y=classes)"]),
    Symptom("the loss is exactly 0", "dac3", shows="set(losses) == {0}",
            mistakes=["losses = train(CE)"],
            cures=["losses = train(BCE)",
                   "losses = train(CE, net(3), y=classes)"]),
    Symptom("the loss stays at log C", "aa86", mistakes=[
        "losses = train(owner=net())",
        "losses = train(loop='find_loss(); backward(); zero_grad(); step()')",
        "losses = train(loop='zero_grad(); find_loss(); backward()')",
    ], cures=[
        "losses = train(loop=LOOP)",
    ], shows="np.ptp(losses) < 0.1"),
    Symptom("jumps or rises", "13a5", shows="losses[-1] > 1.2 * min(losses)",
            mistakes=["""
                loop = LOOP.replace("zero_grad(); ", "")
                losses = train(rule="SGD", lr=1, loop=loop)"""],
            cures=["""
                loop = LOOP.replace("backward()", "zero_grad(); backward()")
                losses = train(rule="SGD", lr=1, loop=loop)"""]),
    Symptom("the loss never comes near 0", "0a12", shows="min(losses) > 0.3",
            mistakes=["losses = train(CE, net(3, nn.Softmax(1)), y=classes)"],
            cures=["losses = train(CE, net(3), y=classes)"]),
    Symptom("NaN from the first", "4985", shows="math.isnan(losses[0])",
            mistakes=["X[3, 0] = math.nan; losses = train(X=X)"],
            cures=["""
                X[3, 0] = math.nan
                X[~X.isfinite()] = 0.5
                losses = train(X=X)"""]),
    Symptom("NaN after growing", "9782",
            shows="losses[1] > losses[0] and not math.isfinite(losses[-1])",
            mistakes=['losses = train(MSE, y=10 * y, rule="SGD", lr=2.0)',
                      'losses = train(MSE, X=1000 * X, rule="SGD")'],
            cures=['losses = train(MSE, y=10 * y, rule="SGD", lr=2.0 / 10)',
                   'losses = train(MSE, X=X, rule="SGD")']),
    Symptom("outputs are all the mean", "e511",
            shows="(model(X) - y.mean()).abs().max() < 0.1",
            mistakes=["train(MSE, model, y=y.flatten(), steps=300)"],
            cures=["""
                targets = y.flatten()
                train(MSE, model, y=targets.reshape(-1, 1))"""]),
    Symptom("all one class, accuracy its share", "7aba",
            shows="((model(X) > 0) == (y == 1)).float().mean() == y.mean()",
            mistakes=["model = net(1, nn.Sigmoid()); train(BCE, model)"],
            cures=["model = net(1); train(BCE, model)"]),
    Symptom("the loss is huge", "ca96", shows="losses[0] > 1000",
            mistakes=["losses = train(MSE, y=1000 + 200 * y)"],
            cures=["""
                losses = train(MSE, model, y=(y - y.mean()) / y.std())
                outputs = model(X) * y.std() + y.mean()
                assert (outputs - y).abs().mean() < 0.2"""]),
    Symptom("good training, poor validation", "0004",
            shows="result.new_loss - result.own_loss > 0.7",
            mistakes=["result = judged(600, scale=4)",
                      "result = judged(600, noisy_X[:, 0].argsort())",
                      "result = judged(40)"],
            cures=["result = judged(600)",
                   "result = judged(40, steps=20)",
                   'result = judged(40, rule="AdamW", weight_decay=1.0)',
                   "result = judged(40, dropout=0.5)"]),
    Symptom("validation loss rises, accuracy holds", "e756",
            shows="result.new_loss > 1.5 * judged(40, steps=20).new_loss",
            mistakes=["""
                result, early = judged(40), judged(40, steps=20)
                assert result.wrong_size > 2 * early.wrong_size"""],
            cures=["result = judged(40, steps=30)"]),
    Symptom("another answer", "f746", shows="not model(X).equal(model(X))",
            mistakes=["model = net(dropout=0.5); model.train()"],
            cures=["model = net(dropout=0.5); model.eval()"]),
    Symptom("accuracy above 1, or one half", "661d",
            shows="right.sum() > 200 and 0.48 < right.float().mean() < 0.52",
            mistakes=["""
                train(model=model)
                right = (model(X) > 0) == (y == 1).flatten()"""],
            cures=["""
                train(model=model)
                right = (model(X) > 0).flatten() == (y == 1).flatten()"""]),
    Symptom('the "best" weights are the last ones', "9f0f",
            shows='best["0.weight"].equal(model[0].weight)',
            mistakes=["best = model.state_dict(); train(model=model)"],
            cures=["""
                best = copy.deepcopy(model.state_dict())
                train(model=model)"""]),
    Symptom("a second run has other numbers", "fccf", mistakes=[
        "first, second = (torch.randn(3).tolist() for _ in (1, 2))",
        "first, second = (make_moons(9)[0].tolist() for _ in (1, 2))",
    ], cures=["""
        torch.manual_seed(0); first = torch.randn(3).tolist()
        torch.manual_seed(0); second = torch.randn(3).tolist()""", """
        first, second = (make_moons(9, random_state=0)[0].tolist()
                         for _ in (1, 2))""",
    ], shows="first != second"),
    Symptom("the GPU idle", "886e", shows="len(fetched) == len(X)",
            mistakes=["""
                samples = TensorDataset(X, y)
                fetched, = DataLoader(samples, 200, collate_fn=list)"""],
            cures=['fetched, = load("TensorBatches")(X, y, batch_size=200)']),
]
# Script, Section 1: types of neural networks.
NETWORKS = [
    Fact("Fully connected (MLP)", "774e",
         "assert nn.Linear(5, 2).weight.shape == (2, 5)"),
    Fact("Convolutional | images", "33bb", """
        layer, x = nn.Conv2d(1, 1, 3), torch.randn(1, 1, 6, 6)
        moved = layer(x.roll(1, 3))
        assert moved[..., 1:].allclose(layer(x)[..., :-1], atol=1e-6)"""),
    Fact("Recurrent | sequences", "72d3", """
        for kind in (nn.RNN, nn.LSTM):
            layer = kind(2, 1)
            assert layer(X)[0][-1] != layer(X.roll(1, 0))[0][-1]"""),
    Fact("Transformer | text", "1587", """
        layer = nn.TransformerEncoderLayer(4, 1, 4).eval()
        x = torch.randn(3, 1, 4)
        first_doubled = torch.cat([2 * x[:1], x[1:]])
        assert (layer(x) != layer(first_doubled)).any(dim=2).all()"""),
]
# Script, Section 7: what to do about a loss.
RATES = [
    Symptom("the loss grows", "46eb", shows="not losses[-1] < losses[0]",
            mistakes=['losses = train(MSE, y=10 * y, rule="SGD", lr=2.0)'],
            cures=['losses = train(MSE, y=10 * y, rule="SGD", lr=2.0 / 10)']),
    Symptom("falls very slowly", "f041", shows="losses[-1] > 0.8 * losses[0]",
            mistakes=['losses = train(rule="SGD", lr=0.01)'],
            cures=['losses = train(rule="SGD", lr=3 * 0.01)']),
    Symptom("then jumps about", "d13c", shows="np.ptp(losses[-20:]) > 0.1",
            mistakes=['losses = train(nn.L1Loss(), rule="SGD", lr=1)'],
            cures=["""
                train(nn.L1Loss(), model, rule="SGD", lr=1)
                losses = train(nn.L1Loss(), model, rule="SGD", lr=0.1)"""]),
]
# Script, Section 7: the optimizer to begin with.
OPTIMIZERS = [
    Fact("`Adam` | 0.001", "5fcc", """
        assert torch.optim.Adam([w]).defaults["lr"] == 0.001
        slow, low, high, wild = (
            train(lr=lr)[-1] for lr in (0.001, 0.01, 0.05, 3.0))
        assert max(low, high) < min(slow, wild)"""),
    Fact("`SGD`, `momentum=0.9` | 0.01", "0a28", """
        momentum, tenfold, without = (
            train(rule="SGD", lr=lr, momentum=momentum)[-1]
            for lr, momentum in ((0.01, 0.9), (0.1, 0), (0.01, 0)))
        assert abs(momentum - tenfold) < 0.02 < without - momentum"""),
    Fact("`SGD` | 0.1", "5a58", """
        slow, good, wild = (
            train(rule="SGD", lr=lr)[-1] for lr in (0.01, 0.1, 30.0))
        assert good < min(slow, wild)"""),
]
# Script, Recap: the lines of the first program, and words that tell of them.
RECAP = [
    Line("`X, y = datasets", "3e90", "two half-moons of points"),
    Line("`torch.tensor(", "cbb9", "In PyTorch the numbers live in **tensors"),
    Line("`.reshape(-1, 1)`", "2965", "`reshape(-1, 1)` makes a column"),
    Line("`torch.manual_seed(0)`", "8dfd", "`manual_seed(0)` makes"),
    Line("`nn.Sequential(", "3a99", "`nn.Sequential` chains"),
    Line("`nn.ReLU()`", "620a", "**ReLU** is"),
    Line("`nn.BCEWithLogits", "d19d", "So take `nn.BCEWithLogitsLoss`"),
    Line("`torch.optim.Adam(", "2b8c", "**Adam** gives"),
    Line("`for epoch in", "3edf", "is an **epoch**"),
    Line("`optimizer.zero_grad()`", "cb64", "Zeroing Gradients (`optimizer."),
    Line("`loss = loss_fn(", "eb4c", "Calculating Predictions and Loss"),
    Line("`loss.backward()`", "1b9f", "Calculating Gradients (`loss.back"),
    Line("`optimizer.step()`", "8ec8", "Updating Weights (`optimizer.step"),
]

# The first row of a table, and the entries for rows of it, in their order.
TABLES = [
    ("| Where | Activation | Why |", ACTIVATIONS),
    ("| Task | Network ends in | Targets | Loss | Prediction |", LOSSES),
    ("| Message | Cause | Cure |", MESSAGES),
    ("| Symptom | Likely cause | Cure |", SYMPTOMS),
    ("| Network | Suited to | Idea | In `torch.nn` |", NETWORKS),
    ("| Where | Take | Why |", ACTIVATIONS[:1]),  # the same row again
    ("| What you see | What to do |", RATES),
    ("| Begin with | `lr` to try first | When |", OPTIMIZERS),
    ("| Line | Explained in |", RECAP),
]

# The seals of all other rows, and of the lines of the README's picture and its
# commands, each with some of their words. Other tests hold most of them.
HELD_BY_SEAL_ALONE = {
    # README: the picture, and the commands to install and run.
    "2f53": "data", "ab4b": "network", "c2b3": "loss", "c5af": "slopes",
    "0170": "optimizer", "152d": "neural_networks_fundamentals.py",
    "a893": "lab", "45bf": "`.venv/bin/python`", "f9db": "whl/cpu",
    "6a93": "xcode-select", "8ff7": "sudo apt",
    # README: the sections, and the program with other data.
    "bd23": "The question it answers", "7dbc": "[1. ", "f9ab": "[2. ",
    "ea93": "[3. ", "e373": "[4. ", "9138": "[5. ", "8d11": "[6. ",
    "787f": "[7. ", "9a38": "[8. ", "82fd": "[9. ", "722b": "Yours",
    "fe71": "any table", "2f2d": "C classes", "62ec": "a quantity",
    # README: first rows of tables, and messages of other machines.
    "15cf": "Activation", "2c10": "Prediction", "99d0": "Message",
    "eeb0": "MPS Tensor", "fe4b": "same device", "39c3": "out of memory",
    "439b": "kernel image", "6830": "c10.dll", "f914": "Numpy is not",
    "277b": "deserialize", "0f28": "Symptom",
    # README: parts to copy, which a test below runs.
    "10ef": "Part", "1951": "`MLP`", "b07c": "`TensorBatches`",
    "77bb": "`split_in_three`", "7d9d": "`to_tensors`",
    "61b9": "`check_targets`", "c0b1": "`check_batch`",
    "6fe3": "`train_epoch`", "5f00": "`evaluate`", "e889": "`fit`",
    "d201": "`predict`", "0304": "`classify`",
    # README: words.
    "9d11": "Words", "3477": "| 1 |", "2982": "| 2 |", "fa76": "| 3 |",
    "acc1": "| 4 |", "b86a": "| 5 |", "15c1": "| 6 |", "5d5e": "| 7 |",
    "73ff": "| 8 |", "0dde": "| 9 |",
    # README: more commands, and the versions.
    "3002": "benchmark_training.py", "37b3": "--standalone",
    "f01a": "--nnodes=2", "631d": "Python", "cc52": "3.7", "1682": "3.10",
    "7123": "3.13", "bdb8": "install -r tests/", "3d92": "build_notebook.py",
    "dc38": "nox", "fae6": "--shifts", "b1fb": "mutate.py",
    "7242": "install -r requirements.txt -r",
    # Script, Sections 1, 3 and 6.
    "bb01": "Network", "4870": "Take", "c3a2": "Leaky ReLU", "ee47": "tanh",
    "7ef8": "output layer", "7226": "Task", "5bf9": "a quantity | 1 number",
    "7571": "two classes", "0325": "C classes", "ab5e": "yes/no labels",
    "07e4": "Distribution", "c190": "normal", "a55c": "Bernoulli",
    "073e": "Laplace", "b71e": "categorical",
    # Script, Sections 7 to 9, and the recap.
    "e061": "What you see", "f80d": "Begin with", "b20c": "Mend",
    "ec01": "Kaiming weights", "3450": "BatchNorm",
    "3250": "residual connection", "94f4": "Check", "ffd7": "first loss",
    "d670": "many steps on one batch", "eadf": "inputs of zero",
    "0e2a": "without a gradient", "ccf1": "Line",
}

# The tables of measured times are not among the rows: test_readme.py has them.
TABLE = r"(?m)^\| .*\|\n(?:.*\|\n)+"
PICTURE = r'^    \w+(?:\["| --).*'
COMMAND = r"`?(?:\.venv/|python3 |sudo|xcode)[^`\n]+`?"
README = re.sub(r"(?m)^\| Loop .*\n(?:\|.*\n)+", "", build_notebook.README
                .read_text(encoding="utf-8"))
NUMBERS = re.compile(r"-?\d[\d, x]*")


def seal(row):
    """Return the checksum of a row, whatever line numbers its links have."""
    return "%04x" % (zlib.crc32(re.sub(r"#L\d+", "", row).encode()) & 0xffff)


def rows_in(text, pattern):
    """Return (first row of the table, row) for all that a pattern finds."""
    found = [part.splitlines() for part in re.findall(pattern, text)]
    return [(rows[0], row) for rows in found for row in rows
            if "---" not in row]


ROWS = (rows_in(README, "|".join([TABLE, PICTURE, COMMAND]))
        + rows_in(re.sub("(?m)^# ?", "", TEXT), TABLE))
BY_SEAL = {seal(row): row for _, row in ROWS}


def cells_of(entry):
    """Return the cells of the row of an entry."""
    return BY_SEAL[entry.seal][2:-2].split(" | ")


def fresh_names(path, **more):
    """Return what code may use; its data and networks are made anew."""
    torch.manual_seed(1)
    names = dict(
        globals(), w=torch.ones(2, requires_grad=True), X=X.clone(),
        targets=zeros(8), column=zeros(8, 1), logits=zeros(8, 3),
        kept=torch.ones(()), model=net(), network=net(), module=nn.Module(),
        path=path / "file.py")
    exec(IMPORTS, names)
    return dict(names, **more)


def execute(code, names):
    """Run the code of an entry."""
    exec(textwrap.dedent(code), names)


def check_quotations(entry):
    """A cause quotes only what is in the mistakes, a cure what is in cures."""
    *causes, cure = cells_of(entry)[1:]
    for quoting, code in ((causes, entry.mistakes), ([cure], entry.cures)):
        code = " ".join(" ".join(code).split())
        for name in ("BCE", "CE", "MSE"):
            code = re.sub(r"\b%s\b" % name, str(globals()[name]), code)
        quoted = re.findall("`([^`]+)`", " ".join(quoting))
        assert [span for span in quoted if span not in code] == []


def test_each_row_has_its_seal_and_its_place():
    entries = [(head, entry) for head, table in TABLES for entry in table]
    words = dict(HELD_BY_SEAL_ALONE)
    words.update((entry.seal, entry.words) for _, entry in entries)
    assert [(new, row) for new, row in BY_SEAL.items() if new not in words
            ] == []
    assert [(old, said) for old, said in words.items()
            if said not in BY_SEAL.get(old, "")] == []
    held = [seal(row) for _, row in ROWS if seal(row) in HELD_BY_SEAL_ALONE]
    assert held == list(HELD_BY_SEAL_ALONE)
    assert [(head, seal(row)) for head, row in ROWS if seal(row) not in held
            ] == [(head, entry.seal) for head, entry in entries]


@pytest.mark.parametrize("entry", ACTIVATIONS + LOSSES + NETWORKS + OPTIMIZERS,
                         ids=attrgetter("words"))
def test_what_a_row_says_is_so(entry, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        execute(entry.code, fresh_names(tmp_path, row=BY_SEAL[entry.seal]))


@pytest.mark.parametrize("entry", MESSAGES, ids=attrgetter("words"))
def test_mistakes_raise_their_message_and_cures_do_not(entry, tmp_path):
    said, array = [], X.double().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for code in entry.mistakes:
            with pytest.raises(Exception) as caught:
                execute(code, fresh_names(tmp_path, X=array))
            said.append(" ".join(str(caught.value).split()))
        for code in entry.cures:
            execute(code, fresh_names(tmp_path, X=array))
    told = re.findall("`((?:[^`]|`-`)+)`", cells_of(entry)[0])
    assert any(message.startswith(told[0]) for message in said), said
    beginnings = tuple(NUMBERS.sub("#", message) for message in told)
    assert [message for message in said if not NUMBERS.sub(
        "#", message).startswith(beginnings)] == []
    check_quotations(entry)


@pytest.mark.parametrize("entry", SYMPTOMS + RATES, ids=attrgetter("words"))
def test_mistakes_show_as_the_row_says_and_cures_do_not(entry, tmp_path):
    tried = [(code, True) for code in entry.mistakes]
    for code, shown in tried + [(code, False) for code in entry.cures]:
        names = fresh_names(tmp_path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            execute(code, names)
            assert eval(entry.shows, names) == shown, code
    check_quotations(entry)


def test_parts_to_copy_work_with_what_they_need(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _, row in ROWS:
        if row.startswith("| [`"):
            (name, *needed), names = re.findall(r"`(\w+)`", row), {}
            assert sorted(needed) == sorted(NEEDS[name])
            sources = [SOURCES[part] for part in needed + [name]]
            exec("\n".join([IMPORTS] + sources), names)
            example, = doctest.DocTestFinder(recurse=False).find(
                names[name], name, module=False, globs=names)
            assert doctest.DocTestRunner().run(example)[0] == 0
            assert example.examples


def test_the_recap_names_the_part_that_explains_each_line():
    parts = parts_of(TEXT, with_sections=True)
    first, = [part.cells[1][1] for part in parts if part.title == "First Look"]
    rest = first.splitlines()
    for entry in RECAP:
        line, place = cells_of(entry)
        part, = [part for part in parts if entry.told in plain("\n".join(
            source for kind, source in part.cells if kind != "code"))]
        assert re.match("(Section None, )?" + re.escape(place),
                        "Section %s, %s" % (part.section, part.title))
        line = ".*".join(map(re.escape, line.strip("`").split("...")))
        assert re.search(line, first)
        rest = [other for other in rest if not re.search(line, other)]
    assert [line.split("(")[0].strip() for line in rest] == [
        "if epoch in", "print"]
