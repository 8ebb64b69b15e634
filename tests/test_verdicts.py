"""What people bring to training is accepted, or refused with the cause.

One table pairs a model, inputs, targets and a loss with a verdict. Each row
goes through check_batch, and through fit, which must give the same verdict.
"""

import functools
import re
import warnings

import pytest
import torch
from definitions import load
from torch import nn
from torch.nn import functional as F

GOOD, WARNS = "good", "warns"
fit, check_batch = load("fit"), load("check_batch")
check_targets, MLP = load("check_targets"), load("MLP")
TensorBatches = load("TensorBatches")

torch.manual_seed(0)
X = torch.randn(12, 3)
CLASSES = torch.arange(12) % 3
YES_NO = (torch.arange(12) % 2).float().reshape(-1, 1)
NUMBERS = X.sum(dim=1, keepdim=True)
ONE_HOT = F.one_hot(CLASSES, 3)
SURE = 0.8 * ONE_HOT + 0.2 / 3  # probabilities, which sum to 1
GAP = torch.where(torch.arange(12) == 5, torch.tensor(float("nan")),
                  torch.ones(12)).reshape(-1, 1)
CE, NLL, MSE = nn.CrossEntropyLoss(), nn.NLLLoss(), nn.MSELoss()
BCE, LOGITS = nn.BCELoss(), nn.BCEWithLogitsLoss()


def linear(out_features, *more):
    return nn.Sequential(nn.Linear(3, out_features), *more)


def focal(outputs, targets):
    """A loss of one's own: it names nothing that the check knows."""
    missed = torch.sigmoid(torch.where(targets == 1, -outputs, outputs))
    return -(missed ** 2 * torch.log(1 - missed + 1e-6)).mean()


def squared(outputs, targets):
    return ((outputs - targets) ** 2).mean()


class Column(nn.Module):
    """A module of one's own, which takes its one column by itself."""

    def forward(self, outputs, targets):
        return F.mse_loss(outputs[:, 0], targets)


class Weighted(nn.CrossEntropyLoss):
    """A relative of a known loss counts as that loss."""


class Root(nn.MSELoss):
    """A relative that computes something else knows its own shapes."""

    def forward(self, outputs, targets):
        return super().forward(outputs.squeeze(-1), targets) ** 0.5


class Pair(nn.Linear):
    def forward(self, x):
        return super().forward(x), x


class Pixels(nn.Module):
    """Logits (N, 3, 2, 2) for each of four pixels."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 12)

    def forward(self, x):
        return self.layer(x).reshape(-1, 3, 2, 2)


embedding = functools.partial(nn.Sequential, nn.Embedding(5, 4),
                              nn.Flatten(), nn.Linear(12, 1))
PIXELS = (torch.arange(48) % 3).reshape(12, 2, 2)

# model, inputs, targets, loss, verdict, words that the message must hold.
TABLE = [
    # Correct code.
    (linear(1), X, YES_NO, LOGITS, GOOD, ""),
    (linear(1), X, YES_NO * 0.8 + 0.1, LOGITS, GOOD, ""),
    (linear(3), X, ONE_HOT.float(), LOGITS, GOOD, ""),
    (linear(1), X, YES_NO, F.binary_cross_entropy_with_logits, GOOD, ""),
    (linear(1), X, YES_NO, load("binary_cross_entropy_with_logits"), GOOD,
     ""),
    (linear(1), X, YES_NO, nn.BCEWithLogitsLoss(
        pos_weight=torch.tensor([3.0])), GOOD, ""),
    (linear(1), X, torch.ones(12, 1), LOGITS, GOOD, ""),  # one class alone
    (linear(1, nn.Sigmoid()), X, YES_NO, BCE, GOOD, ""),
    (linear(3), X, CLASSES, CE, GOOD, ""),
    (linear(3), X, CLASSES, F.cross_entropy, GOOD, ""),
    (linear(3), X, CLASSES, load("cross_entropy"), GOOD, ""),
    (linear(3), X, CLASSES, nn.CrossEntropyLoss(
        weight=torch.tensor([1.0, 2.0, 9.0])), GOOD, ""),
    (linear(3), X, CLASSES.to(torch.uint8), CE, GOOD, ""),
    (linear(3), X, torch.where(CLASSES == 2, torch.tensor(255), CLASSES),
     nn.CrossEntropyLoss(ignore_index=255), GOOD, ""),
    (linear(3), X, torch.where(CLASSES == 2, torch.tensor(-100), CLASSES),
     CE, GOOD, ""),
    (linear(3), X, SURE, CE, GOOD, ""),  # class probabilities
    (linear(3, nn.LogSoftmax(dim=1)), X, CLASSES, NLL, GOOD, ""),
    (linear(2), X, YES_NO.flatten().long(), CE, GOOD, ""),
    (Pixels(), X, PIXELS, CE, GOOD, ""),
    (linear(1), X, NUMBERS, MSE, GOOD, ""),
    (linear(1), X, NUMBERS, nn.L1Loss(), GOOD, ""),
    (linear(1), X, NUMBERS, nn.SmoothL1Loss(), GOOD, ""),
    (linear(1), X, NUMBERS, F.mse_loss, GOOD, ""),
    (linear(3), X, X, MSE, GOOD, ""),  # as in an autoencoder
    (linear(1, nn.Flatten(0)), X, NUMBERS.flatten(), MSE, GOOD, ""),
    (linear(1).double(), X.double(), NUMBERS.double(), MSE, GOOD, ""),
    (linear(1, nn.ReLU()), X, NUMBERS.abs(), MSE, GOOD, ""),
    (linear(1), X, YES_NO, focal, GOOD, ""),
    (linear(1), X, NUMBERS.flatten(), Column(), GOOD, ""),
    (linear(1), X, NUMBERS.flatten(),
     lambda outputs, targets: F.mse_loss(outputs.squeeze(1), targets),
     GOOD, ""),
    (linear(1), X, NUMBERS, squared, GOOD, ""),
    (linear(3), X, CLASSES, functools.partial(
        F.cross_entropy, ignore_index=2), GOOD, ""),
    (embedding(), CLASSES.reshape(4, 3), YES_NO[:4], LOGITS, GOOD, ""),
    (nn.Sequential(nn.BatchNorm1d(3), linear(1)), X, YES_NO, LOGITS, GOOD,
     ""),
    (linear(3), X, torch.where(CLASSES == 2, torch.tensor(255), CLASSES),
     functools.partial(F.cross_entropy, ignore_index=255), GOOD, ""),
    (linear(1), X, NUMBERS.flatten(), Root(), GOOD, ""),
    (linear(1), X, YES_NO + 1e-7, LOGITS, GOOD, ""),  # rounding
    (linear(3), X, SURE + 0.001, CE, GOOD, ""),
    (linear(1).to(torch.bfloat16), X.to(torch.bfloat16), NUMBERS,
     lambda outputs, targets: F.mse_loss(outputs.float(), targets), GOOD, ""),
    (nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)), X, YES_NO.flatten(),
     LOGITS, GOOD, ""),
    # Labels that a loss for two classes does not take.
    (linear(1), X, YES_NO + 1, LOGITS, ValueError, "0 to 1.*== 2"),
    (linear(1), X, 2 * YES_NO - 1, LOGITS, ValueError, "0 to 1.*== 1"),
    (linear(1), X, 255 * YES_NO, LOGITS, ValueError, "0 to 1.*== 255"),
    (linear(1), X, CLASSES.float().reshape(-1, 1), LOGITS, ValueError,
     "CrossEntropyLoss for more"),
    (linear(1), X, YES_NO + 1, F.binary_cross_entropy_with_logits,
     ValueError, "0 to 1"),
    (linear(1), X, YES_NO + 1, load("binary_cross_entropy_with_logits"),
     ValueError, "0 to 1"),
    (linear(1, nn.Sigmoid()), X, YES_NO + 1, BCE, ValueError, "0 to 1"),
    (linear(1), X, 3 * YES_NO, BCE, ValueError, "0 to 1"),
    # Shapes that do not pair, or would broadcast.
    (linear(1), X, YES_NO.flatten(), LOGITS, ValueError, "shape.*-1, 1"),
    (linear(1), X, NUMBERS.flatten(), MSE, ValueError, "shape.*-1, 1"),
    (linear(1), X, NUMBERS.flatten(), nn.L1Loss(), ValueError, "shape"),
    (linear(1), X, NUMBERS.flatten(), nn.SmoothL1Loss(), ValueError, "shape"),
    (linear(1), X, NUMBERS.flatten(), F.l1_loss, ValueError, "shape"),
    (linear(1, nn.Flatten(0)), X, NUMBERS, MSE, ValueError,
     r"reshape\(-1,\)"),
    (linear(3), X, NUMBERS, MSE, ValueError, "shape"),
    (linear(3), X, CLASSES.float(), LOGITS, ValueError, "CrossEntropyLoss"),
    (linear(1), X, NUMBERS.flatten(), squared, ValueError,
     "broadcast.*-1, 1"),
    (linear(1, nn.Flatten(0)), X, NUMBERS, squared, ValueError, "broadcast"),
    (linear(1), X, YES_NO.flatten(), focal, ValueError, "broadcast"),
    (linear(1), X, NUMBERS.flatten(),
     lambda outputs, targets: (outputs - targets).abs().mean(), ValueError,
     "broadcast"),
    # Classes.
    (linear(1), X, YES_NO.flatten().long(), CE, ValueError,
     "one logit cannot name a class"),
    (linear(1), X, YES_NO, CE, ValueError, "one logit"),
    (linear(1), X, YES_NO.flatten().long(), F.cross_entropy, ValueError,
     "one logit"),
    (linear(1, nn.Flatten(0)), X, CLASSES, CE, ValueError, "one logit"),
    (linear(3), X, CLASSES + 1, CE, ValueError, "0 to 2.*from 1 to 3"),
    (linear(3), X, CLASSES - 1, CE, ValueError, "0 to 2.*from -1"),
    (linear(3), X, CLASSES + 1, Weighted(), ValueError, "0 to 2"),
    (linear(2), X, CLASSES, CE, ValueError, "out_features"),
    (linear(3), X, CLASSES.float(), CE, TypeError, r"targets\.long\(\)"),
    (linear(3), X, CLASSES.int(), CE, TypeError, r"targets\.long\(\)"),
    (linear(2), X, YES_NO.flatten().bool(), CE, TypeError, r"long\(\)"),
    (linear(3), X, CLASSES.double(), load("cross_entropy"), TypeError,
     r"long\(\)"),
    (linear(3), X, CLASSES.reshape(-1, 1), CE, ValueError, "flatten"),
    (linear(3), X, CLASSES.float().reshape(-1, 1), CE, ValueError,
     r"flatten\(\)\.long\(\)"),
    (linear(3), X, ONE_HOT, CE, ValueError, "argmax"),
    (linear(3), X, ONE_HOT.bool(), CE, ValueError, "argmax"),
    (linear(3), X, ONE_HOT[:, :2], CE, ValueError, "argmax"),
    (linear(3), X, ONE_HOT[:, :2].float(), CE, ValueError, "argmax"),
    (linear(3), X, torch.ones(12, 3), CE, ValueError, "sum to 1.*labels"),
    (linear(3), X, 2.0 * ONE_HOT - 1 / 3, CE, ValueError, "sum to 1"),
    (linear(3), X, SURE.double(), CE, TypeError, "float32"),
    (linear(3), X, CLASSES, NLL, ValueError, "LogSoftmax"),
    (linear(3, nn.Softmax(dim=1)), X, CLASSES, NLL, ValueError,
     "LogSoftmax"),
    (linear(3), X, CLASSES, F.nll_loss, ValueError, "LogSoftmax"),
    (Pixels(), X, PIXELS.unsqueeze(1), CE, ValueError, "shape"),
    # Types.
    (linear(1), X, YES_NO.long(), LOGITS, TypeError, r"targets\.float\(\)"),
    (linear(1), X, YES_NO.bool(), LOGITS, TypeError, r"targets\.float\(\)"),
    (linear(1), X, YES_NO.double(), LOGITS, TypeError, r"float\(\)"),
    (linear(1), X, NUMBERS.double(), MSE, TypeError, r"float\(\)"),
    (linear(1), X, NUMBERS.long(), nn.L1Loss(), TypeError, r"float\(\)"),
    (linear(1), X.double(), YES_NO, LOGITS, TypeError, r"inputs\.float\(\)"),
    (linear(1), (100 * X).to(torch.uint8), YES_NO, LOGITS, TypeError,
     r"inputs\.float\(\)"),
    (linear(1).double(), X, YES_NO, LOGITS, TypeError, "float64"),
    (Pair(3, 1), X, YES_NO, LOGITS, TypeError, "tuple"),
    (linear(1), X, YES_NO, nn.BCEWithLogitsLoss, TypeError, r"Loss\(\)"),
    (linear(3), X, CLASSES, nn.CrossEntropyLoss, TypeError, r"Loss\(\)"),
    (nn.Linear, X, YES_NO, LOGITS, TypeError, "module that is built"),
    (MLP, X, YES_NO, LOGITS, TypeError, "module that is built"),
    # Probabilities where logits are meant, and the other way round.
    (linear(1, nn.Sigmoid()), X, YES_NO, LOGITS, WARNS, "sigmoid"),
    (linear(3, nn.Softmax(dim=1)), X, CLASSES, CE, WARNS, "softmax"),
    (linear(3, nn.Sigmoid()), X, CLASSES, CE, WARNS, "logits"),
    (linear(1, nn.Sigmoid()), X, YES_NO, F.binary_cross_entropy_with_logits,
     WARNS, "logits"),
    (linear(3, nn.Softmax(dim=1)), X, CLASSES, load("cross_entropy"), WARNS,
     "logits"),
    (linear(1), X, YES_NO, BCE, ValueError, "BCEWithLogitsLoss"),
    (linear(1), X, YES_NO, F.binary_cross_entropy, ValueError,
     "BCEWithLogitsLoss"),
    # What the loss itself refuses.
    (linear(3), X, CLASSES, nn.CrossEntropyLoss(
        weight=torch.ones(3).double()), ValueError, "loss refuses"),
    (linear(3), X, CLASSES, nn.CrossEntropyLoss(weight=torch.ones(2)),
     ValueError, "loss refuses.*weight"),
    (linear(3), X, CLASSES + 1, lambda outputs, targets: F.cross_entropy(
        outputs, targets) ** 2, ValueError, "loss refuses.*out of bounds"),
    # Data.
    (linear(1), X * GAP, YES_NO, LOGITS, ValueError, "inputs.*NaN"),
    (linear(1), X / (GAP == 1).float(), YES_NO, LOGITS, ValueError,
     "inputs.*infinity"),
    (linear(1), X, YES_NO * GAP, LOGITS, ValueError, "targets.*NaN"),
    (linear(1), X, NUMBERS / (GAP == 1).float(), MSE, ValueError,
     "targets.*infinity"),
    (linear(1), X, YES_NO[:7], LOGITS, ValueError, "one target for each"),
    (linear(1), X[:0], YES_NO[:0], LOGITS, ValueError, "samples"),
    (linear(1), X[:, :2], YES_NO, LOGITS, ValueError, "in_features"),
    (MLP(3, [4], 1), X[:, :2], YES_NO, LOGITS, ValueError,
     "in_features.*12x2 and 3x4"),
    (linear(1), X.T[:, :3], YES_NO[:3], LOGITS, GOOD, ""),
    (embedding(), CLASSES.reshape(4, 3) + 3, YES_NO[:4], LOGITS, ValueError,
     "index out of range"),
    (linear(1), X, YES_NO, nn.BCEWithLogitsLoss(reduction="none"),
     ValueError, "one number.*reduction"),
    (linear(1), X, NUMBERS, lambda outputs, targets:
     (outputs - targets) ** 2, ValueError, "mean"),
    (linear(1), X, NUMBERS, lambda outputs, targets: 0.5, ValueError,
     "one number"),
]


def message_of(verdict, act):
    """Run something; return what it warned of, or the message of its error.

    Anything but the verdict, such as another error, is raised.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            act()
        except Exception as error:
            if isinstance(verdict, type) and isinstance(error, verdict):
                return str(error)
            raise
    if isinstance(verdict, type):
        pytest.fail("no error")
    words = [str(warning.message) for warning in caught
             if "where the loss" in str(warning.message)
             or "look like" in str(warning.message)]
    assert bool(words) == (verdict == WARNS), words
    return " ".join(words)


ROWS = pytest.mark.parametrize(
    "model, inputs, targets, loss_fn, verdict, words", TABLE)


@ROWS
def test_check_batch(model, inputs, targets, loss_fn, verdict, words):
    said = message_of(verdict, lambda: check_batch(
        model, inputs, targets, loss_fn))
    assert re.search(words, said), said
    assert "\n" not in said.split("(")[0]  # one sentence


@ROWS
def test_fit(model, inputs, targets, loss_fn, verdict, words):
    histories = []

    def act():
        parameters = model.parameters() if isinstance(model, nn.Module) \
            else [torch.zeros(1, requires_grad=True)]
        histories.append(fit(
            model, [(inputs, targets)], [(inputs, targets)], loss_fn,
            torch.optim.SGD(parameters, lr=0.01), num_epochs=3))

    said = message_of(verdict, act)
    assert re.search(words, said), said
    if verdict == GOOD:
        losses = histories[0]["val_loss"]
        assert losses[-1] < losses[0] or loss_fn is focal


def test_the_table_has_enough_of_each_kind():
    verdicts = [row[4] for row in TABLE]
    assert len(verdicts) >= 100
    assert verdicts.count(GOOD) >= 30 and verdicts.count(WARNS) >= 5
