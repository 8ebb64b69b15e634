"""What Sections 6 to 8 say and show is so.

SAID holds (part, words of the script, check), SHOWN holds (part, check). A
check takes a walk `t` through the tutorial, and returns something true or
asserts. Those marked "always" hold with all seeds moved too; those that look
at a figure don't. Cells are counted from 0 in each part. To extend the lists,
add a row; the helpers below make the common checks.
"""

import re
import sys

import numpy as np
import torch
from claims_early import after, holds
from compare import NUMBER, differences
from definitions import CELLS, load
from torch import nn
from torch.distributions import Bernoulli, Categorical, Laplace, Normal
from torch.utils.data import DataLoader, TensorDataset
from walk import always

MLP, TensorBatches, gradient_of, ravine, sgd_step, train_epoch = map(load, (
    "MLP", "TensorBatches", "gradient_of", "ravine", "sgd_step",
    "train_epoch"))
RATES = (0.005, 0.09, 0.105)  # of the walks on the ravine
# The error of the smallest network, done by hand, after its one step.
ERROR = 1.990 * (2.992 * 2 - 1.004) - 0.002 - 9


def same(printed, lines):
    """Check a text; its numbers may have more digits than are printed."""
    shown = iter(NUMBER.findall(printed))

    def rounded(found):
        places = len(next(shown, "").partition(".")[2])
        return f"{float(found.group()):.{places}f}"

    expected = "\n".join(lines)
    if "e-" not in printed:  # that is: no powers of ten
        expected = NUMBER.sub(rounded, expected)
    wrong = differences(expected, printed)
    assert not wrong, wrong
    return True


def prints(title, cell, lines):
    """Check the words and numbers that a cell prints.

    lines is a list, or a function of the names after the cell.
    """
    return always(lambda t: same(
        t.printed(title, cell),
        lines(after(t, title, cell)) if callable(lines) else lines))


def starts_near(size):
    """True if a new classifier starts near log C on inputs of a size."""
    logits = MLP(20, [32], 9)(size * torch.randn(200, 20))
    loss = nn.CrossEntropyLoss()(logits, torch.arange(200) % 9)
    return abs(loss - np.log(9)) < 0.2


def noise(batch_size):
    """Return how far the mean of a random batch is off, on average."""
    picks = torch.randint(999, (9999, batch_size)).float()
    return picks.mean(dim=1).std() / picks[:, 0].std()


def walks_are_drawn(t):
    """Check ellipses, cross, dots and labels of both figures of a ravine."""
    axes = [*t.figures["07_learning_rates"].axes,
            *t.figures["07_trajectories"].axes]
    paths = after(t, "Linking").paths
    assert len(axes) == len(paths), paths.keys()
    for ax, (name, path) in zip(axes, paths.items()):
        dots, cross = ax.lines
        steps = dots.get_xydata()
        assert np.array_equal(steps, torch.stack(path[:len(steps)])), name
        assert [cross.get_marker(), *cross.get_xydata()[0]] == [
            "x", 0, 0], "the cross must be at the lowest point"
        ellipse = ax.collections[0].get_paths()[1].vertices
        assert np.ptp(ellipse ** 2 @ [1, 20]) < 1, "the loss must be equal"
        labels = ax.get_title(), ax.get_xlabel(), ax.get_ylabel()
        assert labels == (
            f"learning rate {name}" if name in RATES else name,
            "w1", "w2" if ax in axes[::3] else ""), labels
    return True


def walks_arrive_as_said(t):
    slow, fast, far = [ax.lines[0].get_xydata()
                       for ax in t.figures["07_learning_rates"].axes]
    assert slow[40, 0] < -5, "the left one must not arrive"
    assert fast[1, 1] < 0 < fast[2, 1], "the middle one must jump"
    assert min(fast[40]) > -0.3, "the middle one must settle"
    assert len(far) < 20, "on the right, its first steps only"
    return min(np.diff(abs(far[:, 1]))) > 0


def rules_are_the_best(n):
    """Compare with the best rate and momentum in theory (Polyak, 1964)."""
    rules = [n.rules[name]([torch.ones(2)]).param_groups[0]
             for name in ("SGD", "Momentum")]
    lr, root = rules[0]["lr"], 20 ** 0.5
    assert np.isclose(1 - lr, 20 * lr - 1, atol=0.01), "both must shrink alike"
    return np.allclose(
        [(rule["lr"], rule["momentum"]) for rule in rules],
        [(2 / (1 + 20), 0),
         (4 / (1 + root) ** 2, ((root - 1) / (root + 1)) ** 2)],
        rtol=0, atol=0.004)


def rules_walk_as_said(n):
    sgd, momentum, adam = [torch.stack(n.paths[name]).numpy()
                           for name in ("SGD", "Momentum", "Adam")]
    assert max(sgd[1:, 1] * sgd[:-1, 1]) < 0, "SGD must jump across"
    assert max(sgd[:, 0]) < 0, "SGD must creep along"
    assert max(sgd[:, 0]) < -1000 * max(abs(momentum[40])), "much closer"
    assert np.ptp(abs(adam[1] - adam[0])) < 1e-6, "equal steps at first"
    return adam[40, 0] < 1 < max(adam[:, 0])  # it overshoots and turns back


def l2_is_decay(momentum):
    """True if the slope of L2 shrinks a weight as weight decay does."""
    weight, velocity = torch.ones(1), torch.zeros(1)
    for _ in range(99):
        weight.grad = 0.5 * weight
        sgd_step(weight, velocity, 0.01, momentum)
    return abs(weight.item() - (1 - 0.01 * 0.5) ** 99) < 1e-5


def arrows_are_right(t):
    """Check values, slopes and arrows of the picture of backpropagation."""
    n, ax = after(t, "Backward", 1), t.figures["08_backpropagation"].axes[0]
    names = {(x1, x2): name for name, x1, x2, *_ in n.nodes}
    slopes = dict(vars(n), d_x="", d_loss=1.0)
    for name, value, slope in zip(
            names.values(), ax.texts[:18:2], ax.texts[1:18:2]):
        assert value.get_text() == f"{getattr(n, name)}\n{name}", name
        assert slope.get_text() == str(slopes[f"d_{name}"]), name
        assert slope.get_style() == "italic", name
        assert value.get_position()[1] > slope.get_position()[1], name
    assert ax.get_title().startswith("Values (above)"), ax.get_title()
    return [f"{names[arrow.xyann]}-{names[arrow.xy]}"
            for arrow in ax.texts[18:]] == [
        "x-total", "w1-total", "b1-total", "total-hidden", "hidden-output",
        "w2-output", "b2-output", "output-loss"]


def first_look_again(t):
    """Train with the settings of the first look once more."""
    first, n = after(t, "First"), after(t, "Iterating", 0)
    torch.manual_seed(19 + t.shift)
    model = MLP(2, [32], 1)
    optimizer = torch.optim.Adam(
        model.parameters(), lr=first.optimizer.param_groups[0]["lr"])
    losses = [train_epoch(model, n.batches, first.loss_fn, optimizer)
              for _ in range(20)]
    return same(t.printed("Iterating", 0), [
        f"epoch {epoch}: mean loss {losses[epoch - 1]}"
        for epoch in (5, 10, 15, 20)])


def gathers_far_quicker(t):
    """Count calls of functions: a time would depend on the machine's load."""
    def calls(batches):
        events = []
        sys.setprofile(lambda frame, event, given: events.append(event))
        list(batches)
        sys.setprofile(None)
        return events.count("call") + events.count("c_call")

    X = torch.zeros(4000, 2)
    return calls(DataLoader(TensorDataset(X), batch_size=50)) > 20 * calls(
        TensorBatches(X, batch_size=50))


def layers_part(t):
    """Check the errors, and between which ends the first weights lie."""
    n, numbers = after(t, "Why Layers"), t.numbers("Why Layers")
    lows, highs = numbers[3::5], numbers[4::5]
    assert lows[:2] == highs[:2], "not broken, the weights must stay equal"
    lows[3], highs[3] = n.weights.min(), n.weights.max()
    return same(t.printed("Why Layers"), [
        f"broken by {size:.0%}, step {step}: error {error:.3f}, "
        f"first weights {low:.2f} to {high:.2f}"
        for ((size, step), error), low, high in zip(
            n.errors.items(), lows, highs)])


def deep_layers_shrink(t):
    layers = [layer for _ in range(20)
              for layer in (nn.ReLU(), nn.Linear(16, 16))]
    deep, points = nn.Sequential(*layers), torch.eye(16)
    assert deep(points).std(dim=0).max() < 1e-3, "differences must shrink"
    return gradient_of(deep, points).norm() < 1e-3


def mends_are_drawn(t):
    ax, losses = t.figures["08_mends"].axes[0], after(t, "What Mends").losses
    assert {line.get_label(): list(line.get_ydata())
            for line in ax.lines} == losses, "each line must have its name"
    assert [line.get_label() for line in ax.lines
            if line.get_color() == "k"] == ["no mend"], "must be black"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("steps taken", "loss"), \
        "the axes must be named"
    return np.ptp(losses["no mend"]) < 0.03


def others_rest_as_said(t):
    """Check how far the networks without XOR are off, corner by corner."""
    n, printed = after(t, "XOR,"), re.findall(r"0\.\d\d", t.printed("XOR,"))
    off = {0.69: [1 / 2, 1 / 2, 1 / 2, 1 / 2], 0.35: [0, 0, 1 / 2, 1 / 2],
           0.48: [0, 1 / 3, 1 / 3, 2 / 3]}

    def place(loss):
        return min(off, key=lambda rest: abs(rest - float(loss)))

    assert max(abs(place(loss) - float(loss)) for loss in printed) < 0.025, \
        printed
    assert n.right.sum() == n.found[2], n.found
    misses = abs(n.logits.sigmoid() - n.targets).T
    for loss, missed in zip(n.losses[~n.right].tolist(),
                            misses[~n.right].tolist()):
        np.testing.assert_allclose(
            sorted(missed), off[place(loss)], rtol=0, atol=0.1)
    return True


SAID = [
    # 6. Loss Functions
    ("Mean Squared", "the further off, the stronger the pull",
     always(lambda t: gradient_of(lambda errors: errors.square().mean(),
                                  torch.arange(5.0)).diff().min() > 0)),
    ("Cross-Entropy", "can round to 0", holds("Cross-Entropy", lambda n: (
        n.softmax(n.logits, 1)[2, 0].log() == -np.inf))),
    ("Cross-Entropy", "since 32 bits keep few decimals of a large number",
     holds("Cross-Entropy", lambda n: abs(
         n.logits[1, 0] - 12345 - 0.678) > 1e-4)),
    ("Cross-Entropy", "near $\\log C$ for $C$ classes, if its inputs are not "
     "large", always(lambda t: starts_near(1) and not starts_near(300))),
    ("Cross-Entropy", "the loss can never come near zero",
     holds("Cross-Entropy", lambda n: n.right == 0 < 0.5 < n.twice)),
    ("Binary", "$\\sigma(20)$ is exactly 1",
     holds("Binary", lambda n: n.sigmoid(torch.tensor(20.0)) == 1)),
    ("Binary", "cuts its logarithms off at -100. But at logit 20 the sigmoid "
     "is flat", always(lambda t: (
         nn.BCELoss()(torch.ones(1), torch.zeros(1)) == 100
         and gradient_of(torch.sigmoid, torch.tensor(20.0)) == 0))),
    ("Choosing the Right", "which is a probability above one half",
     holds("Binary", lambda n: (n.z > 0).equal(n.p > 0.5))),
    ("One Recipe", "factors may round to 0",
     always(lambda t: torch.full((1000,), 0.5).prod() == 0)),

    # 7. Optimizers
    ("Gradient Descent", "how fast the slope grows along each axis", always(
        lambda t: gradient_of(ravine, torch.ones(2)).tolist() == [1, 20])),
    ("Gradient Descent", "Ellipses join points of equal loss, the cross is "
     "the lowest point, and each dot is where a step landed.",
     walks_are_drawn),
    ("Gradient Descent", "Left: steps so short that 40 do not arrive. Middle: "
     "it jumps across the steep direction at first, and settles. Right, its "
     "first steps only: each lands further out along w2.",
     walks_arrive_as_said),
    ("Stochastic", "four times the batch halves the noise",
     always(lambda t: np.allclose([noise(4), noise(16), noise(64)],
                                  [1 / 2, 1 / 4, 1 / 8], rtol=0.05))),
    ("SGD with", "to and fro cancel",
     always(lambda t: sum((-0.9) ** step for step in range(99)) < 1)),
    ("Linking", "has the rate that is best in the long run, $2 / (1 + 20)$, "
     "at which both weights shrink alike; momentum has its best rate and "
     "factor",
     holds("Linking", rules_are_the_best)),
    ("Linking", "SGD jumps across the ravine and creeps along it; momentum "
     "arrives much closer in as many steps. Adam begins with equal steps in "
     "both directions, overshoots and turns back.",
     holds("Linking", rules_walk_as_said)),
    ("Adam, and", "SGD without momentum that is the same as",
     always(lambda t: l2_is_decay(0) and not l2_is_decay(0.9))),
    ("Adam, and", "drowns in large slopes and swamps",
     always(lambda t: (t.numbers("Adam, and")[0] > 0.9
                       and t.numbers("Adam, and")[1] < 0.1))),

    # 8. The Training Loop
    ("Backward", "Each slope is the one at the tip of its arrow, times how "
     "fast the tip", arrows_are_right),
    ("Backward", "each factor alone gives the slope $w$, and together $2w$",
     always(lambda t: [gradient_of(f, torch.tensor(3.0)) for f in (
         lambda w: w * 3, lambda w: 3 * w, lambda w: w * w)] == [3, 3, 6])),
    ("Zeroing", "*adds* to `.grad`",  # so no program may forget to clear
     always(lambda t: all(cell.count("optimizer.zero_grad()")
                          >= cell.count("optimizer.step()")
                          for cell in CELLS if ".backward()" in cell))),
    ("Iterating", "It is the first look again, with mini-batches",
     always(first_look_again)),
    ("Iterating", "gathering each batch's rows in one go is far quicker",
     always(gathers_far_quicker)),
    ("Iterating", "every sample must come once in an epoch",
     always(lambda t: sorted(t.numbers("Iterating", 3))
            == sorted([1, 2, *range(10), *range(10)]))),
    ("What Each", "so take the means of several",
     always(lambda t: np.allclose(
         after(t, "What Each").means["eval()"],
         np.mean([after(t, "What Each").left_out("eval()", seed + t.shift)
                  for seed in range(6, 9)], axis=0)))),
    ("What Each", "Without `step()` the loss stays. Without `zero_grad()` old "
     "gradients keep pushing, and the loss runs away, far more than the "
     "accuracy shows", holds("What Each", lambda n: (
         0.5 < n.means["step()"][0] < 0.9 and n.means["zero_grad()"][0] > 2
         and n.means["zero_grad()"][1] > 0.5))),
    ("Why Layers", "in time the units part",
     holds("Why Layers", lambda n: n.weights.std() > 0.2)),
    ("What Mends", "each layer shrinks the differences",
     always(deep_layers_shrink)),
    ("What Mends", "The black line stays at $\\log 2 = 0.693$",
     mends_are_drawn),
    ("XOR, Trained", "two corners are sure and two stay at one half; at 0.48 "
     "one is sure, and the other three share one answer.",
     always(others_rest_as_said)),
]

SHOWN = [
    # 6. Loss Functions
    ("Mean Squared", prints("Mean Squared", 0, [
        f"MSE {5 / 3}, slopes tensor([{-2 / 3}, 0.0, {4 / 3}])"])),
    ("Mean Squared", prints("Mean Squared", 1, [
        "Targets of shape (8,): 64 pairs, MSE of perfect predictions 10.5",
        "Targets of shape (8, 1): 8 pairs, MSE of perfect predictions 0.0"])),
    ("Cross-Entropy", prints("Cross-Entropy", 1, [
        f"Knowing nothing of 3 classes: {np.log(3)}; log 3 = {np.log(3)}",
        "Sure and right: 0.0; with one softmax too many "
        f"{np.log(np.e + 2) - 1}",
        "Class numbers as floats raise a RuntimeError:", "(message)"])),
    ("Binary", prints("Binary", 1, [
        "Slopes of BCELoss, BCEWithLogitsLoss and ours: [0.0, 1.0, 1.0]"])),
    ("One Recipe", prints("One Recipe", 0, lambda n: [
        f"{name}: mean of -log p {-logs.mean()}, loss {-logs.mean()}"
        for name, logs in [
            ("normal", Normal(n.z, 1).log_prob(n.y)),
            ("Laplace", Laplace(n.z, 1).log_prob(n.y)),
            ("Bernoulli", Bernoulli(logits=n.z).log_prob(n.yes)),
            ("categorical",
             Categorical(logits=n.logits).log_prob(n.classes))]])),
    ("One Recipe", prints("One Recipe", 1, [
        f"p = {p:f}: slope of square {-2 * (1 - p) ** 2 * p:f}, "
        f"of -log {p - 1:f}" for p in 1 / (1 + np.exp([8, 0, -2]))])),

    # 7. Optimizers
    ("Gradient Descent", prints("Gradient Descent", 1, lambda n: [
        f"rate {rate}: last loss {ravine(n.paths[rate][-1])}"
        for rate in RATES])),
    ("Learning Rate", prints("Learning Rate", 0, [
        f"learning rate {rate}: each step keeps {1 - rate:f} of w1 and "
        f"{1 - 20 * rate:f} of w2" for rate in RATES])),
    ("Linking", prints("Linking", 0, lambda n: [
        *[f"{name}: loss 63.0 -> {ravine(n.paths[name][-1]):.1e}"
          for name in ("SGD", "Momentum", "Adam")],
        "Adam's first step: tensor([ 0.7, -0.7])"])),
    ("Linking", prints("Linking", 2, [
        "The optimizer of the old model moves the model's weight: False",
        "The optimizer of the model moves the model's weight: True"])),
    ("Adam, and", always(lambda t: same(t.printed("Adam, and"), [
        "Adam: the weights end at {} and {}".format(*t.numbers("Adam, and")),
        "AdamW: the weights end at {0:.2f} and {0:.2f}".format(0.995 ** 200)
    ]))),

    # 8. The Training Loop
    ("Forward Propagation:", prints("Forward Propagation:", 0, [
        "Total, ReLU, output, error, loss: 5.0 5.0 10.0 1.0 1.0"])),
    ("Backward", prints("Backward", 0, [
        "slopes: output 2.0, w2 10.0, b2 2.0, hidden 4.0, total 4.0, w1 8.0, "
        "b1 4.0"])),
    ("Backward", prints("Backward", 2, [
        f"w1 = 3.001: loss {1.004 ** 2}, slope {(1.004 ** 2 - 1) / 0.001}",
        "Slopes of w1, b1, w2 and b2, by PyTorch: [8.0, 4.0, 10.0, 2.0]"])),
    ("Optimizer Step", prints("Optimizer Step", 0, [
        "w1, b1, w2 and b2 after one step: 2.992 -1.004 1.990 -0.002",
        f"Loss 1.0 -> {ERROR ** 2}"])),
    ("Zeroing", prints("Zeroing", 0, [
        f"cleared: True; slope of b2 {2 * ERROR}",
        f"cleared: False; slope of b2 {2 * ERROR + 2 * ERROR}",
        f"cleared: True; slope of b2 {2 * ERROR}"])),
    ("Backpropagation for", prints("Backpropagation for", 0, lambda n: [
        "loss.backward() gives the same gradients; that of W1: "
        f"{n.network[0].weight.grad}"])),
    ("An Engine", prints("An Engine", 1, [
        "Slopes of w1, b1, w2 and b2: 8.0 4.0 10.0 2.0"])),
    ("An Engine", prints("An Engine", 2, [
        "After d, c passes on first: slope of a 12.0",
        "After d, b passes on first: slope of a 8.0"])),
    ("An Engine", prints("An Engine", 3, lambda n: [
        f"Slopes of a and b, by both: [{n.a.grad}, {n.b.grad}]"])),
    ("An Engine", prints("An Engine", 4, lambda n: [
        "XOR, by your engine:", *map("{:.2f}".format, n.answers)])),
    ("What Each", prints("What Each", 1, lambda n: [
        f"left out: {part} last loss {loss if loss < 2 else 'over 2'}, "
        f"accuracy {right}" for part, (loss, right) in n.means.items()])),
    ("Why Layers", always(layers_part)),
    ("What Mends", prints("What Mends", 0, lambda n: [
        f"{mend}: loss {losses[-1]:.3f} at step {len(losses)}"
        for mend, losses in n.losses.items()])),
    ("XOR, Trained", always(lambda t: same(t.printed("XOR,"), [
        f"{units} hidden units: {found} of 200 find XOR; others: loss {rest}"
        for units, found, rest in zip(
            (2, 4, 8), after(t, "XOR,").found,
            re.findall("loss (.*)", t.printed("XOR,")))]))),
]
