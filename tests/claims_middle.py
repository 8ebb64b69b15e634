"""Rows of test_claims.py: Sections 6, 7 and 8."""

import re
from timeit import repeat

import numpy as np
import torch
from compare import differences
from definitions import CELLS, load
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from walk import always

STEEP, P = np.array([1.0, 20.0]), 1 / (1 + np.exp([8.0, 0, -2]))
gradient_of, MLP = load("gradient_of"), load("MLP")
PULLS = torch.linspace(-1, 2, 4096) ** 3  # slopes of single samples
NUDGED, MOVED = (  # losses on paper, with weights a little moved
    (w2 * (w1 * 2 + b1) + b2 - 9) ** 2 for w1, b1, w2, b2 in (
        (3.001, -1, 2, 0), (2.992, -1.004, 1.99, -0.002)))
# What cells print: part, cell, words, and numbers made from the names after
# it; k holds those that it prints.
PRINTED = """
>Mean Squared 0: MSE {5 / 3}, slopes tensor([{-2 / 3}, 0.0, {4 / 3}])
>Mean Squared 1: Targets of shape (8,): 64 pairs, MSE of perfect predictions
{2 * np.var(range(8))} Targets of shape (8, 1): 8 pairs, MSE of perfect
predictions 0.0
>Cross-Entropy 1: Knowing nothing of 3 classes: {np.log(3)}; log 3 = 1.0986
Sure and right: 0.0; with one softmax too many {np.log(1 + 2 / np.e)}
Class numbers as floats raise a RuntimeError:
(message)
>Binary 1: Slopes of BCELoss, BCEWithLogitsLoss and ours: [0.0, 1.0, 1.0]
>One Recipe 0: {" ".join("%s: mean of -log p %s, loss %s" % (name, loss, loss)
for name, loss in zip("normal Laplace Bernoulli categorical".split(), k[::2]))}
>One Recipe 1: {" ".join("p = %f: slope of square %f, of -log %f" % (
p, -2 * (1 - p) ** 2 * p, p - 1) for p in P)}
>Gradient Descent 1: {" ".join("rate %s: last loss %.4f" % (
rate, ravine(paths[rate][-1])) for rate in (0.005, 0.09, 0.105))}
>Learning Rate 0: {" ".join("learning rate %s: each step keeps %f of w1 and %f"
" of w2" % (rate, 1 - rate, 1 - 20 * rate) for rate in (0.005, 0.09, 0.105))}
>Linking 0: {" ".join("%s: loss 63.0 -> %.1e" % (rule, ravine(paths[rule][-1]))
for rule in rules)} Adam's first step: tensor([ 0.7, -0.7])
>Linking 2: The optimizer of the old model moves the model's weight: False
The optimizer of the model moves the model's weight: True
>Adam, and 1: Adam: the weights end at {k[0]} and {k[1]} AdamW: the weights end
at {0.995 ** 200:.2f} and {0.995 ** 200:.2f}
>Forward Propagation: 0: Total, ReLU, output, error, loss: 5.0 5.0 10.0 1.0 1.0
>Backward 0: slopes: output 2.0, w2 10.0, b2 2.0, hidden 4.0, total 4.0,
w1 8.0, b1 4.0
>Backward 2: w1 = 3.001: loss {NUDGED}, slope {(NUDGED - 1) * 1000:.2f}
Slopes of w1, b1, w2 and b2, by PyTorch: [8.0, 4.0, 10.0, 2.0]
>Optimizer Step 0: w1, b1, w2 and b2 after one step: 2.992 -1.004 1.990 -0.002
Loss 1.0 -> {MOVED}
>Zeroing 0: {" ".join("cleared: %s; slope of b2 %f" % (
cleared, (4 - 2 * cleared) * MOVED ** 0.5) for cleared in (True, False, True))}
>Iterating 0: {" ".join("epoch %d: mean loss %s" % row for row in zip(
np.arange(1, 5) * epoch // 4, k[1:6:2] + [total]))}
>Backpropagation for 0: loss.backward() gives the same gradients; that of W1:
{network[0].weight.grad}
>An Engine 1: Slopes of w1, b1, w2 and b2: 8.0 4.0 10.0 2.0
>An Engine 2: After d, c passes on first: slope of a 12.0 After d, b passes on
first: slope of a 8.0
>An Engine 3: Slopes of a and b, by both: [{a.grad}, {b.grad}]
>An Engine 4: XOR, by your engine: {"%.2f %.2f %.2f %.2f" % tuple(answers)}
>What Each Part 1: {" ".join("left out: %s last loss %s, accuracy %s" % (
part, loss if loss < 2 else "over 2", right)
for part, (loss, right) in means.items())}
>Why Layers 0:
broken by 0%, step 60: error {errors[0, 60]}, first weights {k[4]} to {k[3]}
broken by 0%, step 600: error {errors[0, 600]}, first weights {k[9]} to {k[8]}
broken by 1%, step 60: error {errors[0.01, 60]}, first weights {k[13]} to
{k[14]} broken by 1%, step 600: error {errors[0.01, 600]:.3f}, first weights
{weights.min():.2f} to {weights.max():.2f}
>What Mends 0: {" ".join("%s: loss %.3f after %d steps" % (
mend, ends[-1], len(ends)) for mend, ends in losses.items())}
>XOR, Trained 0: {" ".join("%d hidden units: %d of 200 find XOR; others: loss "
"%s" % row for row in zip((2, 4, 8), found[:2] + [right.sum()],
re.findall("loss (.*)", printed)))}
"""


def prints(part, cell, words):
    """Return a row: a cell prints these words and numbers."""
    def check(t):
        names = dict(t.names(part, cell), k=t.numbers(part, cell),
                     printed=t.printed(part, cell))
        wrong = differences(eval("f'''%s'''" % words, dict(
            names, **globals())), names["printed"])
        assert not wrong, wrong
        return True
    return part, always(check)


def ravines(t, figure, titles):
    """Check the panels of a figure; return their paths as they are drawn."""
    axes, paths = t.figures[figure].axes, t.names("Linking", 0)["paths"]
    for ax, (title, key) in zip(axes, titles.items()):
        path, cross = (line.get_xydata() for line in ax.lines)
        assert np.array_equal(path, torch.stack(paths[key])[:len(path)])
        assert [ax.get_title(), ax.get_xlabel(), axes[0].get_ylabel(),
                ax.lines[1].get_marker(), cross.any()] == [
                    title, "w1", "w2", "x", False]
        assert all(np.ptp(ring.vertices ** 2 @ STEEP) < 0.5
                   for rings in ax.collections for ring in rings.get_paths())
        yield path


def rates(t):
    slow, fast, wild = ravines(t, "07_learning_rates", {
        "learning rate %s" % rate: rate for rate in (0.005, 0.09, 0.105)})
    return slow[40, 0] < -5 and (fast[:9, 1] * fast[1:10, 1] < 0).all() \
        and abs(fast[40]).max() < 0.3 and len(wild) < 20 \
        and (np.diff(abs(wild[:, 1])) > 0).all()


def rules(t):
    sgd, momentum, adam = ravines(t, "07_trajectories", {
        rule: rule for rule in ("SGD", "Momentum", "Adam")})
    return (sgd[:-1, 1] * sgd[1:, 1] < 0).all() and (sgd[:, 0] < 0).all() \
        and abs(momentum[40]).max() < 1e-3 * abs(sgd[40]).max() \
        and np.ptp(abs(adam[1] - adam[0])) < 1e-6 \
        and adam[:, 0].max() > 1 > adam[40, 0]


def graph(t):
    """Check the values and slopes of the graph; return what arrows join."""
    n, spots = dict(t.names("Backward"), d_x="", d_loss=1.0), {}
    texts = t.figures["08_backpropagation"].axes[0].texts
    for value, slope in zip(texts[:18:2], texts[1:18:2]):
        name = spots[slope.get_position()] = value.get_text().split()[1]
        assert value.get_position()[1] > slope.get_position()[1]
        assert [value.get_text(), slope.get_text(), slope.get_style(),
                slope.get_va()] == ["%s\n%s" % (n[name], name), str(
                    n["d_" + name]), "italic", "top"]
    return {spots[arrow.xyann] + "-" + spots[arrow.xy]
            for arrow in texts[18:]}


def mends(t):
    ax, = t.figures["08_mends"].axes
    drawn = {line.get_label(): line.get_xydata() for line in ax.lines}
    return [line.get_label() for line in ax.lines if line.get_color() == "k"
            ] == ["no mend"] and all(
        np.array_equal(drawn.pop(mend), list(enumerate(losses)))
        for mend, losses in t.names("What Mends")["losses"].items()) \
        and (ax.get_xlabel(), ax.get_ylabel()) == ("steps taken", "loss")


def kept(rate, momentum=0.0, curvatures=STEEP):
    """Return what share of a distance each step keeps in the long run."""
    return max(abs(np.roots([1, rate * c - 1 - momentum, momentum])).max()
               for c in curvatures)


def moved(order):
    """Return how far a weight moves by steps in an order, such as "cbs"."""
    weight = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    for letter in 3 * order:
        {"c": optimizer.zero_grad, "s": optimizer.step,
         "b": lambda: weight.square().sum().backward()}[letter]()
    return 1 - weight.item()


def seconds(batches):
    return min(repeat(lambda: list(batches), number=1, repeat=3))


def shrinks(t):
    X = torch.randn(200, 16)
    layers = [nn.Linear(16, 16)(X)]
    for _ in range(20):
        layers.append(nn.Linear(16, 16)(torch.relu(layers[-1])))
    slopes = torch.autograd.grad(layers[-1].sum(), layers)
    return layers[-1].std(dim=0).mean() < 1e-3 * layers[0].std(
        dim=0).mean() and slopes[0].norm() < 1e-3 * slopes[-1].norm()


def rests(t):
    """Where do the networks rest that have not found XOR?"""
    n, printed = t.names("XOR, Trained"), t.printed("XOR, Trained")
    missed = (torch.sigmoid(n["logits"]) - n["targets"]).abs().sort(dim=0)[0]
    places = {"0.69": [0.5] * 4, "0.35": [0, 0, 0.5, 0.5],
              "0.48": [0, 1 / 3, 1 / 3, 2 / 3]}
    lasting = {"%.2f" % loss: np.allclose(
        errors.detach(), places["%.2f" % loss], atol=0.1) for loss, errors
        in zip(n["losses"], missed.T) if errors[-1] > 0.4}
    ends = [re.findall(r"0\.\d\d", line) for line in printed.splitlines()]
    return all(lasting.values()) and set(ends[2]) == set(lasting) and set(
        ends[0] + ends[1]) <= set(places)


SHOWN = [prints(part, int(cell), words) for part, cell, words in re.findall(
    r"(?ms)^>(.*?) (\d):\s(.*?)(?=\n>|\Z)", PRINTED)] + [
    ("Iterating", always(lambda t: sorted(re.findall(r"\d+", t.printed(
        "Iterating", 3))) == sorted("12" + 2 * "0123456789"))),
    ("Iterating", lambda t: all(
        cell.count("optimizer.zero_grad()") == cell.count("optimizer.step()")
        for cell in CELLS if re.search(r"for (epoch|step)(?s:.*)\.back", cell)
    )),
    ("What Each", always(lambda t: np.allclose(np.mean([t.names("What Each")[
        "left_out"]("eval()", k + t.shift) for k in range(3)], 0), t.names(
            "What Each")["means"]["eval()"])))]
SAID = [
    ("Cross-Entropy", "which can round to 0 and then has no logarithm",
     lambda t: torch.tensor([0.0, 200]).softmax(0).log()[0] == -np.inf),
    ("Cross-Entropy", "since 32 bits keep few decimals of a large number",
     lambda t: abs(torch.tensor(12345.678) - 12345 - 0.678) > 1e-4),
    ("Cross-Entropy", "near $\\log C$ for $C$ classes, if its inputs are not "
     "large", lambda t: [abs(F.cross_entropy(load("MLP")(20, [32], 9)(
         size * torch.randn(200, 20)), torch.arange(200) % 9) - np.log(9))
         < 0.2 for size in (1, 300)] == [True, False]),
    ("Cross-Entropy", "the loss can never come near zero, even where the "
     "network is as sure as can be, and right", lambda t: all(
         F.cross_entropy(torch.eye(n), torch.arange(n)) > 0.3
         for n in range(2, 20))),
    ("Binary", "in 32 bits $\\sigma(20)$ is exactly 1, so $\\log(1 - p)$ is "
     "minus infinity", lambda t: torch.log(
         1 - torch.sigmoid(torch.tensor(20.0))) == -np.inf),
    ("Binary", "cuts its logarithms off at -100. But at logit 20 the sigmoid "
     "is flat, and its slope, 0, wipes out whatever comes back.", lambda t: (
         F.binary_cross_entropy(torch.ones(1), torch.zeros(1)) == 100
         and gradient_of(torch.sigmoid, torch.tensor(20.0)) == 0)),
    ("Choosing the Right", "`logits > 0`, which is a probability above one "
     "half", lambda t: torch.equal(PULLS > 1e-6, torch.sigmoid(PULLS) > 0.5)),
    ("One Recipe", "A product of a thousand factors may round to 0; the "
     "logarithm turns it into a sum", lambda t: torch.prod(
         torch.full((1000,), 0.5)) == 0),
    ("Gradient Descent", "how fast the slope grows along each axis. Its "
     "lowest point is at zero.", lambda t: [gradient_of(load(
         "ravine"), k * torch.ones(2)).tolist() for k in (0, 1)] == [
             [0, 0], [1, 20]]),
    ("Gradient Descent", "the cross is the lowest point, and each dot is "
     "where a step landed. Left: steps so short that 40 do not arrive. "
     "Middle: it jumps across the steep direction at first, and settles. "
     "Right, its first steps only: each lands further out along w2.", rates),
    ("Stochastic", "four times the batch halves the noise", lambda t:
     np.allclose([2 ** k * PULLS[torch.randint(4096, (4000, 4 ** k))].mean(
         dim=1).std() for k in range(5)], PULLS.std(), rtol=0.1)),
    ("SGD with", "pushes that agree add up, and pushes to and fro cancel",
     lambda t: kept(0) and sum(0.9 ** k for k in range(99)) > 9.9 and sum(
         (-0.9) ** k for k in range(99)) < 1),
    ("Learning Rate", "is below **2 / curvature**, and the steepest direction "
     "decides: here 2 / 20", lambda t: kept(0.099) < 1 < kept(0.101)),
    ("Linking", "the rate that is best in the long run, $2 / (1 + 20)$, and "
     "momentum its best pair", lambda t: [min(
         (kept(rate / 200, mu / 10), rate / 200, mu / 10)
         for rate in range(1, 40) for mu in range(most))[1:]
         for most in (1, 10)] == [(0.095, 0), (0.13, 0.4)]),
    ("Linking", "SGD jumps across the ravine and creeps along it; momentum "
     "arrives much closer in as many steps. Adam begins with equal steps in "
     "both directions, overshoots and turns back.", rules),
    ("Adam, and", "For SGD without momentum that is the same as adding",
     lambda t: kept(0.01, 0, [0.5]) == 0.995 > kept(0.01, 0.9, [0.5]) + 0.03),
    ("Adam, and", "decay drowns in large slopes and swamps small ones",
     lambda t: t.numbers("Adam, and", 1)[0] > 0.9 > 0.1 > t.numbers(
         "Adam, and", 1)[1]),
    ("Backward", "Read the values above the names from left to right, and the "
     "slopes below them, in italics, from right to left. Each slope is the "
     "one at the tip of its arrow", lambda t: graph(t) == set(
         "x-total w1-total b1-total total-hidden hidden-output w2-output "
         "b2-output output-loss".split())),
    ("Backward", "In $w \\cdot w$ each factor alone gives the slope $w$, and "
     "together $2w$.", lambda t: [gradient_of(
         lambda w: w * (w if both else 3), torch.tensor(3.0)).item()
         for both in (False, True)] == [3, 2 * 3]),
    ("Iterating", "first or last, as long as it is not between `backward()` "
     "and `step()`", lambda t: moved("bcs") == 0 < moved("cbs") == moved(
         "bsc")),
    ("Iterating", "it is several times quicker to gather the rows of each "
     "batch in one go", lambda t: seconds(DataLoader(
         TensorDataset(PULLS), 50, shuffle=True)) > 3 * seconds(load(
             "TensorBatches")(PULLS, batch_size=50, shuffle=True))),
    ("What Each", "Without `step()` the loss stays. Without `zero_grad()` old "
     "gradients keep pushing, and the loss runs away, far more than the "
     "accuracy shows.", always(lambda t: [round(t.names("What Each")["means"][
         part][k], 1) for part, k in (("step()", 0), ("zero_grad()", 1))])),
    ("Why Layers", "in the long run the units part, and share the work",
     always(lambda t: t.names("Why Layers")["weights"].std() > 0.2)),
    ("What Mends", "each layer shrinks the differences between points, and "
     "the slopes on their way back, until hardly anything is left", shrinks),
    ("What Mends", "The black line stays at $\\log 2 = 0.693$, one half for "
     "every point", mends),
    ("XOR, Trained", "two corners are sure and two stay at one half; at 0.48 "
     "one is sure, and the others share an answer", always(rests)),
]
