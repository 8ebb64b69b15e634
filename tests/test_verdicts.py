"""What people bring to training is accepted, or refused with the cause."""

import contextlib
from functools import partial
from math import inf, nan

import pytest
import torch
from definitions import load
from torch import nn
from torch.nn import functional as F

CE, LOGITS, BCE = nn.CrossEntropyLoss(), nn.BCEWithLogitsLoss(), nn.BCELoss()
NLL, MSE, L1 = nn.NLLLoss(), nn.MSELoss(), nn.L1Loss()
ce, bce = load("cross_entropy"), load("binary_cross_entropy_with_logits")
torch.manual_seed(0)
X, N = torch.randn(12, 3), torch.arange(12)
SUM, CLASS, YES = X.sum(dim=1, keepdim=True), N % 3, (N % 2).float()[:, None]
SUMS, ANSWERS, HOT = SUM[:, 0], YES[:, 0], F.one_hot(CLASS, 3)  # no columns
SURE, WORDS = 0.8 * HOT + 0.2 / 3, N.reshape(4, 3) % 5  # SURE sums to 1
ODD, FOUR = CLASS + 253 * (CLASS == 2), torch.arange(48).reshape(12, 4) % 3
# Losses of one's own, then relatives of known ones: one computes the same.
OWN, COLUMN = (lambda a, b: F.softplus((1 - 2 * b) * a).mean(),
               lambda a, b: F.mse_loss(a[:, 0], b))
WEIGHTED, ROOT = (type("Mine", (kind,), methods)() for kind, methods in [
    (nn.CrossEntropyLoss, {}),
    (nn.MSELoss, {"forward": lambda self, a, b: COLUMN(a, b) ** 0.5})])


def ends(out_features, *more):
    return nn.Sequential(nn.Linear(3, out_features), *more)


CHANCE, FLAT, LOGS, FOURS, READS = (
    ends(1, nn.Sigmoid()), ends(1, nn.Flatten(0)), ends(3, nn.LogSoftmax(1)),
    ends(12, nn.Unflatten(1, (3, 4))),
    nn.Sequential(nn.Embedding(5, 1), nn.Flatten(), ends(1, nn.Sigmoid())))
# Rows of a model (or the number of outputs of a linear one), targets, a loss,
# words that the message must hold, and inputs, if not X.
GOOD = [
    (1, YES, LOGITS), (1, YES, bce), (LOGS, CLASS, NLL), (1, SUMS, COLUMN),
    (1, YES, OWN), (3, CLASS, CE), (1, SUM, F.mse_loss), (FLAT, SUMS, MSE),
    (3, YES, OWN), (3, HOT.float(), LOGITS), (3, CLASS.byte(), CE),
    (1, 0.8 * YES + 0.1, LOGITS, "", 0 * X), (3, ODD - 355 * (ODD == 255), CE),
    (1, YES + 1e-7, LOGITS, "", X / 99), (READS, YES[:4], LOGITS, "", WORDS),
    (3, CLASS, ce), (ends(1).double(), SUM.double(), MSE, "", X.double()),
    (3, CLASS, F.cross_entropy), (FOURS, FOUR, CE), (CHANCE, YES, BCE),
    (1, SUMS, ROOT), (3, ODD, partial(F.cross_entropy, ignore_index=255)),
    (3, SURE + 0.001, CE), (3, ODD, nn.CrossEntropyLoss(ignore_index=255)),
    (ends(1).bfloat16(), SUM, lambda a, b: L1(a.float(), b), "", X.bfloat16())]
WARNS = [(CHANCE, YES, LOGITS, "last sigmoid"), (CHANCE, YES, bce, "logits"),
         (ends(3, nn.Sigmoid()), CLASS, CE, "takes logits"),
         (ends(3, nn.Softmax(1)), CLASS, ce, "or softmax"),
         (ends(3, nn.Softmax(1)), CLASS, WEIGHTED, "or softmax"),
         (CHANCE, YES, partial(F.binary_cross_entropy_with_logits,
                               pos_weight=YES[:1] + 1), "last sigmoid")]
VALUE = [
    # Labels that a loss for two classes does not take.
    (1, YES + 1, LOGITS, "0 to 1.*== 2"), (1, 255 * YES, bce, "== 255"),
    (1, 2 * YES - 1, LOGITS, "0 to 1.*== 1"), (CHANCE, 2 * YES, BCE, "0 to"),
    (1, CLASS[:, None].float(), LOGITS, "CrossEntropyLoss for more"),
    # Shapes that do not pair, or would broadcast.
    (1, ANSWERS, LOGITS, "shape.*-1, 1"), (1, SUMS, MSE, "shape.*-1, 1"),
    (FLAT, SUM, MSE, r"shape.*\(-1,\)"), (1, SUMS, L1, "shape.*-1, 1"),
    (3, CLASS.float(), LOGITS, "CrossEntropyLoss"), (3, SUM, MSE, "shape"),
    (1, ANSWERS, OWN, "broadcast.*-1, 1"), (FLAT, YES, OWN, r"broad.*\(-1,\)"),
    # Classes.
    (1, ANSWERS.long(), CE, "one logit cannot"), (FLAT, CLASS, CE, "one lo"),
    (1, CLASS, partial(F.cross_entropy), "one logit"), (3, HOT, CE, "argmax"),
    (3, CLASS + 1, CE, "0 to 2.*from 1 to 3"), (2, CLASS, CE, "out_features"),
    (3, CLASS - 1, CE, "0 to 2.*from -1"), (3, CLASS + 1, WEIGHTED, "0 to 2"),
    (3, CLASS[:, None], CE, "flatten"), (FOURS, FOUR[:, 1:], CE, "flatten"),
    (3, torch.ones(12, 3), CE, "sum to 1"), (3, 2.0 * HOT - 1 / 3, CE, "sum"),
    (3, CLASS, NLL, "LogSoftmax"), (LOGS, HOT.float(), NLL, "argmax"),
    # Probabilities, and what the loss itself refuses.
    (1, YES, BCE, "BCEWithLogits"), (1, YES, F.binary_cross_entropy, "BCEW"),
    (3, CLASS, nn.CrossEntropyLoss(torch.ones(2)), "loss refuses.*weight"),
    (3, CLASS + 1, lambda *pair: CE(*pair) ** 2, "loss refuses.*of bounds"),
    (1, YES, nn.BCEWithLogitsLoss(reduction="none"), "one number.*mean"),
    (1, SUM, lambda *pair: 0.5, "one number"), (3, CLASS, F.nll_loss, "Log"),
    (1, YES, LOGITS, "inputs.*NaN", X * nan), (1, SUM * nan, MSE, "targets "),
    (1, YES, LOGITS, "inputs.*infinity", X * inf), (1, YES[:7], MSE, "one t"),
    (1, YES[:0], MSE, "be samples", X[:0]), (1, YES, MSE, "12x2", X[:, 1:]),
    (READS, YES[:4], LOGITS, "index out of range", WORDS + 1),
    (ends(1, nn.Threshold(9, nan)), YES, LOGITS, "gives NaN"),
    (ends(1).to("meta"), YES, LOGITS, "pass device to both")]
TYPE = [
    (3, CLASS.float(), CE, r"targets\.long\(\)"), (3, SURE.double(), CE, "32"),
    (3, CLASS.int(), CE, "long"), (2, ANSWERS.bool(), CE, r"targets\.long"),
    (1, YES.long(), LOGITS, r"targets\.float"), (1, YES.double(), bce, "flo"),
    (1, SUM.double(), MSE, "float"), (ends(1).double(), YES, MSE, "float64"),
    (1, YES, MSE, r"inputs\.float\(\)", X.double()), (1, YES, nn.L1Loss, "1L"),
    (1, YES, MSE, r"inputs\.float\(\)", (100 * X).byte()),
    (nn.Sequential(nn.BatchNorm1d(3), ends(1)), YES, MSE, "inputs", X.long()),
    (ends(3, nn.MaxPool1d(3, return_indices=True)), YES, LOGITS, "tuple")]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("verdict, row", [
    (verdict, row) for verdict, rows in [
        (lambda match: contextlib.nullcontext(), GOOD),
        (partial(pytest.warns, UserWarning), WARNS),
        (partial(pytest.raises, ValueError), VALUE),
        (partial(pytest.raises, TypeError), TYPE)] for row in rows])
def test_check_batch_and_fit_give_one_verdict(verdict, row):
    """check_batch: Raise an error that says what to write if a batch cannot
    be learnt. Shapes: inputs as the model takes them, targets as the loss
    does, samples first. Runs the model in eval mode, without gradients, and
    warns if its outputs look like probabilities where the loss takes logits.
    Raises TypeError for a wrong type, ValueError for a wrong shape or value.
    check_targets: Raise an error that says what to write if targets do not
    fit a loss. Shapes: as the loss takes them, samples first. A loss in none
    of the sets below, part of this function, must pair outputs and targets
    of one count. Raises TypeError for a wrong type, ValueError for a
    wrong shape or value. Returns the loss's name. check_classes: Raise an
    error that says what to write if targets are not classes. Shapes: outputs
    (batch_size, num_classes, ...); targets (batch_size, ...) of class
    numbers, or probabilities in the shape of the outputs. Raises TypeError
    for a wrong dtype, ValueError for a wrong shape or value."""
    torch.manual_seed(1)  # makes a bias between 0 and 1
    model, targets, loss_fn, words, inputs = row + ("", X)[len(row) - 3:]
    model, modes = ends(model) if isinstance(model, int) else model, set()
    pairs, optimizer = [(inputs, targets)], torch.optim.SGD(
        model.parameters(), lr=0.01)
    model.register_forward_pre_hook(lambda *given: modes.add(
        (model.training, torch.is_grad_enabled())))
    with verdict(match=words):
        load("check_batch")(model, inputs, targets, loss_fn)
    assert modes <= {(False, False)} and model.training
    with verdict(match=words):
        losses = load("fit")(model, pairs, pairs, loss_fn, optimizer, 3)
        assert words or losses["val_loss"][2] < losses["val_loss"][0]


def test_what_no_row_shows():
    """check_pairing: Raise ValueError if outputs and targets of two shapes
    would broadcast. A loss that pairs them gives the same number for outputs
    in the shape of the targets, or refuses them."""
    for error, *batch in [("see to_tensors", FLAT, X.numpy(), SUMS, MSE), (
            "must be a module that is built", nn.Linear, X, SUMS, MSE)]:
        pytest.raises(TypeError, load("check_batch"), *batch).match(error)
    check_pairing, check_classes = load("check_pairing"), load("check_classes")
    check_pairing(SUM, SUMS, lambda a, b: a.mm(b[None]).mean())
    check_pairing(SUM, SUMS, lambda a, b: (a.flatten() - b).sum())
    check_pairing(SUM, SUMS / 9, F.binary_cross_entropy)  # a ValueError
    pytest.raises(ValueError, check_pairing, SUM, SUMS, lambda a, b: (
        a - b).abs().sum()).match(r"would broadcast.*-1, 1\)")
    for kind, names in load("check_targets").__globals__.items():
        assert kind[:3] != "OF_" or names <= set(dir(nn)) | set(dir(F))
    assert load("check_targets")(SUM.bfloat16(), SUM, MSE) == "MSELoss"
    assert load("check_targets")(SUM, SUM, partial(F.mse_loss)) == "mse_loss"
    pytest.raises(ValueError, load("check_targets"), SUM[:0], SUM[:0],
                  MSE).match("must be targets")
    ignored = torch.zeros(2, 3), torch.full((2,), -100)
    check_classes(*ignored, CE)
    pytest.raises(ValueError, check_classes, *ignored, nn.CrossEntropyLoss(
        ignore_index=0)).match("from -100 to -100")
