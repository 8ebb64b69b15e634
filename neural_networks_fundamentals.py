# %% [markdown]
# # Neural Networks Fundamentals in PyTorch
#
# From one neuron, worked out on paper, to networks that you train, check, save
# and reload yourself. You need Python and school algebra; PyTorch is taught.
#
# It takes about 260 minutes with its nine exercises, in three evenings or so;
# the first one ends after Section 2. Parts headed "Deeper" may be skipped:
# nothing outside them builds on them. They take 80 more.
#
# The script prints its results and saves its pictures under `figures/`; the
# notebook shows them below each cell. A cell with a `def` or `class`, copied
# whole, works with the set-up's imports and what its docstring says it needs.
#
# Claims are checked as you go: `assert` stops the program unless what follows
# is true, `torch.testing.assert_close(a, b)` unless `a` and `b` agree to
# within rounding. Change a number and see which claim breaks.

# %% [markdown]
# ## Set-up
# Run the next cell and go on; you need not read it. It imports what the
# tutorial uses, picks the device to train on (an NVIDIA GPU, else an Apple
# GPU, else the CPU), gives PyTorch one thread, which is enough for small
# networks, and defines helpers that draw and print.

# %%
import base64
import builtins
import copy
import inspect
import io
import itertools
import math
import re
import signal
import sys
import tempfile
import textwrap
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn import datasets
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

ipython = sys.modules.get("IPython")
shell = ipython and ipython.get_ipython()
IN_NOTEBOOK = hasattr(shell, "kernel")  # else figures go to files
IS_PROGRAM = (  # not in a session or a thread of somebody else's
    __name__ == "__main__" and not shell and not hasattr(sys, "ps1")
    and not sys.flags.interactive
    and threading.current_thread() is threading.main_thread())
if IS_PROGRAM:
    matplotlib.use("Agg")  # draw to files, open no window
    signal.signal(signal.SIGINT, lambda *_: sys.exit(
        "\nInterrupted. To begin anew, run the script again."))

mps = getattr(torch.backends, "mps", None)  # younger than PyTorch 1.10
device = torch.device("cuda" if torch.cuda.is_available() else
                      "mps" if mps and mps.is_available() else "cpu")
ALL_THREADS = torch.get_num_threads()
torch.set_num_threads(1)
torch.manual_seed(0)
torch.set_printoptions(precision=4, sci_mode=False, linewidth=79)
plt.rcParams.update({  # "C0" to "C4" name the five colours of the cycle
    "axes.prop_cycle": plt.cycler(
        color=["#0072B2", "#D55E00", "#009E73", "#AA4499", "#000000"],
        linestyle=["-", "--", "-.", ":", "-"]),
    "axes.spines.top": False, "axes.spines.right": False, "axes.titley": 1,
    "figure.subplot.left": 0.1, "figure.subplot.right": 0.98,
    "figure.subplot.bottom": 0.15, "figure.subplot.top": 0.88,
    "figure.subplot.wspace": 0.25, "legend.frameon": False,
})

headings = []  # (line, title), for those who run the script
if not IN_NOTEBOOK and "__file__" in globals():
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    headings = [(number, line) for number, line in enumerate(lines)
                if re.match("# ###? ", line)]


def print(*values, **options):
    """Print, after the headings of the script that have gone by."""
    frame = inspect.currentframe()
    while frame.f_back and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    while headings and headings[0][0] < frame.f_lineno:
        marks, title = headings.pop(0)[1][2:].replace("`", "").split(" ", 1)
        if marks == "##":
            title = f"\n{title}\n{'=' * len(title)}"
        builtins.print(f"\n{title}\n" if marks == "##" else f"\n# {title}")
    builtins.print(*values, **options)


def show(fig, name):
    """Show a figure in a notebook; save figures/<name>.png in a script."""
    png = io.BytesIO()
    fig.savefig(png, format="png", dpi=100)
    titles = [ax.get_title() for ax in fig.axes if ax.get_title()]
    plt.close(fig)
    if IN_NOTEBOOK:
        from IPython.display import display
        display({"image/png": base64.b64encode(png.getvalue()).decode(),
                 "text/plain": "Figure: " + "; ".join(titles)}, raw=True)
        return
    path = Path("figures", f"{name}.png")
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(exist_ok=True)
        part.write_bytes(png.getvalue())
        part.replace(path)  # the figure is there whole or not at all
    except OSError as error:
        raise (SystemExit if IS_PROGRAM else OSError)(
            f"A figure cannot be saved here ({error.strerror}). "
            "Run the script from a folder that you can write to.") from None
    finally:
        if part.exists():
            part.unlink()
    print(f"[figure saved: figures/{name}.png]")


def scatter_classes(ax, points, labels, size=5):
    """Draw class 0 as circles and class 1 as triangles."""
    labels = torch.as_tensor(labels).flatten()
    for label, marker in [(0, "o"), (1, "^")]:
        chosen = points[labels == label]
        ax.plot(chosen[:, 0], chosen[:, 1], marker, color=f"C{label}",
                markersize=size, label=f"class {label}")


def draw_boundary(X, y, probability, title):
    """Draw the probability of class 1, a function of points."""
    fig, ax = plt.subplots(figsize=(3.6, 3.3))
    low, high = X.min().item() - 0.4, X.max().item() + 0.4
    x1, x2 = np.meshgrid(*[np.linspace(low, high, 80)] * 2)
    points = torch.tensor(np.stack([x1, x2], axis=-1), dtype=torch.float32)
    p = probability(points.reshape(-1, 2)).reshape(80, 80).numpy()
    ax.imshow(p, cmap="coolwarm", alpha=0.4, vmin=0, vmax=1, origin="lower",
              extent=(low, high, low, high))
    ax.contour(x1, x2, p, levels=[0.5], colors="black")
    scatter_classes(ax, X, y, size=2)
    ax.set(title=title, xlabel="feature 1", ylabel="feature 2")
    fig.subplots_adjust(left=0.18)
    return fig


def draw_ravine(paths, title="{}"):
    """Draw {name: points} on the ravine of Section 7, always to one scale."""
    w1, w2 = np.meshgrid(np.linspace(-10, 6, 80), np.linspace(-5, 5, 80))
    fig, axes = plt.subplots(1, len(paths), figsize=(9, 2.8), sharex=True,
                             sharey=True)
    for ax, (name, path) in zip(axes, paths.items()):
        ax.contour(w1, w2, 0.5 * (w1 ** 2 + 20 * w2 ** 2), colors="0.75",
                   levels=[1, 10, 40, 100, 180], linewidths=1)
        ax.plot(*torch.stack(path).T, marker="o", markersize=3, linewidth=1)
        ax.plot(0, 0, "x", color="C1", markersize=9)
        ax.set(title=title.format(name), xlabel="w1", xlim=(-10, 6),
               ylim=(-5, 5), aspect="equal")
    axes[0].set_ylabel("w2")
    return fig


print(f"Section 9 will train on this device: {device}")

# %% [markdown]
# ## First Look
# Here is where you are going: a whole program that trains a network to tell
# two half-moons of points apart. Run it, look at the numbers and the picture,
# and don't worry about the lines. After Section 8 you know what each is for.

# %%
X, y = datasets.make_moons(n_samples=300, noise=0.15, random_state=0)
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32).reshape(-1, 1)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 1))
loss_fn = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
for epoch in range(200):
    optimizer.zero_grad()
    loss = loss_fn(model(X), y)
    loss.backward()
    optimizer.step()
    if epoch in (0, 199):
        print(f"Round {epoch + 1}: wrong by {loss.item():.2f}")

# %%
show(draw_boundary(
    X, y, lambda points: torch.sigmoid(model(points)).detach(),
    "A first network"), "00_first_look")

# %% [markdown]
# The shade is the network's answer for each place: blue where it is sure of
# the circles, red of the triangles, and the black line where it is undecided.
# No straight line divides the moons so.
#
# **Two runs alike.** A network starts from random numbers. `manual_seed(0)`
# makes PyTorch draw the same ones in every run, and `random_state=0` does so
# for scikit-learn. With both, and the same versions on the same kind of
# device, two runs print the same.

# %% [markdown]
# ## 1. Introduction to Neural Networks
# What did that program compute? Take it apart down to its smallest piece.

# %% [markdown]
# ### What is a Neural Network?
# A **neural network** is a function with adjustable numbers inside. You show
# it examples, such as points and the moon they lie on, and a procedure adjusts
# the numbers until its outputs are close to what you want.

# %% [markdown]
# ### Biological Inspiration
# Its smallest part is named after the nerve cell, which fires when enough
# signals arrive together through connections of different strength. The
# likeness ends there: nobody has shown that brains learn as networks do.

# %% [markdown]
# ### Basic Components: Neurons, Weights, Biases, Layers
# Suppose you grade films: half a point for each good actor, a point off for
# each dull scene, and four points to start with. Two good actors and three
# dull scenes make $0.5 \cdot 2 - 1 \cdot 3 + 4 = 2$.
#
# That is a **neuron** (also called a node or a unit). It multiplies each input
# $x_i$ by a **weight** $w_i$, and adds the products and a **bias** $b$ to get
# the **weighted sum** $z$. It passes that through an **activation function**
# $f$, here one that turns negative sums into zero:
#
# $$z = w_1 x_1 + w_2 x_2 + b, \qquad \mathrm{output} = f(z)$$
#
# A weight says how much an input matters, and in which direction. The bias is
# what is left when all inputs are zero.
#
# In PyTorch the numbers live in **tensors**, arrays with a `shape` (how many
# entries along each dimension, `()` for a single number) and a `dtype` (mostly
# `float32`, a number with decimals in 32 bits). `item()` gives the number in a
# tensor of one entry. `nn.Linear` computes weighted sums. It starts with
# random weights, so the cell puts yours in. (Read `torch.no_grad()` as "set by
# hand" until Section 3. A name that ends in `_` changes a tensor in place.)

# %%
inputs, bias = torch.tensor([2.0, 3.0]), torch.tensor([4.0])
weights = torch.tensor([[0.5, -1.0]])  # one row for each output
z = inputs[0] * weights[0, 0] + inputs[1] * weights[0, 1] + bias
output = torch.clamp(z, min=0)  # the activation: no less than zero
print(f"One neuron: weighted sum {z.item()}, output {output.item()}")
neuron = nn.Linear(in_features=2, out_features=1)
with torch.no_grad():
    neuron.weight.copy_(weights)
    neuron.bias.copy_(bias)
torch.testing.assert_close(neuron(inputs), z)
print(f"nn.Linear computes the same weighted sum: {neuron(inputs).item()}")

# %% [markdown]
# A **layer** is several neurons that read the same inputs, like three critics
# who grade the same film. Give each neuron one row of a matrix $W$, a table of
# numbers. Data comes in **batches**: one sample per row, whose numbers are its
# **features**. One product computes the whole layer for the whole batch:
#
# $$Z = X W^T + b$$
#
# $W^T$, in code `W.T`, is $W$ with rows and columns swapped. `@` is the matrix
# product: its entry in row 1 and column 2 is row 1 of the left times column 2
# of the right, number by number, added up. `b` is added to every row. Find the
# 2 from above before you run the cell.

# %%
X = torch.tensor([[2.0, 3.0], [1.0, 0.0]])  # (2 samples, 2 features)
W = torch.tensor([[0.5, -1.0], [1.0, 1.0], [0.0, 2.0]])  # (3 neurons, 2)
b = torch.tensor([4.0, 0.0, -1.0])  # one bias per neuron
print("Shapes:", tuple(X.shape), "@", tuple(W.T.shape))
print(f"Weighted sums, a row per sample, a column per neuron:\n{X @ W.T + b}")

# %% [markdown]
# `nn.Linear(2, 3)` is such a layer. The commonest error is a shape that does
# not fit. Feed it three features.

# %%
try:
    nn.Linear(2, 3)(torch.ones(1, 3))
except RuntimeError as error:
    print("Three features into nn.Linear(2, 3) raise a RuntimeError:")
    print(error)
print("With nn.Linear(3, 3):", tuple(nn.Linear(3, 3)(torch.ones(1, 3)).shape))

# %% [markdown]
# In the message `1x3` is your data (`mat1`) and `2x3` the transposed weight
# (`mat2`). The inner two numbers, 3 and 2, must be equal: make `in_features`
# the number of columns in your data.
#
# Layers in a row make a network. The **input layer** is the data itself,
# **hidden layers** compute intermediate values, the **output layer** predicts.

# %%
torch.manual_seed(1)
fig, ax = plt.subplots(figsize=(8, 3.6))
columns = [np.arange(n) - (n - 1) / 2 for n in (3, 4, 4, 2)]
for x, (starts, ends) in enumerate(zip(columns, columns[1:])):
    for start, end in itertools.product(starts, ends):
        weight = torch.randn(()).item()
        ax.plot([x, x + 1], [start, end], "C0-" if weight > 0 else "C1--",
                linewidth=2 * abs(weight))
for x, name in enumerate(["input", "hidden 1", "hidden 2", "output"]):
    ax.plot(0 * columns[x] + x, columns[x], "o", markersize=22,
            color="white", markeredgecolor="black", zorder=2)
    ax.text(x, -2.3, f"{name}\n({len(columns[x])} units)", ha="center")
ax.set(title="A network with two hidden layers", ylim=(-2.4, 2))
ax.axis("off")
show(fig, "01_network")

# %% [markdown]
# Each circle is a unit and each line one weight: thick when it is large, solid
# blue when positive, dashed orange when negative. Data flows to the right.

# %% [markdown]
# ### Types of Neural Networks (Brief Overview)
# Networks differ in how the layers are connected. This tutorial builds the
# first kind; all are trained in the same way.
#
# | Network | Suited to | Idea | In `torch.nn` |
# |---|---|---|---|
# | Fully connected (MLP) | tables | a unit reads the layer before | `Linear` |
# | Convolutional | images | one small filter, all places | `Conv2d` |
# | Recurrent | sequences | a memory carried along | `RNN`, `LSTM` |
# | Transformer | text | each item weighs all others | `Transformer` |

# %% [markdown]
# ### Exercise 1
# Without running anything, find the three weighted sums that the layer above
# gives for the samples `[0, 0]` and `[1, 1]`. Then check with `X @ W.T + b`.

# %% [markdown]
# ## 2. The Perceptron: The Simplest Neural Network
# Section 1 chose its weights by hand. Can a neuron find its own?

# %% [markdown]
# ### Single-Layer Perceptron
# Think of a doorkeeper who learns whom to let in. When he was right he changes
# nothing, and when he was wrong he shifts his opinion towards the person
# misjudged. Frank Rosenblatt's **perceptron** learns like that. It is one
# neuron with a **step** activation, which answers 1 when the weighted sum is
# at least 0, and 0 otherwise. It looks at one example at a time, in **passes**
# over all of them:
#
# $$w \leftarrow w + (y - \hat{y})\,x, \qquad
# b \leftarrow b + (y - \hat{y})$$
#
# Here $\leftarrow$ means "becomes"; $w$ and $x$ are whole lists of numbers;
# $y$ is the **target**, the right answer, 0 or 1, and $\hat{y}$ the
# prediction. A missed 1 adds the example to the weights, which raises the sum
# for it; a false 1 subtracts it.
#
# Try AND, which is 1 when both inputs are 1, on paper. All weights start at 0.
# For (0, 0) the sum is 0, so the answer is 1, and wrong: $b$ becomes -1. For
# (0, 1) and (1, 0) the sum is -1 and the answer 0, which is right. For (1, 1)
# the answer is 0 too, and wrong: $w$ becomes (1, 1) and $b$ 0. That makes 2
# mistakes in the first pass.

# %%
class Perceptron:
    """One neuron with a step activation, taught by Rosenblatt's rule.

    Shapes: float32 tensors X (num_samples, in_features) and y (num_samples,)
    of 0s and 1s. Source: F. Rosenblatt, "Principles of Neurodynamics", 1962.
    """

    def __init__(self, in_features):
        self.weights = torch.zeros(in_features)
        self.bias = torch.zeros(())

    def predict(self, X):
        """Return 1.0 where the weighted sum is at least 0, else 0.0."""
        return (X @ self.weights + self.bias >= 0).float()

    def fit(self, X, y, max_passes=100):
        """Learn for max_passes, or until one is clean; return mistakes."""
        mistakes = []
        while len(mistakes) < max_passes and 0 not in mistakes:
            mistakes.append(0)
            for x, target in zip(X, y):
                error = target - self.predict(x)
                self.weights = self.weights + error * x
                self.bias = self.bias + error
                mistakes[-1] += int(error != 0)
        return mistakes

# %% [markdown]
# Now all of AND, and of OR, which is 1 when at least one input is. Look for
# your 2, and for the 0 that ends each list.

# %%
corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
for gate, y in [("AND", [0.0, 0.0, 0.0, 1.0]), ("OR", [0.0, 1.0, 1.0, 1.0])]:
    perceptron = Perceptron(in_features=2)
    mistakes = perceptron.fit(corners, torch.tensor(y))
    print(f"{gate}: mistakes in each pass {mistakes}, weights",
          f"{perceptron.weights.tolist()}, bias {perceptron.bias.item()}")

# %% [markdown]
# ### Linear Separability
# AND has four examples; now take a hundred, in two clouds that a straight line
# separates. (Which cloud a point belongs to, 0 or 1, is its **class**.) Data
# like that is called **linearly separable**, and for it the rule is sure to
# reach a pass without mistakes (Novikoff, 1962). Large numbers and a narrow
# gap make it slow, so scale large features down.

# %%
X, y = datasets.make_blobs(n_samples=100, centers=[[1.0, 2.0], [3.0, 3.0]],
                           cluster_std=0.3, random_state=46)
X, y = (torch.tensor(part, dtype=torch.float32) for part in (X, y))
early, perceptron = Perceptron(in_features=2), Perceptron(in_features=2)
early.fit(X, y, max_passes=1)
mistakes = perceptron.fit(X, y)
print("Two clouds: mistakes in each pass over the 100 points:", mistakes)
assert mistakes[-1] == 0, f"a line exists, so it must end: {mistakes}"

# %%
fig, ax = plt.subplots(figsize=(7, 3.8))
scatter_classes(ax, X, y)
x1 = torch.tensor([0.0, 5.0])
for neuron, label, style in [(early, "after pass 1", ":"),
                             (perceptron, "at the end", "-")]:
    w, b = neuron.weights, neuron.bias
    ax.plot(x1, -(w[0] * x1 + b) / w[1], color="black", linestyle=style,
            label=label)
ax.set(title="A perceptron finds a line between two clouds", xlim=(0, 5),
       xlabel="feature 1", ylabel="feature 2", ylim=(0, 6))
ax.legend(loc="upper right")
show(fig, "02_perceptron")

# %% [markdown]
# Each line is where the weighted sum is zero, $w_1 x_1 + w_2 x_2 + b = 0$: on
# one side the neuron answers 1, on the other 0. Each correction looks at one
# point only, and may make the line worse for others. Pass 1 counts its
# mistakes while the line moves; the dotted line is where it stops.
#
# Now the case that breaks it. **XOR** ("exclusive or") is 1 when exactly one
# of the two inputs is 1, like a lamp with two switches. How many mistakes will
# the rule make in its 100th pass?

# %%
xor = torch.tensor([0.0, 1.0, 1.0, 0.0])
mistakes = Perceptron(in_features=2).fit(corners, xor, max_passes=100)
print("XOR: mistakes", *mistakes[:9], "...", mistakes[-1])

# %% [markdown]
# More passes cannot help, because no line does it. Put each corner into
# $w_1 x_1 + w_2 x_2 + b$: the sum must be negative where XOR is 0, and not
# where it is 1. So (0, 0), (0, 1), (1, 0) and (1, 1) require, in this order,
#
# $$b < 0, \qquad w_2 + b \geq 0, \qquad w_1 + b \geq 0, \qquad
# w_1 + w_2 + b < 0.$$
#
# Add the second and the third: $w_1 + w_2 + 2b \geq 0$. So $w_1 + w_2 + b$ is
# at least $-b$, which is positive. The fourth says the opposite.

# %% [markdown]
# ### The Way Out, and What Is in the Way
# Two lines are two neurons, and a third can combine their answers. The first
# says "at least one input is 1" ($x_1 + x_2 - 0.5$, so 1 from 0.5 on), the
# second "both are" ($x_1 + x_2 - 1.5$), and the third "the first, but not the
# second" (first minus second minus 0.5). Follow one corner through on paper.

# %%
for weight in (1.0, 1.1, 1.2):
    total = weight * corners[:, 0] + corners[:, 1]
    at_least_one, both = (total >= 0.5).float(), (total >= 1.5).float()
    answers = (at_least_one - both >= 0.5).float()
    print(f"first weight {weight}: answers {answers.tolist()}")
    assert answers.tolist() == xor.tolist(), f"must be XOR: {answers}"

# %% [markdown]
# So two layers solve XOR. But who finds their weights? Look at the three
# lines: the first weights moved, and the answers did not. A step is flat on
# both sides: its **slope**, how fast the answer changes with the sum, is zero.
# So nothing says which way to move a weight in the first layer, nor whether a
# small move was for the better. Section 3 finds activations that have a slope.

# %% [markdown]
# ### Exercise 2
# NAND is AND with its answers swapped. Predict the signs of the two weights
# and of the bias, then run `Perceptron` on it.
#
# **Here the first evening ends.**

# %% [markdown]
# ## 3. Activation Functions
# Layers need something between them that has a slope.

# %% [markdown]
# ### Purpose: Introducing Non-linearity
# Is a second layer alone enough? If a shop adds 10 % to a price and the state
# 20 % to that, the two steps are worth one: times 1.32. It is the same with a
# **linear layer**, one that computes weighted sums and nothing else. Put one
# on top of another and multiply out, here with one number for each weight:
#
# $$w_2\,(w_1 x + b_1) + b_2 = (w_2 w_1)\,x + (w_2 b_1 + b_2)$$
#
# The right side is again one weight and one bias, and with matrices it is the
# same. Any number of linear layers is worth one, unless something
# **non-linear**, whose graph is not a straight line, stands between them. That
# is the purpose of an **activation function**.

# %%
first, second = nn.Linear(4, 8), nn.Linear(8, 2)
X = torch.randn(5, 4)  # random numbers around 0
W = second.weight @ first.weight
b = first.bias @ second.weight.T + second.bias
torch.testing.assert_close(second(first(X)), X @ W.T + b)
print(f"1.1 * 1.2 = {1.1 * 1.2:.2f}, and two layers equal one")

# %% [markdown]
# ### Walking Down a Slope
# In fog on the side of a valley you cannot see the bottom, but you feel the
# slope under your feet: step against it. Take the valley $w^2$, whose bottom
# is at 0, and start at $w = 5$. If $w$ grows by a little $h$, the valley grows
# by $(w + h)^2 - w^2 = 2wh + h^2$, which is $2w + h$ times as much. As $h$
# shrinks, that becomes the slope: $2w$, here 10. Subtract a tenth of it:
# $5 - 0.1 \cdot 10 = 4$. That is **gradient descent**, and the tenth is the
# **learning rate**.

# %%
w = 5.0
learning_rate = 0.1
for number in range(1, 5):
    slope = 2 * w
    w = w - learning_rate * slope
    print(f"step {number}: slope {slope:.3f}, so w becomes {w:.3f}")
assert abs(w - 5 * 0.8 ** 4) < 1e-12, f"each step must keep 0.8 of w: {w}"

# %%
fig, ax = plt.subplots(figsize=(7, 3.2))
valley, dots = torch.linspace(-1, 6, 100), 5 * 0.8 ** torch.arange(5)
ax.plot(valley, valley ** 2, color="0.6", label="height")
ax.plot(dots, dots ** 2, "o", label="steps")
ax.plot([4, 6], [15, 35], label="slope 10, at w = 5")
ax.set(title="Walking down a valley", xlabel="w", ylabel="height")
ax.legend()
show(fig, "03_walk")

# %% [markdown]
# The straight line touches the valley at 5 and has the slope there. Each step
# keeps 0.8 of $w$: the slope is $2w$, so $w - 0.1 \cdot 2w = 0.8\,w$. The
# steps shorten as the ground flattens. Learning is nothing else: the valley is
# how wrong a network is, and there is a slope for each weight. Where the slope
# is 0, as everywhere on a step, nothing moves.
#
# PyTorch finds slopes. Mark a tensor with `requires_grad=True`, compute a
# number from it, call `backward()` on the number, and read `.grad`. If the
# number depends on many others, each has its slope: how fast the number
# changes when only that one changes. Together these slopes are the
# **gradient**. The weights of an `nn.Linear` come marked, and PyTorch
# remembers what is computed from them. `with torch.no_grad():` makes it stop
# remembering, as you must before you change marked numbers in place, and
# `detach()` gives the same numbers unmarked.
#
# For the slopes of a function at many points, add its values up: in
# $a^2 + b^2 + c^2$ only the first term moves with $a$, so the sum's slope in
# $a$ is $2a$. The helper does that, on a copy, by `autograd.grad`.

# %%
def gradient_of(function, points):
    """Return the gradient of function(points).sum() at the points.

    Shapes: any floating-point tensor in, the same shape out. For a function
    that acts entry by entry, these are its slopes.
    """
    points = points.detach().clone().requires_grad_()
    return torch.autograd.grad(function(points).sum(), points)[0]

# %%
w = torch.tensor(5.0, requires_grad=True)
(w ** 2).backward()
print(f"Slope of w^2 at w = 5, by PyTorch: {w.grad.item()}")
slopes = gradient_of(torch.square, torch.tensor([-1.0, 2.0, 5.0]))
print("At -1, 2 and 5:", slopes.tolist())

# %% [markdown]
# ### Sigmoid
# Soften the step. A doorkeeper who is not sure says "probably", not "yes". The
# **sigmoid** squashes any sum into the range from 0 to 1. (The number $e$ is
# about 2.718, and $e^z$, the **exponential**, is positive for every $z$.)
#
# $$\sigma(z) = \frac{1}{1 + e^{-z}}$$
#
# Typed in as it stands, it has a flaw. At $z = -100$ the exponential is too
# large for a 32-bit number and becomes infinite. The value survives: one over
# infinity is zero. But watch the slope.

# %%
z = torch.tensor(-100.0, requires_grad=True)
value = 1 / (1 + torch.exp(-z))
value.backward()
print(f"Sigmoid at -100 as it stands: {value.item()}, slope {z.grad.item()}")

# %% [markdown]
# In a chain slopes multiply: if $u$ changes 2 times as fast as $z$, and $y$ 3
# times as fast as $u$, then $y$ changes $2 \cdot 3$ times as fast as $z$. Here
# the slopes are infinity and zero, and their product is NaN, "not a number",
# which turns every weight it touches into NaN. The cure never takes the
# exponential of a positive number: multiply the fraction above and below by
# $e^{z}$, and you get $e^{z} / (1 + e^{z})$, which is safe where the first
# form is not. `torch.where(c, a, b)` takes `a` where `c` is true, else `b`.

# %%
def sigmoid(z):
    """Return 1 / (1 + exp(-z)) for decimals z of any shape, stably."""
    positive = z >= 0
    small = torch.exp(torch.where(positive, -z, z))  # never above 1
    return torch.where(positive, 1 / (1 + small), small / (1 + small))

# %% [markdown]
# ### Tanh (Hyperbolic Tangent)
# **Tanh** squashes into the range from -1 to 1, centred on zero:
#
# $$\tanh(z) = \frac{e^{z} - e^{-z}}{e^{z} + e^{-z}}$$
#
# Multiply above and below by $e^{-z}$: you get $2 / (1 + e^{-2z}) - 1$, or
# $\tanh(z) = 2\,\sigma(2z) - 1$: a sigmoid, stretched, and as stable.

# %%
def tanh(z):
    """Return the hyperbolic tangent of each entry. Needs sigmoid.

    Any shape. In 32 bits off by up to 0.0000002, near zero too.
    """
    return 2 * sigmoid(2 * z) - 1

# %% [markdown]
# ### ReLU (Rectified Linear Unit) and its variants (Leaky ReLU, ELU)
# Sigmoid and tanh go flat far from 0, and slopes near zero teach little.
# **ReLU** is $\max(0, z)$: it keeps positive numbers and replaces the others
# by zero. It is cheap, and its slope is 1 wherever $z$ is positive. (At its
# corner, 0, PyTorch takes the slope as 0.)
#
# Two variants keep a slope for negative sums. **Leaky ReLU** is
# $\max(0.01 z, z)$. **ELU** bends smoothly towards $-\alpha$ ($\alpha$ is
# usually 1): it is $\alpha (e^{z} - 1)$ for negative $z$.

# %%
def relu(z):
    """Return max(0, z) for each entry of any shape; its slope at 0 is 0."""
    return torch.where(z <= 0, torch.zeros_like(z), z)

# %%
def leaky_relu(z, negative_slope=0.01):
    """Return z where z > 0, and negative_slope * z elsewhere; any shape.

    Source: A. Maas et al., "Rectifier nonlinearities improve neural
    network acoustic models", 2013.
    """
    return torch.where(z > 0, z, negative_slope * z)

# %% [markdown]
# What are the variants for? Here is a unit that should return its input and
# returns too much. Its **loss**, how wrong it is, is the mean of (output -
# target) squared. Take one step at a learning rate of 2, far too large, and
# see the slope after it.

# %%
X = torch.tensor([0.5, 1.0, 1.5])
for f in (relu, leaky_relu, nn.functional.elu):
    unit = torch.tensor([3.0, 1.0])  # weight and bias
    for step in range(2):
        slope = gradient_of(
            lambda unit: (f(unit[0] * X + unit[1]) - X).square().mean(), unit)
        print(f"{f.__name__:<10} weight {unit[0]:>5.1f}, slope {slope[0]:.2g}")
        unit = unit - 2.0 * slope

# %% [markdown]
# The step throws the weight (and the bias) so low that every sum is negative.
# With ReLU the slope is now zero for all samples, so gradient descent moves
# nothing any more: the unit is **dead**. Leaky ReLU's slope is negative, so
# steps against it slowly pull the unit back (to be thrown out again, at this
# rate). ELU's is next to nothing (the number behind `e-` says how far the
# point moves to the left): it helps only where sums are mildly negative. A far
# smaller rate would have kept the unit alive.

# %% [markdown]
# ### Softmax (for output layers in classification)
# Three candidates get scores, and you want the chance of each. **Softmax**
# turns a row of raw scores, called **logits**, into positive numbers that sum
# to 1. (The $\sum$ adds up over the whole row.)
#
# $$\mathrm{softmax}(z)_i = \frac{e^{z_i}}{\sum_j e^{z_j}}$$
#
# Large exponentials become infinite. But adding a number $c$ to every logit
# changes nothing: $e^{z + c} = e^{c} e^{z}$, and $e^{c}$ cancels above and
# below. So subtract the largest logit first, and no exponential exceeds 1.
# `dim` is the dimension to sum along: 1 when each row is a sample.

# %%
def softmax(logits, dim):
    """Turn logits into probabilities that sum to 1 along dimension dim.

    Shapes: any, with at least one entry along dim; the same shape out.
    """
    # keepdim=True: the maxima of (2, 3) logits are (2, 1), not (2,).
    exponentials = torch.exp(logits - logits.amax(dim=dim, keepdim=True))
    return exponentials / exponentials.sum(dim=dim, keepdim=True)

# %%
logits = torch.tensor([[1.0, 2.0, 3.0], [1001.0, 1002.0, 1003.0]])
exponentials = torch.exp(logits)
print("As the formula stands:", exponentials[1] / exponentials[1].sum())
print(f"Stable softmax:\n{softmax(logits, dim=1)}")
for dim in (1, 0):
    torch.testing.assert_close(softmax(100 * logits, dim),
                               torch.softmax(100 * logits, dim))
    print(f"dim={dim}: the rows sum to", softmax(logits, dim).sum(dim=1))

# %% [markdown]
# The second row adds a number to the logits of the first, and only the stable
# form survives it. The last line is the classic mistake: with `dim=0` the
# samples of a batch compete with each other, and no error says so.

# %% [markdown]
# ### Choosing an Activation Function
# | Where | Take | Why |
# |---|---|---|
# | hidden layers, to begin with | ReLU | cheap; slope 1 when active |
# | hidden layers, many dead units | Leaky ReLU | a slope below 0 too |
# | hidden layers, centred or bounded | tanh | outputs from -1 to 1 |
# | output layer | none | the loss applies what it needs (Section 6) |

# %% [markdown]
# ### PyTorch Implementation
# PyTorch has them all, as functions such as `torch.tanh` and as layers such as
# `nn.ReLU()`. Hold yours against its, values and slopes.

# %%
points = torch.cat([torch.arange(-200.0, 201.0), torch.randn(500)])
pairs = [(sigmoid, torch.sigmoid), (tanh, torch.tanh), (relu, nn.ReLU()),
         (leaky_relu, nn.LeakyReLU())]
for ours, theirs in pairs:
    mine, yours = ([f(points), gradient_of(f, points)] for f in (ours, theirs))
    torch.testing.assert_close(mine, yours, rtol=1e-5, atol=5e-7)
    print(f"{ours.__name__:<10} agrees; largest slope {mine[1].max():.2f}")

# %%
fig, axes = plt.subplots(2, 3, figsize=(9, 5), sharex=True, sharey=True)
z = torch.linspace(-4, 4, 401)
functions = [ours for ours, _ in pairs] + [nn.functional.elu]
for ax, function in zip(axes.flat, functions):
    ax.plot(z, function(z), label="function")
    ax.plot(z, gradient_of(function, z), label="slope")
    ax.set(title=function.__name__, ylim=(-1.2, 2.2), xticks=[-4, 0, 4])
axes[1, 2].axis("off")
fig.legend(*axes[0, 0].get_legend_handles_labels(), loc=(0.75, 0.25))
fig.supxlabel("z")
fig.subplots_adjust(left=0.06, bottom=0.12, hspace=0.3)
show(fig, "03_activations")

# %% [markdown]
# Where a dashed line is near zero, a unit passes on almost no slope: sigmoid
# and tanh on both sides, ReLU and ELU on the left, where Leaky ReLU's is too
# small to see.

# %% [markdown]
# ### Deeper: Initial Weights and Depth
# In a network the slope comes back to the first layer through all the others,
# and each multiplies it, by weights *and* by slopes of activations. What do
# fifty factors of 0.5 make, of 1, of 2?
#
# Which weights make a layer's factor 1? Let the size of some numbers be the
# root of their mean square, and square $w_1 x_1 + \dots + w_n x_n$. With
# random weights of both signs, mixed terms such as $2 w_1 x_1 w_2 x_2$ cancel
# on average, and $n$ terms $w_i^2 x_i^2$ stay. So weights of size $s$ multiply
# sizes by $\sqrt{n s^2}$, and ReLU, which sets half of the sums to 0, by
# $1 / \sqrt{2}$. That makes 1 for **Kaiming weights** (after Kaiming He):
# $s = \mathrm{gain} / \sqrt{n}$, with a gain of $\sqrt{2}$. The same holds
# going back, between layers of one width. `nn.Linear` draws evenly from
# $-1 / \sqrt{n}$ to $1 / \sqrt{n}$, a gain of $1 / \sqrt{3}$. Which gradients
# vanish?

# %%
print(f"Fifty factors of 0.5, 1 and 2: {0.5 ** 50:.0e}, 1, {2.0 ** 50:.0e}")
sizes = {}
for name, activation, gain in [
        ("ReLU 2.83", relu, 8 ** 0.5), ("ReLU 1.41", relu, 2 ** 0.5),
        ("sigmoid 11", sigmoid, 11.0), ("ReLU 0.71", relu, 0.5 ** 0.5),
        ("ReLU, nn.Linear's", relu, None), ("sigmoid 1", sigmoid, 1.0)]:
    torch.manual_seed(17)
    hidden, all_sums = torch.randn(64, 64), []
    for _ in range(50):
        layer = nn.Linear(64, 64)
        if gain is not None:
            nn.init.normal_(layer.weight, std=gain / 64 ** 0.5)
        all_sums.append(layer(hidden))
        hidden = activation(all_sums[-1])
    gradients = torch.autograd.grad(hidden.sum(), all_sums)
    means = [gradient.abs().mean().item() for gradient in gradients]
    sizes[name] = [mean / means[-1] for mean in means]
    factor = sizes[name][0] ** (1 / 49)  # from layer 50 back to layer 1
    print(f"{name:<17} factor {factor:.2f}, in all {sizes[name][0]:.0e}")
    wanted = 1 if activation is sigmoid else (gain or 3 ** -0.5) / 2 ** 0.5
    assert name == "sigmoid 1" or 0.9 < factor / wanted < 1.1, (
        f"{name}: the factor must be near {wanted}, not {factor}")

# %%
fig, ax = plt.subplots(figsize=(9, 3.4), gridspec_kw={"right": 0.77})
styles = iter(["C0-", "C1--", "k--", "C2-.", "C3:", "k-"])
for name, values in sizes.items():
    ax.semilogy(range(1, 51), values, next(styles), label=name)
ax.set(title="Gradients through 50 layers", xlabel="layer", ylabel="last = 1")
ax.yaxis.set_major_formatter("{x:.0e}")
ax.legend(title="activation, gain", bbox_to_anchor=(1, 0.8))
show(fig, "03_initial_weights")

# %% [markdown]
# Read from right to left; equal distances are equal factors. Too small weights
# make the gradient **vanish**, and early layers hardly learn; too large ones
# make it **explode**. Those of `nn.Linear` suit a few layers. A sigmoid, whose
# slope is at most a quarter, needs far more than gain 1 (here 11).

# %% [markdown]
# ### Exercise 3
# The slope of $e^{-z}$ is $-e^{-z}$, and the slope of $1 / u$, where $u$
# depends on $z$, is minus the slope of $u$, divided by $u^2$. From these, show
# on paper that the slope of the sigmoid is $\sigma(z)(1 - \sigma(z))$. Then
# check it against PyTorch at five points.

# %% [markdown]
# ## 4. Multi-Layer Perceptrons (MLPs)
# What can layers do that one neuron could not?

# %% [markdown]
# ### Architecture: Input, Hidden, and Output Layers
# A **multi-layer perceptron** is a chain of linear layers, with an activation
# after each but the last. Every unit reads every unit of the layer before, so
# the layers are called **fully connected**. A hidden layer's values are what
# the network makes of its input.
#
# Take XOR, which stopped the perceptron. Two hidden ReLU units and one output
# unit solve it, with weights small enough to check on paper:
#
# $$u_1 = \max(0,\; x_1 + x_2), \qquad u_2 = \max(0,\; x_1 + x_2 - 1),
# \qquad \mathrm{output} = u_1 - 2 u_2$$
#
# What comes out for inputs (1, 1)? Work it out first.

# %%
corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
W1, b1 = torch.tensor([[1.0, 1.0], [1.0, 1.0]]), torch.tensor([0.0, -1.0])
W2, b2 = torch.tensor([[1.0, -2.0]]), torch.tensor([0.0])
hidden = torch.relu(corners @ W1.T + b1)
output = (hidden @ W2.T + b2).flatten()
for x, h, value in zip(corners, hidden, output):
    print(f"inputs {x.tolist()} -> hidden {h.tolist()} -> output {value:.0f}")
assert output.tolist() == [0, 1, 1, 0], f"must be XOR: {output}"

# %% [markdown]
# ### The Power of Hidden Layers: Universal Approximation Theorem (Concept)
# What did the hidden layer do? It moved the points.

# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 3.8), sharey=True)
names = [["(0, 0)", "(0, 1)", "(1, 0)", "(1, 1)"],
         ["(0, 0)", "(0, 1)\nand (1, 0)", "", "(1, 1)"]]
for ax, places, labels in zip(axes, [corners, hidden], names):
    scatter_classes(ax, places, torch.tensor([0, 1, 1, 0]), size=10)
    for place, label in zip(places.tolist(), labels):
        ax.text(place[0] + 0.08, place[1] + 0.06, label)
    ax.set(xlim=(-0.3, 2.6), ylim=(-0.3, 1.4), xticks=[0, 1, 2], yticks=[0, 1])
axes[0].set(title="Inputs: no line separates them", xlabel="input 1",
            ylabel="input 2")
axes[1].set(title="Hidden units: one line does", xlabel="hidden unit 1",
            ylabel="hidden unit 2")
x1 = torch.tensor([0.0, 2.6])
axes[1].plot(x1, (x1 - 0.5) / 2, "k--")
show(fig, "04_xor")

# %% [markdown]
# On the left are the four corners; on the right the same four, at
# $(u_1, u_2)$, where the output unit sees them, labelled by their inputs. The
# two triangles now share one place, and one line, $u_1 - 2 u_2 = 0.5$,
# separates them from the circles.
#
# Hidden units can bend a line. How far? Each ReLU unit $\max(0,\; x - t)$ is
# flat up to its **knot** $t$ and rises after it, so adding a multiple of it
# changes the slope from $t$ on, and nothing to the left. Give each unit the
# *change* of slope needed at its knot, and the sum (plus a bias, where the
# curve does not start at 0) joins the points of a curve by straight lines.
# Through (0, 0), (1, 1) and (2, 0), for example, it is
# $\max(0, x) - 2 \max(0, x - 1)$: the XOR network, with $x = x_1 + x_2$. The
# next cell does this for $\sin x$, with six units, knots at 0 to 5.

# %%
knots = torch.linspace(0, 6, 7)
slopes = torch.sin(knots).diff()  # entry minus the one before; 1 apart
changes = torch.cat([slopes[:1], slopes.diff()])  # one for each unit
x = torch.linspace(0, 9, 361).reshape(-1, 1)
pieces = torch.relu(x - knots[:-1]) * changes  # 361 rows, a column a unit
errors = (pieces.sum(dim=1, keepdim=True) - torch.sin(x)).abs()
print(f"Six units: worst error {errors[x <= 6].max():.2f} up to x = 6,",
      f"{errors.max():.2f} up to x = 9")

# %%
fig, ax = plt.subplots(figsize=(7, 3.8))
ax.plot(x, torch.sin(x), color="0.7", linewidth=6, label="target sin x")
ax.plot(x, pieces, color="C0", linestyle="-", linewidth=0.8)
ax.plot(x, pieces.sum(dim=1), color="C1", linestyle="--",
        label="sum of the pieces")
ax.set(title="Six ReLU pieces follow a curve", xlabel="x", ylim=(-4, 4))
ax.legend(loc="lower left")
show(fig, "04_universal")

# %% [markdown]
# The wide grey line is the target, each thin blue line is what one unit adds,
# and the dashed line is their sum: straight between the knots, and on the
# curve at each. Past 6 it goes straight on, and the sine turns back.
#
# The **universal approximation theorem** says it in general. Take any
# continuous target (one without jumps) on a closed and bounded domain, such as
# $0 \leq x \leq 6$, and any wanted accuracy. Some network with one hidden
# layer reaches it (Cybenko; Hornik and others, both 1989, for sigmoids; Leshno
# and others, 1993, for ReLU).
#
# It does not say how many units you need, nor that training will find the
# weights. And outside the domain it promises nothing: trust a network at most
# inside the range of its data.

# %% [markdown]
# ### Forward Propagation in an MLP
# Computing the output, layer by layer, is **forward propagation**:
#
# $$H_1 = f(X W_1^T + b_1), \qquad H_2 = f(H_1 W_2^T + b_2), \qquad
# \mathrm{output} = H_2 W_3^T + b_3$$
#
# `nn.Sequential` chains layers so. The weights and biases are its
# **parameters**, which training finds. The number of layers and their sizes
# are **hyperparameters**, which you choose: begin with 1 or 2 hidden layers of
# 16 to 128 units, and grow while it helps on new data. Follow the shapes: the
# rows, one per sample, stay; the columns become each layer's units.

# %%
torch.manual_seed(4)
network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(),
                        nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
W1, b1, W2, b2, W3, b3 = network.parameters()
X = torch.randn(5, 3)  # 5 samples, 3 features
h1 = torch.relu(X @ W1.T + b1)
h2 = torch.relu(h1 @ W2.T + b2)
output = h2 @ W3.T + b3
print("Shapes:", *[tuple(part.shape) for part in (X, h1, h2, output)])
torch.testing.assert_close(network(X), output)

# %% [markdown]
# ### Deeper: What Depth Buys
# Fold a strip of paper in the middle, and again: it gets twice as thick each
# time. Two ReLU units can fold, too: $2 \max(0, x) - 4 \max(0, x - 0.5)$ rises
# from 0 to 1 and falls back, so the right half comes to lie on the left. Put
# 0.2 in, and what comes out in again: where is it after three folds?
#
# Folds in a row are an MLP with two units in each hidden layer, since the
# linear layers between them are worth one. A fold bends each straight piece in
# its middle. In one layer, a unit adds one knot. So how many pieces do ten
# units make, five layers deep and in one layer? (Slopes along a chain
# multiply, and a piece ends where the slope changes.)

# %%
def fold(x):
    """Map 0 to 1 onto itself, twice: up to 1 and back. Needs relu."""
    return 2 * relu(x) - 4 * relu(x - 0.5)

# %%
print(f"0.2 folded three times: {fold(fold(fold(torch.tensor(0.2)))):.1f}")
x = (torch.arange(1024.0) + 0.5) / 1024  # beside the knots
values, slope = [x], torch.ones(1024)
for folds in range(1, 6):
    slope = slope * gradient_of(fold, values[-1])
    values.append(fold(values[-1]))
    units = 2 * folds
    knots = torch.arange(1.0, units + 1) / (units + 1)
    changes = torch.tensor([1.0] + [-2.0, 2.0] * folds)[:units]  # a zigzag
    slope_wide = gradient_of(
        lambda x: relu(x.reshape(-1, 1) - knots) @ changes, x)
    pieces = [1 + (slopes.diff() != 0).sum().item()
              for slopes in (slope, slope_wide)]
    print(f"{units:>2} units: {pieces[0]:>2} pieces {folds} deep,",
          f"{pieces[1]:>2} in one layer")
    assert pieces == [2 ** folds, units + 1], f"deep 2^n, wide 2n+1: {pieces}"

# %%
fig, axes = plt.subplots(1, 4, figsize=(9, 2.4), sharex=True, sharey=True)
for ax, folds in zip(axes, (1, 2, 5)):
    ax.plot(x, values[folds])
    ax.set(title=f"{2 * folds} units, {folds} deep", xlabel="x")
axes[3].plot(x, 11 * relu(x.reshape(-1, 1) - knots) @ changes)
axes[3].set(title="10 units, one layer", xlabel="x")
fig.subplots_adjust(left=0.05, bottom=0.2)
show(fig, "04_folds")

# %% [markdown]
# Both have equally many weights and biases, yet with ten units depth makes far
# more pieces from 0 to 1. That is all it proves: the pieces are copies of each
# other, while one layer bends where you like. And that a network *can* fold
# does not mean that training finds the weights.

# %% [markdown]
# ### Exercise 4
# Replace ReLU by the identity in the XOR network above (leave `torch.relu`
# out) and predict the four outputs on paper first. Why can't it be XOR?

# %% [markdown]
# ## 5. Defining a Neural Network in PyTorch (`nn.Module`)
# A training program must find each matrix, move it to a GPU, save and load it.

# %% [markdown]
# ### The `nn.Module` Class
# `nn.Module` does that, like a librarian who knows every book that stands on a
# shelf. To define a network, write a class that inherits from it. In
# `__init__`, call `super().__init__()` and assign the layers to attributes:
# those are the shelves. In `forward`, say how the input flows.

# %% [markdown]
# ### Defining Layers (`nn.Linear`, etc.)
# Layers are modules themselves, and each holds its parameters: an `nn.Linear`
# its weight and its bias, an `nn.ReLU` none. Assign the same two layers in two
# ways. Which of them does the librarian miss?

# %%
module = nn.Module()
layers = [nn.Linear(4, 4), nn.Linear(4, 2)]
for shelf in (layers, nn.ModuleList(layers)):
    module.layers = shelf
    count = sum(p.numel() for p in module.parameters())  # numel: entries
    print(f"{type(shelf).__name__}: {count} numbers to train")

# %% [markdown]
# A plain list is not a shelf: its layers are not found, not trained, not saved
# and not moved. The cure is `nn.ModuleList`, or `nn.Sequential`.

# %% [markdown]
# ### Implementing the `forward` method
# `forward` takes a batch and returns the output. You never call it yourself:
# call the module, `model(x)`, which runs `forward` and anything attached.

# %%
class SimpleMLP(nn.Module):
    """A network with one hidden ReLU layer, for classification.

    Shapes: (batch_size, input_size) in, logits (batch_size, num_classes) out.
    """

    def __init__(self, input_size, hidden_size, num_classes):
        super().__init__()
        self.fc1 = nn.Linear(input_size, hidden_size)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(hidden_size, num_classes)

    def forward(self, x):
        return self.fc2(self.relu(self.fc1(x)))

# %% [markdown]
# ### Example: A Simple MLP for Classification
# Build one for images of 28 by 28 pixels in ten classes; random numbers stand
# in for the images. An image enters as a flat row of 784 numbers (three times
# as many in colour). How many numbers will training adjust?

# %%
torch.manual_seed(5)
model = SimpleMLP(input_size=28 * 28, hidden_size=128, num_classes=10)
images = torch.rand(32, 28, 28).flatten(start_dim=1)  # keep 32, join the rest
print("32 images give logits of shape", tuple(model(images).shape))
for name, parameter in model.named_parameters():
    print(f"{name} {tuple(parameter.shape)}: {parameter.numel()} numbers")
total = sum(parameter.numel() for parameter in model.parameters())
print("In all:", total)

# %% [markdown]
# A module's **`state_dict`** maps these names to the numbers. It is what you
# save, and `load_state_dict` puts one into another model.
#
# From here on the tutorial uses a general version: any number of hidden
# layers, any activation, and dropout, which the next part explains. It adds
# one layer after another to an `nn.Sequential`, each under a name. Skim the
# check before it, as all cells that begin with `def check_`.

# %%
def check_layers(in_features, hidden_sizes, out_features, activation):
    """Return the sizes of all layers, or raise an error.

    That is ValueError for a size that is not a whole number above 0, and
    TypeError for an activation that does not return a layer when called.
    """
    if np.ndim(hidden_sizes) == 0:
        hidden_sizes = [hidden_sizes]
    sizes = [in_features, *hidden_sizes, out_features]
    if not all(isinstance(size, (int, np.integer)) and size > 0
               for size in sizes):
        raise ValueError(f"sizes must be whole numbers above 0: {sizes}")
    try:
        made = activation()
    except TypeError as error:  # a function of numbers, a layer, a word
        made = error
    if not isinstance(made, nn.Module):
        raise TypeError("activation must make a layer when called (nn.ReLU, "
                        f"not nn.ReLU()); {activation!r} made {made!r}")
    return sizes

# %%
class MLP(nn.Module):
    """A multi-layer perceptron with any number of hidden layers.

    Needs check_layers. hidden_sizes is a sequence such as [64, 32] (empty, it
    leaves one linear layer) or one number; activation a class such as nn.ReLU
    or anything else that returns a new layer when called; dropout the
    probability of dropping a hidden unit, from 0 up to 1. Shapes: (batch_size,
    in_features) in, (batch_size, out_features) out, without an activation at
    the end. Raises what check_layers and nn.Dropout, if there is one, raise.
    >>> MLP(2, [64, 32], 3)(torch.zeros(5, 2)).shape
    torch.Size([5, 3])
    """

    def __init__(self, in_features, hidden_sizes, out_features,
                 activation=nn.ReLU, dropout=0.0):
        super().__init__()
        sizes = check_layers(in_features, hidden_sizes, out_features,
                             activation)
        self.layers = nn.Sequential()
        for n, (size_in, size_out) in enumerate(zip(sizes, sizes[1:-1]), 1):
            self.layers.add_module(f"linear{n}", nn.Linear(size_in, size_out))
            self.layers.add_module(f"activation{n}", activation())
            if dropout != 0:
                self.layers.add_module(f"dropout{n}", nn.Dropout(dropout))
        self.layers.add_module("output", nn.Linear(sizes[-2], sizes[-1]))

    def forward(self, x):
        return self.layers(x)

# %% [markdown]
# ### Two Modes: `train()` and `eval()`
# A team in which anyone may be ill tomorrow learns not to lean on one member.
# **Dropout** does that to hidden units: while training it sets each to zero
# with probability $p$, and scales the rest by $1 / (1 - p)$ to keep the
# average. In use it must do nothing. So a module has two modes, `train()` and
# `eval()`, which reach all layers inside it.

# %%
model, point = MLP(2, [16], 1, dropout=0.5), torch.tensor([[1.0, -1.0]])
model.train()
print("train():", *[f"{model(point).item():.4f}" for _ in range(4)])
model.eval()
print("eval(): ", *[f"{model(point).item():.4f}" for _ in range(4)])

# %% [markdown]
# The classic mistake is to forget `eval()` before using a network. `eval()`
# and `no_grad()` do different things, and neither does the other's: the first
# changes what layers compute, the second stops the memory for slopes.
#
# **How to choose.** For layers one after another write `nn.Sequential`, for
# anything else a class with `forward`: branches, conditions.

# %% [markdown]
# ### Exercise 5
# Count the parameters of `MLP(10, [20, 30], 5)` on paper; check with `numel`.

# %% [markdown]
# ## 6. Loss Functions: Measuring Model Error
# How wrong is a network?

# %% [markdown]
# ### Purpose of Loss Functions
# Gradient descent needs one number that says how wrong the outputs are, and
# that falls smoothly as they get better: the **loss**. Counting mistakes won't
# do: the count has steps, which have no slope. A quantity (**regression**) and
# a class (**classification**) need different losses.

# %% [markdown]
# ### Mean Squared Error (MSE) (`nn.MSELoss`): For Regression
# You guess three prices: too low by 1, right, and too high by 2. Square the
# errors and average: $(1 + 0 + 4) / 3$. With predictions $\hat{y}_i$ and
# targets $y_i$, over $N$ entries:
#
# $$\mathrm{MSE} = \frac{1}{N} \sum_i (\hat{y}_i - y_i)^2$$
#
# Its slope in one prediction is $2(\hat{y}_i - y_i)/N$: the further off, the
# stronger the pull. Write the slopes down before you run the cell.

# %%
predictions = torch.tensor([2.0, 5.0, 4.0], requires_grad=True)
targets = torch.tensor([3.0, 5.0, 2.0])
loss = nn.MSELoss()(predictions, targets)
loss.backward()
print(f"MSE {loss:.4f}, slopes {predictions.grad}")
torch.testing.assert_close(predictions.grad, torch.tensor([-2, 0, 4]) / 3)

# %% [markdown]
# The classic mistake is a shape. Predictions of shape (8, 1) minus targets of
# shape (8,) do not subtract pairwise: each prediction meets every target, 64
# pairs, which is called **broadcasting**. Below, the predictions are perfect.
# (`nn.MSELoss` warns of it, and computes the wrong loss all the same.) The
# cure is one shape for both: `reshape(-1, 1)` makes a column, with as many
# rows (-1) as it takes.

# %%
targets = torch.arange(8.0)
predictions = targets.reshape(-1, 1)  # perfect, as a column
for cure in (targets, targets.reshape(-1, 1)):
    errors = predictions - cure
    loss = errors.square().mean().item()
    print(f"Targets of shape {tuple(cure.shape)}: {errors.numel()} pairs,",
          f"MSE of perfect predictions {loss}")
assert loss == 0, f"perfect predictions of one shape must cost nothing: {loss}"

# %% [markdown]
# ### Cross-Entropy Loss (`nn.CrossEntropyLoss`): For Multi-class Classification
# A forecaster who gave rain a high probability deserves praise if it rains,
# and blame if not, the more the surer he was. Take the probability $p$ that
# the network gave to what happened, and let the loss be $-\log p$ (the natural
# logarithm undoes $e^x$): 0 for a sure and right answer, and growing without
# limit towards $p = 0$. The **cross-entropy** is its mean over samples, where
# $p_{i, y_i}$ is the softmax probability of sample $i$'s right class:
#
# $$-\frac{1}{N} \sum_i \log p_{i, y_i}$$
#
# Never form the softmax itself, which can round to 0 and then has no
# logarithm: for class $k$, $\log p_k = z_k - \log \sum_j e^{z_j}$, and
# `torch.logsumexp` gives the last term without overflow. The code subtracts
# the largest logit first, since 32 bits keep few decimals of a large number.

# %%
def cross_entropy(logits, targets):
    """Return the mean of -log(softmax probability of the right class).

    Shapes: logits (batch_size, num_classes), floating point; targets
    (batch_size,), int64 from 0 to num_classes - 1. Returns one number.
    """
    shifted = logits - logits.amax(dim=1, keepdim=True)
    log_probabilities = shifted - shifted.logsumexp(dim=1, keepdim=True)
    # From row i, take the entry of its right class, targets[i].
    return -log_probabilities[range(len(targets)), targets].mean()

# %% [markdown]
# PyTorch's loss takes the logits too. With equal logits each of three classes
# has probability one third, and the loss is $\log 3$: a new classifier starts
# near $\log C$ for $C$ classes, if its inputs are not large.
#
# Two mistakes are classic. One is a softmax too many: `nn.CrossEntropyLoss`
# applies its own, and takes the output of yours for logits. No error says so,
# but the loss can never come near zero, even where the network is as sure as
# can be, and right. The other is class numbers stored as decimals. Read its
# message once, on purpose: Long is PyTorch's word for int64, whole numbers in
# 64 bits, and the cure is `.long()`.

# %%
loss = cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1]))
print(f"Knowing nothing of 3 classes: {loss:.4f}; log 3 = {math.log(3):.4f}")
logits = torch.tensor([[0.5, -1, 2], [12345.678, 12345, 0], [-1000, 0, 1000]])
targets = torch.tensor([0, 0, 2])
torch.testing.assert_close(cross_entropy(logits, targets),
                           nn.CrossEntropyLoss()(logits, targets))
sure, target = torch.tensor([[100.0, 0.0, 0.0]]), torch.tensor([0])
right = nn.CrossEntropyLoss()(sure, target).item()
twice = nn.CrossEntropyLoss()(torch.softmax(sure, dim=1), target).item()
print(f"Sure and right: {right:.4f}; with one softmax too many {twice:.4f}")
try:
    nn.CrossEntropyLoss()(sure, target.float())
except RuntimeError as error:
    print(f"Class numbers as floats raise a RuntimeError:\n{error}")
loss = nn.CrossEntropyLoss()(sure, target.float().long())

# %% [markdown]
# ### Binary Cross-Entropy Loss (`nn.BCELoss`, `nn.BCEWithLogitsLoss`): For Binary Classification
# With two classes, one logit is enough: $p = \sigma(z)$ is the probability of
# class 1. The **binary cross-entropy** for a target $y$ of 0 or 1 is
#
# $$-\bigl(y \log p + (1 - y) \log(1 - p)\bigr).$$
#
# `nn.BCELoss` takes $p$. But probabilities lose information: in 32 bits
# $\sigma(20)$ is exactly 1, so $\log(1 - p)$ is minus infinity. Work with the
# logit instead: $-\log p$ is $\log(1 + e^{-z})$ and, as $1 - p = \sigma(-z)$,
# $-\log(1 - p)$ is $\log(1 + e^{z})$. `torch.logaddexp(a, b)` is
# $\log(e^{a} + e^{b})$ without overflow; with zeros for `a`, $e^{a}$ is 1.

# %%
def binary_cross_entropy_with_logits(logits, targets):
    """Return the mean binary cross-entropy of sigmoid(logits), one number.

    Shapes: two floating-point tensors of one shape, the targets from 0 to 1.
    """
    zeros = torch.zeros_like(logits)
    losses = (targets * torch.logaddexp(zeros, -logits)
              + (1 - targets) * torch.logaddexp(zeros, logits))
    return losses.mean()

# %% [markdown]
# Now a bad mistake: logit 20, "class 1, no doubt", where the target is 0.
# Which of the two losses can learn from it?

# %%
z, y = torch.tensor([20.0]), torch.zeros(1)
slopes = [gradient_of(loss_of, z).item() for loss_of in (
    lambda z: nn.BCELoss()(torch.sigmoid(z), y),
    lambda z: nn.BCEWithLogitsLoss()(z, y),
    lambda z: binary_cross_entropy_with_logits(z, y))]
print("Slopes of BCELoss, BCEWithLogitsLoss and ours:", slopes)
z, y = torch.tensor([-9.0, -1.0, 0.5]), torch.tensor([0.0, 1.0, 0.2])
p, ours = torch.sigmoid(z), binary_cross_entropy_with_logits(z, y)
for loss in (-(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean(),
             nn.BCELoss()(p, y), nn.BCEWithLogitsLoss()(z, y)):
    torch.testing.assert_close(ours, loss)

# %% [markdown]
# `BCELoss` cuts its logarithms off at -100. But at logit 20 the sigmoid is
# flat: its slope is 0, and so is the chain's. With the logit the slope is
# $\sigma(z) - y$ for one sample, the error itself. So take
# `nn.BCEWithLogitsLoss`.

# %% [markdown]
# ### Choosing the Right Loss Function
# | Task ($N$ samples, $C$ classes) | Network ends in | Targets | Loss |
# |---|---|---|---|
# | a quantity | 1 number | float, (N, 1) | `nn.MSELoss` |
# | two classes | 1 logit | float 0 or 1, (N, 1) | `nn.BCEWithLogitsLoss` |
# | C classes | C logits | whole (int64), (N,) | `nn.CrossEntropyLoss` |
# | several yes/no labels | C logits | float, (N, C) | `nn.BCEWithLogitsLoss` |
#
# The prediction: for a quantity, the output itself; for two classes and for
# labels, `logits > 0`, which is a probability above one half; for C classes,
# `logits.argmax(dim=1)`, the place of the largest.

# %% [markdown]
# ### Deeper: One Recipe for Losses
# Why the logarithm? Suppose the network gives what happened the probability
# one half, in each of two samples, like two coins. Together these have one
# quarter, the **likelihood**: the better the network, the larger. A product of
# a thousand factors may round to 0; the logarithm turns it into a sum, minus
# makes lower better, and you take the mean.
#
# That is a recipe for losses: choose a distribution for the target (how
# probable each value is), let the network give its middle or its logits, and
# take the mean of $-\log p$.
#
# | Target | Distribution | $p$ of the target | Loss |
# |---|---|---|---|
# | a quantity | normal | $e^{-(y - \hat{y})^2 / 2} / \sqrt{2 \pi}$ | MSE / 2 |
# | yes or no | Bernoulli | $\sigma(z)$; for no, $1 - \sigma(z)$ | BCE |
# | wild values | Laplace | $e^{-\lvert y - \hat{y} \rvert} / 2$ | L1 |
# | a class | categorical | softmax of its logit | cross-entropy |
#
# Normal is the bell curve, with its density for $p$, probability per unit. The
# divisors add constants, which have no slope. For errors of another shape the
# MSE still finds the mean.

# %%
torch.manual_seed(6)
z, logits, y = torch.randn(9), torch.randn(9, 3), torch.randn(9)
yes, classes = torch.arange(9.0) % 2, torch.arange(9) % 3
for name, p, loss in [
        ("normal", torch.exp(-(y - z) ** 2 / 2) / math.sqrt(2 * math.pi),
         nn.MSELoss()(z, y) / 2 + math.log(2 * math.pi) / 2),
        ("Laplace", torch.exp(-(y - z).abs()) / 2,
         nn.L1Loss()(z, y) + math.log(2)),
        ("Bernoulli", torch.where(yes > 0, sigmoid(z), 1 - sigmoid(z)),
         nn.BCEWithLogitsLoss()(z, yes)),
        ("categorical", softmax(logits, dim=1)[range(9), classes],
         nn.CrossEntropyLoss()(logits, classes))]:
    torch.testing.assert_close(-p.log().mean(), loss)
    print(f"{name}: mean of -log p {-p.log().mean():.4f}, loss {loss:.4f}")

# %% [markdown]
# Why not the squared error of a probability? For class 1 its slope in $z$ is
# $-2(1 - \sigma(z))^2 \sigma(z)$, and that of $-\log \sigma(z)$ is
# $\sigma(z) - 1$. Which hardly teaches at $z = -8$, where you are most wrong?

# %%
z = torch.tensor([-8.0, 0.0, 2.0])
p = torch.sigmoid(z)
slopes = [gradient_of(lambda z: (1 - torch.sigmoid(z)) ** 2, z),
          gradient_of(lambda z: -torch.sigmoid(z).log(), z)]
torch.testing.assert_close(slopes, [-2 * (1 - p) ** 2 * p, p - 1])
for row in zip(p, *slopes):
    print("p = {:.4f}: slope of square {:.4f}, of -log {:.4f}".format(*row))

# %% [markdown]
# ### Exercise 6
# `nn.L1Loss` averages absolute errors. For targets `[1, 2, 3, 100]`, which
# constant prediction has the lowest MSE, and which the lowest L1 loss?
# Predict, then search a grid from 0 to 100 in steps of 0.5. Then put 4 in
# place of 100. **Here the second evening ends.**

# %% [markdown]
# ## 7. Optimizers: How Neural Networks Learn
# A loss says how wrong the network is. Which way should each weight go?

# %% [markdown]
# ### Gradient Descent (Concept)
# With many weights, each goes against its own slope. With $\eta$ for the
# learning rate, and the fraction for the slope of the loss in $w$:
#
# $$w \leftarrow w - \eta \, \frac{\partial \mathrm{loss}}{\partial w}$$
#
# Take a landscape over two weights, a ravine, gentle in one direction and
# steep in the other: $\frac{1}{2}(w_1^2 + 20\, w_2^2)$. The numbers 1 and 20
# are its **curvatures**: how fast the slope grows along each axis. It is
# lowest at zero.

# %%
def ravine(point, curvatures=(1.0, 20.0)):
    """Return half the sum of curvature times coordinate squared.

    Shapes: (..., 2) in, floating point, and (...) out.
    """
    curvatures = torch.as_tensor(curvatures, dtype=point.dtype,
                                 device=point.device)
    return 0.5 * (curvatures * point ** 2).sum(dim=-1)

# %% [markdown]
# How far is a step? Take 40 steps from one place, with three learning rates.

# %%
start = torch.tensor([-9.0, 1.5])
paths = {}
for learning_rate in (0.005, 0.09, 0.105):
    path = [start]
    for number in range(40):
        path.append(path[-1] - learning_rate * gradient_of(ravine, path[-1]))
    paths[learning_rate] = path
    print(f"rate {learning_rate}: last loss {ravine(path[-1]):.4f}")

# %%
shown = {rate: path[:13] if rate > 0.1 else path
         for rate, path in paths.items()}
show(draw_ravine(shown, title="learning rate {}"), "07_learning_rates")

# %% [markdown]
# Ellipses join points of equal loss, the cross is the lowest point, and each
# dot is where a step landed. Left: steps so short that 40 do not arrive.
# Middle: it jumps across the steep direction at first, and settles. Right, its
# first steps only: each lands further out along w2.

# %% [markdown]
# ### Stochastic Gradient Descent (SGD)
# Must every step look at all samples? To learn how a town will vote you ask a
# thousand people, not everyone. **Stochastic gradient descent** uses a random
# **mini-batch** of samples for each step. Its gradient is a noisy estimate of
# the full one. Errors of both signs partly cancel: four times the batch halves
# the noise, and costs four times the arithmetic. So rough steps are cheap.

# %% [markdown]
# ### SGD with Momentum
# The steep direction of the ravine limits the step, and the gentle one needs a
# long one. Roll a heavy ball in place of a walker: pushes that agree add up,
# and pushes to and fro cancel. **Momentum** keeps a running sum $v$ of the
# gradients $g$ that fades by a factor $\mu$ each step, and moves along that:
#
# $$v \leftarrow \mu v + g, \qquad w \leftarrow w - \eta v$$
#
# With $\mu = 0$ this is plain SGD. Slopes that agree add up to
# $g\,(1 + \mu + \mu^2 + \dots) = g / (1 - \mu)$, ten of $g$ at 0.9, so begin
# at a tenth of the rate.

# %%
def sgd_step(parameter, velocity, learning_rate, momentum=0.0):
    """Move a parameter by one step of SGD with momentum, in place.

    The parameter holds its gradient in .grad. The velocity is a tensor of
    its shape, zeros before the first step, and is updated too. Matches
    torch.optim.SGD. Source: B. Polyak, "Some methods of speeding up the
    convergence of iteration methods", 1964.
    """
    with torch.no_grad():
        # A name that ends in _ changes the tensor itself.
        velocity.mul_(momentum).add_(parameter.grad)
        parameter.sub_(learning_rate * velocity)

# %% [markdown]
# ### Adam Optimizer (`torch.optim.Adam`)
# **Adam** gives each parameter its own step size. It keeps a running mean $m$
# of the gradient and $s$ of its square, and divides one by the root of the
# other: a parameter whose slopes are always a thousand times larger takes
# steps of the same length.
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad
# s \leftarrow \beta_2 s + (1 - \beta_2)\, g^2$$
#
# $$w \leftarrow w - \eta \,
# \frac{m / (1 - \beta_1^t)}{\sqrt{s / (1 - \beta_2^t)} + \epsilon}$$
#
# $\beta_1$ and $\beta_2$ say how much of the old means stays. Both means start
# at zero, and the divisors make up for that: at step $t = 1$ they turn $m$
# into $g$ and $s$ into $g^2$. So the first step subtracts $\eta\, g / |g|$: as
# long as the learning rate. ($\beta^t$ is a power; the small $\epsilon$ avoids
# a division by zero.)

# %% [markdown]
# ### Learning Rate
# Where is the limit beyond which the walk on the ravine runs away? In Section
# 3 each step kept 0.8 of $w$. Here the slope is curvature times $w$, so each
# step keeps $1 - \eta \cdot \mathrm{curvature}$. That factor stays between -1
# and 1 while $\eta$ is below **2 / curvature**, and the steepest direction
# decides: here 2 / 20.

# %%
for learning_rate, path in paths.items():
    keeps = 1 - learning_rate * torch.tensor([1.0, 20.0])
    print(f"learning rate {learning_rate}: each step keeps",
          f"{keeps[0]:.3f} of w1 and {keeps[1]:.3f} of w2")
    torch.testing.assert_close(path[-1], start * keeps ** 40, rtol=1e-4,
                               atol=1e-6)

# %% [markdown]
# On a real network nobody knows the curvatures: try a few rates, each three to
# ten times the last, a short run each.
#
# | What you see | What to do |
# |---|---|
# | the loss grows, or becomes NaN | divide the learning rate by 10 |
# | the loss falls very slowly | multiply it by 3 |
# | the loss falls, then jumps about | lower it towards the end |

# %% [markdown]
# ### Linking Optimizers to Model Parameters
# In PyTorch an **optimizer** is an object that holds the parameters. `step()`
# applies its rule to each, and `zero_grad()` clears their slopes, since
# `backward()` adds to what is there. Run three on the ravine. (`sgd_step` must
# land where PyTorch's momentum does.) How far does Adam's first step go?

# %%
rules = {"SGD": lambda p: torch.optim.SGD(p, lr=0.095),
         "Momentum": lambda p: torch.optim.SGD(p, lr=0.13, momentum=0.4),
         "Adam": lambda p: torch.optim.Adam(p, lr=0.7)}
for name, rule in rules.items():
    point = start.clone().requires_grad_()
    optimizer, paths[name] = rule([point]), [start]
    for number in range(40):
        optimizer.zero_grad()
        ravine(point).backward()
        optimizer.step()
        paths[name].append(point.detach().clone())
    print(f"{name}: loss {ravine(start):.1f} -> {ravine(point).item():.1e}")
print("Adam's first step:", paths["Adam"][1] - start)
point, velocity = start.clone(), torch.zeros(2)
for number in range(5):
    point.grad = gradient_of(ravine, point)
    sgd_step(point, velocity, learning_rate=0.13, momentum=0.4)
torch.testing.assert_close(point, paths["Momentum"][5])

# %%
show(draw_ravine({name: paths[name] for name in rules}), "07_trajectories")

# %% [markdown]
# SGD (here plain gradient descent) has the rate that is best in the long run,
# $2 / (1 + 20)$, at which both weights shrink alike; momentum has its best
# rate and factor; Adam's rate was found by trying. SGD jumps across the ravine
# and creeps along it; momentum arrives much closer in as many steps. Adam
# begins with equal steps in both directions, overshoots and turns back. On a
# network, which is best depends on the task:
#
# | Begin with | `lr` to try first | When |
# |---|---|---|
# | `Adam` | 0.001 (tiny networks: 0.01 to 0.05) | nearly always |
# | `SGD`, `momentum=0.9` | 0.01 | you have time to tune |
# | `SGD` | 0.1 | to understand what happens |
#
# An optimizer moves *the tensors it was given*, and nothing else. The classic
# mistake is a notebook cell that rebuilds the model but not the optimizer: no
# error, and nothing moves. The cure is to make it anew.

# %%
old_model, model = nn.Linear(1, 1), nn.Linear(1, 1)
model.weight.square().backward()
for name, owner in [("old model", old_model), ("model", model)]:
    before = model.weight.item()
    torch.optim.SGD(owner.parameters(), lr=0.1).step()
    moved = model.weight.item() != before
    print(f"The optimizer of the {name} moves the model's weight: {moved}")

# %% [markdown]
# ### Deeper: Adam, and Weight Decay
# The formula as code:

# %%
def adam_step(parameter, mean, mean_square, step, learning_rate=0.001,
              beta1=0.9, beta2=0.999, epsilon=1e-8):
    """Move a parameter by one step of Adam, in place.

    The parameter holds its gradient in .grad. mean and mean_square are
    tensors of its shape, zeros before the first step, and are updated too.
    step counts from 1. Matches torch.optim.Adam. Source: D. Kingma and
    J. Ba, "Adam: a method for stochastic optimization", 2015.
    """
    with torch.no_grad():
        mean.mul_(beta1).add_((1 - beta1) * parameter.grad)
        mean_square.mul_(beta2).add_((1 - beta2) * parameter.grad ** 2)
        mean_corrected = mean / (1 - beta1 ** step)
        root = (mean_square / (1 - beta2 ** step)).sqrt()
        parameter.sub_(learning_rate * mean_corrected / (root + epsilon))

# %% [markdown]
# **Weight decay** shrinks each weight by a small share per step, so that only
# what the data keeps pushing stays large:
#
# $$w \leftarrow (1 - \eta \lambda)\, w - \eta\, g$$
#
# For SGD without momentum that is the same as adding $\frac{\lambda}{2} w^2$
# to the loss (**L2**), and so $\lambda w$ to the slope $g$. Not for Adam,
# which divides the whole slope by its usual size; `AdamW` shrinks apart from
# that. Two weights start at 1. Their slopes, one large and one as tiny as
# $\epsilon$, change sign each step, so only decay should count. What is left?

# %%
for name in ("Adam", "AdamW"):
    ours, theirs = torch.ones(2), torch.ones(2)
    mean, mean_square = torch.zeros(2), torch.zeros(2)
    optimizer = getattr(torch.optim, name)([theirs], lr=0.01, weight_decay=0.5)
    for step in range(1, 201):
        theirs.grad = torch.tensor([100, 1e-8]) * (-1) ** step
        ours.grad = theirs.grad + (0.5 * ours if name == "Adam" else 0)
        if name == "AdamW":
            ours.mul_(1 - 0.01 * 0.5)
        adam_step(ours, mean, mean_square, step, learning_rate=0.01)
        optimizer.step()
    torch.testing.assert_close(ours, theirs)
    print(f"{name}: the weights end at {ours[0]:.2f} and {ours[1]:.2f}")

# %% [markdown]
# In Adam, decay drowns in large slopes and swamps small ones. Take AdamW.

# %% [markdown]
# ### Exercise 7
# With momentum $\mu$ the limit of the learning rate becomes
# $2 (1 + \mu) / \mathrm{curvature}$. Compute it for the ravine and
# $\mu = 0.8$, then take 300 steps with `sgd_step` just below it and above.

# %% [markdown]
# ## 8. The Training Loop: Forward and Backward Propagation
# How do network, loss and optimizer work together?

# %% [markdown]
# ### Overview of the Training Process
# You learn darts by throwing, looking how far off you were, and changing a
# little. A network trains in the same cycle:
#
# 1. **forward**: compute the outputs and the loss;
# 2. **backward**: compute the slope of the loss in each weight;
# 3. **step**: move each weight against its slope;
# 4. **clear** the slopes, and begin again with other samples.

# %% [markdown]
# ### Forward Propagation: Calculating Predictions and Loss
# Take the smallest network with a hidden layer: one input, 2, one hidden ReLU
# unit with weight 3 and bias -1, one output unit with weight 2 and bias 0, and
# squared error. The target is 9. Work out the hidden unit's total, its ReLU,
# the output, the error and the loss on paper.

# %%
x, target = 2.0, 9.0
w1, b1, w2, b2 = 3.0, -1.0, 2.0, 0.0
total = w1 * x + b1
hidden = max(0.0, total)
output = w2 * hidden + b2
error = output - target
loss = error ** 2
print("Total, ReLU, output, error, loss:", total, hidden, output, error, loss)

# %% [markdown]
# ### Backward Propagation (Backpropagation): Calculating Gradients (`loss.backward()`)
# How much does each weight matter for that loss? Ask from the end. If raising
# `a` a little raises the loss twice as much, and raising `b` raises `a` three
# times as much, then their product says how `b` moves the loss: slopes along a
# path multiply. This is the **chain rule**, and using it from the loss back to
# each weight is **backpropagation**. Write `d_name` for the slope of the loss
# in `name`. Raise `w2` a little, and the output rises by `hidden` times as
# much: so `d_w2` is `d_output * hidden`. Cover the next cell, do the slopes of
# output, w2, b2, hidden, total, w1 and b1, and compare.

# %%
d_output = 2 * error  # the slope of a square
d_w2, d_b2 = d_output * hidden, d_output  # output = w2 * hidden + b2
d_hidden = d_output * w2
d_total = d_hidden * (1.0 if total > 0 else 0.0)  # the slope of ReLU
d_w1, d_b1 = d_total * x, d_total  # total = w1 * x + b1
print(f"slopes: output {d_output}, w2 {d_w2}, b2 {d_b2}, hidden {d_hidden},")
print(f"        total {d_total}, w1 {d_w1}, b1 {d_b1}")

# %%
nodes = [("x", 0, 0, x, ""), ("w1", 0.8, 2, w1, d_w1), ("b1", 2, 2, b1, d_b1),
         ("total", 1.4, 0, total, d_total), ("w2", 3.8, 2, w2, d_w2),
         ("hidden", 2.9, 0, hidden, d_hidden), ("b2", 5, 2, b2, d_b2),
         ("output", 4.4, 0, output, d_output), ("loss", 5.9, 0, loss, 1.0)]
fig, ax = plt.subplots(figsize=(9, 3.4), subplot_kw={"frame_on": False})
for name, x1, x2, value, slope in nodes:
    ax.text(x1, x2 + 0.1, f"{value}\n{name}", color="C0", ha="center")
    ax.text(x1, x2, slope, color="C1", ha="center", va="top", style="italic")
for edge in ["03", "13", "23", "35", "57", "47", "67", "78"]:
    tail, head = (nodes[int(number)][1:3] for number in edge)
    ax.annotate("", head, tail, arrowprops={
        "arrowstyle": "->", "shrinkA": 22, "shrinkB": 36})
ax.set(title="Values (above) go forward, slopes (below) come back", xticks=[],
       yticks=[], xlim=(-0.4, 6.2), ylim=(-0.4, 2.6))
show(fig, "08_backpropagation")

# %% [markdown]
# Read the values above the names from left to right, and the slopes below
# them, in italics, from right to left. Each slope is the one at the tip of its
# arrow, times how fast the tip changes with the tail. (Nobody moves `x`, so it
# needs no slope.)
#
# Is it true? Ask a witness that knows no calculus: move `w1` from 3 to 3.001
# and see how far the loss moves. Then ask PyTorch, with the same numbers in
# two linear layers.

# %%
nudged = (w2 * max(0.0, w1 * x + 0.001 * x + b1) + b2 - target) ** 2
print(f"w1 = 3.001: loss {nudged:.4f}, slope {(nudged - loss) / 0.001:.2f}")
X, y = torch.tensor([[x]]), torch.tensor([[target]])  # a batch of one
network = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1))
with torch.no_grad():
    for parameter, number in zip(network.parameters(), [w1, b1, w2, b2]):
        parameter.fill_(number)
nn.MSELoss()(network(X), y).backward()
slopes = [parameter.grad.item() for parameter in network.parameters()]
print("Slopes of w1, b1, w2 and b2, by PyTorch:", slopes)
assert slopes == [d_w1, d_b1, d_w2, d_b2], f"yours must be the same: {slopes}"

# %% [markdown]
# The nudge costs a forward pass for each weight; backpropagation gets all
# slopes from one pass back. One rule is left: if a value is used twice, it
# moves the loss along two paths, and their slopes *add*. In $w \cdot w$ each
# factor alone gives the slope $w$, and together $2w$. A batch is such a case:
# each weight works on every sample.

# %% [markdown]
# ### Optimizer Step: Updating Weights (`optimizer.step()`)
# The slopes lie in `.grad`, and the optimizer, which holds the parameters,
# takes one step. What will `w2` be, with a learning rate of 0.001?

# %%
optimizer = torch.optim.SGD(network.parameters(), lr=0.001)
optimizer.step()
print("w1, b1, w2 and b2 after one step:",
      *[f"{parameter.item():.3f}" for parameter in network.parameters()])
after = nn.MSELoss()(network(X), y).item()
print(f"Loss {loss} -> {after:.4f}")

# %% [markdown]
# ### Zeroing Gradients (`optimizer.zero_grad()`)
# `backward()` *adds* to `.grad`; it does not replace it. So you can sum over
# batches. It is also the most famous trap. One call now gives `b2` the slope
# 1.816. What do two give? The cure is to clear in between.

# %%
for clear in (True, False, True):
    if clear:
        optimizer.zero_grad()
    nn.MSELoss()(network(X), y).backward()
    print(f"cleared: {clear}; slope of b2 {network[2].bias.grad.item():.3f}")

# %% [markdown]
# ### Iterating over Data (Epochs and Batches)
# Data comes in mini-batches (Section 7). One pass over all training samples is
# an **epoch**; each mini-batch gives one **step**. Shuffle, in a new order
# each epoch: of sorted samples each batch would pull its own way. In PyTorch a
# `Dataset` returns one sample by its number, and a **`DataLoader`** draws
# numbers, fetches the samples and stacks them.
#
# Now the heart of every PyTorch program. It is the first look again, with
# mini-batches. Type it yourself once, without looking. (Clearing may come
# first or last, as long as it is not between `backward()` and `step()`.)

# %%
X, y = datasets.make_moons(n_samples=300, noise=0.15, random_state=19)
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32).reshape(-1, 1)
torch.manual_seed(19)
model = MLP(2, [32], 1)
loss_fn = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
batches = DataLoader(TensorDataset(X, y), batch_size=50, shuffle=True)
for epoch in range(1, 21):
    total = 0.0
    for inputs, targets in batches:
        optimizer.zero_grad()                   # clear
        loss = loss_fn(model(inputs), targets)  # forward
        loss.backward()                         # backward
        optimizer.step()                        # step
        total += loss.item() / len(batches)
    if epoch % 5 == 0:
        print(f"epoch {epoch}: mean loss {total:.4f}")
assert total < 0.2, f"the loss must fall well below log 2 = 0.69: {total}"

# %% [markdown]
# A `DataLoader` fetches sample by sample, which is right for files. When
# everything is in memory as tensors, gathering each batch's rows in one go is
# far quicker, and shortens the whole training of a small network.
# `TensorBatches` does that, in the `DataLoader`'s place. (Begin with batches
# of 32 to 256: smaller ones make noisy steps, larger ones fewer in an epoch.)

# %%
def check_tensors(tensors, batch_size):
    """Raise an error if tensors cannot be cut into batches of batch_size.

    TypeError for a wrong type; ValueError unless the tensors have one length,
    above zero, and batch_size is a whole number above zero.
    """
    for tensor in tensors:
        if not torch.is_tensor(tensor):
            raise TypeError(f"TensorBatches takes tensors, not {type(tensor)}:"
                            " turn arrays into tensors with to_tensors first")
    lengths = [tuple(tensor.shape[:1]) for tensor in tensors]
    if len(set(lengths)) != 1 or lengths[0] in [(), (0,)]:
        raise ValueError("tensors must have one length, above zero; they have "
                         f"{lengths}")
    if not batch_size >= 1 or batch_size % 1:
        raise ValueError("batch_size must be a whole number, 1 or more: "
                         f"{batch_size}")

# %%
class TensorBatches:
    """Mini-batches of tensors that fit in memory, on their own device.

    Needs check_tensors. Each pass yields tuples with (batch_size, ...) rows
    of every tensor, the last batch perhaps smaller, or left out with
    drop_last=True. With shuffle=True each pass has a new order, the same for
    all the tensors. Raises what check_tensors raises.
    >>> X, y = torch.zeros(5, 2), torch.zeros(5)
    >>> [len(rows) for rows, targets in TensorBatches(X, y, batch_size=2)]
    [2, 2, 1]
    """

    def __init__(self, *tensors, batch_size, shuffle=False, drop_last=False):
        check_tensors(tensors, batch_size)
        self.tensors, self.batch_size = tensors, int(batch_size)
        self.shuffle, self.drop_last = shuffle, drop_last

    def __len__(self):
        batches = len(self.tensors[0]) / self.batch_size
        return math.floor(batches) if self.drop_last else math.ceil(batches)

    def __iter__(self):
        # randperm: 0 to n - 1 in random order. index_select: those rows.
        in_order = torch.randperm if self.shuffle else torch.arange
        order = in_order(len(self.tensors[0])).to(self.tensors[0].device)
        for rows in order.split(self.batch_size)[:len(self)]:
            yield tuple(t.index_select(0, rows) for t in self.tensors)

# %% [markdown]
# With shuffling, every sample must come once in an epoch, each row keep its
# own target, and the order be a new one.

# %%
torch.manual_seed(8)
numbers = torch.arange(10)
batches = TensorBatches(10 * numbers, numbers, batch_size=4, shuffle=True)
orders = []
for epoch in (1, 2):
    rows, targets = (torch.cat(parts) for parts in zip(*batches))
    orders.append(targets.tolist())
    print(f"Epoch {epoch}:", orders[-1])
    assert rows.equal(10 * targets) and targets.sort()[0].equal(numbers), (
        f"each number must come once, with its row: {rows}, {targets}")
assert orders[0] != orders[1], f"the order must be a new one: {orders}"

# %% [markdown]
# ### Deeper: Backpropagation for a Whole Batch
# For several units and samples the same lines become matrix products:
# `d_outputs.T @ hidden` is `d_output * hidden` for each sample and unit,
# summed.

# %%
torch.manual_seed(3)
X, targets = torch.randn(4, 2), torch.randn(4, 1)  # 4 samples, 2 features
network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
W1, b1, W2, b2 = (p.detach() for p in network.parameters())
totals = X @ W1.T + b1
hidden = torch.relu(totals)
d_outputs = 2 * (hidden @ W2.T + b2 - targets) / len(X)  # the loss is a mean
d_W2, d_b2 = d_outputs.T @ hidden, d_outputs.sum(dim=0)  # (1, 4) @ (4, 3)
d_hidden = d_outputs @ W2  # (4, 1) @ (1, 3)
d_totals = d_hidden * (totals > 0)
d_W1, d_b1 = d_totals.T @ X, d_totals.sum(dim=0)  # (3, 4) @ (4, 2)
nn.MSELoss()(network(X), targets).backward()
for parameter, ours in zip(network.parameters(), [d_W1, d_b1, d_W2, d_b2]):
    torch.testing.assert_close(parameter.grad, ours)
print(f"loss.backward() gives the same gradients; that of W1:\n{d_W1}")

# %% [markdown]
# ### Deeper: An Engine of Your Own
# How does `backward()` find the slopes of any formula? Let each number
# remember the arrows that end in it, as in the picture above: the tail of each
# and its factor, how fast the number changes with the tail. The factors are 1
# and 1 for $a + b$, $b$ and $a$ for $a \cdot b$, $1 - y^2$ for $y = \tanh a$.
# Going back, a value passes its slope to its tails, times the factor. (Python
# turns `a + b` into `a.__add__(b)`.)

# %%
class Value:
    """A number with + and * between Values, and tanh()."""
    made = itertools.count()  # 0, 1, 2, ...

    def __init__(self, data, arrows=()):
        self.data, self.arrows, self.grad = data, arrows, 0.0
        self.number = next(Value.made)

    def __add__(self, other):
        return Value(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        return Value(self.data * other.data,
                     [(self, other.data), (other, self.data)])

    def tanh(self):
        y = math.tanh(self.data)
        return Value(y, [(self, 1 - y ** 2)])

    def backward(self, order=None):
        """Set .grad of each value behind this one to its slope."""
        found, todo = set(), [self]
        while todo:
            value = todo.pop()
            if value not in found:
                found.add(value)
                value.grad = 0.0  # so there is nothing to clear
                todo += [tail for tail, _ in value.arrows]
        self.grad = 1.0  # it changes as fast as itself
        for value in order or sorted(found, key=lambda value: -value.number):
            for tail, factor in value.arrows:
                tail.grad += factor * value.grad

# %% [markdown]
# Try the network that you did by hand, without its ReLU, which passed its
# total on as it was. Which slopes must come out?

# %%
w1, b1, w2, b2 = (Value(number) for number in (3.0, -1.0, 2.0, 0.0))
error = w2 * (w1 * Value(2.0) + b1) + b2 + Value(-9.0)
(error * error).backward()
slopes = [w1.grad, b1.grad, w2.grad, b2.grad]
print("Slopes of w1, b1, w2 and b2:", *slopes)
assert slopes == [8, 4, 10, 2], f"must be 8, 4, 10 and 2: {slopes}"

# %% [markdown]
# `error` is used twice, and the slopes of its two arrows add up. So the order
# matters, as with a courier who leaves before the last letter is in. Below,
# `d` is $2a \cdot 3a$, with slope $12a$, and `c` and `d` use `b`. What if `b`
# passes on first?

# %%
a = Value(1.0)
b = a + a
c = b + a
d = b * c
for first, order, slope in [("c", [d, c, b, a], 12), ("b", [d, b, c, a], 8)]:
    d.backward(order)
    print(f"After d, {first} passes on first: slope of a {a.grad}")
    assert a.grad == slope, f"{first} first: must be {slope}: {a.grad}"

# %% [markdown]
# In the second order `c` passes its slope to `b` too late. So a value must
# wait for all that use it. (Recursion that passes on `.grad` whenever a slope
# arrives passes early ones on twice.) They are made after it: go from the last
# value made to the first (a **topological order**). Does PyTorch agree?

# %%
grads = []
for make in (Value, lambda data: torch.tensor(data, requires_grad=True)):
    a, b = make(0.8), make(-0.5)
    c = (a * b + a).tanh()
    (c * (c * b + a)).backward()
    grads.append([float(a.grad), float(b.grad)])
torch.testing.assert_close(*torch.tensor(grads))
print("Slopes of a and b, by both:", [round(grad, 4) for grad in grads[0]])

# %% [markdown]
# Can it train? Take XOR, with -1 for 0, and eight hidden tanh units.

# %%
torch.manual_seed(8)
units = [[Value(n) for n in row] for row in torch.randn(8, 4).tolist()]
for step in range(40):
    answers, loss = [], Value(0.0)
    for x1, x2, target in [(-1, -1, -1), (-1, 1, 1), (1, -1, 1), (1, 1, -1)]:
        answer = Value(0.0)
        for w1, w2, b, w in units:
            answer += w * (w1 * Value(x1) + w2 * Value(x2) + b).tanh()
        error = answer + Value(-target)
        loss += error * error
        answers.append(answer.data)
    loss.backward()
    for value in itertools.chain(*units):
        value.data -= 0.05 * value.grad
print("XOR, by your engine:", *[f"{answer:.2f}" for answer in answers])
assert [n > 0 for n in answers] == [False, True, True, False], (
    f"only the two in the middle must be above 0: {answers}")

# %% [markdown]
# ### Deeper: What Each Part Is For
# Which parts of a training program can be left out? This function leaves one
# out. The data is awkward on purpose: sorted by class, and its second feature
# multiplied by ten. Scaling (Section 9) undoes that.

# %%
def left_out(part, seed):
    """Train on two moons without one part; return last loss and accuracy.

    Needs MLP, check_layers, TensorBatches and check_tensors. part is
    "nothing", "zero_grad()", "step()", "shuffling", "scaling" or "eval()".
    """
    torch.manual_seed(seed)
    X, y = datasets.make_moons(n_samples=1400, noise=0.15, random_state=seed)
    X[:, 1] *= 10
    in_order = np.argsort(y[:400], kind="stable")  # the training set by class
    X[:400], y[:400] = X[in_order], y[in_order]
    if part != "scaling":
        X = StandardScaler().fit(X[:400]).transform(X)
    X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    batches = TensorBatches(X[:400], y[:400], batch_size=20,
                            shuffle=part != "shuffling")
    model, loss_fn = MLP(2, [32], 2, dropout=0.5), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(5):
        total = 0.0
        for inputs, targets in batches:
            if part != "zero_grad()":
                optimizer.zero_grad()
            loss = loss_fn(model(inputs), targets)
            loss.backward()
            if part != "step()":
                optimizer.step()
            total += loss.item() / len(batches)
    model.train(part == "eval()")
    with torch.no_grad():
        right = model(X[400:]).argmax(dim=1) == y[400:]
    return total, right.float().mean().item()

# %% [markdown]
# One run is one draw, so take the means of several. (Accuracy: the share of
# right answers.) Which part will matter only after training?

# %%
means = {}
for part in ("nothing", "zero_grad()", "step()", "shuffling", "scaling",
             "eval()"):
    means[part] = np.mean([left_out(part, seed)
                           for seed in range(6, 9)], axis=0)
    loss = f"{means[part][0]:.3f}" if means[part][0] < 2 else "over 2"
    print(f"left out: {part:<12} last loss {loss:>6}, accuracy",
          f"{means[part][1]:.3f}")
    assert part in ("nothing", "eval()") or (
        means[part][0] > means["nothing"][0]), f"{part} must matter: {means}"
assert means["eval()"][1] < means["nothing"][1], f"eval() must help: {means}"

# %% [markdown]
# Without `step()` the loss stays. Without `zero_grad()` old gradients keep
# pushing, and the loss runs away, far more than the accuracy shows. Without
# scaling no one learning rate suits both features. Without shuffling the
# network sees one class for half an epoch, then the other. Without `eval()`
# the answers suffer.

# %% [markdown]
# ### Deeper: Why Layers Start Random
# Suppose all weights and biases start equal. Then all hidden units compute the
# same value, get the same slope and take the same step. So they stay equal
# (rounding aside), and sixteen units do the work of one. Break this
# **symmetry** by one per cent. Will it show after 60 steps? After 600?

# %%
errors = {}
for noise in (0.0, 0.01):
    torch.manual_seed(11)
    X = torch.randn(64, 1)
    targets, network = torch.sin(2 * X), MLP(1, [16], 1, activation=nn.Tanh)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.5 + 0.5 * noise * torch.randn(parameter.shape))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for step in range(1, 601):
        optimizer.zero_grad()
        loss = nn.MSELoss()(network(X), targets)
        loss.backward()
        optimizer.step()
        if step in (60, 600):
            errors[noise, step] = loss.item()
            weights = network.layers[0].weight
            print(f"broken by {noise:.0%}, step {step}: error {loss:.3f},",
                  f"first weights {weights.min():.2f} to {weights.max():.2f}")
assert 0.99 < errors[0.0, 60] / errors[0.01, 60] < 1.01, (
    f"after 60 steps the errors must still be alike: {errors}")
assert errors[0.0, 600] > 1.2 * errors[0.01, 600], f"1 % must help: {errors}"

# %% [markdown]
# After 60 steps the errors are still alike. But small differences change the
# slopes, which make them larger: in time the units part, and share the work.

# %% [markdown]
# ### Deeper: What Mends a Deep Network
# The moons do not need twenty hidden layers; they show what goes wrong with so
# many. With the weights that `nn.Linear` draws, each layer shrinks the
# differences between points, and the slopes on their way back, until hardly
# anything is left. Three things mend it:
#
# | Mend | Formula | Why it helps |
# |---|---|---|
# | Kaiming weights | size $\sqrt{2 / n}$ | a layer keeps sizes as they are |
# | BatchNorm | $(z - m) / \sqrt{v + \epsilon}$ | sets sizes to 1 again |
# | residual connection | $x + f(x)$ | its slope is 1 plus that of $f$ |
#
# Here $n$ is the number of a layer's inputs, and $m$ and $v$ are the mean and
# the variance (the mean squared distance from $m$) of one unit's sums over the
# batch; BatchNorm then scales and shifts them by two numbers that it learns.
# (In `eval()` it takes averages kept from training, which lag behind here.) A
# residual connection carries $x$ past layers $f$ and adds what they make of
# it. Which losses fall?

# %%
X, y = datasets.make_moons(n_samples=200, noise=0.15, random_state=1)
X, y = torch.tensor(X).float(), torch.tensor(y).float().reshape(-1, 1)
losses = {}
for mend in ("no mend", "Kaiming weights", "BatchNorm", "residual"):
    torch.manual_seed(1)
    norm = nn.BatchNorm1d if mend == "BatchNorm" else nn.Identity
    blocks = [nn.Sequential(norm(16), nn.ReLU(), nn.Linear(16, 16))
              for _ in range(20)]
    if mend == "Kaiming weights":
        for block in blocks:
            nn.init.kaiming_normal_(block[2].weight)
    model = nn.Sequential(nn.Linear(2, 16), *blocks, nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses[mend] = []
    for step in range(30):
        hidden = model[0](X)
        for block in blocks:
            hidden = block(hidden) + (hidden if mend == "residual" else 0)
        loss = nn.BCEWithLogitsLoss()(model[-1](hidden), y)
        losses[mend].append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{mend}: loss {loss.item():.3f} at step 30")
    assert (loss > 0.6) == (mend == "no mend"), (
        f"{mend}: each mend, and nothing else, must end below 0.6: {loss}")

# %%
fig, ax = plt.subplots(figsize=(7, 3.6))
for (mend, values), style in zip(
        losses.items(), ["k-", "C0-", "C1--", "C2-."]):
    ax.plot(values, style, label=mend)
ax.set(title="Twenty hidden layers on two moons", xlabel="steps taken",
       ylabel="loss", ylim=(0, 1.5))
ax.legend()
show(fig, "08_mends")

# %% [markdown]
# The black line stays at $\log 2 = 0.693$, one half for every point, through
# these 30 steps. Each of the three lets the same layers learn; which ends
# first changes with the seed.

# %% [markdown]
# ### Deeper: XOR, Trained
# In Section 4 two hidden ReLU units solved XOR, with weights set by hand. Does
# training find such weights? Train 200 networks at once: the first layer holds
# the hidden units of all, the second has one row for each. Their losses are
# added up, so each learns as if it were alone. How many will find XOR with 2
# hidden units? With 4 and 8?

# %%
corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
targets = torch.tensor([[0.0], [1.0], [1.0], [0.0]]).repeat(1, 200)
loss_fn, found = nn.BCEWithLogitsLoss(reduction="none"), []
for units in (2, 4, 8):
    torch.manual_seed(7)
    first, second = nn.Linear(2, 200 * units), nn.Linear(units, 200)
    optimizer = torch.optim.Adam(
        [*first.parameters(), *second.parameters()], lr=0.1)
    for step in range(140):
        optimizer.zero_grad()
        hidden = torch.relu(first(corners)).reshape(4, 200, units)
        logits = (hidden * second.weight).sum(dim=2) + second.bias  # (4, 200)
        losses = loss_fn(logits, targets).mean(dim=0)  # one for each network
        losses.sum().backward()
        optimizer.step()
    right = ((logits > 0) == (targets == 1)).all(dim=0)
    found.append(right.sum().item())
    rest = sorted({round(loss, 2) for loss in losses[~right].tolist()})
    print(f"{units} hidden units: {found[-1]} of 200 find XOR; others: loss",
          *rest)
assert 0 < found[0] < 100 and found == sorted(found), (
    f"2 units must find it seldom, more units more often: {found}")

# %% [markdown]
# Two units are enough to *have* the weights, and seldom to *find* them. The
# other networks rest where small steps do not help: at 0.69, $\log 2$, all
# answers are one half; at 0.35, half of that, two corners are sure and two
# stay at one half; at 0.48 one is sure, and the other three share one answer.
# Spare units make this rare. So a flat loss need not be a mistake in your
# program: try another seed, and spare units.

# %% [markdown]
# ### Exercise 8
# Large batches can be put together from small ones (without BatchNorm),
# because gradients add. Compute the gradient of the mean loss over 8 samples
# in one `backward()`. Then do it in two batches of 4, without clearing in
# between: what must each loss be divided by?

# %% [markdown]
# ## 9. Building and Training Your First Neural Network in PyTorch
# You have all the parts. Put them together. How do you know it is good?

# %% [markdown]
# ### Step 1: Prepare the Data (e.g., a simple synthetic dataset)
# A student who has seen the exam questions proves nothing by answering them.
# Judge a network on samples that it has never seen, and keep three sets apart:
#
# - the **training set** moves the weights;
# - the **validation set** makes choices, such as when to stop;
# - the **test set** reports the result, once, and makes no choice.

# %%
def split_in_three(X, y, random_state, stratify=None):
    """Split arrays into 60 % training, 20 % validation and 20 % test.

    Shapes: X (num_samples, ...), y (num_samples, ...): arrays, data frames,
    series or tensors, which keep their kind; lists become arrays. Returns
    (X_train, X_val, X_test), (y_train, y_val, y_test). Pass stratify=y for
    classes, to keep their proportions. Rows are dealt out at random: not for
    rows in order of time. Raises ValueError for lengths that differ.
    >>> X_parts, y_parts = split_in_three([[0, 1]] * 10, [0, 1] * 5, 0)
    >>> [part.shape for part in X_parts]
    [(6, 2), (2, 2), (2, 2)]
    """
    X, y = (np.array(data) if isinstance(data, (list, tuple)) else data
            for data in (X, y))
    groups = y if stratify is None else stratify
    X_rest, X_test, y_rest, y_test, groups, _ = train_test_split(
        X, y, groups, test_size=0.2, random_state=random_state,
        stratify=stratify)
    X_train, X_val, y_train, y_val = train_test_split(
        X_rest, y_rest, test_size=0.25,  # a quarter of the 80 % left
        random_state=random_state,
        stratify=None if stratify is None else groups)
    return (X_train, X_val, X_test), (y_train, y_val, y_test)

# %% [markdown]
# The data: two moons, with more noise than before. Networks learn best from
# features of similar size near zero, so **scale** them: subtract each
# feature's mean and divide by its standard deviation, the typical distance
# from the mean. `StandardScaler` does it: `fit` measures, on the training set
# only (numbers from the other sets would carry knowledge of them into
# training), and `transform` applies.

# %%
X, y = datasets.make_moons(n_samples=1000, noise=0.25, random_state=19)
X_parts, y_parts = split_in_three(X, y, random_state=7, stratify=y)
scaler = StandardScaler().fit(X_parts[0])
X_train, X_val, X_test = (
    torch.tensor(scaler.transform(part), dtype=torch.float32, device=device)
    for part in X_parts)
y_train, y_val, y_test = (
    torch.tensor(part, dtype=torch.float32, device=device).reshape(-1, 1)
    for part in y_parts)
print("Samples:", len(X_train), len(X_val), len(X_test))

# %% [markdown]
# ### Step 2: Define the Model (using `nn.Module`)
# Two classes need one logit. Begin with the simplest model that could work, a
# linear one, as the **baseline** to beat. Beside it, two hidden layers. Model
# and data must be on the same device.

# %%
torch.manual_seed(9)
models = {"baseline": MLP(2, [], 1).to(device),
          "network": MLP(2, [32, 32], 1).to(device)}

# %% [markdown]
# ### Step 3: Define Loss Function and Optimizer
# The table in Section 6 says `BCEWithLogitsLoss` for two classes, and the one
# in Section 7 says Adam. Make the optimizer after the model is on its device.

# %%
loss_fn = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(models["network"].parameters(), lr=0.02)

# %% [markdown]
# ### Step 4: Implement the Training Loop
# It is the loop of Section 8, with an epoch as a function. `check_loss`
# computes the loss and explains two errors. (The sum of the losses stays a
# tensor to the end: each `item()` waits for a GPU.) After each epoch take the
# validation loss, in `eval()` mode and without slopes, since nothing is learnt
# from it.

# %%
def check_loss(model, inputs, targets, loss_fn):
    """Return loss_fn(model(inputs), targets), if it can be learnt from.

    Else ValueError: for a loss without gradient, and for a batch of one
    sample where BatchNorm needs two.
    """
    try:
        loss = loss_fn(model(inputs), targets)
    except ValueError as error:
        if "more than 1 value" not in str(error):
            raise
        raise ValueError("BatchNorm cannot train on one sample: use "
                         "drop_last=True or another batch_size") from error
    if not getattr(loss, "requires_grad", False):
        raise ValueError("the loss has no gradient: all parameters are "
                         "frozen, or the loss leaves PyTorch on its way")
    return loss

# %%
def train_epoch(model, batches, loss_fn, optimizer):
    """Train a model, which is in train mode, on each batch once.

    Needs check_loss. There must be batches, (inputs, targets) on the model's
    device. Returns the mean loss of the samples, taken while the weights
    move, for a loss that is a mean. Raises what check_loss raises.
    >>> model, pair = nn.Linear(2, 1), (torch.ones(4, 2), torch.ones(4, 1))
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> train_epoch(model, [pair], nn.MSELoss(), optimizer) > 0
    True
    """
    total, count = 0.0, 0
    for inputs, targets in batches:
        optimizer.zero_grad()
        loss = check_loss(model, inputs, targets, loss_fn)  # forward
        loss.backward()
        optimizer.step()
        total = total + loss.detach() * len(inputs)
        count += len(inputs)
    return (total / count).item()

# %%
model = models["network"]
train_batches = TensorBatches(X_train, y_train, batch_size=100, shuffle=True)
for epoch in range(1, 31):
    model.train()
    train_loss = train_epoch(model, train_batches, loss_fn, optimizer)
    model.eval()
    with torch.no_grad():
        val_loss = loss_fn(model(X_val), y_val).item()
    if epoch % 10 == 0:
        print(f"epoch {epoch}: training loss {train_loss:.4f}, validation",
              f"loss {val_loss:.4f}")
assert max(train_loss, val_loss) < 0.5, (
    f"both must fall well below log 2 = 0.69: {train_loss}, {val_loss}")

# %% [markdown]
# ### Step 5: Evaluate the Model (Conceptual)
# **Accuracy** is the share of right answers: a logit above 0 is a probability
# above one half, and means class 1. How good is yours?

# %%
with torch.no_grad():
    right = (model(X_val) > 0) == (y_val == 1)
print(f"Validation accuracy: {right.float().mean().item():.3f}")

# %% [markdown]
# You have trained a network. The rest of the section makes tools of it.

# %% [markdown]
# ### Tools: Tensors from Any Data
# Your data may be arrays, lists or data frames, and layers want tensors of
# 32-bit numbers (NumPy makes 64-bit ones). Convert on the way in, once, and
# find out there if a column holds words.

# %%
def check_array(array, dtype):
    """Return an array, list, data frame, series or tensor as a tensor.

    Of dtype; with None, whole-number dtypes become int64, others float32.
    Raises ValueError for words, dates and other things that are no numbers
    (None becomes NaN, and text that reads as a number that number), and for
    a fraction where dtype holds whole numbers; TypeError for one number.
    """
    if not torch.is_tensor(array):
        if hasattr(array, "toarray"):  # a sparse matrix
            array = array.toarray()
        try:
            array = np.asarray(array)
            kind = array.dtype.kind
            if kind in "cmM" or kind == "u" and (array > 2 ** 63 - 1).any():
                raise TypeError(f"it holds {array.dtype}")
            # What PyTorch can read; astype makes the copy.
            decimal = np.float32 if array.dtype == "f4" else np.float64
            array = torch.from_numpy(array.astype(
                {"b": bool, "i": "i8", "u": "i8"}.get(kind, decimal)))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"an array holds something that is not a number ({error}): "
                "encode words and categories as numbers, fill gaps, and give "
                "all rows one length") from error
    if array.ndim == 0:
        raise TypeError("arrays holds single numbers: write to_tensors([y]), "
                        "with brackets, for one list")
    whole = not array.is_floating_point() and array.dtype != torch.bool
    tensor = array.to(dtype or (torch.int64 if whole else torch.float32))
    if not tensor.is_floating_point() and not torch.equal(
            tensor.to(array.dtype), array):
        raise ValueError(f"an array holds numbers that {tensor.dtype} cannot, "
                         "such as fractions or NaN")
    return tensor

# %%
def to_tensors(arrays, device="cpu", dtype=torch.float32):
    """Turn several arrays into a list of tensors. Needs check_array.

    arrays is a list such as [X, y] of arrays, lists, data frames, series or
    tensors; shapes stay. All become dtype; with dtype=None whole numbers
    become int64, and others float32. An array is copied; a tensor that fits
    is passed on. Raises TypeError for one array, not a list, in place of
    several, and what check_array raises.
    >>> to_tensors([[[1, 2]], [0.5]])
    [tensor([[1., 2.]]), tensor([0.5000])]
    """
    if hasattr(arrays, "shape"):
        raise TypeError("arrays must be a list of arrays: write "
                        "to_tensors([X]), with brackets, for one")
    return [check_array(array, dtype).to(device) for array in arrays]

# %% [markdown]
# ### Tools: Check One Batch Before You Train
# A mistake in the targets seldom stops a program: it trains, on something
# else. So look at one batch first. The check runs the model in `eval()` mode,
# and this helper gives each layer its mode back. (`@contextmanager` makes it
# fit for a `with` block: what stands before `yield` runs at its start, the
# `finally` part at its end.)

# %%
def check_model(model):
    """Raise TypeError for what is not a model."""
    if not isinstance(model, nn.Module):
        raise TypeError("the model must be a module that is built, such as "
                        f"MLP(2, [16], 1), not {model!r}")

# %%
@contextmanager
def modes_kept(model):
    """Give each layer its mode back after a with block. Needs check_model."""
    check_model(model)
    # Each layer, with True for train() and False for eval().
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode

# %% [markdown]
# The next cells are the table of Section 6 as code; scroll past them. The
# last, `check_batch`, is the first thing to run on your own data.

# %%
def check_classes(outputs, targets, loss_fn):
    """Raise an error that says what to write if targets are not classes.

    Shapes: outputs (batch_size, num_classes, ...); targets (batch_size, ...)
    of class numbers, or probabilities in the shape of the outputs.
    Raises TypeError for a wrong dtype, ValueError for a wrong shape or value.
    """
    if outputs.ndim < 2 or outputs.shape[1] == 1:
        raise ValueError("one logit cannot name a class: use BCEWithLogitsLoss"
                         ", or a column for each class (out_features=2)")
    classes, shape = outputs.shape[1], outputs.shape[:1] + outputs.shape[2:]
    takes_logs = "nll" in repr(loss_fn).lower()
    if takes_logs and outputs.max() > 1e-6:
        raise ValueError("NLLLoss takes log-probabilities, none above 0: end "
                         "in nn.LogSoftmax(dim=1), or use CrossEntropyLoss")
    if (targets.shape == outputs.shape and targets.is_floating_point()
            and not takes_logs):
        if targets.min() < 0 or (targets.sum(dim=1) - 1).abs().max() > 0.02:
            raise ValueError("class probabilities must sum to 1 in each row: "
                             "for yes/no labels, use BCEWithLogitsLoss")
        if targets.dtype != outputs.dtype:
            raise TypeError(f"write targets.to({outputs.dtype})")
    elif targets.shape != shape:
        raise ValueError(
            f"class numbers have shape {tuple(shape)}, but the targets "
            f"{tuple(targets.shape)}: write targets.flatten().long() for a "
            "column, or targets.argmax(dim=1) for one-hot rows")
    elif targets.dtype not in (torch.int64, torch.uint8):
        raise TypeError(f"class numbers must be int64, not {targets.dtype}: "
                        "write targets.long()")
    else:
        kept = targets[targets != getattr(loss_fn, "keywords", {}).get(
            "ignore_index", getattr(loss_fn, "ignore_index", -100))]
        if len(kept) and not 0 <= kept.min() <= kept.max() < classes:
            raise ValueError(
                f"class numbers go from 0 to {classes - 1}, not from "
                f"{kept.min()} to {kept.max()}: count from 0, or raise "
                "out_features")

# %%
def check_pairing(outputs, targets, loss_fn):
    """Raise ValueError if outputs and targets of two shapes would broadcast.

    A loss that pairs them gives the same number for outputs in the shape of
    the targets, or refuses them.
    """
    numbers = torch.linspace(0.1, 0.9, targets.numel()).to(outputs)
    try:
        paired = torch.isclose(*(loss_fn(numbers.reshape(shape), targets)
                                 for shape in (outputs.shape, targets.shape)))
    except (IndexError, RuntimeError, ValueError):
        return  # it takes one of the two shapes alone
    if not paired.all():
        raise ValueError(f"outputs {tuple(outputs.shape)} and targets "
                         f"{tuple(targets.shape)} would broadcast: write "
                         f"targets.reshape{(-1, *outputs.shape[1:])}")

# %%
def check_targets(outputs, targets, loss_fn):
    """Raise an error that says what to write if targets do not fit a loss.

    Needs check_classes and check_pairing. Shapes: as the loss takes them,
    samples first. A loss in none of the sets below, part of this function,
    must pair outputs and targets of one count. Raises TypeError for a wrong
    type, ValueError for a wrong shape or value. Returns the loss's name.
    >>> check_targets(torch.zeros(3, 1), torch.ones(3, 1), nn.MSELoss)
    Traceback (most recent call last):
    TypeError: the loss is a class: write MSELoss()
    """
    if isinstance(loss_fn, type):
        raise TypeError(f"the loss is a class: write {loss_fn.__name__}()")
    name = getattr(getattr(loss_fn, "func", loss_fn), "__name__", "") or next(
        kind.__name__ for kind in type(loss_fn).__mro__[::-1]
        if getattr(kind, "forward", None) is getattr(
            type(loss_fn), "forward", None))  # where its formula stands
    shape, wanted = tuple(targets.shape), tuple(outputs.shape)
    if targets.numel() == 0 or not targets.float().isfinite().all():
        raise ValueError("there must be targets, without NaN or infinity")
    if name in OF_CLASSES:
        check_classes(outputs, targets, loss_fn)
    elif name in OF_LOGITS | OF_PROBABILITIES | OF_NUMBERS:
        if shape != wanted:
            raise ValueError(
                f"outputs have shape {wanted}, but targets {shape}: write "
                f"targets.reshape{(-1, *wanted[1:])} if there is one for each "
                "output; for class numbers, use CrossEntropyLoss")
        if targets.dtype not in (outputs.dtype, torch.promote_types(
                outputs.dtype, torch.float32)):  # half precision is fine
            raise TypeError(f"the targets are {targets.dtype}: write targets."
                            f"float(), or targets.to({outputs.dtype})")
        low, high = targets.min().item(), targets.max().item()
        if name not in OF_NUMBERS and (low < 0 or high > 1 + 1e-6):
            raise ValueError(
                f"targets go from 0 to 1, not from {low:g} to {high:g}: write "
                f"(targets == {high:g}).float() for two classes, or use "
                "CrossEntropyLoss for more")
        if name in OF_PROBABILITIES and (outputs * (1 - outputs)).min() < 0:
            raise ValueError("BCELoss takes probabilities, from 0 to 1: use "
                             "BCEWithLogitsLoss")
    elif shape != wanted and targets.numel() == outputs.numel():
        check_pairing(outputs, targets, loss_fn)
    try:
        loss = loss_fn(outputs, targets)
    except (IndexError, RuntimeError) as error:
        raise ValueError(f"the loss refuses the targets: {error}") from error
    if not torch.is_tensor(loss) or loss.numel() != 1:
        raise ValueError("the loss must be a tensor of one number, by .mean()")
    return name


OF_CLASSES = {"CrossEntropyLoss", "cross_entropy", "NLLLoss", "nll_loss"}
OF_LOGITS = {"BCEWithLogitsLoss", "binary_cross_entropy_with_logits"}
OF_PROBABILITIES = {"BCELoss", "binary_cross_entropy"}
OF_NUMBERS = {"MSELoss", "mse_loss", "L1Loss", "l1_loss", "SmoothL1Loss",
              "smooth_l1_loss", "HuberLoss", "huber_loss"}

# %%
def check_batch(model, inputs, targets, loss_fn):
    """Raise an error that says what to write if a batch cannot be learnt.

    Needs modes_kept, check_model, check_targets, check_classes and
    check_pairing. Shapes: inputs as the model takes them, targets as the loss
    does, samples first. Runs the model in eval mode, without gradients, and
    warns if its outputs look like probabilities where the loss takes logits.
    Raises TypeError for a wrong type, ValueError for a wrong shape or value.
    >>> X, y = torch.zeros(3, 2), torch.ones(3, 1)
    >>> check_batch(nn.Linear(2, 1), X, y, nn.BCEWithLogitsLoss())
    """
    with modes_kept(model), torch.no_grad():
        model.eval()
        weights = next(model.parameters(), inputs)
        for name, data in [("inputs", inputs), ("targets", targets)]:
            if not torch.is_tensor(data):
                raise TypeError(f"{name} must be a tensor: see to_tensors")
            if data.numel() == 0 or data.shape[:1] != inputs.shape[:1]:
                raise ValueError("there must be samples, and one target for "
                                 f"each, not {inputs.shape}, {data.shape}")
            if data.device != weights.device:
                raise ValueError(f"{name} are on {data.device}, but the model "
                                 f"on {weights.device}: pass device to both")
            if not data.float().isfinite().all():
                raise ValueError(f"{name} hold NaN or infinity: leave those "
                                 "samples out, or fill the gaps")
        try:
            outputs = model(inputs)
        except (IndexError, RuntimeError) as error:
            if inputs.dtype != weights.dtype and (
                    "type" in str(error) or "implemented" in str(error)):
                raise TypeError(f"inputs are {inputs.dtype}, but the model is "
                                f"{weights.dtype}: write inputs.float(), or "
                                f"inputs.to({weights.dtype})") from error
            raise ValueError(f"the model fails on inputs {inputs.shape}: "
                             f"compare in_features ({error})") from error
        if not torch.is_tensor(outputs):
            raise TypeError(f"the model must return a tensor: {type(outputs)}")
        if not outputs.isfinite().all():
            raise ValueError("the model gives NaN or infinity: build it anew")
        name = check_targets(outputs, targets, loss_fn)
        if (name in OF_LOGITS | {"CrossEntropyLoss", "cross_entropy"}
                and 0 <= outputs.min() < outputs.max() <= 1
                and inputs.is_floating_point() and all(
                    0 <= found.min() and found.max() <= 1
                    for found in map(model, [1000 * inputs, -1000 * inputs]))):
            warnings.warn("the outputs look like probabilities, but the loss "
                          "takes logits: leave out a last sigmoid or softmax",
                          stacklevel=2)

# %% [markdown]
# A batch that fits passes in silence. Now make mistakes that people report.
# Without the check they train all the same; the brackets say what happens.
# (One can only be suspected, and brings a warning: outputs from 0 to 1 where
# the loss takes logits.)

# %%
X_few, y_few = X_train[:32], y_train[:32]
check_batch(models["network"], X_few, y_few, loss_fn)
mistakes = {
    "Labels 1 and 2 (the loss falls below 0)": (y_few + 1, loss_fn),
    "Flat targets (a model learns the mean)": (y_few.flatten(), nn.MSELoss()),
    "One column (the loss is always 0)": (y_few, nn.CrossEntropyLoss())}
for name, (targets, wrong_loss) in mistakes.items():
    try:
        check_batch(models["network"], X_few, targets, wrong_loss)
    except ValueError as error:
        print(textwrap.fill(f"{name}: {error}.", 79))

# %% [markdown]
# ### Before You Train for Hours
# A batch that fits may still not be learnt. So check:
#
# | Check | Healthy |
# |---|---|
# | first loss | near $\log C$, a guess among $C$ classes |
# | loss after many steps on one batch | near 0: learnt by heart |
# | loss then, on inputs of zero | far higher: the inputs count |
# | parameters without a gradient | none |
#
# Below, each check meets a network that fails it, and the last one is healthy.
# (To freeze a layer is to tell PyTorch that it needs no slopes.) $\log 2$ is
# 0.69. Which check catches which mistake?

# %%
cases = [("features not scaled", 1000, []), ("inputs lost", 0, []),
         ("ReLU at end", 1, [nn.ReLU()]), ("frozen", 1, []), ("none", 1, [])]
for mistake, factor, end in cases:
    torch.manual_seed(7)
    model = nn.Sequential(MLP(2, [32, 32], 1), *end).to(device)
    model[0].layers.linear1.requires_grad_(mistake != "frozen")
    inputs, targets = factor * X_train[-32:], y_train[-32:]
    first = loss_fn(model(inputs), targets).item()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for step in range(60):
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
    zeroed = loss_fn(model(0 * inputs), targets).item()
    missing = sum(p.grad is None for p in model.parameters())
    print(f"{mistake:<19} first {first:>5.2f}, last {loss.item():.2f}, "
          f"zeroed {zeroed:.2f}, without gradient {missing}")
assert loss < 0.2 < 0.6 < zeroed and not missing, (
    f"a healthy network must learn, from inputs: {loss}, {zeroed}, {missing}")

# %% [markdown]
# Unscaled features make a fresh network far too sure. Lost inputs leave one
# answer for all. After a ReLU no logit is negative, so class 0 stays undecided
# at best. The frozen layer shows only as missing gradients. (Targets in a
# wrong order can be learnt by heart too; they show in the validation loss.)

# %% [markdown]
# ### Tools: `fit`, `evaluate` and `predict`
# One more check hands out the batches on the device (`yield` hands out one
# pair, and waits until the loop asks again):

# %%
def check_pairs(batches, device, name):
    """Check batches and yield their (inputs, targets) as tensors on a device.

    Raises TypeError for a Dataset or a generator in place of batches,
    ValueError for no batches or no pairs of tensors, calling them name.
    """
    if isinstance(batches, Dataset):
        raise TypeError(f"{name} is a Dataset, which yields single samples: "
                        f"write DataLoader({name}, batch_size=64)")
    if hasattr(batches, "__next__"):
        raise TypeError(f"{name} is a generator, which is empty after one "
                        "epoch: pass a list, TensorBatches or a DataLoader")
    empty = True
    for batch in batches:
        try:
            inputs, targets = (torch.as_tensor(part, device=device)
                               for part in batch)
        except (KeyError, TypeError, RuntimeError, ValueError) as error:
            raise ValueError(f"each of {name} must be a pair of inputs and "
                             "targets, two tensors") from error
        yield inputs, targets
        empty = False
    if empty:
        raise ValueError(f"there are no batches in {name}")

# %% [markdown]
# `evaluate` gives the loss on the validation set. It takes all outputs at
# once: with a smaller last batch or class weights a mean of means is wrong.

# %%
def evaluate(model, val_batches, loss_fn, device="cpu"):
    """Return the loss of a model on all samples of the batches together.

    Needs modes_kept, check_model, check_pairs, check_targets, check_classes
    and check_pairing. Holds all outputs; if their shapes differ, it is their
    mean by samples.
    >>> evaluate(nn.ReLU(), [([[0.0]], [[1.0]])], nn.MSELoss())
    1.0
    """
    with modes_kept(model), torch.no_grad():
        model.eval()
        parts = [(model(inputs), targets) for inputs, targets
                 in check_pairs(val_batches, device, "val_batches")]
        if len({(a.shape[1:], b.shape[1:]) for a, b in parts}) == 1:
            parts = [tuple(torch.cat(column) for column in zip(*parts))]
        total, count = 0.0, 0
        for outputs, targets in parts:
            check_targets(outputs, targets, loss_fn)
            total += loss_fn(outputs, targets).item() * len(targets)
            count += len(targets)
        return total / count

# %% [markdown]
# `fit` is your loop as one function, with additions:
#
# - the first batch is checked;
# - the best weights are kept, those with the lowest validation loss. The
#   weights at the start count too, so a second `fit` cannot raise that loss;
# - **early stopping**: `patience=n` stops after n epochs without a new best;
# - a loss that is not finite is an error that says where to look.

# %%
def check_optimizer(optimizer, model):
    """Raise ValueError if an optimizer holds no parameter of the model.

    Warns if it holds others while some of the model's are not in it.
    """
    held = {id(parameter) for group in getattr(optimizer, "param_groups", [])
            for parameter in group["params"]}
    own = {id(parameter) for parameter in model.parameters()}
    if held.isdisjoint(own):
        raise ValueError("the optimizer holds no parameter of this model: "
                         "make it anew from model.parameters()")
    if held - own and own - held:
        warnings.warn("the optimizer holds parameters of another model, and "
                      "not all of this one: make it anew", stacklevel=3)

# %%
def check_finite(loss, epoch):
    """Raise ValueError if a loss is NaN or infinity."""
    if not math.isfinite(loss):
        raise ValueError(
            f"the loss is not finite in epoch {epoch}: lower the learning "
            "rate, with a new optimizer (this one may hold NaN), and look "
            "for NaN in the data")

# %%
def fit(model, train_batches, val_batches, loss_fn, optimizer, num_epochs,
        device="cpu", log_every=0, patience=0):
    """Train a model and leave it with the best weights it has had.

    Needs check_optimizer, check_pairs, check_batch, check_targets,
    check_classes, check_pairing, check_finite, modes_kept, check_model,
    train_epoch, check_loss and evaluate.
    Batches yield pairs (inputs, targets) anew in each epoch, as TensorBatches
    or a DataLoader do. The best weights have the lowest validation loss, at
    entry or after an epoch. log_every=n prints every n-th epoch; patience=n
    stops after n epochs without a new best. A layer that you froze with
    eval() stays so in a model in train mode. Returns a number per epoch:
    {"train_loss": [...], "val_loss": [...]}. Raises what the checks raise;
    the model keeps its best weights then too, and when you interrupt it.
    >>> model, batches = nn.Linear(1, 1), [([[0.0]], [[1.0]])]
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> history = fit(model, batches, batches, nn.MSELoss(), optimizer, 3)
    >>> len(history["val_loss"])
    3
    """
    history = {"train_loss": [], "val_loss": []}
    best_epoch, best_loss, best_weights = 0, math.inf, None
    with modes_kept(model):
        check_optimizer(optimizer, model)
        if not model.training:
            model.train()
        try:
            for epoch in range(1, num_epochs + 1):
                pairs = check_pairs(train_batches, device, "train_batches")
                if epoch == 1:
                    first = next(pairs)
                    check_batch(model, *first, loss_fn)
                    best_loss = evaluate(model, val_batches, loss_fn, device)
                    best_weights = copy.deepcopy(model.state_dict())
                    pairs = itertools.chain([first], pairs)
                train_loss = train_epoch(model, pairs, loss_fn, optimizer)
                val_loss = evaluate(model, val_batches, loss_fn, device)
                check_finite(train_loss + val_loss, epoch)
                history["train_loss"].append(train_loss)
                history["val_loss"].append(val_loss)
                if not best_loss <= val_loss:  # also if best_loss is NaN
                    best_epoch, best_loss = epoch, val_loss
                    best_weights = copy.deepcopy(model.state_dict())
                if log_every and epoch % log_every == 0:
                    print(f"epoch {epoch:>3}: training loss {train_loss:.4f}, "
                          f"validation loss {val_loss:.4f}")
                if 0 < patience <= epoch - best_epoch:
                    break
        finally:
            if best_weights is not None:
                model.load_state_dict(best_weights)
    return history

# %% [markdown]
# Last, `predict` runs a model on a thousand samples at a time, to save memory.

# %%
def predict(model, inputs, device="cpu", batch_size=1024):
    """Return the model's outputs for inputs, on the CPU.

    Needs modes_kept, check_model, to_tensors and check_array. Shapes: inputs
    (num_samples, ...) as the model takes them; the outputs as it gives them.
    An array, a list, a data frame or a tensor of decimals becomes the model's
    dtype; a tensor of whole numbers goes in as it is. Runs in eval mode.
    >>> predict(nn.ReLU(), [[-1, 2]])
    tensor([[0., 2.]])
    """
    with modes_kept(model), torch.no_grad():
        model.eval()
        weights = next(model.parameters(), torch.zeros(()))
        if not torch.is_tensor(inputs) or inputs.is_floating_point():
            inputs, = to_tensors([inputs], dtype=weights.dtype)
        first = model(inputs[:1].to(device)).cpu()
        # One tensor for all: many small ones would scatter over the memory.
        outputs = first.new_empty((len(inputs), *first.shape[1:]))
        for rows in torch.arange(len(inputs)).split(batch_size):
            outputs[rows] = model(inputs[rows].to(device))
        return outputs

# %% [markdown]
# ### The Tools at Work
# Train the baseline and a fresh network with `fit`. With `patience=10` it
# stops ten epochs after the best, or after 40 epochs, with the best weights.

# %%
torch.manual_seed(9)
models["network"] = MLP(2, [32, 32], 1).to(device)
val_batches, histories = TensorBatches(X_val, y_val, batch_size=200), {}
for name, model in models.items():
    print(f"Training the {name}")
    histories[name] = fit(model, train_batches, val_batches, loss_fn,
                          torch.optim.Adam(model.parameters(), lr=0.02), 40,
                          device, log_every=10, patience=10)

# %% [markdown]
# Choose by the validation set, and only then test the model chosen.

# %%
chosen = min(models, key=lambda name: min(histories[name]["val_loss"]))
right = (predict(models[chosen], X_test, device) > 0) == (y_test.cpu() == 1)
print(f"Lowest validation loss: the {chosen}; its test accuracy is",
      f"{right.float().mean().item():.3f}")

# %% [markdown]
# ### Generalisation
# Who learns a phrase book by heart is lost when the waiter asks back. How well
# a network does on samples that it has not seen is its **generalisation**. To
# see it fail, take few samples, some with wrong labels, as in real tables:
# here every fifth label in the training set of scikit-learn's handwritten
# digits (64 pixels, from 0 to 16).

# %%
def noisy_digits(random_state, device="cpu"):
    """Return images and labels of digits, each in three sets, as tensors.

    Needs split_in_three, to_tensors and check_array. Shapes: images
    (num_samples, 64), from 0 to 1; labels (num_samples,), int64. Every fifth
    label of the training set is wrong.
    """
    digits = datasets.load_digits()
    images, labels = split_in_three(digits.data / 16, digits.target,
                                    random_state, stratify=digits.target)
    shift = np.random.RandomState(random_state).randint(1, 10, len(labels[0]))
    labels[0][::5] = (labels[0] + shift)[::5] % 10
    return to_tensors(images, device), to_tensors(labels, device, torch.int64)

# %% [markdown]
# Three networks train for 25 epochs: 2 hidden units and 128 on 400 digits, and
# 128 on the first 100 of them. Sketch where the training and validation loss
# of each will go. (`fit` keeps the best weights, this loop the last.)

# %%
images, labels = noisy_digits(random_state=22, device=device)
val_set, digit_loss = [(images[1], labels[1])], nn.CrossEntropyLoss()
curves = {}
for units, number in [(2, 400), (128, 400), (128, 100)]:
    torch.manual_seed(4)
    model = MLP(64, [units], 10).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    batches = TensorBatches(images[0][:number], labels[0][:number],
                            batch_size=number // 2, shuffle=True)  # 2 steps
    curve = {"train_loss": [], "val_loss": []}
    for epoch in range(25):
        curve["train_loss"].append(
            train_epoch(model, batches, digit_loss, optimizer))
        curve["val_loss"].append(evaluate(model, val_set, digit_loss, device))
    curves[f"{units} units, {number} digits"] = curve

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 3.3), sharex=True, sharey=True)
for ax, (title, curve) in zip(axes, curves.items()):
    best = int(np.argmin(curve["val_loss"]))
    ax.plot(np.arange(25) + 0.5, curve["train_loss"], label="training")
    ax.plot(np.arange(25) + 1, curve["val_loss"], label="validation")
    ax.plot(best + 1, curve["val_loss"][best], "o", color="C4",
            label=f"best: epoch {best + 1}")
    ax.set(title=title, xlabel="epoch")
    ax.legend()
axes[0].set(ylabel="loss", ylim=(0, None))
fig.subplots_adjust(left=0.06)
show(fig, "09_generalisation")

# %% [markdown]
# - Left, too small: two units cannot tell ten digits apart. Both lines stay
#   high: **underfitting**. The cure is more units.
# - Middle: the network learns what digits share. The validation loss falls,
#   and later rises less than on the right, if at all. (For most epochs the
#   training loss is higher: a fifth of its labels are wrong.)
# - Right, too few digits: from the dot on it learns them by heart, errors and
#   all. Training loss goes on towards 0; validation loss turns and rises.
#
# This is **overfitting**. The cures are more digits, or to stop at the dot.
# With `patience=5`, `fit` repeats the run on the right, stops five epochs
# after the best, and goes back to it. What is that worth in the test?

# %%
torch.manual_seed(4)
stopped = MLP(64, [128], 10).to(device)
optimizer = torch.optim.Adam(stopped.parameters(), lr=0.03)
losses = fit(stopped, batches, val_set, digit_loss, optimizer, 25, device,
             patience=5)["val_loss"]
kept = evaluate(stopped, val_set, digit_loss, device)
assert abs(kept - min(losses)) < 1e-4, (
    f"fit must go back to the lowest loss: {kept}, {losses}")
costs = []
for name, trained in [(f"Best of {len(losses)} epochs", stopped),
                      ("Last of 25 epochs", model)]:
    logits, truth = predict(trained, images[2], device), labels[2].cpu()
    wrong = logits.argmax(dim=1) != truth
    costs.append(digit_loss(logits[wrong], truth[wrong]).item())
    print(f"{name}: test accuracy {1 - wrong.float().mean().item():.3f}, mean",
          f"loss of the wrong answers {costs[-1]:.1f}")
assert costs[0] < costs[1], f"wrong answers must cost more later: {costs}"

# %% [markdown]
# Accuracy asks if an answer is right, the loss also how sure it is. A network
# that learns by heart grows surer, so each wrong answer costs more. Here the
# wrong labels cost accuracy as well; with right labels accuracy hardly falls,
# yet the validation loss rises.

# %% [markdown]
# ### Your Own Data
# Your own table won't come as tidy as the moons. Take a real one, of diabetes
# patients: ten measurements each, and as target how far the disease has gone a
# year later. (From a file, pandas' `read_csv` makes such a table.) Which
# column must not go in as it stands?

# %%
try:
    table = datasets.load_diabetes(scaled=False)
except TypeError:  # scikit-learn 1.0 has the scaled one alone
    table = datasets.load_diabetes()
X, y = table.data, table.target.reshape(-1, 1)
print("Features:", X.shape, "targets: from", y.min(), "to", y.max())
for row in [table.feature_names + ["target"], *np.hstack([X, y])[:3].round(2)]:
    print(*[f"{value!s:>6}" for value in row])

# %% [markdown]
# `sex` is a code: 2 is not twice 1. Make it **one-hot**: a column for each
# code, 1 where the row has it and 0 elsewhere.
#
# Real tables have gaps. This one has none, so the next cell makes some, at
# random. How many rows would you lose by leaving those out? So fill each gap
# with its column's **median**, the middle value. Take it, like the scaling,
# from the training set alone: who uses the network has one patient, no median,
# and must get yours.

# %%
is_code = X[:, [1]] == np.unique(X[:, 1])  # a column for each code
X = np.delete(X, 1, axis=1)
X[np.random.RandomState(20).rand(*X.shape) < 0.05] = math.nan
print(f"Made gaps in {np.isnan(X).any(axis=1).sum()} of {len(X)} rows")
X_parts, y_parts = split_in_three(np.hstack([X, is_code]), y, random_state=26)
medians = np.nanmedian(X_parts[0], axis=0)  # passes over the gaps
X_parts = [np.where(np.isnan(part), medians, part) for part in X_parts]

# %% [markdown]
# Scale the targets too: a fresh network's outputs are near 0. Afterwards,
# `inverse_transform` takes outputs back to the target's units. Compare with
# the mean for everyone.

# %%
x_scaler, y_scaler = (StandardScaler().fit(p[0]) for p in (X_parts, y_parts))
X_sets = to_tensors(map(x_scaler.transform, X_parts), device)
y_sets = to_tensors(map(y_scaler.transform, y_parts), device)
batches = TensorBatches(X_sets[0], y_sets[0], batch_size=50, shuffle=True)
errors = {"mean for everyone": np.abs(y_parts[0].mean() - y_parts[1]).mean()}
for name, hidden_sizes in [("linear baseline", []), ("network", [16])]:
    torch.manual_seed(9)
    model = MLP(X_sets[0].shape[1], hidden_sizes, 1).to(device)
    fit(model, batches, [(X_sets[1], y_sets[1])], nn.MSELoss(),
        torch.optim.Adam(model.parameters(), lr=0.02), 20, device)
    outputs = y_scaler.inverse_transform(predict(model, X_sets[1], device))
    errors[name] = np.abs(outputs - y_parts[1]).mean()
for name, error in errors.items():
    print(f"{name}: off by {error:.1f} on the validation set")
assert errors["network"] < 0.85 * errors["mean for everyone"], (
    f"the network must beat the mean by 15 %: {errors}")

# %% [markdown]
# The network beats the mean by far. With the baseline it is nearly a tie:
# which of the two is ahead changes with the seed. Then take the simpler one.

# %% [markdown]
# ### Save, Reload, Predict
# Somebody else's program gets a file from you, and raw rows. What must be in
# the file? The weights, as a `state_dict`, are not enough: it also takes the
# sizes and the activation, the names of the classes, and all that was measured
# on the training set, here the scaling (for the patients, medians and codes).
#
# A file can carry code that runs when you load it. `weights_only=True` is
# meant to refuse such files. It lets through tensors, Python's numbers and
# words, and lists and dictionaries of them; so no `StandardScaler`, no NumPy
# array and no number out of one. Make tensors of arrays, and a list of the
# names. (Load only files you trust all the same.) Here is the other program;
# it needs the class `MLP` too.

# %%
def classify(path, rows):
    """Return (class name, probability of class 1) for each raw row.

    Needs MLP and check_layers. path is a file as written below, of a network
    with one logit. rows (num_rows, in_features) is an array, a list or a data
    frame, in its own units, its columns in the order of training. Raises
    ValueError for rows of another width, for NaN and infinity.
    >>> one = torch.ones(1)
    >>> torch.save({"sizes": [1, [], 1], "activation": "ReLU", "mean": one,
    ...             "weights": MLP(1, [], 1).state_dict(), "scale": one,
    ...             "classes": ["no", "yes"]}, "one.pt")
    >>> len(classify("one.pt", [[0.5]]))
    1
    """
    knows = inspect.signature(torch.load).parameters  # since PyTorch 1.13
    options = {"weights_only": True} if "weights_only" in knows else {}
    saved = torch.load(path, map_location="cpu", **options)
    model = MLP(*saved["sizes"], getattr(nn, saved["activation"])).eval()
    model.load_state_dict(saved["weights"])
    rows = torch.tensor(np.array(rows, dtype=np.float64))
    if rows.shape[1:] != saved["mean"].shape or not (
            rows.float().isfinite().all()):
        raise ValueError(f"rows must have {len(saved['mean'])} columns, "
                         f"without NaN or infinity: {tuple(rows.shape)}")
    with torch.no_grad():
        logits = model(((rows - saved["mean"]) / saved["scale"]).float())
    return [(saved["classes"][int(p > 0.5)], p)
            for p in torch.sigmoid(logits).flatten().tolist()]

# %% [markdown]
# Write the file, and ask about a point of each moon. In scikit-learn, a final
# `_` marks what `fit` has measured.

# %%
rows = [[0.5, 0.87], [1.5, -0.37]]
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "moons.pt")
    torch.save({"sizes": [2, [32, 32], 1], "activation": "ReLU",
                "weights": models["network"].state_dict(),
                "mean": torch.tensor(scaler.mean_),
                "scale": torch.tensor(scaler.scale_),
                "classes": ["upper moon", "lower moon"]}, path)
    found = classify(path, rows)
for row, (name, p) in zip(rows, found):
    print(f"{row}: {name}; probability of the lower one {p:.3f}")
assert [name for name, _ in found] == ["upper moon", "lower moon"], (
    f"the first point must be on the upper moon: {found}")

# %% [markdown]
# `map_location="cpu"` loads on any machine what a GPU wrote. To go on training
# later, save `optimizer.state_dict()` too, which holds Adam's running means.
# Don't save a whole model: such a file is tied to today's source code.

# %% [markdown]
# ### Deeper: How Far to Trust a Number
# A test accuracy is a draw of initial weights, of the order of the batches and
# of test points. Give the range over several seeds, or a lucky one will pass
# for a better method. And 200 points are few: the **standard error**
# $\sqrt{p(1 - p)/N}$ says how far the accuracy $p$ typically lies from the one
# on endlessly many points.

# %%
accuracies = []
for seed in range(5):
    torch.manual_seed(seed)
    model = MLP(2, [32, 32], 1).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    fit(model, train_batches, val_batches, loss_fn, optimizer, 8, device)
    right = (predict(model, X_test, device) > 0) == (y_test.cpu() == 1)
    accuracies.append(right.float().mean().item())
mean = np.mean(accuracies)
print(f"5 seeds: {mean:.3f}, from {min(accuracies):.3f} to",
      f"{max(accuracies):.3f}; standard error from {len(y_test)} points:",
      f"{math.sqrt(mean * (1 - mean) / len(y_test)):.3f}")

# %% [markdown]
# ### Deeper: Remedies for Overfitting
# What helps besides stopping early? Try each remedy alone, on the hundred
# digits, all in one batch, trained past the turning point: weight decay, which
# shrinks every weight a little at each step, by the learning rate times the
# decay, so that only what many samples ask for stays large (`AdamW` is Adam
# with it); dropout, from Section 5; fewer units; more digits. One of them
# disappoints. Which? The last row is the linear baseline.

# %%
remedies = {"128 units, no remedy": {}, "weight decay 2": {"decay": 2.0},
            "dropout 0.5": {"dropout": 0.5}, "16 units": {"sizes": [16]},
            "400 digits": {"number": 400}, "no hidden layer": {"sizes": []}}
accuracies = {name: [] for name in remedies}
for seed in range(13, 16):
    images, labels = noisy_digits(seed, device)
    for name, remedy in remedies.items():
        torch.manual_seed(seed)
        number = remedy.get("number", 100)
        batch = images[0][:number], labels[0][:number]
        model = MLP(64, remedy.get("sizes", [128]), 10,
                    dropout=remedy.get("dropout", 0.0)).to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.05,
                                      weight_decay=remedy.get("decay", 0.0))
        for epoch in range(20):
            train_epoch(model, [batch], nn.CrossEntropyLoss(), optimizer)
        answers = predict(model, images[1], device).argmax(dim=1)
        right = answers == labels[1].cpu()
        accuracies[name].append(right.float().mean().item())

# %%
means = {name: np.mean(values).item() for name, values in accuracies.items()}
for name, values in accuracies.items():
    print(f"{name:<20} validation accuracy {means[name]:.3f}, from",
          f"{min(values):.3f} to {max(values):.3f}")
none, *others = (means[name] for name in remedies if name != "16 units")
assert max(none, means["16 units"]) < min(others), (
    f"no remedy and 16 units must be lowest: {means}")
assert max(others) == means["400 digits"], f"more digits help most: {means}"

# %% [markdown]
# Fewer units disappoint: 16 have less room for the errors, but for the digits
# too. More data helps most: it alone brings something new. And where data is
# short, the linear baseline beats the network without a remedy, and often
# those with decay or dropout. (The decay is strong since the training is
# short; AdamW's own default changes next to nothing here.)

# %% [markdown]
# ### Deeper: A Schedule, and Clipping
# Close to the goal one takes shorter steps. A **schedule** changes the
# learning rate while you train: `CosineAnnealingLR` lowers it along half a
# cosine wave, to 0 after `T_max` calls of its `step()`. Which ends best: a
# rate of 0.03, of 0.1, or one that falls from 0.1 to 0?

# %%
digits, losses, loss_fn = datasets.load_digits(), [], nn.CrossEntropyLoss()
X_train, X_val, y_train, y_val = to_tensors(train_test_split(
    digits.data / 16, digits.target, train_size=400, random_state=20),
    dtype=None)  # the targets stay whole
batches = TensorBatches(X_train, y_train, batch_size=10, shuffle=True)
for rate, falls in [(0.03, False), (0.1, False), (0.1, True)]:
    torch.manual_seed(20)
    model = MLP(64, [32], 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)
    for epoch in range(5):
        train_epoch(model, batches, loss_fn, optimizer)
        if falls:
            schedule.step()
    losses.append(evaluate(model, [(X_val, y_val)], loss_fn))
    print(f"rate from {rate} to {optimizer.param_groups[0]['lr']:.2f}:",
          f"validation loss {losses[-1]:.3f}")
assert losses[2] < min(losses[:2]), f"falling must end best: {losses}"

# %% [markdown]
# In so few epochs a small rate does not arrive and a large one does not
# settle; the falling one is fast and then calm.
#
# At times a single step is far too long. The line $3x + 1$ is right, and meets
# a batch of ten with one broken target, 1000. How far does a step at rate 0.1
# move its bias? **Clipping** is a guard (the cure is to find the target). It
# shortens the gradient $g$ of all parameters together to length $m$ at most:
#
# $$g \leftarrow g \cdot \min(1,\; m / |g|)$$

# %%
torch.manual_seed(20)
x = torch.randn(10)
targets = torch.cat([3 * x[:9] + 1, torch.tensor([1000.0])])
for max_norm in (math.inf, 1.0):
    line = torch.tensor([3.0, 1.0], requires_grad=True)  # weight and bias
    nn.MSELoss()(line[0] * x + line[1], targets).backward()
    gradient = line.grad.clone()
    nn.utils.clip_grad_norm_([line], max_norm)
    torch.testing.assert_close(
        line.grad, gradient * min(1, max_norm / gradient.norm().item()))
    print(f"max_norm {max_norm}: a step moves the bias by",
          f"{-0.1 * line.grad[1]:.2f}")

# %% [markdown]
# ### Deeper: Five per Cent Positives
# Of a hundred people five are ill, and a program tells everybody "healthy".
# How accurate is it, and how many of the ill does it find? Here are moons with
# such shares; class 1, the **positives**, are the ill. One network trains as
# usual; for the other, `pos_weight` lets both classes weigh the same.

# %%
X, y = datasets.make_moons(n_samples=(9500, 500), noise=0.3, random_state=9)
X_parts, y_parts = split_in_three(X, y, random_state=23, stratify=y)
X_train, X_val, _ = to_tensors(X_parts, device)
y_train, y_val, _ = (t.reshape(-1, 1) for t in to_tensors(y_parts, device))
weight = (y_train == 0).sum() / (y_train == 1).sum()
print(f"{100 * y.mean():.0f} % positives, pos_weight {weight:.0f}")
batches = TensorBatches(X_train, y_train, batch_size=500, shuffle=True)
logits = {}
for name, pos_weight in [("plain", None), ("weighted", weight)]:
    torch.manual_seed(9)
    model = MLP(2, [32], 1).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    fit(model, batches, [(X_val, y_val)],
        nn.BCEWithLogitsLoss(pos_weight=pos_weight), optimizer, 8, device)
    logits[name] = predict(model, X_val, device)

# %% [markdown]
# Judge by the **confusion matrix**: it counts each class apart, so a rare one
# cannot hide. And try the plain network with another **threshold**: alarm
# above the share of the ill, 0.05.

# %%
ill = y_val.cpu() == 1
print("             ill: found  missed    healthy: alarmed  spared  accuracy")
for name, alarm in [("all healthy", torch.zeros_like(ill)),
                    ("plain", logits["plain"] > 0),
                    ("plain, 0.05", torch.sigmoid(logits["plain"]) > 0.05),
                    ("weighted", logits["weighted"] > 0)]:
    (spared, alarmed), (missed, found) = confusion_matrix(ill, alarm)
    right = (spared + found) / len(ill)
    print(f"{name:<13}{found:>10}{missed:>8}{alarmed:>20}{spared:>8}",
          f"{right:>9.3f}")
assert found + missed == ill.sum() and right < 0.95, (
    f"more alarms must cost accuracy: {right}; ill: {found} + {missed}")

# %% [markdown]
# Weight and threshold find most of the ill (high **recall**), and most of
# their alarms are false (low **precision**): their accuracy is *below* that of
# the program that finds nobody. Why are they alike? The **odds** of $p$ are
# $p / (1 - p)$, here 1 to 19. The weight multiplies them by 19, so 0.05
# becomes 0.5, and adds $\log 19$ to their logarithm, the logit. Whose
# probabilities can you believe?

# %%
logits["weighted, odds / 19"] = logits["weighted"] - math.log(19)
for name, values in logits.items():
    p = torch.sigmoid(values)
    says, true = p[p > 0.5].mean(), ill[p > 0.5].float().mean()
    print(f"{name:<20}mean p {p.mean():.3f}; where p > 0.5: mean p",
          f"{says:.2f}, share of ill {true:.2f}")
    assert (abs(p.mean() - 0.05) < 0.02) == (name != "weighted"), (
        f"{name}: mean p must be near 0.05, unless weighted: {p.mean()}")

# %% [markdown]
# The weighted network exaggerates: if anybody reads probabilities, divide its
# odds by the weight, or move the plain one's threshold. Several labels at once
# need no new loss, but a logit (and `pos_weight`) each:

# %%
logits = torch.tensor([[2.0, -1.0, 0.5]])  # of one film
labels = torch.tensor([[1.0, 0.0, 0.0]])  # funny, not sad, not long
loss = nn.BCEWithLogitsLoss()(logits, labels)
print(f"Three labels at once: loss {loss:.4f}; yes: {(logits > 0).tolist()}")

# %% [markdown]
# ### Deeper: Not Only Networks
# Is a network worth its trouble? Ask two rivals, on the same splits: the
# linear baseline, and **gradient boosting**, which adds up small decision
# trees, each asking whether features are above some value, and trained on what
# those before it get wrong. The tables are the moons and two real ones:
# tumours, harmless or not, from features that experts chose, and digits, odd
# or even, from raw pixels. Who will win where?

# %%
X, y = datasets.load_digits(return_X_y=True)
tables = {"moons": datasets.make_moons(1000, noise=0.2, random_state=9),
          "tumours": datasets.load_breast_cancer(return_X_y=True),
          "digits": (X, y % 2)}
results = {name: [] for name in tables}
for (name, (X, y)), seed in itertools.product(tables.items(), (9, 12)):
    X_parts, y_parts = split_in_three(X, y, random_state=seed, stratify=y)
    scaler = StandardScaler().fit(X_parts[0])
    X_sets = to_tensors(map(scaler.transform, X_parts))
    y_sets = to_tensors(y_parts, dtype=torch.int64)
    batches = TensorBatches(X_sets[0], y_sets[0], batch_size=100, shuffle=True)
    trees = GradientBoostingClassifier(n_estimators=20, learning_rate=0.3,
                                       max_features="sqrt", random_state=seed)
    trees.fit(X_parts[0], y_parts[0])
    scores = [trees.score(X_parts[2], y_parts[2])]
    for hidden_sizes in ([], [32]):
        torch.manual_seed(seed)
        model = MLP(X.shape[1], hidden_sizes, 2)
        fit(model, batches, [(X_sets[1], y_sets[1])], nn.CrossEntropyLoss(),
            torch.optim.Adam(model.parameters(), lr=0.05), 7)
        answers = predict(model, X_sets[2]).argmax(dim=1)
        scores.append((answers == y_sets[2]).float().mean().item())
    results[name].append(scores)

# %%
print("Test accuracy: boosting    linear   network")
for name, scores in results.items():
    boosting, linear, network = np.mean(scores, axis=0)
    print(f"{name:<13}{boosting:>10.3f}{linear:>10.3f}{network:>10.3f}")
    assert network - linear > 0.02 or name == "tumours", (
        f"{name}: the network must beat the linear model: {scores}")
    assert network - max(linear, boosting) < 0.05, (
        f"{name}: a rival must nearly keep up: {scores}")

# %% [markdown]
# The linear model loses where the border is curved, and on raw pixels. On the
# tumours it is as good as any: the experts did the work of hidden layers. On
# the moons boosting keeps up with the network, unscaled; on the digits it
# mostly lags a little, and catches up with more trees. Nobody was tuned: give
# all the same care before you judge. So on a table run both rivals first, and
# keep a network only if the validation set says it earns its place. Its home
# is where data abounds and nobody can name the features: photos, speech, text.

# %% [markdown]
# ### Exercise 9
# `datasets.load_wine(return_X_y=True)` holds measurements of wines by three
# makers. Train a network to tell the makers apart, and count its right answers
# on the test set. (What changes with three classes?)

# %% [markdown]
# ## Recap
# Here is the first look again, line by line.
#
# | Line | Explained in |
# |---|---|
# | `X, y = datasets.make_moons(...)` | First Look |
# | `torch.tensor(X, dtype=torch.float32)` | Section 1, Basic Components |
# | `.reshape(-1, 1)` | Section 6, Mean Squared Error |
# | `torch.manual_seed(0)` | First Look |
# | `nn.Sequential(nn.Linear(2, 32), ...)` | Section 4, Forward Propagation |
# | `nn.ReLU()` | Section 3, ReLU |
# | `nn.BCEWithLogitsLoss()` | Section 6, Binary Cross-Entropy |
# | `torch.optim.Adam(model.parameters(), ...)` | Section 7, Adam Optimizer |
# | `for epoch in range(...):` | Section 8, Iterating over Data |
# | `optimizer.zero_grad()` | Section 8, Zeroing Gradients |
# | `loss = loss_fn(model(X), y)` | Section 8, Forward Propagation |
# | `loss.backward()` | Section 8, Backward Propagation |
# | `optimizer.step()` | Section 8, Optimizer Step |

# %% [markdown]
# ## Where to go next
# - **Images.** Stanford's notes work through a convolution number by number:
#   <https://cs231n.github.io/convolutional-networks/>
# - **Sequences.** "Dive into Deep Learning" predicts text letter by letter:
#   <https://d2l.ai/chapter_recurrent-neural-networks/index.html>
# - **Transformers.** Karpathy's lectures go from a single neuron to a small
#   GPT: <https://karpathy.ai/zero-to-hero.html>
# - **Tuning.** Google's playbook says what to vary first, and how to tell a
#   gain from luck: <https://github.com/google-research/tuning_playbook>
# - **Theory.** "Understanding Deep Learning" explains with pictures:
#   <https://udlbook.github.io/udlbook/>

# %% [markdown]
# ## Solutions
# Try before you read on.
#
# **Solution 1.** With inputs of zero only the biases are left: 4, 0 and -1.
# With inputs of one, each neuron's two weights and its bias are added up.
#
# **Solution 2.** NAND is 0 only when both inputs are 1, so each input must
# pull the sum down, and the bias must keep it up while fewer than two do.
#
# **Solution 3.** With $u = 1 + e^{-z}$, whose slope is $-e^{-z}$, the slope of
# $1 / u$ is
#
# $$\frac{e^{-z}}{(1 + e^{-z})^2} = \frac{1}{1 + e^{-z}} \cdot
# \frac{e^{-z}}{1 + e^{-z}} = \sigma(z)\,(1 - \sigma(z)).$$

# %%
X, b = torch.tensor([[0.0, 0], [1, 1]]), torch.tensor([4.0, 0, -1])
W = torch.tensor([[0.5, -1], [1, 1], [0, 2]])
print("Solution 1: weighted sums", (X @ W.T + b).tolist())
corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
perceptron = Perceptron(in_features=2)
mistakes = perceptron.fit(corners, torch.tensor([1.0, 1.0, 1.0, 0.0]))
print(f"Solution 2: mistakes {mistakes}, weights",
      f"{perceptron.weights.tolist()}, bias {perceptron.bias.item()}")
z = torch.tensor([-4.0, -1.0, 0.0, 0.5, 3.0])
slopes = gradient_of(torch.sigmoid, z)
print("Solution 3: slopes", slopes)
torch.testing.assert_close(slopes, torch.sigmoid(z) * (1 - torch.sigmoid(z)))

# %% [markdown]
# **Solution 4.** Without ReLU the hidden units are $x_1 + x_2$ and
# $x_1 + x_2 - 1$, so the output is
# $(x_1 + x_2) - 2 (x_1 + x_2 - 1) = 2 - (x_1 + x_2)$: linear, so no XOR.
#
# **Solution 5.** Each layer has `(inputs + 1) * outputs` parameters, one
# weight for each input and one bias:
# $11 \cdot 20 + 21 \cdot 30 + 31 \cdot 5 = 1005$.
#
# **Solution 6.** The slope of the MSE is zero where the errors cancel, at the
# mean, 26.5. The slope of the L1 loss is the number of targets below the
# prediction minus the number above, divided by four: zero between 2 and 3, the
# median. With 4 in place of 100, only the first changes: L1 shrugs it off.

# %%
hidden = corners @ torch.ones(2, 2) + torch.tensor([0.0, -1.0])
print("Solution 4: outputs without ReLU",
      (hidden @ torch.tensor([1.0, -2.0])).tolist())
count = sum(p.numel() for p in MLP(10, [20, 30], 5).parameters())
print("Solution 5:", count, "parameters;", 11 * 20 + 21 * 30 + 31 * 5)
grid = torch.arange(0, 100.5, 0.5).reshape(-1, 1)  # a row per prediction
for outlier in (100.0, 4.0):
    errors = grid - torch.tensor([1.0, 2.0, 3.0, outlier])
    mse, l1 = errors.square().mean(dim=1), errors.abs().mean(dim=1)
    print(f"Solution 6: targets up to {outlier:.0f}: best for MSE",
          f"{grid[mse.argmin()].item()}; for L1",
          grid[l1 < l1.min() + 1e-4].flatten().tolist())

# %% [markdown]
# **Solution 7.** The limit is $2 (1 + 0.8) / 20 = 0.18$: the steepest
# direction decides again, and momentum raises the limit by the factor
# $1 + \mu$.
#
# **Solution 8.** By 2: the mean over 8 samples is half the mean over the first
# 4 plus half the mean over the other 4, and `backward()` adds. (This is
# **gradient accumulation**.)

# %%
for learning_rate in (0.179, 0.181):
    point = torch.tensor([-9.0, 1.5], requires_grad=True)
    velocity = torch.zeros(2)
    for number in range(300):
        point.grad = gradient_of(ravine, point)
        sgd_step(point, velocity, learning_rate, momentum=0.8)
    print(f"Solution 7: limit {2 * 1.8 / 20:.2f}; at {learning_rate} the loss",
          f"ends at {ravine(point).item():.2g}")
torch.manual_seed(8)
X, targets, layer = torch.randn(8, 3), torch.randn(8, 1), nn.Linear(3, 1)
nn.MSELoss()(layer(X), targets).backward()
whole = layer.weight.grad.clone()
layer.zero_grad()
for half in (slice(0, 4), slice(4, 8)):
    (nn.MSELoss()(layer(X[half]), targets[half]) / 2).backward()
torch.testing.assert_close(layer.weight.grad, whole)
print("Solution 8: in two halves the gradient is the same:\n", whole)

# %% [markdown]
# **Solution 9.** Three logits, `nn.CrossEntropyLoss`, and whole numbers as
# targets. (If you can read the last cell's line, every check has passed.)

# %%
X, y = datasets.load_wine(return_X_y=True)
X_parts, y_parts = split_in_three(X, y, random_state=1, stratify=y)
scaler = StandardScaler().fit(X_parts[0])
X_train, X_val, X_test = to_tensors(map(scaler.transform, X_parts), device)
y_train, y_val, y_test = to_tensors(y_parts, device, dtype=torch.int64)
torch.manual_seed(9)
model = MLP(13, [16], 3).to(device)
fit(model, TensorBatches(X_train, y_train, batch_size=32, shuffle=True),
    [(X_val, y_val)], nn.CrossEntropyLoss(),
    torch.optim.Adam(model.parameters(), lr=0.01), 30, device)
right = predict(model, X_test, device).argmax(dim=1) == y_test.cpu()
print(f"Solution 9: {right.sum()} of {len(right)} test wines are right")

# %%
torch.set_num_threads(ALL_THREADS)
print("Reached the end: every assertion on the way has held.")
