"""What Sections 6 to 9 and the README define and direct is so.

A row is for a sentence that another word would make false: which way, which
of two, rows or columns. SAID is as in claims_early.py. README_SAID holds
(words of the README, check); a check takes the names after the first program,
run so fast that its last weights are not its best, and the second as "many".
"""

import io
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
import torch.distributed as dist
from claims_early import after, agree, holds
from claims_late import loss_of
from conftest import environment
from definitions import CELLS, load
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler
from walk import always

MLP, TensorBatches, evaluate, gradient_of, left_out = map(
    load, "MLP TensorBatches evaluate gradient_of left_out".split())
Adam, SGD, BCE = torch.optim.Adam, torch.optim.SGD, nn.BCEWithLogitsLoss()
WEIGHTS = ("w1", "b1", "w2", "b2")


def again(t, title, cell, **changes):
    """Run a cell with some of its names changed; return the names after."""
    shown = t.cells(title)[cell]
    names = {**shown[2], **changes}
    exec(CELLS[[other is shown for other in t.shown].index(True)], names)
    return names


def moved(rule, slopes, **options):
    """Return how far a rule moves two weights of 1, given their slopes."""
    weights = torch.ones(2)
    optimizer = rule([weights], **options)
    for weights.grad in torch.as_tensor(slopes):
        optimizer.step()
    return 1 - weights


def nudged(n, *names):
    """Return how fast the loss by hand rises with some weights at once."""
    w1, b1, w2, b2 = [getattr(n, w) + 0.001 * (w in names) for w in WEIGHTS]
    loss = (w2 * max(0.0, w1 * n.x + b1) + b2 - n.target) ** 2
    return round((loss - n.loss) / 0.001)


def classes_unshuffled():
    """Return the share of class 1 in the first and last batches."""
    left_out.__globals__["TensorBatches"] = lambda *tensors, **options: (
        made.append(TensorBatches(*tensors, **options)) or made[0])
    made = []
    left_out("shuffling", seed=6)
    shares = [targets.double().mean().item() for _, targets in made[0]]
    return {*shares[:8]}, {*shares[-8:]}


def zero_after_four_and_six():
    """Normalise 4 and 6 in training, then 0 alone in eval mode."""
    norm = nn.BatchNorm1d(1, momentum=1.0)  # so that it keeps the last means
    norm(torch.tensor([[4.0], [6.0]]))
    return norm.eval()(torch.zeros(1, 1)).item()


def halves_add_up(*layers):
    """True if two halves of a batch give the gradient of the whole."""
    model, X = nn.Sequential(*layers, nn.Linear(3, 1)), torch.randn(8, 3)
    slopes = []
    for size in (8, 4):
        model.zero_grad()
        for rows in X.split(size):
            (model(rows).square().mean() * size / 8).backward()
        slopes.append(model[-1].weight.grad.clone())
    return torch.allclose(*slopes, atol=1e-5)


def holds_the_weight():
    """Tell of optimizers made before a model moves and after."""
    model = nn.Linear(1, 1)
    optimizers = [SGD(model.to(place).parameters(), lr=0.1)
                  for place in ("cpu", "meta")]  # for want of a GPU
    return [optimizer.param_groups[0]["params"][0] is model.weight
            for optimizer in optimizers]


def loop_is_watched(t):
    """Run Step 4 again, and see in which mode it meets how many rows."""
    model, seen = MLP(2, [32, 32], 1).to(after(t, "Step 4").device), []
    model.register_forward_pre_hook(lambda model, given: seen.append(
        (model.training, torch.is_grad_enabled(), len(given[0]))))
    again(t, "Step 4", -1, models={"network": model},
          optimizer=Adam(model.parameters(), lr=0.02))
    return seen == 30 * (6 * [(True, True, 100)] + [(False, False, 200)])


def from_gpu(**options):
    """Load a file that says its number was on a GPU, which is not here."""
    file = io.BytesIO()
    with mock.patch("torch.serialization.location_tag", lambda _: "cuda:99"):
        torch.save(torch.tensor(5.0), file)
    file.seek(0)
    return torch.load(file, **options)


def trees_mend_errors(n):
    """Check that each leaf moves its samples against their mean error."""
    scores = [*n.trees.staged_decision_function(n.X_parts[0])]
    for before, now in zip(scores, scores[1:]):
        missing = n.y_parts[0] - 1 / (1 + np.exp(-before[:, 0]))
        steps = (now - before)[:, 0].round(6)
        assert all(missing[steps == step].mean() * step >= 0
                   for step in np.unique(steps))
    return True


def averages_in_backward():
    """Let a group of one process average its gradients, without a step."""
    dist.init_process_group(
        "gloo", store=dist.HashStore(), rank=0, world_size=1)
    model, calls = DistributedDataParallel(nn.Linear(1, 1)), []
    model.register_comm_hook(calls, lambda calls, bucket: calls.append(
        bucket.index()) or default_hooks.allreduce_hook(None, bucket))
    model(torch.ones(1, 1)).backward()
    del model
    dist.destroy_process_group()
    return calls == [0]


def port_must_be_free():
    """Meet at a port, which 0 finds free, and try to meet there again."""
    held = dist.TCPStore("localhost", 0, 1, True)
    return pytest.raises(
        RuntimeError, dist.TCPStore, "localhost", held.port, 1, True)


def threads(**changes):
    """Return how many threads torchrun allows each of two processes."""
    return subprocess.check_output(
        [sys.executable, "-m", "torch.distributed.run", "--standalone",
         "--nproc_per_node=2", "--no-python", "printenv", "OMP_NUM_THREADS"],
        env=environment(**changes), stderr=subprocess.DEVNULL).split()


def written_by(p, rank):
    """Run the end of the second program; True if it has written the file."""
    end = p.many[p.many.index("network.load_st"):p.many.index("del model")]
    exec(end, {**vars(p), "network": p.model, "rank": rank})
    return Path("model.pt").exists()


def mistake_would_train(p):
    """True if a batch that the check refuses trains without a word."""
    model, wrong = nn.Linear(2, 1), (p.X_train.cpu(), p.y_train.cpu() + 1)
    pytest.raises(ValueError, load("check_batch"), model, *wrong, BCE)
    return load("train_epoch")(model, [wrong], BCE, Adam(model.parameters()))


SAID = [
    # 6. Loss Functions
    ("Mean Squared", "minus targets of shape (8,) do not subtract pairwise",
     always(lambda t: (torch.ones(8, 1) - torch.ones(8)).numel() == 8 * 8)),
    ("Mean Squared", "with as many rows (-1) as it takes", always(
        lambda t: torch.zeros(5).reshape(-1, 1).shape == (5, 1))),
    ("Choosing the Right", "`logits.argmax(dim=1)`, the place of the largest",
     always(lambda t: nn.functional.one_hot(torch.tensor([3, 0, 1])).argmax(
         dim=1).tolist() == [3, 0, 1])),
    ("One Recipe", "the better the network, the larger", always(
        lambda t: gradient_of(lambda z: torch.sigmoid(z).prod(),
                              torch.zeros(2)).min() > 0)),
    ("One Recipe", "minus makes lower better", always(lambda t: gradient_of(
        lambda z: BCE(z, torch.ones(2)), torch.zeros(2)).max() < 0)),

    # 7. Optimizers
    ("SGD with", "so begin at a tenth of the rate", always(lambda t: agree(
        moved(SGD, 300 * [[1.0, 2.0]], lr=0.01, momentum=0.9),
        moved(SGD, 300 * [[1.0, 2.0]], lr=0.1), atol=2))),
    ("Adam Optimizer", "takes steps of the same length", always(
        lambda t: moved(Adam, torch.rand(9, 1) * torch.tensor([1.0, 1000]),
                        lr=0.1).diff().abs() < 1e-4)),
    ("Adam, and", "which divides the whole slope by its usual size",
     always(lambda t: agree(moved(
         Adam, [[5.0, 9.0]], lr=0.1, weight_decay=0.5), [0.1, 0.1], 1e-6))),

    # 8. The Training Loop
    ("Overview", "move each weight against its slope",
     holds("Optimizer", lambda n: n.after < n.loss)),
    ("Backward", "then their product says how", always(lambda t: gradient_of(
        lambda b: 2 * (3 * b), torch.ones(1)) == 6)),
    ("Backward", "costs a forward pass for each weight", holds(
        "Backward", lambda n: [nudged(n, w) for w in WEIGHTS] == [8, 4, 10, 2]
        and nudged(n, *WEIGHTS) == 24)),  # all at once give but their sum
    ("What Each", "sees one class for half an epoch, then the other",
     always(lambda t: classes_unshuffled() == ({0}, {1}))),
    ("What Mends", "(In `eval()` it takes averages kept from training",
     always(lambda t: zero_after_four_and_six() < -3)),
    ("What Mends", "Each of the three lets the same layers learn",
     holds("What Mends", lambda n: [
         end < 0.6 for *_, end in n.losses.values()] == [False] + 3 * [True])),
    ("XOR, Trained", "the second has one row for each",
     holds("XOR,", lambda n: n.second.weight.shape == (200, 8))),
    ("XOR, Trained", "enough to *have* the weights, and seldom to *find* them",
     holds("XOR,", lambda n: 0 < n.found[0] < 100)),
    ("Exercise 8", "(without BatchNorm)", always(
        lambda t: halves_add_up() and not halves_add_up(nn.BatchNorm1d(3)))),

    # 9. Building and Training Your First Neural Network
    ("Step 1", "**validation set** makes choices", always(
        lambda t: again(t, "The Tools", 1, histories={
            "baseline": {"val_loss": [0.1]}, "network": {"val_loss": [0.2]},
        })["chosen"] == "baseline")),
    ("Step 1", "and makes no choice", always(lambda t: again(
        t, "The Tools", 1, y_test=1 - after(t, "The Tools").y_test,
    )["chosen"] == after(t, "The Tools").chosen)),
    ("Step 1", "subtract each feature's mean and divide by",
     holds("Step 1", lambda n: agree(
         [*n.X_train.cpu().mean(dim=0), *n.X_train.cpu().std(dim=0)],
         [0, 0, 1, 1]))),
    ("Step 1", "numbers from the other sets would carry knowledge of them",
     holds("Step 1", lambda n: not np.allclose(n.scaler.mean_, np.concatenate(
         n.X_parts).mean(axis=0), atol=1e-3))),
    ("Step 1", "and `transform` applies",
     holds("Step 1", lambda n: np.allclose(n.scaler.transform(
         n.X_parts[0] + n.scaler.scale_).mean(axis=0), 1))),
    ("Step 2", "Model and data must be on the same device",
     always(lambda t: pytest.raises(
         RuntimeError, nn.Linear(1, 1).to("meta"), torch.ones(1, 1)))),
    ("Step 3", "the optimizer after the model is on its device",
     always(lambda t: holds_the_weight() == [False, True])),
    ("Step 4", "in `eval()` mode and without slopes", always(loop_is_watched)),
    ("Step 5", "and means class 1", holds("Step 5", lambda n: (
        n.y_val[n.model(n.X_val) > 0].mean() > 0.8))),
    ("Tools: `fit`", "are kept, those with the lowest validation loss",
     holds("The Tools", lambda n: all(np.isclose(loss_of(
         n.models[name], n.X_val, n.y_val), min(n.histories[name]["val_loss"])
     ) for name in n.models))),
    ("Save", "loads on any machine what a GPU wrote", always(
        lambda t: pytest.raises(RuntimeError, from_gpu)
        and from_gpu(map_location="cpu") == 5)),
    ("A Schedule", "lowers it along half a cosine wave", holds(
        "A Schedule", lambda n: n.schedule.last_epoch == n.schedule.T_max
        and n.schedule.get_last_lr()[0] < 1e-9)),  # a whole one returns
    ("Five", "alarm above the share of the ill", always(lambda t: (
        after(t, "Five", 1).logits["plain"].sigmoid()[
            after(t, "Five").ill].median() > 0.05))),
    ("Not Only", "trained on what those before it get wrong",
     holds("Not Only", trees_mend_errors)),
    ("Solutions", "below the prediction minus the number above",
     always(lambda t: gradient_of(lambda z: (z - torch.tensor(
         [1.0, 2.0, 3.0, 100.0])).abs(), torch.tensor(1.5)) == 1 - 3)),
]

README_SAID = [
    ("three separate sets", lambda p: len(torch.cat(
        [p.X_train, p.X_val, p.X_test]).unique(dim=0)) == 1000),
    ("scaling fitted on the training set", lambda p: p.X_train.mean(
        dim=0).abs().max() < 1e-6 < p.X_val.mean(dim=0).abs().min()),
    ("the best weights by validation loss", lambda p: abs(BCE(p.model(
        p.X_val), p.y_val) - p.best_loss) < 1e-6 < p.val_loss - p.best_loss),
    ('above 0 means "more likely than not"', lambda p: (torch.sigmoid(
        torch.tensor([-0.1, 0.1])) > 0.5).tolist() == [False, True]),
    ("Run `check_batch` first", mistake_would_train),
    ("may be a list such as `[(X, y)]`", lambda p: evaluate(
        p.model, [(p.X_val, p.y_val)], BCE, p.device) < 0.2 and pytest.raises(
            ValueError, evaluate, p.model, (p.X_val, p.y_val), BCE, p.device)),
    ("averages the gradients in each `backward()`",
     lambda p: averages_in_backward()),
    ("repeats a few where they do not divide evenly", lambda p: sorted(
        number for rank in (0, 1) for number in DistributedSampler(
            range(5), 2, rank, shuffle=False)) == [0, 0, 1, 2, 3, 4]),
    ("29500 a free port there", lambda p: port_must_be_free()),
    ("prints and writes `model.pt`", lambda p: not written_by(p, rank=1)
     and written_by(p, rank=0)),
    ("one thread, unless `OMP_NUM_THREADS` says otherwise", lambda p:
     threads(OMP_NUM_THREADS=None) == [b"1", b"1"]
     and threads(OMP_NUM_THREADS="3") == [b"3", b"3"]),
]
