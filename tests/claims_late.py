r"""What Section 9, the recap and the solutions say and show is so.

A row of SAID: part, words of the script, an expression that is true of the
names after the part's last cell (part@n: after cell n). A row of SHOWN: part,
words that a cell prints with # for each number, an expression for the numbers
(for words without #: one that is true).
"""

import io
import re

import numpy as np
import torch
from definitions import load, parts_of
from torch import nn
from torch.optim import SGD, Adam, AdamW
from walk import TEXT, always

BCE, CE, MSE = nn.BCEWithLogitsLoss(), nn.CrossEntropyLoss(), nn.MSELoss()
MLP, TensorBatches, fit, train_epoch = map(load, (
    "MLP", "TensorBatches", "fit", "train_epoch"))
FIGURE = "09_generalisation"


def check_of(part, expression, words=""):
    """Return a check of a walk, one for all seeds unless it sees a figure."""
    title, _, cell = part.partition("@")
    cell = int(cell or -1)

    def check(t):
        value = eval(f"({expression})", dict(
            t.names(title, cell), **globals(), t=t, shift=t.shift))
        pattern = r" *(-?\d+\.?\d*)".join(map(re.escape, words.split("#")))
        found = re.findall(pattern, " ".join(t.printed(title, cell).split()))
        if "#" not in words:
            return bool(found) and value
        found, value = (np.array(each).flatten() for each in (found, value))
        assert len(found) == len(value) > 0, (words, found, value)
        return all(abs(float(n) - number) < 0.51 * 0.1 ** len(
            n.partition(".")[2]) for n, number in zip(found, value))
    return check if "t.line" in expression else always(check)


def out(model, X):
    with torch.no_grad():
        return model.eval()(X)


def accuracy(model, X, y):
    logits = out(model, X)
    answers = logits.argmax(dim=1) if logits.shape[1] > 1 else logits > 0
    return (answers.flatten() == y.flatten()).float().mean().item()


def wrong(logits, y):
    """Return the accuracy, and the mean loss of the wrong answers."""
    missed, logs = logits.argmax(dim=1) != y, torch.log_softmax(logits, 1)
    costs = -logs[range(len(y)), y][missed]
    return 1 - missed.float().mean().item(), costs.mean().item()


def trained(seed, sizes, X, y, batch, loss_fn, rate, epochs, last=False):
    """Train an MLP once more; return it, with its best or last weights, and
    the losses."""
    torch.manual_seed(seed)
    model = MLP(*sizes).to(X[0].device)
    optimizer = Adam(model.parameters(), lr=rate)
    batches = TensorBatches(X[0], y[0], batch_size=batch, shuffle=True)
    if last:
        return model, [train_epoch(model, batches, loss_fn, optimizer)
                       for epoch in range(epochs)]
    return model, fit(model, batches, [(X[1], y[1])], loss_fn, optimizer,
                      epochs, X[0].device)


def scaled(raw_sets, X_sets, raw_targets, y_sets):
    """Check that sets are scaled as the training set is."""
    mean, width = raw_sets[0].mean(axis=0), raw_sets[0].std(axis=0)
    for raw, X, wanted, y in zip(raw_sets, X_sets, raw_targets, y_sets):
        np.testing.assert_allclose(
            X.cpu(), (raw - mean) / np.where(width, width, 1), atol=1e-5)
        assert y.flatten().tolist() == wanted.tolist()
    return [len(X) for X in X_sets]


def panel(ax, images, labels, shift):
    """Return what a panel should show first: losses by title and seed."""
    units, digits = map(int, re.findall(r"\d+", ax.get_title()))


def judged(ill, alarm):
    counts = [(ill == i) & (alarm == a) for i in (1, 0) for a in (1, 0)]
    found, missed, alarmed, spared = (count.sum().item() for count in counts)
    return found, missed, alarmed, spared, (found + spared) / len(ill)


SHOWN = r"""
Step 1 | Samples: # # # | scaled(X_parts, [X_train, X_val, X_test], y_parts,
  [y_train, y_val, y_test])
Step 4 | epoch 30: training loss #, validation loss # | train_loss,
  BCE(out(model, X_val), y_val)
Step 5 | Validation accuracy: # | accuracy(model, X_val, y_val)
Tools: Check One | Labels 1 and 2 (loss far below 0): targets go from 0 to 1,
  not from # to #: | y_few.min() + 1, y_few.max() + 1
Before You Train | without gradient # | 0, 0, 0, 2, 0
The Tools@0 | epoch #: training loss #, validation loss # | [(n + 1, h[
  "train_loss"][n], h["val_loss"][n]) for h in histories.values() for n in
  range(9, len(h["val_loss"]), 10)]
The Tools@1 | Lowest validation loss: the network; its test accuracy is # |
  accuracy(min(models.values(), key=lambda m: BCE(out(m, X_val), y_val)),
  X_test, y_test)
Generalisation | Best of # epochs: test accuracy #, mean loss of the wrong
  answers # | [len(losses), *wrong(out(stopped, images[2]), labels[2])]
Generalisation | Last of 25 epochs: test accuracy #, mean loss of the wrong
  answers # | wrong(out(model, images[2]), labels[2])
Your Own Data@0 | Features: (#, #) targets: from # to # |
  [*table.data.shape, table.target.min(), table.target.max()]
Your Own Data@0 | age sex bmi bp s1 s2 s3 s4 s5 s6 target | np.abs(np.array(
  t.numbers("Your Own", 0)[-33:]) - np.column_stack([table.data,
  table.target])[:3].flatten()).max() < 0.006
"""
