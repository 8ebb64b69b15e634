"""The README's tables, row by row: the cause makes it, the cure mends it."""

import copy
import math
import pickle
import re
import time
import warnings

import build_notebook
import numpy as np
import pytest
import torch
from conftest import run_python
from definitions import load
from sklearn.datasets import make_moons
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

README = build_notebook.README.read_text(encoding="utf-8")


def table(head):
    """The rows of a README table, each a list of its columns."""
    body = re.findall(r"(?ms)^\| %s \|.*?\n\|[-|]+\|\n(.*?)\n\n" % head,
                      README)[0]
    return [re.split(r" \| ", row.strip("| ")) for row in body.splitlines()]


ERRORS, SYMPTOMS = table("Message"), table("Symptom")
LOSSES = {"BCE": nn.BCEWithLogitsLoss(), "CE": nn.CrossEntropyLoss(),
          "MSE": nn.MSELoss()}


def weight(**options):
    return torch.ones(2, requires_grad=True, **options)


def batch_norm(rows):
    return nn.BatchNorm1d(3)(torch.zeros(rows, 3))


def change_in_place(parameter, no_grad):
    with torch.set_grad_enabled(not no_grad):
        parameter += 1


def twice(again):
    x = weight()
    loss = (x ** 2).sum()
    loss.backward()
    ((x ** 2).sum() if again else loss).backward()


def in_place_network(cured):
    x = torch.sigmoid(weight())
    squared = x ** 2
    if cured:
        x = x + 1
    else:
        x += 1
    (squared + x).sum().backward()


def optimizer_of(layers):
    module = nn.Module()
    module.layers = layers
    return torch.optim.SGD(module.parameters(), lr=0.1)


def save_and_load(what, folder):
    torch.save({"scaling": what}, str(folder / "file.pt"))
    return torch.load(str(folder / "file.pt"), weights_only=True)


def workers(guard, folder):
    lines = ["import torch", "from torch.utils.data import DataLoader",
             "if %s:" % guard,
             "    loader = DataLoader(torch.zeros(4), num_workers=1,",
             "                        multiprocessing_context='spawn')",
             "    print(len(list(loader)))"]
    (folder / "work.py").write_text("\n".join(lines) + "\n")
    result = run_python(["work.py"], folder)
    if result.returncode:
        raise RuntimeError(re.findall(
            r"(?s)RuntimeError: \s*(An attempt.*?phase)",
            result.stderr)[0].replace("\n        ", " "))
    assert result.stdout.split() == ["4"]


def zeros(*shape):
    return torch.zeros(shape)


# A part of each cause -> the mistake, and the same with its cure.
MISTAKES = {
    "the data has 3 features": (
        lambda _: nn.Linear(2, 16)(zeros(32, 3)),
        lambda _: nn.Linear(3, 16)(zeros(32, 3))),
    "targets and logits differ": (
        lambda _: LOSSES["BCE"](zeros(8, 1), zeros(8)),
        lambda _: LOSSES["BCE"](zeros(8, 1), zeros(8).reshape(-1, 1))),
    "the same in `MSELoss`": (
        lambda _: LOSSES["MSE"](zeros(8, 1), zeros(8)),
        lambda _: LOSSES["MSE"](zeros(8, 1), zeros(8).reshape(-1, 1))),
    "class numbers of shape (N, 1)": (
        lambda _: LOSSES["CE"](zeros(8, 3), zeros(8, 1).long()),
        lambda _: LOSSES["CE"](zeros(8, 3), zeros(8, 1).long().flatten())),
    "one-hot rows of whole numbers": (
        lambda _: LOSSES["CE"](zeros(4, 4), torch.eye(4).long()),
        lambda _: LOSSES["CE"](zeros(4, 4), torch.eye(4).long().argmax(1))),
    "a column holds words": (
        lambda _: np.asarray([["red"], ["blue"]], dtype="float32"),
        lambda _: np.asarray([[word == other for other in ("red", "blue")]
                              for word in ("red", "blue")], dtype="float32")),
    "an array where a tensor is needed": (
        lambda _: nn.Linear(2, 1)(np.zeros((1, 2), dtype="float32")),
        lambda _: nn.Linear(2, 1)(torch.tensor(np.zeros((1, 2)),
                                               dtype=torch.float32))),
    "targets of True and False": (
        lambda _: torch.ones(2, dtype=torch.bool) - zeros(2).bool(),
        lambda _: LOSSES["BCE"](zeros(2), zeros(2).bool().float())),
    "`+=` or `inplace=True`": (
        lambda _: in_place_network(False), lambda _: in_place_network(True)),
    "other sizes or layers": (
        lambda _: nn.Linear(2, 1).load_state_dict(
            nn.Sequential(nn.Linear(2, 1)).state_dict()),
        lambda _: nn.Linear(2, 1).load_state_dict(
            nn.Linear(2, 1).state_dict())),
    "the rows of outputs and targets differ": (
        lambda _: LOSSES["CE"](zeros(32, 8, 2).view(-1, 4)[:, :3],
                               zeros(32).long()),
        lambda _: LOSSES["CE"](nn.Linear(16, 3)(
            zeros(32, 8, 2).flatten(start_dim=1)), zeros(32).long())),
    "logits for `BCELoss`": (
        lambda _: nn.BCELoss()(2 * torch.ones(2), zeros(2)),
        lambda _: nn.BCEWithLogitsLoss()(2 * torch.ones(2), zeros(2))),
    "a class, not called": (
        lambda _: nn.MSELoss(zeros(2), zeros(2)),
        lambda _: nn.MSELoss()(zeros(2), zeros(2))),
    "a class number outside": (
        lambda _: LOSSES["CE"](zeros(2, 3), torch.tensor([0, 3])),
        lambda _: [LOSSES["CE"](zeros(2, 3), torch.tensor([1, 3]) - 1),
                   LOSSES["CE"](zeros(2, 4), torch.tensor([0, 3]))]),
    "class numbers stored as floats": (
        lambda _: LOSSES["CE"](zeros(2, 3), zeros(2)),
        lambda _: LOSSES["CE"](zeros(2, 3), zeros(2).long())),
    "integer targets": (
        lambda _: LOSSES["BCE"](weight(), zeros(2).long()).backward(),
        lambda _: LOSSES["BCE"](weight(), zeros(2).long().float())),
    "64-bit data from NumPy": (
        lambda _: nn.Linear(2, 1)(torch.tensor(np.zeros((1, 2)))),
        lambda _: nn.Linear(2, 1)(torch.tensor(np.zeros((1, 2)),
                                               dtype=torch.float32))),
    "the tensor is part of a computation": (
        lambda _: weight().numpy(),
        lambda _: weight().detach().cpu().numpy()),
    "one forward pass": (lambda _: twice(False), lambda _: twice(True)),
    "the loss comes from": (
        lambda _: zeros(2).sum().backward(),
        lambda _: weight().sum().backward()),
    "`backward()` on several numbers": (
        lambda _: (weight() ** 2).backward(),
        lambda _: (weight() ** 2).mean().backward()),
    "weights changed in place": (
        lambda _: change_in_place(weight(), no_grad=False),
        lambda _: change_in_place(weight(), no_grad=True)),
    "layers kept in a plain list": (
        lambda _: optimizer_of([nn.Linear(2, 1)]),
        lambda _: [optimizer_of(nn.ModuleList([nn.Linear(2, 1)])),
                   optimizer_of(nn.Sequential(nn.Linear(2, 1)))]),
    "the file holds a whole model": (
        lambda folder: save_and_load(
            nn.Linear(2, 1), folder),
        lambda folder: save_and_load([zeros(2), 1.0, "name"], folder)),
    "BatchNorm met a batch of one": (
        lambda _: batch_norm(1), lambda _: batch_norm(2)),
    "`DataLoader` workers": (
        lambda folder: workers("True", folder),
        lambda folder: workers("__name__ == '__main__'", folder)),
}


@pytest.mark.parametrize("messages, cause", [
    row[:2] for row in ERRORS if not row[0].endswith("*")])
def test_errors_come_and_go_as_told(messages, cause, tmp_path):
    (mistake, cured), = [MISTAKES[part] for part in MISTAKES if part in cause]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Exception) as caught:
            mistake(tmp_path)
        cured(tmp_path)
    said = " ".join(str(caught.value).split())
    told = re.findall(r"`((?:[^`]|`-`)+)`", messages)
    assert any(said.startswith(message.split(" (128)")[0])
               for message in told), said


def test_other_ways_to_the_same_errors(tmp_path):
    for what in (StandardScaler(), np.zeros(2)):
        with pytest.raises(pickle.UnpicklingError, match="Weights only load"):
            save_and_load(what, tmp_path)
    with pytest.raises(RuntimeError, match="Found dtype Long but expected"):
        nn.BCELoss()(torch.sigmoid(weight()), zeros(2).long()).backward()
    with pytest.raises(RuntimeError, match="does not require grad"):
        weight().argmax().backward()
    with pytest.raises(RuntimeError, match="got Long"):
        LOSSES["CE"](zeros(4), zeros(4).long())
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        nn.Linear(784, 10)(zeros(64, 28, 28))
    nn.Sequential(nn.Flatten(), nn.Linear(784, 10))(zeros(64, 28, 28))
    state, w = zeros(1), weight()
    with pytest.raises(RuntimeError, match="a second time"):
        for _ in range(2):
            state = (state + w).sum() ** 2
            state.backward()
    norm = nn.BatchNorm1d(3).eval()
    norm(zeros(1, 3))


def test_one_hot_rows_of_another_width_give_that_error_too():
    with pytest.raises(RuntimeError, match="multi-target not supported"):
        LOSSES["CE"](zeros(4, 4), torch.eye(4, 5))
    LOSSES["CE"](zeros(4, 5), torch.eye(4, 5).argmax(dim=1))


def test_errors_that_are_not_made_are_marked():
    marked = [row[0] for row in ERRORS if row[0].endswith("*")]
    assert len(ERRORS) - len(marked) == len(MISTAKES) and len(marked) == 7
    assert all(re.search("MPS|CUDA|Numpy|kernel image|c10", message)
               for message in marked)


# Symptoms.

def moons(number=200, noise=0.2):
    X, y = make_moons(n_samples=number, noise=noise, random_state=0)
    return (torch.tensor(X, dtype=torch.float32),
            torch.tensor(y, dtype=torch.float32).reshape(-1, 1))


def network(*more, columns=1, dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Dropout(dropout),
                         nn.Linear(32, columns), *more)


def train(model, X, y, loss_fn, lr=0.05, steps=60, owner=None, rule="Adam",
          clear="first", step=True):
    """Train on one batch; return the losses."""
    optimizer = getattr(torch.optim, rule)(
        (owner or model).parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        if clear == "first":
            optimizer.zero_grad()
        loss = loss_fn(model(X), y)
        loss.backward()
        if clear == "before the step":
            optimizer.zero_grad()
        if step:
            optimizer.step()
        losses.append(loss.item())
    return losses


def negative(cured):
    X, y = moons()
    return (train(network(), X, y + (not cured), LOSSES["BCE"])[-1] < 0)


def exactly_zero(cured):
    X, y = moons()
    model = network(columns=2 if cured else 1)
    return train(model, X, y.flatten().long() * cured, LOSSES["CE"])[0] == 0


def stays_at_log_c(cured):
    X, y = moons()
    flat = []
    for options in ({"owner": network()}, {"clear": "before the step"},
                    {"step": False}):
        losses = train(network(), X, y, LOSSES["BCE"],
                       **({} if cured else options))
        flat.append(all(abs(loss - math.log(2)) < 0.1 for loss in losses))
    assert len(set(flat)) == 1
    return flat[0]


def jumps_or_rises(cured):
    X, y = moons()
    losses = train(network(), X, y, LOSSES["BCE"], lr=1.0, rule="SGD",
                   clear="first" if cured else "never")
    return losses[-1] > 1.2 * min(losses)


def never_near_zero(cured):
    X, y = moons()
    end = [] if cured else [nn.Softmax(dim=1)]
    return train(network(*end, columns=2), X, y.flatten().long(),
                 LOSSES["CE"], steps=200)[-1] > 0.3


def nan_at_once(cured):
    X, y = moons()
    X[3, 0] = math.nan
    if cured:
        X = torch.where(X.isfinite(), X, zeros(1))
    return math.isnan(train(network(), X, y, LOSSES["BCE"])[1])


def nan_later(cured):
    X, y = moons()
    losses = train(network(), X, 10 * y, LOSSES["MSE"],
                   lr=0.02 if cured else 2.0, rule="SGD", steps=100)
    return math.isfinite(losses[0]) and losses[1] > losses[0] \
        and not math.isfinite(losses[-1])


def all_the_mean(cured):
    X, y = moons()
    model = network()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(model, X, y if cured else y.flatten(), LOSSES["MSE"], steps=300)
    return (model(X) - y.mean()).abs().max().item() < 0.1


def all_one_class(cured):
    X, y = moons()
    model = network(*([] if cured else [nn.Sigmoid()]))
    train(model, X, y, LOSSES["BCE"])
    right = (model(X) > 0) == (y == 1)
    return right.float().mean() == y.mean()


def huge(cured):
    X, y = moons()
    y = 1000 + 200 * y
    if cured:
        y = (y - y.mean()) / y.std()
    return train(network(), X, y, LOSSES["MSE"])[0] > 1000


def learnt_by_heart(cured):
    X, y = moons(2000)
    number = 1500 if cured else 12
    model = network()
    train(model, X[:number], y[:number], LOSSES["BCE"], steps=400)
    rates = [((model(a) > 0) == (b == 1)).float().mean().item()
             for a, b in [(X[:number], y[:number]), (X[1500:], y[1500:])]]
    return rates[0] - rates[1] > 0.05


def grows_surer(cured):
    X, y = moons(600, noise=0.35)
    model = network()
    history = load("fit")(
        model, [(X[:40], y[:40])], [(X[40:], y[40:])], LOSSES["BCE"],
        torch.optim.Adam(model.parameters(), lr=0.05), 300,
        patience=10 if cured else 0)["val_loss"]
    return history[-1] > 1.5 * min(history)


def another_answer(cured):
    model = network(dropout=0.5)
    model.train(not cured)
    return not torch.equal(model(torch.ones(1, 2)), model(torch.ones(1, 2)))


def compares_all_with_all(cured):
    X, y = moons()
    model = network()
    train(model, X, y, LOSSES["BCE"])
    truth = y == 1 if cured else (y == 1).flatten()
    return ((model(X) > 0) == truth).sum().item() / len(X) > 1


def best_are_the_last(cured):
    X, y = moons()
    model = network()
    best = copy.deepcopy(model.state_dict()) if cured else model.state_dict()
    before = LOSSES["BCE"](model(X), y).item()
    train(model, X, y, LOSSES["BCE"])
    model.load_state_dict(best)
    return LOSSES["BCE"](model(X), y).item() < 0.9 * before


def other_numbers(cured):
    runs = []
    for _ in range(2):
        if cured:
            torch.manual_seed(0)
        runs.append(torch.randn(5))
    return not torch.equal(*runs)


def sample_by_sample(cured):
    """Count how often a sample is asked for, not how long it takes."""
    asked = []

    class Counted(TensorDataset):
        def __getitem__(self, index):
            asked.append(index)
            return super().__getitem__(index)

    X, y = moons()
    batches = load("TensorBatches")(X, y, batch_size=50) if cured \
        else DataLoader(Counted(X, y), batch_size=50)
    assert len(list(batches)) == 4
    return len(asked) == len(X)


MADE = {
    "the loss is negative": negative, "the loss is exactly 0": exactly_zero,
    "the loss stays at log C": stays_at_log_c,
    "the loss falls, then jumps or rises": jumps_or_rises,
    "the loss never comes near 0": never_near_zero,
    "NaN from the first batch on": nan_at_once,
    "NaN after growing": nan_later,
    "outputs are all the mean": all_the_mean,
    "all one class, accuracy its share": all_one_class,
    "the loss is huge": huge,
    "good training, poor validation": learnt_by_heart,
    "validation loss rises, accuracy holds": grows_surer,
    "another answer each time": another_answer,
    "accuracy above 1, or one half whatever you do": compares_all_with_all,
    'the "best" weights are the last ones': best_are_the_last,
    "a second run has other numbers": other_numbers,
    "one core busy, the GPU idle": sample_by_sample,
}


def test_each_symptom_is_made():
    assert [row[0] for row in SYMPTOMS] == list(MADE)


@pytest.mark.parametrize("symptom", list(MADE))
def test_the_cause_makes_the_symptom_and_the_cure_mends_it(symptom):
    assert MADE[symptom](cured=False)
    assert not MADE[symptom](cured=True)


# The tables for choosing, here and in the script.

def test_each_loss_fits_its_row_and_no_neighbours_targets():
    rows = table("Task")
    check_batch, X = load("check_batch"), torch.randn(6, 2)
    made = {
        "regression": (1, torch.tensor([3.0, -1, 5, 2, 4, 0])[:, None]),
        "two classes": (1, torch.tensor([0.0, 1, 1, 0, 1, 0])[:, None]),
        "C classes": (3, torch.tensor([0, 2, 1, 0, 2, 1])),
        "several yes/no labels": (3, torch.eye(6, 3) + torch.eye(6, 3)[
            :, [1, 2, 0]])}
    losses = {}
    for task, ends, targets, loss, prediction in rows:
        columns, values = made[task]
        losses[task] = getattr(nn, loss.strip("`").split(".")[1])()
        assert ("float" in targets) == values.is_floating_point()
        check_batch(nn.Linear(2, columns), X, values, losses[task])
    for task, (columns, values) in made.items():
        model = nn.Linear(2, columns)
        for other, loss_fn in losses.items():
            fits = type(loss_fn) is type(losses[task]) or (
                isinstance(loss_fn, nn.MSELoss) and columns == 1)
            if not fits and (task, other) != ("several yes/no labels",
                                              "regression"):
                with pytest.raises((TypeError, ValueError)):
                    check_batch(model, X, values, loss_fn)


def test_the_activations_are_as_the_tables_say():
    z = torch.tensor([-3.0, -0.5, 0.5, 3.0])
    slopes = {name: load("gradient_of")(function, z) for name, function in [
        ("ReLU", torch.relu), ("Leaky ReLU", nn.LeakyReLU()),
        ("tanh", torch.tanh)]}
    assert slopes["ReLU"].tolist() == [0, 0, 1, 1]
    assert (slopes["Leaky ReLU"] > 0).all()
    assert torch.tanh(1e3 * z).abs().max() <= 1
    chosen = [row[1] for row in table("Where")]
    assert chosen == ["ReLU", "Leaky ReLU", "tanh", "none"]


def test_what_the_learning_rate_table_says_to_do_helps():
    ravine, gradient_of = load("ravine"), load("gradient_of")

    def losses(rate, falling=False, noise=0.0):
        torch.manual_seed(0)
        point, seen = torch.tensor([-9.0, 1.5]), []
        for number in range(60):
            slope = gradient_of(ravine, point) + noise * torch.randn(2)
            now = rate * (1 - number / 60) if falling else rate
            point = point - now * slope
            seen.append(ravine(point).item())
        return seen

    assert losses(0.2)[-1] > 1e3 > losses(0.02)[-1]  # grows: divide by 10
    assert losses(0.003)[-1] > 2 * losses(0.009)[-1]  # slow: times 3
    jumpy, calm = (np.mean(losses(0.05, falling, noise=20.0)[-10:])
                   for falling in (False, True))
    assert jumpy > 2 * calm  # jumps about: lower it towards the end


# What Sections 7, 8 and 9 say of batches and weights, and no cell measures.

@pytest.mark.parametrize("seed", range(20))
def test_four_times_the_batch_halves_the_noise(seed):
    torch.manual_seed(seed)
    x = torch.randn(4096)
    slopes = -2 * x * (3 * x + torch.randn(4096))  # of (w x - y)^2 at w = 0
    spreads = [slopes[torch.randint(4096, (2000, size))].mean(dim=1).std()
               for size in (4, 16, 64)]
    for spread, next_spread in zip(spreads, spreads[1:]):
        assert 1.8 < spread / next_spread < 2.2


def test_tensor_batches_are_several_times_quicker_than_a_loader():
    X, y = torch.randn(4096, 20), torch.zeros(4096)
    seconds = {}
    for name, batches in [
            ("loader", DataLoader(TensorDataset(X, y), batch_size=50,
                                  shuffle=True)),
            ("gathered", load("TensorBatches")(X, y, batch_size=50,
                                               shuffle=True))]:
        runs = []
        for _ in range(3):
            start = time.perf_counter()
            assert len(list(batches)) == 82
            runs.append(time.perf_counter() - start)
        seconds[name] = min(runs)
    assert seconds["loader"] > 3 * seconds["gathered"], seconds


def test_decay_is_not_l2_with_momentum():
    def end(momentum, l2):
        weight, velocity = torch.ones(1), torch.zeros(1)
        for _ in range(100):
            weight.grad = 0.5 * weight if l2 else torch.zeros(1)
            if not l2:
                weight.mul_(1 - 0.01 * 0.5)
            load("sgd_step")(weight, velocity, 0.01, momentum)
        return weight.item()

    assert end(0.0, True) == pytest.approx(end(0.0, False), rel=1e-5)
    assert abs(end(0.9, True) - end(0.9, False)) > 0.3
