"""What Section 9, the recap and the solutions say and show is so.

SAID holds (part, words of the script, check), SHOWN holds (part, check), as
in claims_early.py, whose helpers serve here too.
"""

import re

import numpy as np
import torch
from claims_early import after, agree, draws, holds, labels_axes
from compare import NUMBER
from definitions import load, parts_of
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch.nn import functional as F
from walk import TEXT, always

Perceptron = load("Perceptron")


def writes(title, cell, expected):
    """Check how the text that a cell prints ends, or all of it.

    expected is a function of the names after the cell, and returns the text
    with its numbers in full; those printed may differ by the rounding.
    """
    def check(t):
        texts = t.printed(title, cell), expected(after(t, title, cell))
        found, words = ["".join(NUMBER.sub("#", text).split())
                        for text in texts]
        assert found.endswith(words), texts
        found, wanted = map(NUMBER.findall, texts)
        for one, other in zip(found[-len(wanted):], wanted):
            rounding = 0.51 * 0.1 ** len(one.partition(".")[2])
            assert one == other or (
                abs(float(one) - float(other)) < rounding), texts
        return True
    return always(check)


def out(model, X):
    """Return the outputs of a model in eval mode, on the CPU."""
    with torch.no_grad():
        return model.eval()(X).cpu()


def loss_of(model, X, y):
    """Return the loss for two classes if there is one logit, or for many."""
    logits = out(model, X)
    return (F.cross_entropy if logits.shape[1] > 1 else
            F.binary_cross_entropy_with_logits)(logits, y.cpu())


def accuracy(model, X, y):
    logits = out(model, X)
    answers = logits.argmax(dim=1) if logits.shape[1] > 1 else logits > 0
    return (answers.flatten() == y.cpu().flatten()).double().mean().item()


def scaled(raw, sets):
    """True if all sets are scaled by mean and width of the first raw one."""
    mean, width = raw[0].mean(axis=0), raw[0].std(axis=0)
    return len(raw) == len(sets) == 3 and all(
        np.allclose(part.cpu().numpy() * width + mean, before, 1e-4, 1e-4)
        for before, part in zip(raw, sets))


def healthy(t):
    """Return four columns: first, last, zeroed, without gradient."""
    return np.reshape(t.numbers("Before"), (5, 4)).T


def rivals(t):
    """Return boosting, linear, network in a row for each of three tables."""
    return np.reshape(t.numbers("Not Only"), (3, 3))


def log_of_fit(n):
    return "\n".join(f"Training the {name} " + " ".join(
        f"epoch {epoch}: training loss {train}, validation loss {val}"
        for epoch, (train, val) in enumerate(zip(*history.values()), start=1)
        if epoch % 10 == 0) for name, history in n.histories.items())


def rises(n):
    """Return by what factor each validation loss rises from its lowest."""
    return [curve["val_loss"][-1] / min(curve["val_loss"])
            for curve in n.curves.values()]


def training_loss_is_higher(n):
    train, val = n.curves["128 units, 400 digits"].values()
    best = int(np.argmin(val))
    return train[best] > val[best] and np.greater(train, val).mean() > 0.5


def fit_repeats_the_run(n):
    stop = int(np.argmin(n.losses)) + 6
    run = n.curves["128 units, 100 digits"]["val_loss"]
    return stop < 25 and agree(n.losses, run[:stop], atol=1e-3)


def right_labels_hold_the_accuracy(t):
    """Repeat the run on the right with the labels as they were."""
    n, seed = after(t, "General"), 22 + t.shift
    digits = n.datasets.load_digits()
    _, (truth, _, _) = n.split_in_three(
        digits.data, digits.target, seed, stratify=digits.target)
    y = torch.tensor(truth[:100], device=n.device)
    changed = (y != n.labels[0][:100]).nonzero().flatten()
    assert changed.tolist() == [*range(0, 100, 5)]
    torch.manual_seed(4 + t.shift)
    model = n.MLP(64, [128], 10).to(n.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    batches = n.TensorBatches(
        n.images[0][:100], y, batch_size=50, shuffle=True)
    losses, right = [], []
    for epoch in range(25):
        n.train_epoch(model.train(), batches, n.digit_loss, optimizer)
        losses.append(loss_of(model, n.images[1], n.labels[1]))
        right.append(accuracy(model, n.images[2], n.labels[2]))
    best = int(np.argmin(losses))
    return losses[-1] > losses[best] and right[-1] > right[best] - 0.05


def cost_of_wrong_answers(n):
    lines = []
    for name, model in [(f"Best of {len(n.losses)} epochs", n.stopped),
                        ("Last of 25 epochs", n.model)]:
        logits, truth = out(model, n.images[2]), n.labels[2].cpu()
        wrong = logits.argmax(dim=1) != truth
        lines.append(
            f"{name}: test accuracy {1 - wrong.double().mean()}, mean loss of "
            f"the wrong answers {F.cross_entropy(logits[wrong], truth[wrong])}"
        )
    return "\n".join(lines)


def panels_stand_in_order(t):
    """Check the titles, from left to right, and the dot at the best epoch."""
    axes = t.figures["09_generalisation"].axes
    for ax, (title, curve) in zip(axes, after(t, "General").curves.items()):
        best = int(np.argmin(curve["val_loss"])) + 1
        dot, = [line for line in ax.lines if line.get_marker() == "o"]
        assert (ax.get_title(), dot.get_label()) == (
            title, f"best: epoch {best}")
        assert dot.get_xydata().tolist() == [[best, min(curve["val_loss"])]]
    return len(axes) == 3


def errors_in_own_units(n):
    train, val, _ = n.y_parts
    network = out(n.model, n.X_sets[1]).numpy() * train.std() + train.mean()
    errors = [abs(train.mean() - val).mean(), n.errors["linear baseline"],
              abs(network - val).mean()]
    return "\n".join(f"{name}: off by {error} on the validation set"
                     for name, error in zip(n.errors, errors))


def confusion(n):
    """Return the table; the last model is the weighted one."""
    ill = (n.y_val == 1).cpu()
    weighted, plain = out(n.model, n.X_val), n.logits["plain"]
    lines = ["ill: found missed healthy: alarmed spared accuracy"]
    for name, alarm in [("all healthy", weighted > np.inf),
                        ("plain", plain > 0),
                        ("plain, 0.05", plain > -np.log(19)),
                        ("weighted", weighted > 0)]:
        found, missed = (alarm & ill).sum(), (~alarm & ill).sum()
        alarmed, spared = (alarm & ~ill).sum(), (~alarm & ~ill).sum()
        right = (alarm == ill).double().mean()
        lines.append(f"{name} {found} {missed} {alarmed} {spared} {right}")
    return "\n".join(lines)


def alarms_cost_accuracy(t):
    table = t.numbers("Five", 1)
    nobody, plain = table[:5], table[5:10]
    for found, missed, alarmed, _, right in (table[11:16], table[16:]):
        assert found > 3 * missed and alarmed > found
        assert right < nobody[4] < plain[4]
    return plain[0] < 70


def means_of_probabilities(n):
    weighted, lines = n.logits["weighted"], []
    for name, logits in [("plain", n.logits["plain"]), ("weighted", weighted),
                         ("weighted, odds / 19", weighted - np.log(19))]:
        p = torch.sigmoid(logits)
        sure = p > 0.5
        lines.append(f"{name} mean p {p.mean()}; where p > 0.5: mean p "
                     f"{p[sure].mean()}, share of ill "
                     f"{n.ill[sure].double().mean()}")
    return "\n".join(lines)


def recap_names_the_parts(t):
    """Find the function of each line in the part that explains it."""
    rows = re.findall(r"(\w+?)(?:_fn)?\(.*` \| (.+) \|", TEXT.partition(
        "## Recap")[2])
    for function, place in rows:
        assert any(
            function in str(part.cells) for part in parts_of(TEXT, True)
            if (f"Section {part.section}, " * bool(part.section)
                + part.title).startswith(place)), (function, place)
    return len(rows) == 13


def first_solutions(n):
    neuron = Perceptron(2)
    mistakes = neuron.fit(n.corners, 1 - n.corners.prod(dim=1))
    slopes = 0.25 / torch.cosh(n.z / 2) ** 2
    return ("Solution 1: weighted sums [[4, 0, -1], [3.5, 2, 1]]\n"
            f"Solution 2: mistakes {mistakes}, weights "
            f"{neuron.weights.tolist()}, bias {neuron.bias}\n"
            f"Solution 3: slopes tensor({slopes.tolist()})")


def momentum_raises_the_limit(t):
    """Below it the loss ends near 0, above it the loss runs away."""
    *below, small, seven, limit, above, large = t.numbers("Solutions", 2)[:8]
    return small < 1e-9 and large > 1e9 and (
        [*below, seven, limit, above] == [7, 0.18, 0.179, 7, 0.18, 0.181])


def more_trees_catch_up(t):
    """Three times the trees are level with the network, on its splits."""
    n, (X, y) = after(t, "Not Only"), load_digits(return_X_y=True)
    scores = []
    for seed in (9, 12):
        X_parts, y_parts = n.split_in_three(X, y % 2, seed, stratify=y % 2)
        more = clone(n.trees).set_params(n_estimators=60, random_state=seed)
        scores.append(more.fit(X_parts[0], y_parts[0]).score(
            X_parts[2], y_parts[2]))
    boosting, _, network = np.mean(n.results["digits"], axis=0)
    return np.mean(scores) > max(boosting, network - 0.005)


SAID = [
    # Steps 1 to 5
    ("Step 1", "`fit` measures, on the training set only",
     holds("Step 1", lambda n: scaled(
         n.X_parts, [n.X_train, n.X_val, n.X_test]))),
    ("Step 2", "linear one, as the **baseline** to beat. Beside it, two "
     "hidden layers",
     holds("Step 2", lambda n: [
         len(model.layers) for model in n.models.values()] == [1, 5])),
    ("Step 4", "**training set** moves the weights",
     holds("Step 4", lambda n: n.train_batches.tensors[0] is n.X_train)),

    # Before You Train for Hours
    ("Before", "Unscaled features make a fresh network far too sure.",
     always(lambda t: healthy(t)[0, 0] > 1 and agree(
         healthy(t)[0, 1:], 4 * [np.log(2)], atol=0.1))),
    ("Before", "Lost inputs leave one answer for all.",
     always(lambda t: np.ptp(healthy(t)[1:3, 1]) < 0.011
            and healthy(t)[1, 1] > 0.5)),
    ("Before", "After a ReLU no logit is negative, so class 0 stays undecided "
     "at best.",
     always(lambda t: healthy(t)[1, 2] > np.log(2) * (
         1 - after(t, "Before").targets.mean().item()) - 0.006)),
    ("Before", "The frozen layer shows only as missing gradients.",
     always(lambda t: healthy(t)[3].tolist() == [0, 0, 0, 2, 0])),

    # The Tools at Work
    ("The Tools", "stops ten epochs after the best, or after 40",
     holds("The Tools", lambda n: all(
         len(losses) == min(np.argmin(losses) + 11, 40) for losses in (
             history["val_loss"] for history in n.histories.values())))),
    ("The Tools", "Choose by the validation set",
     holds("The Tools", lambda n: n.val_batches.tensors[0] is n.X_val)),

    # Generalisation
    ("General", "Both lines stay high: **underfitting**.",
     holds("General", lambda n: [
         min(curve["train_loss"] + curve["val_loss"]) > 1
         for curve in n.curves.values()] == [True, False, False])),
    ("General", "and later rises less than on the right, if at all",
     holds("General", lambda n: rises(n)[2] - rises(n)[1] > 0.05)),
    ("General", "For most epochs the training loss is higher",
     holds("General", training_loss_is_higher)),
    ("General", "Training loss goes on towards 0; validation loss turns and "
     "rises.",
     holds("General", lambda n: rises(n)[2] > 1.05
           and n.curves["128 units, 100 digits"]["train_loss"][-1] < 0.2)),
    ("General", "The cures are more digits, or to stop at the dot.",
     holds("General", lambda n: np.argsort([
         min(curve["val_loss"]) for curve in n.curves.values()]
         ).tolist() == [1, 2, 0])),
    ("General", "`fit` repeats the run on the right, stops five epochs after "
     "the best", holds("General", fit_repeats_the_run)),
    ("General", "grows surer, so each wrong answer costs more",
     holds("General", lambda n: n.costs[1] > n.costs[0])),
    ("General", "with right labels accuracy hardly falls, yet the "
     "validation loss rises",
     always(right_labels_hold_the_accuracy)),

    # Your Own Data
    ("Your Own", "a column for each code, 1 where the row has it and 0 "
     "elsewhere",
     holds("Your Own", lambda n: np.array_equal(
         n.is_code, n.table.data[:, [1]] == sorted({*n.table.data[:, 1]})))),
    ("Your Own", "Take it, like the scaling, from the training set alone",
     holds("Your Own", lambda n: scaled(n.X_parts, n.X_sets)
           and scaled(n.y_parts, n.y_sets)
           and np.allclose(n.medians, np.median(n.X_parts[0], axis=0)))),
    ("Your Own", "The network beats the mean by far.",
     holds("Your Own", lambda n: n.errors["network"]
           < 0.85 * n.errors["mean for everyone"])),
    ("Your Own", "With the baseline it is nearly a tie",
     holds("Your Own", lambda n: abs(
         n.errors["network"] - n.errors["linear baseline"])
         < 0.1 * n.errors["mean for everyone"])),

    # Deeper: Remedies for Overfitting, A Schedule, and Clipping
    ("Remedies", "Fewer units disappoint",
     holds("Remedies", lambda n: min(
         [*n.means][1:], key=n.means.get) == "16 units")),
    ("Remedies", "More data helps most",
     holds("Remedies", lambda n: max(
         n.means, key=n.means.get) == "400 digits")),
    ("Remedies", "the linear baseline beats the network without a remedy",
     holds("Remedies", lambda n: n.means["no hidden layer"]
           > n.means["128 units, no remedy"])),
    ("A Schedule", "the falling one is fast and then calm",
     holds("A Schedule", lambda n: n.losses[2] < min(n.losses[:2]))),

    # Deeper: Five per Cent Positives
    ("Five", "lets both classes weigh the same",
     holds("Five", lambda n: abs(
         1 / n.y_train.mean() - 1 - n.weight) < 1e-3)),
    ("Five", "Weight and threshold find most of the ill (high **recall**), "
     "and most of their alarms are false (low **precision**): their accuracy "
     "is *below* that of the program that finds nobody",
     always(alarms_cost_accuracy)),
    ("Five", "The weighted network exaggerates: if anybody reads "
     "probabilities, divide its odds by the weight",
     always(lambda t: [abs(says - true) < 0.3 for says, true in np.take(
         t.numbers("Five", 2), [[2, 3], [6, 7], [11, 12]])]
         == [True, False, True])),

    # Deeper: Not Only Networks
    ("Not Only", "The linear model loses where the border is curved, and on "
     "raw pixels",
     always(lambda t: rivals(t)[::2].argmin(axis=1).tolist() == [1, 1])),
    ("Not Only", "On the tumours it is as good as any",
     always(lambda t: rivals(t)[1, 1] > max(rivals(t)[1]) - 0.03)),
    ("Not Only", "on the digits it mostly lags a little, and catches up with "
     "more trees", more_trees_catch_up),
    ("Not Only", "On the moons boosting keeps up with the network",
     always(lambda t: rivals(t)[0, 0] > rivals(t)[0, 2] - 0.03)),

    # Recap and Solutions
    ("Recap", "Here is the first look again, line by line.",
     always(recap_names_the_parts)),
    ("Solutions", "each input must pull the sum down",
     holds("Solutions", lambda n: max(n.perceptron.weights) < 0)),
    ("Solutions", "momentum raises the limit by the factor $1 + \\mu$",
     always(momentum_raises_the_limit)),
    ("Solutions", "and whole numbers as targets",
     holds("Solutions", lambda n: scaled(
         n.X_parts, [n.X_train, n.X_val, n.X_test])
         and accuracy(n.model, n.X_test, n.y_test) > 30 / 36)),
]

SHOWN = [
    # Steps 1 to 5
    ("Step 1", writes("Step 1", -1, lambda n: "Samples: 600 200 200")),
    ("Step 4", writes("Step 4", -1, lambda n:
                      f"epoch 30: training loss {n.train_loss}, validation "
                      f"loss {loss_of(n.model, n.X_val, n.y_val)}")),
    ("Step 5", writes("Step 5", -1, lambda n: "Validation accuracy: "
                      f"{accuracy(n.model, n.X_val, n.y_val)}")),

    # Tools
    ("Tools: Check", always(lambda t: re.search(
        r"(?s)below 0\): targets go from 0 to 1, not from 1 to\s2:.*"
        r"mean\): outputs have shape \(32, 1\), but targets\s\(32,\):.*"
        r"always 0\): one logit", t.printed("Tools: Check")))),
    ("The Tools", writes("The Tools", 0, log_of_fit)),
    ("The Tools", writes("The Tools", 1, lambda n: (
        "Lowest validation loss: the network; its test accuracy is " + str(
            accuracy(min(n.models.values(), key=lambda model: loss_of(
                model, n.X_val, n.y_val)), n.X_test, n.y_test))))),

    # Generalisation
    ("General", writes("General", -1, cost_of_wrong_answers)),
    ("09_generalisation", labels_axes(
        "09_generalisation", ("epoch", "loss"), *2 * [("epoch", "")])),
    ("09_generalisation", draws(
        "09_generalisation", "training", "-", lambda x, n: np.interp(
            x, np.arange(25) + 0.5, n.curves[n.title]["train_loss"]))),
    ("09_generalisation", draws(
        "09_generalisation", "validation", "--", lambda x, n: np.interp(
            x, np.arange(25) + 1, n.curves[n.title]["val_loss"]))),
    ("09_generalisation", panels_stand_in_order),

    # Your Own Data; Save, Reload, Predict
    ("Your Own", writes("Your Own", 0, lambda n: (
        f"Features: (442, 10) targets: from {min(n.table.target)} to "
        f"{max(n.table.target)} age sex bmi bp s1 s2 s3 s4 s5 s6 target "
        + " ".join(map(str, np.c_[n.table.data, n.table.target][:3].flat))))),
    ("Your Own", writes("Your Own", 1, lambda n: "Made gaps in {} of 442 rows"
                        .format(sum((n.X != np.delete(n.table.data, 1, axis=1))
                                    .any(axis=1))))),
    ("Your Own", writes("Your Own", 2, errors_in_own_units)),
    ("Save", writes("Save", -1, lambda n: (
        "[0.5, 0.87]: upper moon; probability of the lower one {}\n"
        "[1.5, -0.37]: lower moon; probability of the lower one {}".format(
            *torch.sigmoid(out(n.models["network"], torch.tensor(
                n.scaler.transform(n.rows)).to(n.X_val)))[:, 0].tolist())))),

    # Deeper
    ("How Far", holds("How Far", lambda n: np.isclose(
        n.accuracies[4], accuracy(n.model, n.X_test, n.y_test)))),
    ("How Far", writes("How Far", 0, lambda n: (
        f"5 seeds: {np.mean(n.accuracies)}, from {min(n.accuracies)} to "
        f"{max(n.accuracies)}; standard error from 200 points: "
        f"{(np.mean(n.accuracies) * (1 - np.mean(n.accuracies)) / 200) ** 0.5}"
    ))),
    ("Remedies", holds("Remedies", lambda n: np.isclose(
        n.accuracies["no hidden layer"][2],  # of the last model
        accuracy(n.model, n.images[1], n.labels[1])))),
    ("Remedies", writes("Remedies", -1, lambda n: "\n".join(
        f"{name} validation accuracy {np.mean(values)}, from {min(values)} to "
        f"{max(values)}" for name, values in n.accuracies.items()))),
    ("A Schedule", writes("A Schedule", 0, lambda n: (
        f"rate from 0.03 to 0.03: validation loss {n.losses[0]}\n"
        f"rate from 0.1 to 0.1: validation loss {n.losses[1]}\n"
        "rate from 0.1 to 0: validation loss "
        f"{loss_of(n.model, n.X_val, n.y_val)}"))),
    # One target of ten is wrong, by 1000 - (3 * x + 1).
    ("A Schedule", writes("A Schedule", 1, lambda n: (
        "max_norm inf: a step moves the bias by "
        f"{0.1 * 2 * (999 - 3 * n.x[9]) / 10}\n"
        "max_norm 1.0: a step moves the bias by "
        f"{0.1 / (1 + n.x[9] ** 2) ** 0.5}"))),
    ("Five", writes("Five", 0, lambda n:
                    f"5 % positives, pos_weight {95 / 5}")),
    ("Five", writes("Five", 1, confusion)),
    ("Five", writes("Five", 2, means_of_probabilities)),
    ("Five", writes("Five", 3, lambda n: (
        "Three labels at once: loss "
        f"{np.logaddexp(0, [-2, -1, 0.5]).mean()}; yes: [[True, False, True]]"
    ))),
    ("Not Only", holds("Not Only", lambda n: np.allclose(
        np.take(n.results["digits"][1], [0, 2]),  # of the last models
        [n.trees.score(n.X_parts[2], n.y_parts[2]),
         accuracy(n.model, n.X_sets[2], n.y_sets[2])]))),
    ("Not Only", writes("Not Only", -1, lambda n: "\n".join(
        ["Test accuracy: boosting linear network"] + [
            " ".join([name, *map(str, np.mean(scores, axis=0))])
            for name, scores in n.results.items()]))),

    # Solutions
    ("Solutions", writes("Solutions", 0, first_solutions)),
    ("Solutions", writes("Solutions", 1, lambda n: (
        f"Solution 4: outputs without ReLU {(2 - n.corners.sum(1)).tolist()}\n"
        f"Solution 5: {11 * 20 + 21 * 30 + 31 * 5} parameters; 1005\n"
        "Solution 6: targets up to 100: best for MSE 26.5; for L1 [2, 2.5, 3] "
        "Solution 6: targets up to 4: best for MSE 2.5; for L1 [2, 2.5, 3]"))),
    ("Solutions", writes("Solutions", 2, lambda n: (
        "Solution 8: in two halves the gradient is the same: tensor("
        f"{((out(n.layer, n.X) - n.targets).T @ n.X / 4).tolist()})"))),
    ("Solutions", writes("Solutions", 3, lambda n: (
        f"Solution 9: {36 * accuracy(n.model, n.X_test, n.y_test)} of 36 test "
        "wines are right"))),
]
