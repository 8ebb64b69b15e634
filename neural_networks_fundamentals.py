# %% [markdown]
# # Neural Networks Fundamentals in PyTorch
#
# This tutorial takes you from one neuron, worked out on paper, to networks
# that you train, check, save and reload yourself.
#
# **You will learn** what a network computes, how it learns, what each line
# of a training program does, and how to recognise the classic mistakes by
# their symptoms.
#
# **You will need** Python, some algebra (functions, and what a slope is) and
# an hour or two. You need no knowledge of PyTorch.
#
# | Section | The question it answers |
# |---|---|
# | 1. Introduction | What does a network compute? |
# | 2. Perceptron | How can one neuron learn, and what can it not learn? |
# | 3. Activation functions | What makes many layers better than one? |
# | 4. Multi-layer perceptrons | What can hidden layers represent? |
# | 5. `nn.Module` | How do you write a network in PyTorch? |
# | 6. Loss functions | How wrong is a prediction? |
# | 7. Optimizers | Which way, and how far, should each weight move? |
# | 8. Training loop | How do the parts work together? |
# | 9. First network | How do you train a network and know it is good? |

# %% [markdown]
# ## How to read it
#
# The script and the notebook hold the same cells. Run the script, and it
# prints its results and saves its figures under `figures/`. Step through the
# notebook, and you see them below each cell. Copy a definition (a `def` or a
# `class` in a cell of its own), and it works once you have run the imports
# it uses. Each section ends with an exercise, which says what to expect; the
# last section solves them all.
#
# Claims are checked as you go. `assert` stops the program unless what follows
# it is true. `torch.testing.assert_close(a, b)` stops it unless `a` and `b`
# agree to within rounding: for 32-bit numbers, to within 0.00001 plus about a
# millionth of their size.
#
# **A tensor** is PyTorch's array of numbers. Its `shape` lists how many
# entries it has along each dimension: two rows of three numbers have shape
# `(2, 3)`, a list of three has `(3,)`, and one number alone `()`. Its `dtype`
# is the kind of number, mostly `float32`, a decimal number in 32 bits. It is
# like a NumPy array that can also live on a GPU and remember how it was
# computed.
#
# The next cell holds the set-up: imports, the device to train on (an NVIDIA
# GPU, else an Apple GPU, else the CPU), a seed so that random numbers repeat,
# the style of the figures, and two helpers for titles and figures. PyTorch
# gets one thread: networks as small as these take longer to share out among
# several than to compute. You may skip the cell.

# %%
import copy
import inspect
import io
import itertools
import math
import signal
import sys
import tempfile
import textwrap
import threading
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn import datasets
from sklearn.metrics import confusion_matrix, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

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
if torch.cuda.is_available():
    device = torch.device("cuda")
elif mps is not None and mps.is_available():
    device = torch.device("mps")
else:
    device = torch.device("cpu")

torch.manual_seed(0)
ALL_THREADS = torch.get_num_threads()
torch.set_num_threads(1)
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


def section(title, question):
    """Print both in a script; a notebook has its headings already."""
    if not IN_NOTEBOOK:
        print(f"\n\n{title}\n{'=' * len(title)}\n{question}\n")


def show(fig, name):
    """Show a figure in a notebook; save figures/<name>.png in a script."""
    png = io.BytesIO()
    fig.savefig(png, format="png", dpi=100)
    plt.close(fig)
    if IN_NOTEBOOK:
        from IPython.display import Image, display
        display(Image(png.getvalue()))
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


print(f"Section 9 will train on this device: {device}")

# %% [markdown]
# ## 1. Introduction to Neural Networks
#
# A **neural network** is a function with adjustable numbers inside. You show
# it examples, and a procedure adjusts the numbers until the outputs are
# close to what you want. To see what the function is, start with its
# smallest part.
#
# A **neuron** (also called a node or a unit) multiplies each input $x_i$ by a
# **weight** $w_i$, adds the products and a **bias** $b$ to get the **weighted
# sum** $z$, and passes it through an **activation function** $f$:
#
# $$z = w_1 x_1 + w_2 x_2 + b, \qquad \mathrm{output} = f(z)$$
#
# A weight says how much an input matters and in which direction. The bias
# shifts the sum, so a neuron can be active even when all inputs are zero.
# Work the next cell out on paper before you read its output (`item()` gives
# the number in a tensor of one entry).

# %%
section("1. Introduction to Neural Networks",
        "What does a network compute?")
inputs = torch.tensor([2.0, 3.0])
weights = torch.tensor([0.5, -1.0])
bias = torch.tensor([4.0])

z = inputs[0] * weights[0] + inputs[1] * weights[1] + bias
output = torch.clamp(z, min=0)  # one activation: negative sums become zero
print(f"One neuron: weighted sum z = {z.item()}, output = {output.item()}")

# %% [markdown]
# Here $z$ is positive, so this activation keeps it. In PyTorch, `nn.Linear`
# computes weighted sums. Give it the number of inputs and the number of
# outputs. It starts with random weights, and you call it like a function. Put
# your own weights in (one row per output, so shape `(1, 2)`), and it must
# print the same number. `torch.no_grad` says that this copying is not part of
# a computation to learn from.

# %%
neuron = nn.Linear(in_features=2, out_features=1)
with torch.no_grad():
    neuron.weight.copy_(weights.reshape(1, 2))  # a final _ means: in place
    neuron.bias.copy_(bias)

torch.testing.assert_close(neuron(inputs), z)
print(f"nn.Linear computes the same weighted sum: {neuron(inputs).item()}")

# %% [markdown]
# A **layer** is several neurons that read the same inputs. Give each neuron
# one row of a matrix $W$ of shape `(out_features, in_features)`. Data comes
# in **batches**: one sample per row, whose numbers are its **features**. Then
# $X W^T + b$ computes the whole layer. In code, `@` is the matrix product:
# each entry is a row of the left times a column of the right, added up. `.T`
# (transposed) swaps rows and columns, and `b` is added to every row. The
# first sample and the first neuron below are the ones above.

# %%
X = torch.tensor([[2.0, 3.0], [1.0, 0.0]])  # (2 samples, 2 features)
W = torch.tensor([[0.5, -1.0], [1.0, 1.0], [0.0, 2.0]])  # (3 neurons, 2)
b = torch.tensor([4.0, 0.0, -1.0])  # one bias per neuron

layer_output = X @ W.T + b  # entry [0, 0]: 2 * 0.5 + 3 * (-1) + 4 = 2
print("Shapes:", tuple(X.shape), "@", tuple(W.T.shape), "->",
      tuple(layer_output.shape))
print("Weighted sums, one row per sample, one column per neuron:")
print(layer_output)

# %% [markdown]
# `nn.Linear` with three outputs holds a weight of the same shape, and does
# the same product. Check it.

# %%
layer = nn.Linear(in_features=2, out_features=3)
with torch.no_grad():
    layer.weight.copy_(W)
    layer.bias.copy_(b)

torch.testing.assert_close(layer(X), layer_output)
print("nn.Linear(2, 3) agrees; its weight has shape",
      tuple(layer.weight.shape))

# %% [markdown]
# The commonest error is a shape that does not fit. Feed three features to the
# layer built for two. In the message, `1x3` is your data (`mat1`) and `2x3`
# the transposed weight (`mat2`). The inner two numbers, 3 and 2, must be
# equal.

# %%
try:
    layer(torch.ones(1, 3))
except RuntimeError as error:
    print("Three features into nn.Linear(2, 3) raise a RuntimeError:")
    print(error)

# %% [markdown]
# Layers in a row make a network. The **input layer** is the data itself;
# **hidden layers** compute intermediate values; the **output layer** gives
# the prediction. How to read the figure: each circle is a unit and each line
# one weight (biases are not drawn), thick when it is large, solid blue when
# positive and dashed orange when negative. Data flows from left to right.
# With random weights like these, the output means nothing yet.

# %%
torch.manual_seed(1)
sizes, names = [3, 4, 4, 2], ["input", "hidden 1", "hidden 2", "output"]
fig, ax = plt.subplots(figsize=(8, 4))
for column in range(3):
    weight = nn.Linear(sizes[column], sizes[column + 1]).weight.detach()
    for i in range(sizes[column + 1]):
        for j in range(sizes[column]):
            ax.plot([column, column + 1],
                    [(sizes[column] - 1) / 2 - j,
                     (sizes[column + 1] - 1) / 2 - i],
                    color="C0" if weight[i, j] > 0 else "C1",
                    linestyle="-" if weight[i, j] > 0 else "--",
                    linewidth=6 * abs(weight[i, j].item()))
for column, size in enumerate(sizes):
    ax.scatter([column] * size, torch.arange(size) - (size - 1) / 2,
               s=500, color="white", edgecolor="black", zorder=2)
    ax.text(column, -2.3, f"{names[column]}\n({size} units)", ha="center")
ax.set(title="A network with two hidden layers", ylim=(-2.4, 2))
ax.axis("off")
show(fig, "01_network")

# %% [markdown]
# **The biological inspiration, and where it ends.** A nerve cell receives
# signals through many connections of different strength, and fires when
# enough of them arrive together. The weighted sum and the activation are a
# sketch of that. The likeness ends there: nerve cells send spikes in
# continuous time, there are many kinds of them, and nobody has shown that
# brains learn by the method of Section 8. Read "neuron" as a name.
#
# Networks differ in how the layers are connected:
#
# | Network | Suited to | Idea | In `torch.nn` |
# |---|---|---|---|
# | Fully connected (MLP) | tables | a unit reads all before it | `Linear` |
# | Convolutional | images | one small filter, all places | `Conv2d` |
# | Recurrent | sequences | a memory carried along | `RNN`, `LSTM` |
# | Transformer | text | each item weighs all others | `Transformer` |
#
# This tutorial builds the first kind. All four are trained in the same way.
#
# **Exercise 1.** Without running anything, find the three weighted sums that
# the layer above gives for the sample `[0, 0]`. Then check with
# `layer(torch.zeros(1, 2))`. *Expect the three biases: why?*

# %% [markdown]
# ## 2. The Perceptron: The Simplest Neural Network
#
# Section 1 chose its weights by hand. Can a neuron find its own? Frank
# Rosenblatt showed a way around 1960. His **perceptron** is one neuron with a
# **step** activation that answers 1 when the weighted sum is at least 0, and
# 0 otherwise. It looks at one example at a time, in **passes** over
# all of them, and learns from mistakes only:
#
# $$w \leftarrow w + (y - \hat{y})\,x, \qquad
# b \leftarrow b + (y - \hat{y})$$
#
# Here $\leftarrow$ means "becomes"; $w$ and $x$ are whole lists of numbers;
# $y$ is the target, 0 or 1, and $\hat{y}$ the prediction. In code, `x @ w` is
# the sum of products, and `X @ w` holds one for each row of `X`. A correct
# answer changes nothing. A missed 1 adds the example to the weights, which
# raises the sum for it (no $x_i x_i$ is negative); a false 1 subtracts it.

# %%
class Perceptron:
    """One neuron with a step activation, taught by Rosenblatt's rule.

    Shapes: X (num_samples, in_features), float32; y (num_samples,), only 0s
    and 1s, or fit() raises ValueError.
    Source: F. Rosenblatt, "Principles of Neurodynamics", 1962.
    """

    def __init__(self, in_features, device="cpu"):
        self.weights = torch.zeros(in_features, device=device)
        self.bias = torch.zeros((), device=device)
        self.history = []  # (weights, bias) after each pass

    def predict(self, X):
        """Return 1.0 where the weighted sum is at least 0, else 0.0."""
        return (X @ self.weights + self.bias >= 0).to(X.dtype)

    def fit(self, X, y, max_passes=100):
        """Learn until a pass has no mistakes, or for max_passes.

        Return the number of mistakes in each pass.
        """
        if y.shape != X.shape[:1] or not ((y == 0) | (y == 1)).all():
            raise ValueError("y must hold one 0 or 1 for each row of X")
        mistakes = []
        while len(mistakes) < max_passes and (not mistakes or mistakes[-1]):
            mistakes.append(0)
            for x, target in zip(X, y.to(X.dtype)):
                error = target - self.predict(x)
                if error != 0:
                    self.weights = self.weights + error * x
                    self.bias = self.bias + error
                    mistakes[-1] += 1
            self.history.append((self.weights, self.bias))
        return mistakes

# %% [markdown]
# Many rules multiply each update by a factor, the **learning rate**. This one
# needs none: its weights start at zero, so a factor would multiply all
# weights and the bias alike, and (rounding aside) each sum would keep its
# sign. Try the rule on two logic gates. AND is 1 when both inputs are 1, and
# OR when at least one is. Look for the 0 that ends each list of mistakes.

# %%
section("2. The Perceptron: The Simplest Neural Network",
        "How can one neuron learn, and what can it not learn?")
corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
for gate, y in [("AND", [0.0, 0.0, 0.0, 1.0]), ("OR", [0.0, 1.0, 1.0, 1.0])]:
    perceptron = Perceptron(in_features=2)
    mistakes = perceptron.fit(corners, torch.tensor(y))
    torch.testing.assert_close(perceptron.predict(corners), torch.tensor(y))
    print(f"{gate}: mistakes in each pass {mistakes},",
          f"weights {perceptron.weights.tolist()},",
          f"bias {perceptron.bias.item()}")

# %% [markdown]
# It learned both. A gate has four examples; now give it a hundred.
# `make_blobs` draws two clouds of points, here far enough apart that a
# straight line separates them. Data like that is called **linearly
# separable**, and for it the rule is sure to reach a pass without mistakes
# (Novikoff proved this in 1962).

# %%
X, y = datasets.make_blobs(n_samples=100, centers=[[1.0, 3.0], [3.0, 1.0]],
                           cluster_std=0.7, random_state=3)
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32)

perceptron = Perceptron(in_features=2)
mistakes = perceptron.fit(X, y)
assert mistakes[-1] == 0
print("Blobs: mistakes in each pass over the 100 points:", mistakes)

# %% [markdown]
# A small helper draws points of two classes, here and in later sections:
# circles for class 0, triangles for class 1.

# %%
def scatter_classes(ax, points, labels, size=5):
    """Draw class 0 as circles and class 1 as triangles on Matplotlib axes.

    Shapes: points (num_points, 2); labels (num_points,), only 0s and 1s.
    size is the width of a marker, in points. Raises ValueError for another
    label.
    """
    labels = torch.as_tensor(labels)
    if not ((labels == 0) | (labels == 1)).all():
        raise ValueError("labels must be 0 or 1")
    for label, marker in [(0, "o"), (1, "^")]:
        chosen = points[labels == label]
        ax.plot(chosen[:, 0], chosen[:, 1], marker, color=f"C{label}",
                markersize=size, label=f"class {label}")

# %% [markdown]
# The boundary is the line where the weighted sum is zero,
# $w_1 x_1 + w_2 x_2 + b = 0$. Solved for $x_2$, it has slope
# $-w_1 / w_2$ and height $-b / w_2$ at $x_1 = 0$. How to read the
# figure: the thin lines are the boundary after the first three passes, and
# the thick one is the last, which has each cloud on its own side.

# %%
fig, ax = plt.subplots(figsize=(8, 4))
scatter_classes(ax, X, y)
last = len(perceptron.history)
for number, (w, b) in enumerate(perceptron.history, start=1):
    if number in (1, 2, 3, last):
        w1, w2 = w.tolist()
        ax.axline((0, -b.item() / w2), slope=-w1 / w2, color="black",
                  linewidth=2 if number == last else 1,
                  linestyle={1: ":", 2: "--", 3: "-."}.get(number, "-"),
                  label=f"after pass {number}")
ax.set(title="A perceptron finds a line between two clouds",
       xlabel="feature 1", ylabel="feature 2", ylim=(-0.7, 5))
fig.subplots_adjust(right=0.77)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
show(fig, "02_perceptron")

# %% [markdown]
# The same from `torch`: an `nn.Linear` with these weights, followed by a
# comparison with zero, must give the same hundred answers.

# %%
neuron = nn.Linear(2, 1)
with torch.no_grad():
    neuron.weight.copy_(perceptron.weights.reshape(1, 2))
    neuron.bias.copy_(perceptron.bias)
    answers = (neuron(X) >= 0).float().flatten()

torch.testing.assert_close(answers, perceptron.predict(X))
print(f"nn.Linear and a step give the same {len(answers)} answers")

# %% [markdown]
# Now the case that breaks it. **XOR** ("exclusive or") is 1 when exactly one
# of the two inputs is 1. Give the rule many passes, and look for a zero.

# %%
xor = torch.tensor([0.0, 1.0, 1.0, 0.0])
mistakes = Perceptron(in_features=2).fit(corners, xor, max_passes=100)
assert len(mistakes) == 100 and min(mistakes) > 0
print("XOR: mistakes in the first passes:", mistakes[:8])
print("XOR: fewest mistakes in any of the 100 passes:", min(mistakes))

# %% [markdown]
# More passes cannot help, because no line does it. Put each corner into
# $w_1 x_1 + w_2 x_2 + b$: the sum must be negative where XOR is 0, and not
# where it is 1. So (0, 0), (0, 1), (1, 0) and (1, 1) require, in this order,
#
# $$b < 0, \qquad w_2 + b \geq 0, \qquad w_1 + b \geq 0, \qquad
# w_1 + w_2 + b < 0.$$
#
# Add the second and the third: $w_1 + w_2 + 2b \geq 0$. Subtract $b$:
# $w_1 + w_2 + b \geq -b$. By the first, $-b > 0$, so the sum is positive,
# and the fourth is false. As a check, the next cell tries 17 values for each
# of $w_1$, $w_2$ and $b$, in all $17^3$ combinations, and counts how many
# corners the best neuron gets right. `meshgrid` makes the combinations,
# `stack` joins tensors into one, and in `reshape`, -1 means "as many as there
# are". The column of 4 targets is compared with every column of answers, and
# `sum(dim=0)` adds down each column.

# %%
grid = torch.linspace(-2, 2, 17)
w1, w2, b = torch.meshgrid(grid, grid, grid, indexing="ij")
neurons = torch.stack([w1, w2, b]).reshape(3, -1)  # one neuron per column
answers = corners @ neurons[:2] + neurons[2] >= 0  # (4 corners, 17 ** 3)
right = (answers == xor.bool().reshape(4, 1)).sum(dim=0)  # of each neuron
print(f"XOR: the best of {neurons.shape[1]} neurons gets",
      f"{right.max().item()} of the 4 corners right")
assert right.max() == 3

# %% [markdown]
# How to read the figure: circles are 0 and triangles are 1. In the first two
# panels one line has all triangles on one side. In the third, each line cuts
# off one circle but leaves the other among the triangles: it takes both
# lines, with the triangles between them.

# %%
fig, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharex=True, sharey=True)
gates = [("AND: one line", [0, 0, 0, 1], [1.5]),
         ("OR: one line", [0, 1, 1, 1], [0.5]),
         ("XOR: it takes two lines", [0, 1, 1, 0], [0.5, 1.5])]
for ax, (title, y, heights) in zip(axes, gates):
    scatter_classes(ax, corners, torch.tensor(y), size=10)
    for height in heights:
        ax.axline((0, height), slope=-1, color="black", linestyle="--")
    ax.set(title=title, xlabel="input 1", xlim=(-0.4, 1.4),
           ylim=(-0.4, 1.4), xticks=[0, 1], yticks=[0, 1])
axes[0].set_ylabel("input 2")
show(fig, "02_gates")

# %% [markdown]
# Two lines would do it. Two lines are two neurons, and a third must combine
# their answers: that is a second layer. First, when is one neuron enough?
#
# | Your data | One neuron |
# |---|---|
# | linearly separable | enough; the rule ends without mistakes |
# | nearly so (some overlap) | useful, but the step rule never settles |
# | curved boundary, or XOR | not enough: add a hidden layer |
#
# For the middle row, Section 6 brings measures that count *how* wrong an
# answer is, where the step only says *that* it is wrong.
#
# **Exercise 2.** NAND is AND with its answers swapped. Predict the signs of
# the two weights and of the bias, then run `Perceptron` on it. *Expect the
# last pass to have no mistakes, both weights negative and the bias
# positive.*

# %% [markdown]
# ## 3. Activation Functions
#
# XOR needs a second layer. Is a second layer alone enough? A **linear layer**
# computes weighted sums and has no activation. For many samples, as rows, it
# is $X W^T + b$; for one sample, written as a column $x$, it is $W x + b$.
# Put one linear layer on top of another and multiply out:
#
# $$W_2 (W_1 x + b_1) + b_2 = (W_2 W_1)\,x + (W_2 b_1 + b_2)$$
#
# The right side is again one matrix and one bias: one linear layer. So any
# number of linear layers is worth one, unless something **non-linear**, whose
# graph is not a straight line, stands between them. Check it on random
# layers (`torch.randn` draws random numbers around 0).

# %%
section("3. Activation Functions",
        "What makes many layers better than one?")
torch.manual_seed(3)
first, second = nn.Linear(4, 8), nn.Linear(8, 2)
X = torch.randn(5, 4)

W = second.weight @ first.weight
b = second.weight @ first.bias + second.bias
torch.testing.assert_close(second(first(X)), X @ W.T + b)
print("Two linear layers equal one, whose weight has shape", tuple(W.shape))

# %% [markdown]
# The cure is an **activation function**, a non-linear function applied to
# each weighted sum. To compare such functions you need their values and also
# their slopes, because learning (Sections 7 and 8) follows slopes.
#
# A result has a slope for each entry of a tensor: how fast it changes when
# only that entry changes. Together these slopes are the **gradient**. PyTorch
# computes it: mark the tensor with `requires_grad=True`, compute a result,
# call `backward()` on it, and read `.grad`. (The weights of an `nn.Linear`
# come marked; `detach()` gives the same numbers unmarked, in the same memory,
# and `clone()` copies them.) For $z^2$ the slope is $2z$, so look for 6 at
# $z = 3$.

# %%
z = torch.tensor(3.0, requires_grad=True)
(z ** 2).backward()
print(f"Slope of z^2 at z = 3: {z.grad.item()}")

# %% [markdown]
# You will want the slopes of many functions at many points. `backward()`
# starts from a single number, so add the results up. If the function treats
# each entry on its own, each entry moves only one term of the sum. So the
# gradient of the sum holds every slope, and one pass gives them all.
# (`torch.autograd.grad` is `backward()` for one tensor: it returns the
# gradient, and fills no `.grad`.)

# %%
def gradient_of(function, points):
    """Return the gradient of function(points).sum() at the points.

    Shapes: any floating-point tensor in, the same shape out. For a function
    that acts entry by entry, these are its slopes.
    """
    points = points.detach().clone().requires_grad_()
    return torch.autograd.grad(function(points).sum(), points)[0]

# %% [markdown]
# **Sigmoid** squashes any number into the range from 0 to 1:
#
# $$\sigma(z) = \frac{1}{1 + e^{-z}}$$
#
# Typed in as it stands, it has a flaw. At $z = -100$ the exponential is too
# large for a 32-bit number and becomes infinite. The value survives, since
# one over infinity is zero. Look at the gradient.

# %%
z = torch.tensor(-100.0, requires_grad=True)
value = 1 / (1 + torch.exp(-z))
value.backward()
print(f"exp(100) in 32 bits: {torch.exp(-z).item()}")
print(f"Textbook sigmoid at -100: {value.item()}, slope {z.grad.item()}")
assert value == 0 and z.grad.isnan()

# %% [markdown]
# The gradient is NaN, "not a number", the result of infinity times zero. One
# NaN gradient turns weights into NaN and ends the training. The stable form
# never takes the exponential of a positive number: multiply the fraction
# above and below by $e^{z}$ and you get $e^{z} / (1 + e^{z})$, which is safe
# where the first form is not. `torch.where(c, a, b)` takes `a` where `c` is
# true, else `b`.

# %%
def sigmoid(z):
    """Return 1 / (1 + exp(-z)) for each entry, without overflow.

    Shapes: any floating-point tensor in, the same shape out.
    """
    positive = z >= 0
    small = torch.exp(torch.where(positive, -z, z))  # never above 1
    return torch.where(positive, 1 / (1 + small), small / (1 + small))

# %% [markdown]
# **Tanh**, the hyperbolic tangent, squashes into the range from -1 to 1, so
# its outputs are centred on zero:
#
# $$\tanh(z) = \frac{e^{z} - e^{-z}}{e^{z} + e^{-z}}$$
#
# It overflows on both sides, to infinity over infinity. The stable form
# divides by the larger exponential. `torch.expm1(a)` is $e^{a} - 1$,
# accurate even for tiny $a$.

# %%
def tanh(z):
    """Return the hyperbolic tangent of each entry, without overflow.

    Shapes: any floating-point tensor in, the same shape out.
    """
    positive = z >= 0
    # For z >= 0, tanh(z) = (1 - exp(-2z)) / (1 + exp(-2z)); and
    # tanh(-z) = -tanh(z). With decay = exp(-2z) - 1:
    decay = torch.expm1(torch.where(positive, -2 * z, 2 * z))
    magnitude = -decay / (decay + 2)
    return torch.where(positive, magnitude, -magnitude)

# %% [markdown]
# **ReLU**, the rectified linear unit, is $\max(0, z)$: it keeps positive
# numbers and replaces the others by zero. It is cheap, and its slope is 1
# wherever $z$ is positive. At exactly 0 it has a corner, and PyTorch takes
# the slope there as 0.

# %%
def relu(z):
    """Return max(0, z) for each entry; its gradient at 0 is 0.

    Shapes: any floating-point tensor in, the same shape out.
    """
    return torch.where(z <= 0, torch.zeros_like(z), z)

# %% [markdown]
# ReLU's slope is 0 for all negative sums, which can stop a unit from
# learning, as you will see below. **Leaky ReLU** keeps a small slope there,
# $\max(0.01 z, z)$. **ELU** bends smoothly towards $-\alpha$ instead
# ($\alpha$ is usually 1):
# $\alpha (e^{z} - 1)$ for negative $z$.

# %%
def leaky_relu(z, negative_slope=0.01):
    """Return z where z > 0, and negative_slope * z elsewhere.

    Shapes: any floating-point tensor in, the same shape out.
    Source: A. Maas et al., "Rectifier nonlinearities improve neural
    network acoustic models", 2013.
    """
    return torch.where(z > 0, z, negative_slope * z)

# %% [markdown]
# Both branches of `torch.where` are computed. An infinite value in the one
# *not* taken would still spoil the gradient (zero times infinity again), so
# the code feeds `expm1` zeros wherever its result is not wanted.

# %%
def elu(z, alpha=1.0):
    """Return z where z > 0, and alpha * (exp(z) - 1) elsewhere.

    Shapes: any floating-point tensor in, the same shape out.
    Source: D.-A. Clevert et al., "Fast and accurate deep network learning
    by exponential linear units", 2015.
    """
    positive = z > 0
    negative_part = torch.where(positive, torch.zeros_like(z), z)
    return torch.where(positive, z, alpha * torch.expm1(negative_part))

# %% [markdown]
# Now hold each against PyTorch's own, from -200 to 200: values to a relative
# error of 0.00001 (those below 1e-30 need only be as tiny), slopes to within
# 0.00001. Look at the largest slopes: sigmoid's is the smallest by far.

# %%
points = torch.arange(-2000, 2001) / 10  # from -200 to 200, with 0 itself
pairs = {"sigmoid": (sigmoid, torch.sigmoid), "tanh": (tanh, torch.tanh),
         "relu": (relu, nn.ReLU()), "leaky_relu": (leaky_relu, nn.LeakyReLU()),
         "elu": (elu, nn.ELU())}
for name, (ours, theirs) in pairs.items():
    slopes = gradient_of(ours, points)
    torch.testing.assert_close(ours(points), theirs(points),
                               rtol=1e-5, atol=1e-30)
    torch.testing.assert_close(slopes, gradient_of(theirs, points),
                               rtol=0.0, atol=1e-5)
    print(f"{name:<10} agrees with PyTorch at {len(points)} points;",
          f"largest slope {slopes.max().item():.2f}")

# %% [markdown]
# **Softmax** is for output layers. It turns a row of raw scores, called
# **logits**, into probabilities: positive numbers that sum to 1.
#
# $$\mathrm{softmax}(z)_i = \frac{e^{z_i}}{\sum_j e^{z_j}}$$
#
# The lower part adds up $e^{z_j}$ over the whole row. It overflows for large
# scores. But adding a number $c$ to every logit changes nothing:
# $e^{z + c} = e^{c} e^{z}$, and the factor $e^{c}$ cancels above and below. So
# subtract the largest logit first, and no exponential exceeds 1. `dim` is the
# dimension to sum along: for one sample per row it is `dim=1`.

# %%
def softmax(logits, dim):
    """Turn logits into probabilities that sum to 1 along dimension dim.

    Shapes: any floating-point tensor in, with at least one entry along dim;
    the same shape out.
    """
    # keepdim=True: the maxima of (2, 3) logits are (2, 1), not (2,).
    exponentials = torch.exp(logits - logits.amax(dim=dim, keepdim=True))
    return exponentials / exponentials.sum(dim=dim, keepdim=True)

# %% [markdown]
# See the break and the cure side by side: the formula as it stands fails for
# logits near 1000, the stable form does not, and shifting by 1000 changes
# nothing.

# %%
row = torch.tensor([1.0, 2.0, 3.0])
logits = torch.stack([row, row + 1000])
exponentials = torch.exp(logits)
naive = exponentials / exponentials.sum(dim=1, keepdim=True)
print(f"Softmax as the formula stands:\n{naive}")
print(f"Stable softmax:\n{softmax(logits, dim=1)}")

# %% [markdown]
# Against PyTorch, value and gradient must agree. (A softmax row always sums
# to 1, so the gradient of its sum is zero and tells nothing. The sum of the
# squares does change, so compare its gradient.)

# %%
torch.testing.assert_close(softmax(logits, 1), torch.softmax(logits, 1))
torch.testing.assert_close(
    gradient_of(lambda z: softmax(z, dim=1).square(), logits),
    gradient_of(lambda z: torch.softmax(z, dim=1).square(), logits))
print("Stable softmax agrees with PyTorch in value and gradient")

# %% [markdown]
# What if `dim` is wrong? With one sample per row and one class per column,
# `dim=1` is right. With `dim=0` the samples of a batch compete with each
# other, which runs without an error. Compare the sums of the rows.

# %%
torch.manual_seed(3)
logits = torch.randn(2, 3)  # 2 samples, 3 classes
for dim in (1, 0):
    row_sums = softmax(logits, dim=dim).sum(dim=1)
    print(f"softmax with dim={dim}: the rows sum to",
          " and ".join(f"{row_sum:.4f}" for row_sum in row_sums))

# %% [markdown]
# How to read the figure: the solid line is the function and the dashed line
# its slope. Where the dashed line is near zero, a unit passes on almost no
# gradient. Sigmoid and tanh go flat on both sides, ReLU and ELU on the left,
# where Leaky ReLU keeps a slope of 0.01. The last
# panel has no slopes: it shows the softmax probabilities of three logits as
# one grows while the other two stay at 0 and 1.

# %%
fig, axes = plt.subplots(2, 3, figsize=(9, 5), sharex=True, sharey=True)
z = torch.linspace(-4, 4, 401)
functions = {"Sigmoid": sigmoid, "Tanh": tanh, "ReLU": relu,
             "Leaky ReLU (slope 0.01)": leaky_relu, "ELU": elu}
for ax, (name, function) in zip(axes.flat, functions.items()):
    ax.plot(z, function(z), label="function")
    ax.plot(z, gradient_of(function, z), label="slope")
    ax.set(title=name, ylim=(-1.2, 2.2), xticks=[-4, 0, 4],
           yticks=[-1, 0, 1, 2])
logits = torch.stack([z, torch.zeros(401), torch.ones(401)], dim=1)
axes[1, 2].plot(z, softmax(logits, dim=1), linestyle="-")
for x, y, text, color in [(1.8, 1.05, "logit = z", "C0"),
                          (-3.8, 0.4, "logit = 0", "C1"),
                          (-3.8, 0.9, "logit = 1", "C2")]:
    axes[1, 2].text(x, y, text, color=color)
axes[1, 2].set_title("Softmax of (z, 0, 1)")
axes[0, 0].legend()
fig.supxlabel("z")
fig.subplots_adjust(left=0.06, bottom=0.12, hspace=0.3)
show(fig, "03_activations")

# %% [markdown]
# In a chain of functions the slopes multiply: if $u$ changes 2 times as fast
# as $z$, and $y$ 3 times as fast as $u$, then $y$ changes 6 times as fast as
# $z$. This is the **chain rule**. In a deep network, one of many layers, the
# gradient reaches an early layer through every later one, so small slopes
# shrink fast. Measure it in three networks of 20 layers, one for each
# activation. The typical size of their first weights (`std`) is what
# `nn.init.calculate_gain` gives, divided by the root of the width. The size of
# a gradient is its norm, the root of the sum of squares. Look at the first
# layer, the last to be reached.

# %%
depth, width = 20, 64
sizes = {}
for name, activation in [("sigmoid", nn.Sigmoid()), ("tanh", nn.Tanh()),
                         ("relu", nn.ReLU())]:
    torch.manual_seed(3)
    layers = [nn.Linear(width, width, bias=False) for _ in range(depth)]
    spread = nn.init.calculate_gain(name) / width ** 0.5
    hidden = torch.randn(256, width)
    for layer in layers:
        nn.init.normal_(layer.weight, std=spread)
        hidden = activation(layer(hidden))
    hidden.square().mean().backward()  # any single number will do
    sizes[name] = [layer.weight.grad.norm().item() for layer in layers]
    print(f"{name:<8} gradient size: first layer {sizes[name][0]:.1e},",
          f"last layer {sizes[name][-1]:.1e}")
steps_back = [b / a for a, b in zip(sizes["sigmoid"], sizes["sigmoid"][1:])]
assert all(3 < factor < 6 for factor in steps_back[1:])
assert all(max(sizes[name]) < 10 * min(sizes[name])
           for name in ("tanh", "relu"))

# %% [markdown]
# How to read the figure: on the vertical axis, equal distances are equal
# factors. Read the sigmoid line from right to left. Sigmoid's slopes are
# small, and each layer back divides the gradient by 3 to 6 (the last step, to
# layer 1, by more), down to almost nothing. The gradient **vanishes**, and
# early layers hardly learn. Tanh and ReLU keep it within a factor of 10.

# %%
fig, ax = plt.subplots(figsize=(7, 3.6))
for (name, values), marker in zip(sizes.items(), "os^"):
    ax.semilogy(range(1, depth + 1), values, marker=marker, label=name)
ax.set(title="Gradient size through 20 layers", ylabel="gradient size",
       xlabel="layer (1 is nearest the input)", xticks=range(1, 21, 3))
ax.yaxis.set_major_formatter("{x:.0e}")
ax.minorticks_off()
ax.legend()
fig.subplots_adjust(left=0.13)
show(fig, "03_vanishing_gradients")

# %% [markdown]
# ReLU has a failure of its own. Push a unit so far that its weighted sum is
# negative for every sample, and its output and its slope are zero
# everywhere. No gradient reaches its weights, so they stay as they are: the
# unit is **dead**, unless earlier layers happen to change its inputs enough.
# Take one unit that should return its input, but returns far more.

# %%
X = torch.tensor([[0.5], [1.0], [1.5]])
unit = nn.Linear(1, 1)
with torch.no_grad():
    unit.weight.fill_(3.0)
    unit.bias.fill_(1.0)
print("Targets:", X.flatten().tolist())
print("Outputs:", torch.relu(unit(X)).flatten().tolist())

# %% [markdown]
# The squared error is the mean of (output - target)². Its gradient points to
# where it grows, so **gradient descent** goes the other way: subtract the
# gradient times a step size, the **learning rate**. A rate of 2, far too
# large, throws weight and bias below zero. Then every sum is negative, and
# the unit is dead.

# %%
(torch.relu(unit(X)) - X).square().mean().backward()
with torch.no_grad():
    unit.weight -= 2.0 * unit.weight.grad
    unit.bias -= 2.0 * unit.bias.grad
print(f"After the step: weight {unit.weight.item():.1f},",
      f"bias {unit.bias.item():.1f}, outputs",
      torch.relu(unit(X)).flatten().tolist())

# %% [markdown]
# Now ask for the gradient at this very point, with ReLU and with Leaky ReLU.
# Zero means that gradient descent cannot move the weight any more. Leaky
# ReLU's gradient is small but negative, so a step against it raises the
# weight.

# %%
slopes = {}
for name, activation in [("ReLU", nn.ReLU()), ("Leaky ReLU", nn.LeakyReLU())]:
    unit.zero_grad()  # erase the old gradient; backward() would add to it
    (activation(unit(X)) - X).square().mean().backward()
    slopes[name] = unit.weight.grad.item()
    print(f"Gradient of the dead unit's weight with {name}:",
          f"{slopes[name]:.4f}")
assert slopes["ReLU"] == 0 and -0.1 < slopes["Leaky ReLU"] < 0

# %% [markdown]
# **How to choose**
#
# | Where | Take | Why |
# |---|---|---|
# | hidden layers, to begin with | ReLU | cheap; slope 1 when active |
# | hidden, many dead units | Leaky ReLU or ELU | a slope below 0 too |
# | hidden, centred or bounded | tanh | outputs from -1 to 1 |
# | output: a number | none | any number may be the answer |
# | output: yes or no | sigmoid | one probability |
# | output: one of many classes | softmax | probabilities, sum 1 |
#
# In the last two rows, let the measure of error apply the sigmoid or softmax,
# and end the network with logits. Section 6 shows how, and why.
#
# **Exercise 3.** The slope of $e^{-z}$ is $-e^{-z}$, and the slope of $1 / u$
# is minus the slope of $u$, divided by $u^2$. From these, show on paper that
# the slope of the sigmoid is $\sigma(z)(1 - \sigma(z))$. Then check it
# against `backward()` at five points of your choice. *Expect agreement to
# within rounding, and a slope of 0.25 at $z = 0$.*

# %% [markdown]
# ## 4. Multi-Layer Perceptrons (MLPs)
#
# With activations between them, layers no longer collapse. What can they
# represent? A **multi-layer perceptron** is a chain of linear layers with an
# activation after each but the last:
#
# $$h_1 = f(W_1 x + b_1), \qquad h_2 = f(W_2 h_1 + b_2), \qquad
# \mathrm{output} = W_3 h_2 + b_3$$
#
# Every unit of a layer reads every unit of the layer before, so the layers
# are called **fully connected**. The number of hidden layers and their sizes
# are yours to choose: they are **hyperparameters**, while weights and biases
# are **parameters**, which training finds. Computing the output from the
# input is **forward propagation**. Draw three sets of weights at random and
# follow the shapes.

# %%
section("4. Multi-Layer Perceptrons (MLPs)",
        "What can hidden layers represent?")
torch.manual_seed(4)
X = torch.randn(5, 3)  # 5 samples, 3 features
W1, b1 = torch.randn(4, 3), torch.randn(4)
W2, b2 = torch.randn(4, 4), torch.randn(4)
W3, b3 = torch.randn(2, 4), torch.randn(2)
print(f"Input: {tuple(X.shape)}. Weights: {tuple(W1.shape)},",
      f"{tuple(W2.shape)}, {tuple(W3.shape)}")

# %% [markdown]
# The number of rows, one per sample, stays the same throughout. The number of
# columns becomes the number of units of each layer in turn.

# %%
h1 = torch.relu(X @ W1.T + b1)
h2 = torch.relu(h1 @ W2.T + b2)
output = h2 @ W3.T + b3
print(f"Hidden 1 {tuple(h1.shape)}, hidden 2 {tuple(h2.shape)},",
      f"output {tuple(output.shape)}")

# %% [markdown]
# (Samples are rows here, so $W_1 x$ becomes `X @ W1.T`.) In `torch`,
# `nn.Sequential` chains layers, and `parameters()` gives the weight and the
# bias of each in turn. Fill one with these numbers and compare.

# %%
network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(),
                        nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
with torch.no_grad():
    for parameter, value in zip(network.parameters(),
                                [W1, b1, W2, b2, W3, b3]):
        parameter.copy_(value)
torch.testing.assert_close(network(X), output)
print("nn.Sequential with the same weights gives the same outputs")

# %% [markdown]
# Now XOR, which stopped the perceptron. Two hidden ReLU units and one output
# unit solve it, with weights small enough to check by hand:
#
# $$u_1 = \max(0,\; x_1 + x_2), \qquad u_2 = \max(0,\; x_1 + x_2 - 1),
# \qquad \mathrm{output} = u_1 - 2 u_2$$

# %%
corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
W1, b1 = torch.tensor([[1.0, 1.0], [1.0, 1.0]]), torch.tensor([0.0, -1.0])
W2, b2 = torch.tensor([[1.0, -2.0]]), torch.tensor([0.0])

hidden = torch.relu(corners @ W1.T + b1)
output = (hidden @ W2.T + b2).flatten()
for x, h, value in zip(corners, hidden, output):
    print(f"inputs {x.tolist()} -> hidden {h.tolist()} -> output {value:.0f}")
assert output.tolist() == [0.0, 1.0, 1.0, 0.0]

# %% [markdown]
# What did the hidden layer do? It moved the points. How to read the figure:
# on the left are the four corners; on the right the same four, at
# $(u_1, u_2)$, as the output unit sees them. The labels name the *inputs* in
# both panels: inputs (1, 1) come to lie at hidden values (2, 1). The two
# triangles now share one place, and one line, $u_1 - 2 u_2 = 0.5$, separates
# them from the circles.

# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 3.8), sharey=True)
names = [["(0, 0)", "(0, 1)", "(1, 0)", "(1, 1)"],
         ["(0, 0)", "(0, 1)\nand (1, 0)", "", "(1, 1)"]]
for ax, places, labels in zip(axes, [corners, hidden], names):
    scatter_classes(ax, places, torch.tensor([0, 1, 1, 0]), size=10)
    for place, label in zip(places.tolist(), labels):
        ax.text(place[0] + 0.08, place[1] + 0.06, label)
    ax.set(xlim=(-0.3, 2.6), ylim=(-0.3, 1.4), xticks=[0, 1, 2],
           yticks=[0, 1])
axes[0].set(title="Inputs: no line separates them", xlabel="input 1",
            ylabel="input 2")
axes[1].set(title="Hidden units: one line does", xlabel="hidden unit 1",
            ylabel="hidden unit 2")
axes[1].axline((0.5, 0), slope=0.5, color="black", linestyle="--")
axes[0].legend(loc="center right")
show(fig, "04_xor")

# %% [markdown]
# So hidden units can bend what was straight. How far does that go? Build a
# network with one input and one output that follows a given curve. Each ReLU
# unit $\max(0,\; x - t)$ is flat up to its **knot** $t$ and rises after it,
# so adding a multiple of it changes the slope at $t$ and nothing to the left.
# Give each unit the *change* of slope needed at its knot, and the sum joins
# the points of the curve by straight lines. In the code, `network[0]` is the
# first layer, with weights 1 and biases $-t$; `network[1]` is the ReLU;
# `network[2]` holds the changes of slope, and its bias is the first value.

# %%
def relu_interpolant(knots, values):
    """Build the network that joins points by straight lines.

    Shapes: knots (num_hidden + 1,), floating point and increasing; values
    of the same shape, in any order. Returns an nn.Sequential that maps
    (num_points, 1) to (num_points, 1), straight from one knot to the next.
    With hundreds of knots, use float64.
    """
    slopes = values.diff() / knots.diff()  # diff: entry minus the one before
    num_hidden = len(slopes)
    network = nn.Sequential(nn.Linear(1, num_hidden), nn.ReLU(),
                            nn.Linear(num_hidden, 1))
    network.to(knots)  # the same dtype and device
    with torch.no_grad():
        network[0].weight.fill_(1.0)
        network[0].bias.copy_(-knots[:-1])
        network[2].weight[0, 0] = slopes[0]
        network[2].weight[0, 1:] = slopes.diff()
        network[2].bias.fill_(values[0])
    return network

# %% [markdown]
# Take the curve $\sin x$ for $x$ from 0 to 6, and measure the worst error
# over many points as the number of hidden units doubles. Look at the last
# line: 4 is the limit. (`float64`, numbers of 64 bits, keeps rounding out of
# it.)

# %%
x = torch.linspace(0, 6, 2001, dtype=torch.float64).reshape(-1, 1)
units, errors = [4, 8, 16, 32, 64], []
for num_hidden in units:
    knots = torch.linspace(0, 6, num_hidden + 1, dtype=torch.float64)
    network = relu_interpolant(knots, torch.sin(knots))
    with torch.no_grad():
        errors.append((network(x) - torch.sin(x)).abs().max().item())
    print(f"{num_hidden:>2} hidden units: worst error {errors[-1]:.4f}")

ratios = [before / after for before, after in zip(errors, errors[1:])]
print("Each doubling divides the error by",
      [round(ratio, 2) for ratio in ratios])
assert 3.9 < ratios[-1] < 4.1

# %% [markdown]
# Twice the units, a quarter of the error. How to read the figure: on the
# left, the wide grey line is the target, each thin blue line is what one of
# the six hidden units adds (one leaves through the top), and the dashed line
# is their sum. On the right, equal distances are equal factors. The dashed
# line, of slope -2, divides the error by 4 at each doubling (error
# proportional to 1 / units squared), and the points run almost parallel to it.

# %%
knots = torch.linspace(0, 6, 7)
network = relu_interpolant(knots, torch.sin(knots))
x = torch.linspace(0, 6, 241).reshape(-1, 1)
with torch.no_grad():
    pieces = torch.relu(network[0](x)) * network[2].weight
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8))
left.plot(x, torch.sin(x), color="0.7", linewidth=6, label="target sin x")
left.plot(x, pieces, color="C0", linestyle="-", linewidth=0.8)
left.plot(x, pieces.sum(dim=1), color="C1", linestyle="--",
          label="sum of the pieces")
left.set(title="Six ReLU pieces add up to a curve", xlabel="x",
         ylim=(-4, 4), xticks=[0, 2, 4, 6], yticks=[-4, -2, 0, 2, 4])
right.loglog(units, errors, marker="o", label="measured")
right.loglog([4, 64], [errors[0], errors[0] / 16 ** 2], label="slope -2")
right.set(title="Worst error", xlabel="hidden units", ylabel="worst error",
          xticks=units)
for axis in (right.xaxis, right.yaxis):
    axis.set_major_formatter("{x:g}")
right.minorticks_off()
left.legend(loc="lower left")
right.legend()
show(fig, "04_universal")

# %% [markdown]
# This is a case of the **universal approximation theorem**. Take any
# continuous target (one without jumps) on a closed and bounded domain (such
# as $0 \leq x \leq 6$), and any wanted accuracy. Some network with one hidden
# layer reaches it, if the activation is continuous and not a polynomial, such
# as $z^2$ (Leshno et al., 1993).
#
# Note what it does not say. It does not say how many units you need, nor
# that training will find the weights. And outside the bounded domain it
# promises nothing. Leave the domain, and see.

# %%
with torch.no_grad():
    for x in (3.0, 6.0, 9.0):
        prediction = network(torch.tensor([[x]])).item()
        print(f"x = {x}: sin x = {math.sin(x):.2f},",
              f"network {prediction:.2f}")

# %% [markdown]
# Past the last knot the network goes straight on, and the sine turns back.
# Trained networks promise nothing there either: trust them at most inside the
# range of the data they have seen.
#
# **How to choose sizes**
#
# | Number | Set by |
# |---|---|
# | input size | the features in your data |
# | output size | the task: 1 for a number or two classes, else 1 per class |
# | hidden layers | begin with 1 or 2 |
# | hidden sizes | begin with 16 to 128; grow while validation improves |
#
# (Section 9 explains validation.)
#
# **Exercise 4.** Replace ReLU by the identity in the XOR network above (leave
# `torch.relu` out) and predict the four outputs on paper before you run it.
# *Expect 2, 1, 1 and 0: a linear function, so not XOR.*

# %% [markdown]
# ## 5. Defining a Neural Network in PyTorch (`nn.Module`)
#
# Loose matrices are hard to keep track of: a training program must find
# every one of them, move them to a GPU, save them and load them. `nn.Module`
# does that bookkeeping. To define a network, write a class that inherits from
# it:
#
# - in `__init__`, call `super().__init__()` and assign the layers to
#   attributes;
# - in `forward`, say how the input flows through them.

# %%
class SimpleMLP(nn.Module):
    """A network with one hidden ReLU layer, for classification.

    Shapes: (batch_size, input_size) in, logits (batch_size, num_classes)
    out. Pass the logits to nn.CrossEntropyLoss as they are.
    """

    def __init__(self, input_size, hidden_size, num_classes):
        super().__init__()
        self.fc1 = nn.Linear(input_size, hidden_size)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(hidden_size, num_classes)

    def forward(self, x):
        hidden = self.relu(self.fc1(x))
        return self.fc2(hidden)

# %% [markdown]
# Build one for images of 28 by 28 pixels in ten classes; random numbers stand
# in for the images. An image enters as a flat row of 784 numbers. Printing a
# module lists what it found among its attributes: `fc` stands for "fully
# connected".

# %%
section("5. Defining a Neural Network in PyTorch (nn.Module)",
        "How do you write a network in PyTorch?")
torch.manual_seed(5)
model = SimpleMLP(input_size=28 * 28, hidden_size=128, num_classes=10)
print(model)
images = torch.rand(32, 28, 28)
logits = model(images.flatten(start_dim=1))  # keep the 32, join the rest
print("32 images give logits of shape", tuple(logits.shape))

# %% [markdown]
# How many numbers will training adjust? Count by hand: the first layer has
# $784 \times 128$ weights and 128 biases, the second $128 \times 10$ and 10.
# `numel` gives the number of entries of a tensor. The two counts must agree.

# %%
by_hand = 784 * 128 + 128 + 128 * 10 + 10
by_numel = sum(parameter.numel() for parameter in model.parameters())
assert by_numel == by_hand
for name, parameter in model.named_parameters():
    print(f"{name:<10} shape {str(tuple(parameter.shape)):<11}",
          f"{parameter.numel():>6} numbers")
print(f"In all {by_numel} parameters, by hand and by numel")

# %% [markdown]
# Call the module, `model(x)`, rather than `model.forward(x)`. The call runs
# `forward` and also the **hooks**, functions that you attach to a module to
# watch its outputs. `model.forward(x)` skips the hooks of `model`, and nothing
# tells you.

# %%
outputs_seen = []
handle = model.register_forward_hook(
    lambda module, inputs, output: outputs_seen.append(output))
x = torch.rand(2, 784)
model(x)
print("Outputs the hook saw from model(x):", len(outputs_seen))
assert len(outputs_seen) == 1
outputs_seen.clear()
model.forward(x)
print("Outputs it saw from model.forward(x):", len(outputs_seen))
assert not outputs_seen
handle.remove()

# %% [markdown]
# A module's **`state_dict`** maps names to its parameters (and to buffers,
# tensors that are saved with it but not trained).
# It is what you save and load (Section 9 does). A second model starts with
# other random weights; load the first one's `state_dict`, and the two give
# the same outputs.

# %%
twin = SimpleMLP(input_size=784, hidden_size=128, num_classes=10)
print("Same outputs before loading:", torch.equal(twin(x), model(x)))
twin.load_state_dict(model.state_dict())
torch.testing.assert_close(twin(x), model(x))
print("Same outputs after loading: ", torch.equal(twin(x), model(x)))

# %% [markdown]
# When data flows straight through, `nn.Sequential` saves you the class. Its
# layers have numbers for names (number 1, the ReLU, has no parameters), so
# copy the parameters in order rather than by name.

# %%
chain = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
with torch.no_grad():
    for target, source in zip(chain.parameters(), model.parameters()):
        target.copy_(source)
torch.testing.assert_close(chain(x), model(x))
print("nn.Sequential agrees; its names:", ", ".join(chain.state_dict()))

# %% [markdown]
# From here on the tutorial uses a general version: any number of hidden
# layers, any activation, and optional dropout (explained below). It adds one
# layer after another to an `nn.Sequential`, each under a name of its own. The
# checks at its start name the mistakes that people make with it, such as
# `nn.ReLU()` where the class `nn.ReLU` is meant.

# %%
class MLP(nn.Module):
    """A multi-layer perceptron with any number of hidden layers.

    hidden_sizes is a sequence such as [64, 32] (empty, it leaves one linear
    layer) or one number. activation is a class such as nn.ReLU, or anything
    else that returns a new layer when called without arguments. dropout is
    the probability of dropping a hidden unit, from 0 up to 1; parameters
    have the same names with and without it.
    Shapes: (batch_size, in_features) in, (batch_size, out_features) out,
    without an activation at the end.
    Raises TypeError for an activation of another kind or a size that is not
    a whole number, ValueError for a size below 1 or inputs of another width.
    """

    def __init__(self, in_features, hidden_sizes, out_features,
                 activation=nn.ReLU, dropout=0.0):
        super().__init__()
        if isinstance(hidden_sizes, (int, np.integer)):
            hidden_sizes = [hidden_sizes]
        sizes = [in_features, *hidden_sizes, out_features]
        if not all(isinstance(size, (int, np.integer)) for size in sizes):
            raise TypeError(f"sizes must be whole numbers, not {sizes}")
        if min(sizes) < 1:
            raise ValueError(f"sizes must be 1 or more, not {sizes}")
        try:
            made = activation()
        except TypeError:  # a function of numbers, a layer, a word
            made = None
        if not isinstance(made, nn.Module):
            raise TypeError("activation must be a class of layers, such as "
                            f"nn.ReLU without parentheses, not {activation!r}")
        self.in_features = in_features
        self.layers = nn.Sequential()
        for n, (size_in, size_out) in enumerate(zip(sizes, sizes[1:-1]), 1):
            self.layers.add_module(f"linear{n}", nn.Linear(size_in, size_out))
            self.layers.add_module(f"activation{n}", activation())
            if dropout != 0:
                self.layers.add_module(f"dropout{n}", nn.Dropout(dropout))
        self.layers.add_module("output", nn.Linear(sizes[-2], sizes[-1]))

    def forward(self, x):
        if x.shape[-1:] != (self.in_features,):
            raise ValueError(f"expected {self.in_features} features in the "
                             f"last dimension, got shape {tuple(x.shape)}")
        return self.layers(x)

# %% [markdown]
# With one hidden layer it should be the same network as `SimpleMLP`. Give it
# the same weights, and compare.

# %%
general = MLP(784, [128], 10)
with torch.no_grad():
    for target, source in zip(general.parameters(), model.parameters()):
        target.copy_(source)
torch.testing.assert_close(general(x), model(x))
print("MLP(784, [128], 10) agrees with SimpleMLP(784, 128, 10)")

# %% [markdown]
# A deeper network, with another activation, now takes one line.

# %%
deep = MLP(784, [64, 32, 16], 10, activation=nn.Tanh)
print("MLP(784, [64, 32, 16], 10) maps", tuple(x.shape), "to",
      tuple(deep(x).shape))

# %% [markdown]
# Why `nn.Sequential` and not a plain Python list? `nn.Module` registers
# layers only when they are attributes or sit in one of its own containers,
# such as `nn.Sequential` or `nn.ModuleList`, its list. A plain list hides
# them from training, saving and moving to a GPU. Count the parameters of both
# (counting needs no `forward`).

# %%
class PlainList(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(4, 4), nn.Linear(4, 2)]


class RightList(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 2)])

# %%
for module_class in (PlainList, RightList):
    count = sum(p.numel() for p in module_class().parameters())
    print(f"{module_class.__name__}: {count} parameters registered")
assert len(list(PlainList().parameters())) == 0

# %% [markdown]
# A module has two modes. `train()` is for learning and `eval()` for using.
# **Dropout** shows why: while training it sets each hidden value to zero
# with probability $p$, so that no unit can rely on another, and scales the
# rest by $1 / (1 - p)$ to keep the average. In use it must do nothing. Feed
# it ones and look.

# %%
torch.manual_seed(5)
dropout = nn.Dropout(p=0.5)
ones = torch.ones(8)
dropout.train()
print("train():", dropout(ones).tolist())
print("train():", dropout(ones).tolist())
dropout.eval()
print("eval(): ", dropout(ones).tolist())
assert torch.equal(dropout(ones), ones)

# %% [markdown]
# Forget `eval()`, and the same input gives another answer each time. Both
# methods reach all the layers inside the module.

# %%
noisy = MLP(2, [16], 1, dropout=0.5)
point = torch.tensor([[1.0, -1.0]])
for mode in ("train", "eval"):
    getattr(noisy, mode)()  # noisy.train() or noisy.eval()
    first, second = noisy(point).item(), noisy(point).item()
    print(f"{mode}(): the same input gives {first:.4f}, then {second:.4f}")
assert first == second

# %% [markdown]
# Last, why do layers start with *random* weights? Suppose that all weights
# and biases start equal. Then all hidden units compute the same value, get
# the same gradient and take the same step, so they stay equal for ever:
# sixteen units do the work of one. Train two networks for some steps, one
# from equal numbers and one from random ones, and record the first layer.
# Compare the errors in the end.

# %%
torch.manual_seed(5)
X = torch.randn(64, 1)
targets = torch.sin(2 * X)
paths = {}
for start in ("equal", "random"):
    network = MLP(1, [16], 1, activation=nn.Tanh)
    if start == "equal":
        for parameter in network.parameters():
            nn.init.constant_(parameter, 0.5)
    paths[start] = []
    for step in range(60):
        hidden_weights = network.layers[0].weight.detach().flatten()
        paths[start].append(hidden_weights.clone())
        network.zero_grad()
        error = (network(X) - targets).square().mean()
        error.backward()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter -= 0.1 * parameter.grad
    spread = (hidden_weights.max() - hidden_weights.min()).item()
    print(f"{start:<6} start: the 16 first-layer weights differ by up to",
          f"{spread:.4f}, error {error.item():.2f}")
    assert (spread == 0) == (start == "equal")

# %% [markdown]
# How to read the figure: each line is one hidden unit's weight as training
# goes on. On the left there are sixteen lines, one on top of another. On the
# right the units stay apart, each with a share of the work.

# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True)
for ax, (start, path) in zip(axes, paths.items()):
    ax.plot(torch.stack(path), color="C0", linestyle="-", linewidth=1)
    ax.set(title=f"From {start} weights", xlabel="training step")
axes[0].set_ylabel("weight of each hidden unit")
show(fig, "05_initial_weights")

# %% [markdown]
# **How to choose**
#
# | Your network | Write |
# |---|---|
# | layers one after another | `nn.Sequential` |
# | branches, reused layers, conditions | a class with `forward` |
# | a number of layers set by a variable | `nn.ModuleList` or a loop |
#
# **Exercise 5.** Count by hand the parameters of
# `MLP(10, [20, 30], 5)`, then check with `numel`. *Expect 1005.*

# %% [markdown]
# ## 6. Loss Functions: Measuring Model Error
#
# A fresh network gives meaningless outputs. To improve them you need one
# number that says how wrong they are, and that falls smoothly as they get
# better. That number is the **loss**. Regression (predict a quantity) and
# classification (predict a class) need different ones.
#
# For regression, the **mean squared error** averages the squared distances
# between predictions $\hat{y}_i$ and targets $y_i$:
#
# $$\mathrm{MSE} = \frac{1}{N} \sum_i (\hat{y}_i - y_i)^2$$
#
# Its gradient with respect to one prediction is $2(\hat{y}_i - y_i)/N$: the
# further off, the stronger the pull. `nn.MSELoss` computes it.

# %%
section("6. Loss Functions: Measuring Model Error",
        "How wrong is a prediction?")
predictions = torch.tensor([2.0, 5.0, 4.0], requires_grad=True)
targets = torch.tensor([3.0, 5.0, 2.0])
loss = nn.MSELoss()(predictions, targets)
loss.backward()
print(f"MSE {loss.item():.4f}, gradient {predictions.grad}")

# %% [markdown]
# Work both formulas out for these three numbers, and compare.

# %%
errors = (predictions - targets).detach()  # numbers without a history
torch.testing.assert_close(loss.detach(), (errors ** 2).sum() / 3)
torch.testing.assert_close(predictions.grad, 2 * errors / 3)
print(f"Errors {errors.tolist()} give the same loss and gradient")

# %% [markdown]
# The classic mistake with MSE is a shape. Predictions of shape (8, 1) minus
# targets of shape (8,) do not subtract pairwise: each prediction meets every
# target, 64 pairs (this is called **broadcasting**). Below, the predictions
# are perfect. PyTorch warns, and computes the wrong loss all the same.

# %%
targets = torch.arange(8.0)
predictions = targets.reshape(8, 1)  # perfect, as a column
with warnings.catch_warnings(record=True) as caught:  # keep them in a list
    warnings.simplefilter("always")
    wrong = nn.MSELoss()(predictions, targets)
print("MSE of perfect predictions, shapes (8, 1) and (8,):", wrong.item(),
      "over", (predictions - targets).numel(), "pairs")
print("The warning:", str(caught[0].message)[:57], "...")

# %% [markdown]
# Give both the same shape, and perfect predictions have no loss.

# %%
right = nn.MSELoss()(predictions, targets.reshape(8, 1))
print("MSE of perfect predictions, shapes (8, 1) and (8, 1):", right.item())
assert wrong > 1 and right == 0

# %% [markdown]
# For classes, start from the **likelihood** $L$, the probability that the
# model gives to what happened. For $N$ independent samples it is a product
# ($\prod$), larger for a better model. The logarithm turns it into a sum, the
# minus sign makes lower better, and the mean over the samples is the
# **cross-entropy**:
#
# $$L = \prod_i p_{i, y_i}, \qquad
# -\frac{1}{N} \log L = -\frac{1}{N} \sum_i \log p_{i, y_i}$$
#
# Here $p_{i, y_i}$ is the softmax probability of the right class of sample
# $i$, and $\log$ the natural logarithm. Never form the softmax itself: for
# class $k$, $\log p_k = z_k - \log \sum_j e^{z_j}$, and `torch.logsumexp`
# gives the last term without overflow. Subtract the largest logit first: the
# difference of large numbers loses digits.

# %%
def cross_entropy(logits, targets):
    """Return the mean of -log(softmax probability of the right class).

    Shapes: logits (batch_size, num_classes), floating point; targets
    (batch_size,), int64 class numbers from 0 to num_classes - 1. Returns a
    tensor without dimensions, in nats (natural logarithms).
    """
    shifted = logits - logits.amax(dim=1, keepdim=True)
    log_probabilities = shifted - shifted.logsumexp(dim=1, keepdim=True)
    # unsqueeze(1) makes a column. From each row i, take entry targets[i].
    right_class = log_probabilities.gather(1, targets.unsqueeze(1))
    return -right_class.mean()

# %% [markdown]
# Check it against `nn.CrossEntropyLoss`, which takes the logits, and against
# its two halves, `nn.LogSoftmax` then `nn.NLLLoss` ("negative log
# likelihood").

# %%
torch.manual_seed(6)
logits = (3 * torch.randn(5, 3)).requires_grad_()
targets = torch.tensor([0, 1, 2, 0, 1])

loss = cross_entropy(logits, targets)
torch.testing.assert_close(loss, nn.CrossEntropyLoss()(logits, targets))
log_probabilities = nn.LogSoftmax(dim=1)(logits)
torch.testing.assert_close(loss, nn.NLLLoss()(log_probabilities, targets))
print(f"Cross-entropy, in all three ways: {loss.item():.4f}")

# %% [markdown]
# Its gradient has a simple form: the softmax probabilities, minus one at the
# right class, divided by $N$. Each row sums to zero: what one class gains,
# the others lose.

# %%
loss.backward()
one_hot = torch.eye(3)[targets]  # a row of zeros with 1 at the right class
expected = (torch.softmax(logits, dim=1) - one_hot).detach() / 5
torch.testing.assert_close(logits.grad, expected)
print(f"Gradient of the cross-entropy:\n{logits.grad}")

# %% [markdown]
# `nn.CrossEntropyLoss` applies the softmax itself. Apply one before it, and
# the loss sees probabilities as if they were logits: no error, but it can
# never come near zero. Below, the model is as sure as can be, and right.

# %%
sure, target = torch.tensor([[100.0, 0.0, 0.0]]), torch.tensor([0])
right = nn.CrossEntropyLoss()(sure, target).item()
twice = nn.CrossEntropyLoss()(torch.softmax(sure, dim=1), target).item()
print(f"A sure and right answer has loss {right:.4f} from logits")
print(f"and {twice:.4f} with one softmax too many")
assert right < 1e-6 and twice > 0.5

# %% [markdown]
# Why not MSE between the probability $p$ of the right class and 1? Compare
# the slopes in the logit, for two classes with $p = \sigma(z)$. In $p$, the
# slope of $-\log p$ is $-1 / p$; sigmoid's own slope is $p(1 - p)$. By the
# chain rule they multiply to $p - 1$: close to -1 where the model is most
# wrong. The slope of $(1 - p)^2$ is $-2(1 - p)$ times $p(1 - p)$: close to 0
# there, so the worst mistakes hardly teach. Check both slopes.

# %%
z = torch.linspace(-8, 8, 321)
p = torch.sigmoid(z)
slopes = {
    "cross-entropy": gradient_of(lambda z: -torch.log(torch.sigmoid(z)), z),
    "squared error": gradient_of(lambda z: (1 - torch.sigmoid(z)) ** 2, z)}
torch.testing.assert_close(slopes["cross-entropy"], p - 1)
torch.testing.assert_close(slopes["squared error"], -2 * (1 - p) ** 2 * p)
for name, slope in slopes.items():
    print(f"Most wrong, p = {p[0]:.4f}: slope of the {name} {slope[0]:.4f}")

# %% [markdown]
# How to read the figure: go from the right end of each panel (sure and
# correct) to its left end (sure and wrong). Left panel: the cross-entropy
# grows without limit. Right panel: at its left end, the slope of the
# cross-entropy is at full strength, and that of the squared error is near 0.

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
left.plot(p, -torch.log(p), label="cross-entropy")
left.plot(p, (1 - p) ** 2, label="squared error")
left.set(title="Loss", ylim=(0, 5), ylabel="loss",
         xlabel="probability of the right class")
for name, slope in slopes.items():
    right.plot(p, slope.abs(), label=name)
right.set(title="Size of the slope at the logit", ylabel="size of the slope",
          xlabel="probability of the right class")
left.legend()
right.legend()
show(fig, "06_cross_entropy")

# %% [markdown]
# With two classes, one logit is enough: $p = \sigma(z)$ is the probability
# of class 1. The **binary cross-entropy** for a target $y$ of 0 or 1 is
#
# $$-\bigl(y \log p + (1 - y) \log(1 - p)\bigr).$$
#
# `nn.BCELoss` takes the probability, and its value agrees with the formula,
# as does its gradient, $(p - y) / (p (1 - p) N)$.

# %%
p = torch.tensor([0.9, 0.2, 0.6], requires_grad=True)
y = torch.tensor([1.0, 0.0, 0.0])
loss = nn.BCELoss()(p, y)
loss.backward()

q = p.detach()
by_formula = -(y * torch.log(q) + (1 - y) * torch.log(1 - q)).mean()
torch.testing.assert_close(loss.detach(), by_formula)
torch.testing.assert_close(p.grad, (q - y) / (q * (1 - q)) / 3)
print(f"Binary cross-entropy, by formula and by nn.BCELoss: {loss.item():.4f}")

# %% [markdown]
# Probabilities lose information. In 32 bits, $\sigma(200)$ is exactly 1, so
# $\log(1 - p)$ is minus infinity. Work with the logit instead. With
# $p = \sigma(z)$, $-\log p$ is $\log(1 + e^{-z})$ and $-\log(1 - p)$ is
# $\log(1 + e^{z})$. `torch.logaddexp(a, b)` is $\log(e^{a} + e^{b})$ without
# overflow; with zeros for `a`, $e^{a}$ is the 1 you need.

# %%
def binary_cross_entropy_with_logits(logits, targets):
    """Return the mean binary cross-entropy of sigmoid(logits).

    Shapes: two floating-point tensors of the same shape, the targets from 0
    to 1. Returns a tensor without dimensions, in nats.
    """
    zeros = torch.zeros_like(logits)
    losses = (targets * torch.logaddexp(zeros, -logits)
              + (1 - targets) * torch.logaddexp(zeros, logits))
    return losses.mean()

# %% [markdown]
# Check it against `nn.BCEWithLogitsLoss`, one logit at a time, from -200 to
# 200. The gradient is $\sigma(z) - y$: the error itself.

# %%
points = torch.arange(-200.0, 201.0, 10.0)
for y in (torch.tensor([0.0]), torch.tensor([1.0])):
    for point in points:
        z = point.reshape(1).requires_grad_()
        loss = binary_cross_entropy_with_logits(z, y)
        loss.backward()
        torch.testing.assert_close(loss, nn.BCEWithLogitsLoss()(z, y),
                                   rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(z.grad, torch.sigmoid(point) - y)
print(f"Agrees with nn.BCEWithLogitsLoss at each of {len(points)} logits")

# %% [markdown]
# Now the worst mistake a model can make: logit 200, which says "class 1, no
# doubt", where the target is 0. `BCELoss` takes -100 in place of minus
# infinity, and sigmoid's slope there is 0. Compare the gradients that arrive.
# With 0 the model never learns from this mistake.

# %%
gradients = {}
for name in ("BCELoss", "BCEWithLogitsLoss"):
    z = torch.tensor([200.0], requires_grad=True)
    outputs = torch.sigmoid(z) if name == "BCELoss" else z
    loss = getattr(nn, name)()(outputs, torch.zeros(1))  # nn.BCELoss()(...)
    loss.backward()
    gradients[name] = z.grad.item()
    print(f"nn.{name}: loss {loss.item():.0f}, gradient {z.grad.item():.0f}")
assert gradients == {"BCELoss": 0.0, "BCEWithLogitsLoss": 1.0}

# %% [markdown]
# Targets have a type that the loss expects. Class numbers are integers
# (`torch.int64`, also called Long); the other targets here are `float32`. The
# message for class numbers stored as floats is worth meeting once on
# purpose.

# %%
try:
    nn.CrossEntropyLoss()(torch.zeros(2, 3), torch.tensor([0.0, 1.0]))
except RuntimeError as error:
    print("Class numbers as floats raise a RuntimeError:")
    print(error)

# %% [markdown]
# With integers it works. All logits are equal here, so each of the $C$
# classes gets the probability $1 / C$, and the loss is $\log C$. Expect a
# value near that from a new classifier, if its inputs are scaled.

# %%
loss = nn.CrossEntropyLoss()(torch.zeros(2, 3), torch.tensor([0, 1]))
print(f"Class numbers as integers: loss {loss.item():.4f}, which is log 3")
torch.testing.assert_close(loss.item(), math.log(3), rtol=1e-6, atol=0.0)

# %% [markdown]
# **How to choose** ($N$ samples, $C$ classes)
#
# | Task | Network ends in | Targets | Loss |
# |---|---|---|---|
# | regression | 1 number | float, (N, 1) | `nn.MSELoss` |
# | two classes | 1 logit | float, (N, 1) | `nn.BCEWithLogitsLoss` |
# | C classes | C logits | int64, (N,) | `nn.CrossEntropyLoss` |
# | several yes/no labels | C logits | float, (N, C) | `nn.BCEWithLogitsLoss` |
#
# (Two classes may also be treated as C = 2.) How to get a prediction:
# regression, the output itself; two classes and labels, `logits > 0`, the
# same as probability above one half; C classes, `logits.argmax(dim=1)`.
#
# **Exercise 6.** `nn.L1Loss` averages absolute errors. For targets
# `[1, 2, 3, 100]`, find the constant prediction with the lowest MSE and one
# with the lowest L1 loss: predict, then search a grid from 0 to 100 in steps
# of 0.5. *Expect the mean, 26.5, for MSE; for L1 any value from 2 to 3, the
# median. With 4 in place of 100, the first changes and the second does not.*

# %% [markdown]
# ## 7. Optimizers: How Neural Networks Learn
#
# A loss says how wrong the network is. Which way should each weight move?
# Downhill, by the gradient descent of Section 3. With $\eta$ for the learning
# rate:
#
# $$w \leftarrow w - \eta \, \frac{\partial \mathrm{loss}}{\partial w}$$
#
# The fraction is the gradient: the slope of the loss in $w$. A landscape with
# two weights can be drawn. Take a ravine, gentle in one direction and steep
# in the other: the loss $\frac{1}{2}(w_1^2 + 20\, w_2^2)$. The numbers 1 and
# 20 are its **curvatures**, how fast the slope grows along each axis. Its
# lowest point is at zero.

# %%
def ravine(point, curvatures=(1.0, 20.0)):
    """Return half the sum of curvature times coordinate squared.

    Shapes: (2,) in, floating point, and () out; more dimensions may stand in
    front.
    """
    curvatures = torch.as_tensor(curvatures, dtype=point.dtype,
                                 device=point.device)
    return 0.5 * (curvatures * point ** 2).sum(dim=-1)

# %% [markdown]
# Take 40 steps with each of three learning rates. `backward()` leaves the
# gradient in `.grad`, and it must be cleared before the next step (Section 8
# shows what happens otherwise). Compare the final losses.

# %%
section("7. Optimizers: How Neural Networks Learn",
        "Which way, and how far, should each weight move?")
start = torch.tensor([-9.0, 1.5])
paths = {}
for learning_rate in (0.005, 0.09, 0.105):
    point = start.clone().requires_grad_()
    paths[learning_rate] = [start]
    for step in range(40):
        point.grad = None
        ravine(point).backward()
        with torch.no_grad():
            point -= learning_rate * point.grad
        paths[learning_rate].append(point.detach().clone())
    print(f"learning rate {learning_rate}: loss {ravine(start):.1f} ->",
          f"{ravine(point).item():.4f}")

# %% [markdown]
# One crawls, one works, one diverges. Where is the limit? Along one axis the
# gradient is curvature times $w$, so each step multiplies $w$ by
# $1 - \eta \cdot \mathrm{curvature}$. That factor stays between -1 and 1
# while $\eta$ is below **2 / curvature**, and the steepest direction decides:
# here 2 / 20. The next cell checks both claims on the three paths above: that
# 40 steps multiply by that factor 40 times, and that the path diverges if the
# rate is above the limit.

# %%
curvatures = torch.tensor([1.0, 20.0])
limit = 2 / curvatures.max().item()
print(f"Limit for the learning rate: {limit}")
for learning_rate, path in paths.items():
    factor = 1 - learning_rate * curvatures
    torch.testing.assert_close(path[-1], start * factor ** 40,
                               rtol=1e-4, atol=1e-6)
    assert (ravine(path[-1]) < ravine(start)) == (learning_rate < limit)
    print(f"learning rate {learning_rate}: w2 is multiplied by",
          f"{factor[1].item():.2f} each step")

# %% [markdown]
# How to read the figure: ellipses join points of equal loss, the cross is the
# lowest point, and each dot is a step. Left: steps so short that 40 of them
# do not arrive. Middle: it jumps across the steep direction at first, and
# settles. Right: each jump lands further out along w2, until the path leaves
# the picture.

# %%
w1, w2 = np.meshgrid(np.linspace(-10, 4, 80), np.linspace(-15, 15, 80))
heights = 0.5 * (w1 ** 2 + 20 * w2 ** 2)
fig, axes = plt.subplots(1, 3, figsize=(9, 3.4), sharex=True, sharey=True)
words = ["crawls", "works", "diverges"]
for ax, (learning_rate, path), word in zip(axes, paths.items(), words):
    ax.contour(w1, w2, heights, levels=[2, 10, 40, 150, 500, 1200],
               colors="0.75", linewidths=1)
    ax.plot(*torch.stack(path).T, marker="o", markersize=3, linewidth=1)
    ax.plot(0, 0, "x", color="C1", markersize=9)
    ax.set(title=f"Rate {learning_rate} {word}", xlabel="w1",
           ylim=(-15, 15), xticks=[-10, -5, 0], yticks=[-10, 0, 10])
axes[0].set_ylabel("w2")
show(fig, "07_learning_rates")

# %% [markdown]
# The training loss averages over all samples. Must every step look at all of
# them? **Stochastic gradient descent** (SGD) uses a random **mini-batch**
# instead: its gradient is a noisy estimate of the full one. How noisy? Take a
# linear model with squared error on 4,096 samples. The gradient for one
# sample is twice its error times its inputs, so all of them fit in one line,
# and the full gradient is their mean.

# %%
torch.manual_seed(7)
X = torch.randn(4096, 10)
y = X @ torch.randn(10) + torch.randn(4096)
weights = torch.zeros(10)
errors = X @ weights - y
sample_gradients = 2 * errors.unsqueeze(1) * X  # (4096, 1) * (4096, 10)
full_gradient = sample_gradients.mean(dim=0)
print("One gradient per sample:", tuple(sample_gradients.shape))

# %% [markdown]
# The same from `torch`: the gradient of the mean squared error must be the
# mean of those gradients.

# %%
by_torch = gradient_of(lambda weights: nn.MSELoss()(X @ weights, y), weights)
torch.testing.assert_close(full_gradient, by_torch)
print("PyTorch's full gradient is their mean")

# %% [markdown]
# Now draw 500 random batches of each size (a sample may come twice). Each size
# is four times the last, so look at the ratio from one line to the next.

# %%
batch_sizes, noise = [1, 4, 16, 64, 256], []
for batch_size in batch_sizes:
    chosen = torch.randint(4096, (500, batch_size))  # numbers of rows
    # Indexing with them gives shape (500, batch_size, 10).
    gradients = sample_gradients[chosen].mean(dim=1)
    distances = (gradients - full_gradient).norm(dim=1)
    noise.append(distances.square().mean().sqrt().item())
    print(f"batch size {batch_size:>3}: typical distance from the full",
          f"gradient {noise[-1]:.2f}")
assert all(1.8 < a / b < 2.2 for a, b in zip(noise, noise[1:]))

# %% [markdown]
# A batch four times as large halves the noise: it falls as one over the
# square root of the size. But it costs four times the arithmetic, and four
# rough steps often get further than one with half the noise. So make the batch
# larger only until your hardware is busy.
#
# Back to the ravine. Its steep direction limits the step, and its gentle one
# needs a long one. **Momentum** helps: keep a running sum $v$ of gradients
# that fades by a factor $\mu$ each step, and move along that. Pushes that
# agree add up, and pushes to and fro cancel.
#
# $$v \leftarrow \mu v + g, \qquad w \leftarrow w - \eta v$$
#
# Here $g$ is the gradient. With $\mu = 0$ this is plain SGD.

# %%
def sgd_step(parameter, velocity, learning_rate, momentum=0.0):
    """Move a parameter by one step of SGD with momentum, in place.

    The parameter holds its gradient in .grad. The velocity is a tensor of
    its shape, zeros before the first step, and is updated too. With
    momentum=0 it is plain SGD. Matches torch.optim.SGD.
    Source: B. Polyak, "Some methods of speeding up the convergence of
    iteration methods", 1964.
    """
    with torch.no_grad():
        # A name that ends in _ changes the tensor itself.
        velocity.mul_(momentum).add_(parameter.grad)
        parameter.sub_(learning_rate * velocity)

# %% [markdown]
# **Adam** gives each parameter its own step size. It keeps a running mean
# $m$ of the gradient and $s$ of its square, and divides one by the root of
# the other, so a direction that is steep throughout gets no longer steps:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad
# s \leftarrow \beta_2 s + (1 - \beta_2)\, g^2$$
#
# $$w \leftarrow w - \eta \,
# \frac{m / (1 - \beta_1^t)}{\sqrt{s / (1 - \beta_2^t)} + \epsilon}$$
#
# Both means start at zero, and the divisors make up for that: at step $t = 1$,
# $m$ is $(1 - \beta_1)\, g$, and the division gives $g$. (Here $\beta^t$ is a
# power.) $\beta_1$ and $\beta_2$ say how much of the old means stays, and the
# small $\epsilon$ avoids a division by zero.

# %%
def adam_step(parameter, mean, mean_square, step, learning_rate=0.001,
              beta1=0.9, beta2=0.999, epsilon=1e-8):
    """Move a parameter by one step of Adam, in place.

    The parameter holds its gradient in .grad. mean and mean_square are
    tensors of its shape, zeros before the first step, and are updated too.
    step counts from 1. Matches torch.optim.Adam.
    Source: D. Kingma and J. Ba, "Adam: a method for stochastic
    optimization", 2015.
    """
    with torch.no_grad():
        mean.mul_(beta1).add_((1 - beta1) * parameter.grad)
        mean_square.mul_(beta2).add_((1 - beta2) * parameter.grad ** 2)
        mean_corrected = mean / (1 - beta1 ** step)
        square_corrected = mean_square / (1 - beta2 ** step)
        parameter.sub_(learning_rate * mean_corrected
                       / (square_corrected.sqrt() + epsilon))

# %% [markdown]
# In PyTorch an **optimizer** is an object that holds the parameters and
# applies such a rule when you call `step()`, and clears the gradients when you
# call `zero_grad()`; it calls the learning rate `lr`.
# Run the functions beside it on the ravine, and compare after *every* step.
# Look at the losses: same start, same number of steps.

# %%
start = torch.tensor([-9.0, 1.5])
paths = {"SGD": [start], "Momentum": [start], "Adam": [start]}
for name, path in paths.items():
    ours, theirs = (start.clone().requires_grad_() for _ in range(2))
    first, second = torch.zeros(2), torch.zeros(2)  # the running quantities
    optimizer = {"SGD": torch.optim.SGD([theirs], lr=0.09),
                 "Momentum": torch.optim.SGD([theirs], lr=0.03, momentum=0.8),
                 "Adam": torch.optim.Adam([theirs], lr=0.7)}[name]
    for step in range(1, 41):
        ours.grad = theirs.grad = None  # clear both, as zero_grad() does
        (ravine(ours) + ravine(theirs)).backward()
        optimizer.step()
        if name == "SGD":
            sgd_step(ours, first, 0.09)
        elif name == "Momentum":
            sgd_step(ours, first, 0.03, momentum=0.8)
        else:
            adam_step(ours, first, second, step, 0.7)
        torch.testing.assert_close(ours, theirs)
        path.append(ours.detach().clone())
    print(f"{name:<8} agrees with torch.optim in all 40 steps; loss",
          f"{ravine(start):.1f} -> {ravine(ours).item():.4f}")

# %% [markdown]
# How to read the figure: SGD jumps across the ravine and then creeps along
# it; momentum swings, overshoots and comes back; Adam starts with equal steps
# in both directions, overshoots too and turns back. SGD does well because its
# rate was chosen for curvatures that you know, so the picture shows how they
# move, not which is best. (The w2 axis is stretched.)

# %%
w1, w2 = np.meshgrid(np.linspace(-10, 6, 80), np.linspace(-3, 3, 80))
heights = 0.5 * (w1 ** 2 + 20 * w2 ** 2)
fig, axes = plt.subplots(1, 3, figsize=(9, 3.4), sharex=True, sharey=True)
for ax, (name, path) in zip(axes, paths.items()):
    ax.contour(w1, w2, heights, levels=[1, 5, 15, 35, 70], colors="0.75",
               linewidths=1)
    ax.plot(*torch.stack(path).T, marker="o", markersize=3, linewidth=1)
    ax.plot(0, 0, "x", color="C1", markersize=9)
    ax.set(title=name, xlabel="w1", xticks=[-10, -5, 0, 5],
           yticks=[-2, 0, 2])
axes[0].set_ylabel("w2")
show(fig, "07_trajectories")

# %% [markdown]
# On a real network nobody knows the curvatures. Find the learning rate by
# trying: a few rates, each three to ten times the last, a short run each.
# Sweep it for a small network that fits a sine. Look for the lowest loss, and
# for what comes after it.

# %%
X = torch.linspace(-3, 3, 256).reshape(-1, 1)
targets = torch.sin(X)
learning_rates = [0.0001, 0.001, 0.01, 0.03, 0.1, 0.3, 1.0]
final_losses = []
for learning_rate in learning_rates:
    torch.manual_seed(7)
    network = MLP(1, [32], 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=learning_rate)
    for step in range(60):
        optimizer.zero_grad()
        loss = nn.MSELoss()(network(X), targets)
        loss.backward()
        optimizer.step()
    final_losses.append(loss.item())
    print(f"learning rate {learning_rate:<6}: loss {loss.item():.4f}")

# %% [markdown]
# How to read the figure: too small a rate has not arrived at step 60, and too
# large a one makes the loss overflow, to infinity or NaN, which a cross at
# the top marks. Here the best of these rates is the last before it breaks.

# %%
fig, ax = plt.subplots(figsize=(6, 3.4))
ax.loglog(learning_rates, final_losses, marker="o")
for learning_rate, loss in zip(learning_rates, final_losses):
    if not math.isfinite(loss):
        ax.plot(learning_rate, 1, "X", color="C1", markersize=11)
ax.set(title="Learning-rate sweep", xlabel="learning rate", ylim=(0.01, 1.2),
       ylabel="loss at step 60", yticks=[0.01, 0.03, 0.1, 0.3, 1])
for axis in (ax.xaxis, ax.yaxis):
    axis.set_major_formatter("{x:g}")
ax.minorticks_off()
fig.subplots_adjust(left=0.14)
show(fig, "07_learning_rate_sweep")

# %% [markdown]
# Last, what an optimizer is tied to. It holds *the tensors it was given* when
# you made it, and moves nothing else. Make it on one model and train another,
# which happens when a notebook cell rebuilds the model but not the optimizer:
# no error, and nothing moves.

# %%
torch.manual_seed(7)
old_model, model = MLP(1, [8], 1), MLP(1, [8], 1)
optimizer = torch.optim.SGD(old_model.parameters(), lr=0.1)  # the wrong one
before = copy.deepcopy(model.state_dict())  # a copy, or it would move too
for step in range(10):
    optimizer.zero_grad()
    nn.MSELoss()(model(X), targets).backward()
    optimizer.step()
moved = [name for name, tensor in model.state_dict().items()
         if not torch.equal(tensor, before[name])]
print("Parameters that moved in 10 steps with the wrong optimizer:", moved)
assert moved == []

# %% [markdown]
# **How to choose**
#
# | Begin with | `lr` to try first | When |
# |---|---|---|
# | `Adam` | 0.001 (tiny networks: 0.01) | nearly always; least tuning |
# | `SGD`, `momentum=0.9` | 0.01 | you have time to tune |
# | `SGD` | 0.1 | to understand what happens |
#
# | What you see | What to do |
# |---|---|
# | loss grows, or becomes NaN | divide the learning rate by 10 |
# | loss falls very slowly | multiply it by 3 |
# | loss falls, then jumps about | lower it towards the end |
#
# **Exercise 7.** With momentum $\mu$ the limit becomes
# $2 (1 + \mu) / \mathrm{curvature}$. Compute it for the ravine and
# $\mu = 0.8$, then take 300 steps with `sgd_step` just below and just above.
# *Expect 0.18: at 0.179 the loss falls, at 0.181 it grows.*

# %% [markdown]
# ## 8. The Training Loop: Forward and Backward Propagation
#
# `backward()` has done the hard part so far. What does it do? It applies the
# chain rule (slopes along a path multiply, and paths that meet add up) from
# the loss back to each weight: this is **backpropagation**. Write `d_x` for
# the slope of the loss in `x`. If `out = w * x + b`, the chain rule gives
# `d_w = d_out * x`, which moves the weight, and `d_x = d_out * w`, which goes
# to the layer before.
#
# Do it once by hand, for a network with one hidden tanh layer and MSE.
# First forward, keeping each intermediate value. (`float64` is for a check
# below.)

# %%
section("8. The Training Loop: Forward and Backward Propagation",
        "How do the parts work together?")
torch.manual_seed(8)
X = torch.randn(4, 2, dtype=torch.float64)  # 4 samples, 2 features
targets = torch.randn(4, 1, dtype=torch.float64)
network = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
W1, b1, W2, b2 = (p.detach() for p in network.parameters())

hidden = torch.tanh(X @ W1.T + b1)
predictions = hidden @ W2.T + b2
loss = ((predictions - targets) ** 2).mean()
print(f"Loss, by hand: {loss.item():.4f}")

# %% [markdown]
# Then backward, in the opposite order. Each matrix product applies one of
# those two rules to a whole layer, and adds up over the samples or the units.
# The slope of tanh is $1 - \tanh^2$.

# %%
d_predictions = 2 * (predictions - targets) / len(X)
d_W2 = d_predictions.T @ hidden  # (1, 4) @ (4, 3)
d_b2 = d_predictions.sum(dim=0)  # every sample adds its share
d_hidden = d_predictions @ W2  # (4, 1) @ (1, 3)
d_sums = d_hidden * (1 - hidden ** 2)  # before the tanh
d_W1 = d_sums.T @ X  # (3, 4) @ (4, 2)
d_b1 = d_sums.sum(dim=0)
print(f"Gradient of the loss with respect to W1, by hand:\n{d_W1}")

# %% [markdown]
# The same from `torch`: compute the loss with the network and call
# `backward()`. All four gradients must agree.

# %%
loss = nn.MSELoss()(network(X), targets)
loss.backward()
for parameter, by_hand in zip(network.parameters(), [d_W1, d_b1, d_W2, d_b2]):
    torch.testing.assert_close(parameter.grad, by_hand)
print("loss.backward() gives the same four gradients")

# %% [markdown]
# Both could share a mistake, so ask a third witness that knows no calculus.
# **Finite differences** move one weight a little up and a little down, and
# divide the change of the loss by the distance. That costs two forward
# passes per weight; backpropagation gets all gradients from one pass back.

# %%
step, largest_gap = 1e-6, 0.0
with torch.no_grad():
    for parameter in network.parameters():
        # Flat views: a change in entries changes the network.
        entries, slopes = parameter.view(-1), parameter.grad.view(-1)
        for i in range(parameter.numel()):
            entries[i] += step
            above = nn.MSELoss()(network(X), targets).item()
            entries[i] -= 2 * step
            below = nn.MSELoss()(network(X), targets).item()
            entries[i] += step
            gap = abs((above - below) / (2 * step) - slopes[i].item())
            largest_gap = max(largest_gap, gap)
print("All gradients agree with finite differences:", largest_gap < 1e-8)
assert largest_gap < 1e-8

# %% [markdown]
# `backward()` *adds* to `.grad`; it does not replace it. That is on purpose
# (you can sum over several batches), and it is the most famous trap. Call it
# again without clearing, and look at the factor.

# %%
first = network[0].weight.grad.clone()
nn.MSELoss()(network(X), targets).backward()
ratio = (network[0].weight.grad / first).mean().item()
print(f"After a second backward() the gradient is {ratio:.1f} times as large")
torch.testing.assert_close(network[0].weight.grad, 2 * first)

# %% [markdown]
# `zero_grad()`, of the network or of its optimizer, clears the gradients of
# all parameters. With it in between,
# the second call gives what the first one gave.

# %%
network.zero_grad()
nn.MSELoss()(network(X), targets).backward()
torch.testing.assert_close(network[0].weight.grad, first)
print("After zero_grad() and backward() the gradient is the first one again")

# %% [markdown]
# Now the heart of every PyTorch program, **five lines**:
#
# 1. clear the gradients of the last step;
# 2. forward: compute the outputs;
# 3. compute the loss;
# 4. backward: compute the gradients;
# 5. step: move the parameters.
#
# Clearing may stand anywhere outside the stretch from `backward()` to
# `step()`. Train two equal networks, clearing first in one and last in the
# other, and compare losses and weights.

# %%
X, targets = X.float(), targets.float()
results = []
for placement in ("first", "last"):
    torch.manual_seed(8)
    model, loss_fn = MLP(2, [3], 1, activation=nn.Tanh), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(50):
        if placement == "first":
            optimizer.zero_grad()
        outputs = model(X)
        loss = loss_fn(outputs, targets)
        loss.backward()
        optimizer.step()
        if placement == "last":
            optimizer.zero_grad()
    results.append(model.state_dict())
    print(f"zero_grad() {placement}: loss at step 50 {loss.item():.4f}")
torch.testing.assert_close(*results)

# %% [markdown]
# Data arrives in mini-batches (Section 7). One pass over all the training
# samples is an **epoch**; one mini-batch is a **step**. PyTorch splits the
# work: a **`Dataset`** knows how many samples there are and returns one by
# its number; a **`DataLoader`** draws numbers, fetches the samples and stacks
# them into batches.
#
# Your data may be a NumPy array, a list or a data frame, and PyTorch's layers
# want tensors of 32-bit numbers (NumPy makes 64-bit ones). Convert on the way
# in, once, and find out there if a column holds words.

# %%
def to_tensors(arrays, device="cpu", dtype=torch.float32):
    """Turn several arrays into a list of tensors of the same shapes.

    arrays is a list such as [X, y] of arrays, lists, data frames, series or
    tensors. Booleans, whole and decimal numbers all become dtype; with
    dtype=None whole numbers become int64 and all others float32. An array is
    copied; a tensor that fits is passed on as it is.
    Raises TypeError for one array in place of several, ValueError for what
    is not a number and for a fraction where dtype holds whole numbers.
    """
    if hasattr(arrays, "shape"):
        raise TypeError("arrays must be a list of arrays: write "
                        "to_tensors([X]), with brackets, for one")
    tensors = []
    for array in arrays:
        if not torch.is_tensor(array):
            if hasattr(array, "toarray"):  # a sparse matrix
                array = array.toarray()
            try:
                array = np.asarray(array)
                kind = array.dtype.kind
                if kind in "cmM":
                    raise TypeError(f"it holds {array.dtype}")
                # What PyTorch can read; astype makes the copy.
                decimal = np.float32 if array.dtype == "f4" else np.float64
                array = torch.from_numpy(array.astype(
                    {"b": bool, "i": "i8", "u": "i8"}.get(kind, decimal)))
            except (TypeError, ValueError) as error:
                raise ValueError(
                    "an array holds something that is not a number "
                    f"({error}): encode words and categories as numbers, "
                    "fill gaps, and give all rows one length") from error
        if array.ndim == 0:
            raise TypeError("arrays holds single numbers: write "
                            "to_tensors([y]), with brackets, for one list")
        whole = not array.is_floating_point() and array.dtype != torch.bool
        wanted = dtype or (torch.int64 if whole else torch.float32)
        tensors.append(array.to(device, wanted))
        if not wanted.is_floating_point and not torch.equal(
                tensors[-1].to(array), array):
            raise ValueError(f"an array holds numbers that {wanted} cannot, "
                             "such as fractions or NaN")
    return tensors

# %% [markdown]
# Booleans, whole numbers and decimal ones all go in. A column of words does
# not: the error quotes the first of them, and says what to do.

# %%
flags, = to_tensors([[True, False, True]])
print("From booleans:", flags.tolist(), flags.dtype)
try:
    to_tensors([[[1.0, "red"], [2.0, "blue"]]])
except ValueError as error:
    print(textwrap.fill(f"From a table with words: {error}", 79))

# %% [markdown]
# Encode the words as numbers, and it works. Here every colour gets a column
# that says whether the row has it, which is called **one-hot encoding**.

# %%
table = [[1.0, "red"], [2.0, "blue"]]
rows, = to_tensors([[[size, color == "red", color == "blue"]
                     for size, color in table]])
print(f"Encoded:\n{rows}")

# %% [markdown]
# Now write the smallest `Dataset`: two methods besides its set-up.

# %%
class ArrayDataset(Dataset):
    """Pairs of a row of X and an entry of y, as tensors. Needs to_tensors.

    Shapes: X (num_samples, in_features), y (num_samples, ...), as arrays,
    lists, data frames, series or tensors. Each item is a float32 row and a
    target: int64 where y holds whole numbers, as for classes, else float32.
    Raises ValueError when the lengths differ.
    """

    def __init__(self, X, y):
        self.X, = to_tensors([X])
        self.y, = to_tensors([y], dtype=None)
        if len(self.X) != len(self.y):
            raise ValueError(f"X has {len(self.X)} samples, but y has "
                             f"{len(self.y)}")

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        return self.X[index], self.y[index]

# %% [markdown]
# Ten samples in batches of four make two full batches and a rest of two. The
# class numbers below are in order; `shuffle=True` draws a new order each
# epoch, so look at the targets of the two epochs.

# %%
torch.manual_seed(8)
dataset = ArrayDataset(np.arange(20.0).reshape(10, 2), np.arange(10))
loader = DataLoader(dataset, batch_size=4, shuffle=True)
print("Samples:", len(dataset), "  batches per epoch:", len(loader))
for epoch in (1, 2):
    for X_batch, y_batch in loader:
        print(f"epoch {epoch}: inputs {tuple(X_batch.shape)},",
              f"targets {y_batch.tolist()}")

# %% [markdown]
# A loader fetches samples one by one, because they may be files that it must
# open and decode, in several worker processes if you ask. When all the data
# is already in memory as tensors, that is wasted work: draw an order once an
# epoch, and gather the rows of each batch in one go. On a GPU it also keeps
# the data there.

# %%
class TensorBatches:
    """Mini-batches of tensors that fit in memory, on their own device.

    Each pass yields tuples with (batch_size, ...) rows of every tensor, the
    last batch perhaps smaller, or left out with drop_last=True. With
    shuffle=True each pass has a new order, the same for all the tensors;
    without it the rows share memory with them: do not change them in place.
    Raises TypeError for what is not a tensor; ValueError unless the tensors
    have one length, above zero, and batch_size is a whole number above zero.
    """

    def __init__(self, *tensors, batch_size, shuffle=False, drop_last=False):
        for tensor in tensors:
            if not torch.is_tensor(tensor):
                raise TypeError(
                    f"TensorBatches takes tensors, not {type(tensor)}: turn "
                    "arrays into tensors with to_tensors first")
        lengths = [tensor.shape[:1] for tensor in tensors]
        if len(set(lengths)) != 1 or lengths[0] in [(), (0,)]:
            raise ValueError("tensors must have one length, above zero; "
                             f"they have {[tuple(n) for n in lengths]}")
        if batch_size < 1 or batch_size != int(batch_size):
            raise ValueError("batch_size must be a whole number, 1 or more: "
                             f"{batch_size}")
        self.tensors, self.batch_size = tensors, int(batch_size)
        self.shuffle, self.drop_last = shuffle, drop_last

    def __len__(self):
        batches = len(self.tensors[0]) / self.batch_size
        return math.floor(batches) if self.drop_last else math.ceil(batches)

    def __iter__(self):
        # randperm: 0 to n - 1 in random order. index_select: those rows.
        if self.shuffle:
            order = torch.randperm(len(self.tensors[0]))
            order = order.to(self.tensors[0].device)
        for number in range(len(self)):
            start = number * self.batch_size
            rows = slice(start, start + self.batch_size)
            yield tuple(tensor.index_select(0, order[rows]) if self.shuffle
                        else tensor[rows] for tensor in self.tensors)

# %% [markdown]
# Without shuffling, both must give the same batches. Use a `DataLoader` for
# data on disk, samples altered at random (augmentation) or data too large for
# memory, and `TensorBatches` for the rest.

# %%
by_loader = list(DataLoader(dataset, batch_size=4))
by_slices = list(TensorBatches(dataset.X, dataset.y, batch_size=4))
assert len(by_loader) == len(by_slices) == 3
for (X1, y1), (X2, y2) in zip(by_loader, by_slices):
    torch.testing.assert_close(X1, X2)
    torch.testing.assert_close(y1, y2)
print(f"DataLoader and TensorBatches give the same {len(by_slices)} batches")

# %% [markdown]
# With shuffling, three things must hold in each epoch: every sample comes
# once, each row keeps its own target (row $i$ of the data is $2i$ and
# $2i + 1$), and the order is a new one. Ten samples have millions of orders,
# so the same one twice is a mistake, not bad luck.

# %%
orders = []
shuffled = TensorBatches(dataset.X, dataset.y, batch_size=4, shuffle=True)
for epoch in (1, 2):
    X_epoch, y_epoch = (torch.cat(parts) for parts in zip(*shuffled))
    assert sorted(y_epoch.tolist()) == list(range(10)), y_epoch
    torch.testing.assert_close(X_epoch[:, 0], 2.0 * y_epoch)
    orders.append(y_epoch.tolist())
    print(f"epoch {epoch}: targets {orders[-1]}")
assert orders[0] != orders[1], "both epochs have the same order"

# %% [markdown]
# Which parts of a training program can be left out? Find out: run it once
# whole and five times without one part, on two half-moons of points that
# interlock. Measure the **accuracy**, the share of right answers, on 200
# points kept out of training. The data is awkward on purpose: sorted by class,
# and its second feature multiplied by ten. **Scaling** undoes that: subtract
# each feature's mean, and divide by its standard deviation, the typical
# distance from the mean. The network has dropout, so `eval()` matters.

# %%
X, y = datasets.make_moons(n_samples=600, noise=0.15, random_state=8)
X[:, 1] *= 10
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=200, random_state=8)
in_order = np.argsort(y_train, kind="stable")  # sorted by class
X_train, y_train = X_train[in_order], torch.tensor(y_train[in_order])
scaler = StandardScaler().fit(X_train)  # measures; transform() scales
test_targets = torch.tensor(y_test)

curves, accuracies = {}, {}
for left_out in ("nothing", "zero_grad()", "step()", "shuffling", "scaling",
                 "eval()"):
    torch.manual_seed(8)
    inputs, test_inputs = (
        torch.tensor(part if left_out == "scaling" else scaler.transform(part),
                     dtype=torch.float32) for part in (X_train, X_test))
    batches = TensorBatches(inputs, y_train, batch_size=25,
                            shuffle=left_out != "shuffling")
    model = MLP(2, [32], 2, dropout=0.5)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    curves[left_out] = []
    for epoch in range(8):
        epoch_loss = 0.0
        for X_batch, y_batch in batches:
            if left_out != "zero_grad()":
                optimizer.zero_grad()
            loss = loss_fn(model(X_batch), y_batch)
            loss.backward()
            if left_out != "step()":
                optimizer.step()
            epoch_loss += loss.item() / len(batches)
        curves[left_out].append(epoch_loss)
    if left_out != "eval()":
        model.eval()
    with torch.no_grad():
        correct = model(test_inputs).argmax(dim=1) == test_targets
    accuracies[left_out] = correct.float().mean().item()

print("Left out       last training loss   accuracy on 200 new points")
for left_out, accuracy in accuracies.items():
    loss = curves[left_out][-1]
    loss = f"{loss:.3f}" if loss < 1 else "over 1"
    print(f"{left_out:<12} {loss:>20} {accuracy:>20.3f}")

# %% [markdown]
# Read the table with the figure below it. Without `step()` the loss stays
# where it began. Without `zero_grad()` old gradients keep pushing, and the
# loss leaves the picture (accuracy hides how bad it is). Without scaling no
# one learning rate suits both features, and the loss stays higher. Without
# shuffling the network sees one class for half an epoch, then the other, and
# learns less. Without `eval()` training is the same as with it, so it has no
# line; the answers suffer. First check each of these claims.

# %%
last = {left_out: curve[-1] for left_out, curve in curves.items()}
assert 0.9 < last["step()"] / curves["step()"][0] < 1.1
assert last["zero_grad()"] > 10
assert last["nothing"] < min(last["scaling"], last["shuffling"])
assert curves["eval()"] == curves["nothing"]
assert sorted(accuracies.values())[-2] < accuracies["nothing"]
print("Each part that is left out does the damage described")

# %% [markdown]
# How to read the figure: the lower line learns better, and equal distances on
# the vertical axis are equal factors.

# %%
fig, ax = plt.subplots(figsize=(7, 3.6))
# Five markers: zip stops before the sixth curve, "eval()".
for (left_out, curve), marker in zip(curves.items(), "osv^D"):
    ax.semilogy(range(1, 9), curve, marker=marker, markersize=5,
                label=f"{left_out} left out")
ax.set(title="The same loop with one part left out", xlabel="epoch",
       ylabel="mean training loss", xlim=(0.5, 12), ylim=(0.1, 10),
       xticks=range(1, 9))
ax.yaxis.set_major_formatter("{x:g}")
ax.minorticks_off()
ax.legend(loc="upper right")
show(fig, "08_left_out")

# %% [markdown]
# **How to choose the batch size**
#
# | Batch size | Good for |
# |---|---|
# | 1 to 16 | very little data or memory; noisy steps |
# | 32 to 256 | most training; begin here |
# | 1,024 and more | keeping a GPU busy; raise the learning rate with it |
#
# **Exercise 8.** Large batches can be put together from small ones, because
# gradients add. Compute the gradient of the mean loss over 8 samples in one
# `backward()`, then again in two batches of 4, each loss divided by 2,
# without clearing in between. *Expect the two gradients to agree to within
# rounding.*

# %% [markdown]
# ## 9. Building and Training Your First Neural Network in PyTorch
#
# You have all the parts. Put them together in five steps, and answer the
# question that is left: how do you know that the network is good?
#
# **Step 1: prepare the data.** Judge a network on samples that it has never
# seen, and keep three sets apart:
#
# - the **training set** moves the weights;
# - the **validation set** makes choices, such as when to stop;
# - the **test set** reports the result and makes no choice. A choice made by
#   looking at it would turn it into a second validation set.

# %%
def split_in_three(X, y, random_state, stratify=None):
    """Split arrays into 60 % training, 20 % validation and 20 % test.

    Shapes: X (num_samples, ...), y (num_samples, ...): arrays, data frames,
    series or tensors, which keep their kind; lists become arrays. Returns
    (X_train, X_val, X_test), (y_train, y_val, y_test). Pass stratify=y for
    classes, to keep their proportions; random_state fixes the choice.
    Rows are dealt out at random: not for rows ordered in time (take the last
    ones as test set), nor for several rows from one person or place.
    Raises ValueError when the lengths differ or there are too few samples.
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
# The data is `make_moons`: two interlocking half-circles, with noise, that no
# line can separate. Networks learn best from features of similar size near
# zero, so scale them, as in Section 8. Mean and deviation come from the
# **training set only**: a number taken from the other sets would carry
# knowledge of them into training.

# %%
section("9. Building and Training Your First Neural Network in PyTorch",
        "How do you train a network and know it is good?")
X, y = datasets.make_moons(n_samples=1000, noise=0.25, random_state=9)
X_parts, y_parts = split_in_three(X, y, random_state=7, stratify=y)
scaler = StandardScaler().fit(X_parts[0])
X_train, X_val, X_test = to_tensors(map(scaler.transform, X_parts), device)
y_train, y_val, y_test = (
    targets.reshape(-1, 1) for targets in to_tensors(y_parts, device))
print("Training inputs", tuple(X_train.shape), "targets", tuple(y_train.shape))

# %% [markdown]
# Look at the means. Those of the training set are 0 by construction, and the
# others only nearly so: that is how it should look. All the tensors now live
# on the device, and the batches will be rows of them.

# %%
for name, inputs in [("training", X_train), ("validation", X_val),
                     ("test", X_test)]:
    largest = inputs.mean(dim=0).abs().max().item()
    print(f"{name:<10}: {len(inputs)} samples, feature means within",
          f"{largest:.3f} of 0")
    assert (largest < 1e-5) == (name == "training")

# %% [markdown]
# **Step 2: define the model.** Two classes need one logit. Begin with the
# simplest model that could work, a linear one, as the **baseline** to beat:
# `MLP` with no hidden layers. Beside it, two hidden layers. `.to(device)`
# moves a model; model and data must be on the same device.

# %%
torch.manual_seed(9)
models = {"baseline": MLP(2, [], 1), "network": MLP(2, [32, 32], 1)}
for name, model in models.items():
    model.to(device)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{name}: {count} parameters")

# %% [markdown]
# **Step 3: define the loss and the optimizer.** The table in Section 6 says
# `BCEWithLogitsLoss` for two classes, and the one in Section 7 says Adam. Ten
# epochs are few, so take larger rates than the table's. (To find one for your
# data, sweep as in Section 7 and compare validation losses.) Make the
# optimizer after the model is on its device; its line stands before the
# training, below.
#
# **Before you train: check one batch.** A mistake in the targets seldom stops
# a program. It trains, but on something else, and the numbers it prints look
# fine. So look at one batch first. The check runs the model in `eval()` mode,
# and then each layer must be back in the mode it was in. This helper sees to
# that. `@contextmanager` makes it fit for a `with` block: what stands before
# `yield` runs when the block begins, and the `finally` part when it ends, even
# after an error.

# %%
@contextmanager
def modes_kept(model):
    """Give each layer of a model its mode back after a with block.

    Raises TypeError for what is not a model.
    """
    if not isinstance(model, nn.Module):
        raise TypeError("the model must be a module that is built, such as "
                        f"MLP(2, [16], 1), not {model!r}")
    # Each layer, with True for train() and False for eval().
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode

# %% [markdown]
# The table in Section 6 said which targets each loss takes. The next three
# cells are that table as code; skim them, and go on to what they say. First
# the losses for classes.

# %%
def check_classes(outputs, targets, loss_fn):
    """Raise an error that says what to write if targets are not classes.

    Shapes: outputs (batch_size, num_classes, ...); targets (batch_size, ...)
    of class numbers, or probabilities in the shape of the outputs. loss_fn
    is nn.CrossEntropyLoss(), nn.NLLLoss() or a function like them.
    Raises TypeError for a wrong dtype, ValueError for a wrong shape or value.
    """
    if outputs.ndim < 2 or outputs.shape[1] == 1:
        raise ValueError(
            "one logit cannot name a class: use BCEWithLogitsLoss, or give "
            "the model a column for each class (out_features=2)")
    classes, shape = outputs.shape[1], outputs.shape[:1] + outputs.shape[2:]
    takes_logs = "nll" in repr(loss_fn).lower()
    if takes_logs and outputs.max() > 1e-6:
        raise ValueError(
            "NLLLoss takes log-probabilities, and none is above 0: end the "
            "model in nn.LogSoftmax(dim=1), or use CrossEntropyLoss")
    if (targets.shape == outputs.shape and targets.is_floating_point()
            and not takes_logs):
        if targets.min() < 0 or (targets.sum(dim=1) - 1).abs().max() > 1e-3:
            raise ValueError(
                "class probabilities must sum to 1 in each row: for several "
                "yes/no labels a row, use BCEWithLogitsLoss")
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
        kept = targets[targets != getattr(loss_fn, "ignore_index", -100)]
        if len(kept) and not 0 <= kept.min() <= kept.max() < classes:
            raise ValueError(
                f"class numbers go from 0 to {classes - 1}, but the targets "
                f"from {kept.min()} to {kept.max()}: count from 0, or raise "
                "out_features")

# %% [markdown]
# The other losses compare outputs and targets of the same shape and dtype.

# %%
OF_CLASSES = {"CrossEntropyLoss", "cross_entropy", "NLLLoss", "nll_loss"}
OF_LOGITS = {"BCEWithLogitsLoss", "binary_cross_entropy_with_logits"}
OF_PROBABILITIES = {"BCELoss", "binary_cross_entropy"}
OF_NUMBERS = {"MSELoss", "mse_loss", "L1Loss", "l1_loss", "SmoothL1Loss",
              "smooth_l1_loss", "HuberLoss", "huber_loss"}


def check_targets(outputs, targets, loss_fn):
    """Raise an error that says what to write if targets do not fit a loss.

    Needs check_classes. Shapes: as the loss takes them, samples first. Any
    loss not named above must pair each output with its own target.
    Raises TypeError for a wrong dtype, ValueError for a wrong shape or value.
    """
    names = {kind.__name__ for kind in type(loss_fn).__mro__}
    names.add(getattr(getattr(loss_fn, "func", loss_fn), "__name__", ""))
    shape, wanted = tuple(targets.shape), tuple(outputs.shape)
    if not targets.float().isfinite().all():
        raise ValueError("the targets hold NaN or infinity: leave these out")
    if names & OF_CLASSES:
        check_classes(outputs, targets, loss_fn)
    elif names & (OF_LOGITS | OF_PROBABILITIES | OF_NUMBERS):
        if shape != wanted:
            raise ValueError(
                f"outputs have shape {wanted}, but targets {shape}: write "
                f"targets.reshape{(-1, *wanted[1:])} if there is one for each "
                "output; if they are class numbers, use CrossEntropyLoss")
        if targets.dtype != outputs.dtype:
            raise TypeError(f"the targets are {targets.dtype}: write targets."
                            f"float(), or targets.to({outputs.dtype})")
        binary = not names & OF_NUMBERS
        if binary and not 0 <= targets.min() <= targets.max() <= 1:
            raise ValueError(
                f"targets go from 0 to 1, but these from {targets.min():g} to "
                f"{targets.max():g}: write (targets == {targets.max():g})"
                ".float() for two classes, use CrossEntropyLoss for more")
        if names & OF_PROBABILITIES and not 0 <= outputs.min() \
                <= outputs.max() <= 1:
            raise ValueError("BCELoss takes outputs from 0 to 1, which are "
                             "probabilities: use BCEWithLogitsLoss")
    elif shape != wanted and targets.numel() == outputs.numel():
        numbers = torch.linspace(0.1, 0.9, targets.numel()).to(outputs)
        try:  # a loss that pairs gives the same in either shape
            paired = torch.isclose(*(loss_fn(numbers.reshape(size), targets)
                                     for size in (wanted, shape))).all()
        except (IndexError, RuntimeError, ValueError):
            paired = True  # it takes one of the two shapes alone
        if not paired:
            raise ValueError(f"outputs of shape {wanted} and targets {shape} "
                             "would broadcast: write targets.reshape"
                             f"{(-1, *wanted[1:])}")
    loss = loss_fn(outputs, targets)
    if not torch.is_tensor(loss) or loss.numel() != 1:
        raise ValueError("the loss must be a tensor with one number: leave "
                         "out reduction=\"none\", or end in .mean()")

# %% [markdown]
# `check_batch` is the first thing to run on data of your own. It looks at the
# inputs, runs the model on them once, and passes the outputs on.

# %%
def check_batch(model, inputs, targets, loss_fn):
    """Raise an error that says what to write if a batch cannot be learnt.

    Needs modes_kept, check_targets and check_classes. Shapes: inputs as the
    model takes them, targets as the loss does, samples first. Runs the model
    in eval mode, changes nothing, and warns if the outputs look like
    probabilities where the loss takes logits.
    Raises TypeError for a wrong type, ValueError for a wrong shape or value.
    """
    if isinstance(loss_fn, type):
        raise TypeError(f"the loss is a class: write {loss_fn.__name__}()")
    with modes_kept(model), torch.no_grad():
        model.eval()
        weights = next(model.parameters(), inputs)
        for name, data in [("inputs", inputs), ("targets", targets)]:
            if not torch.is_tensor(data):
                raise TypeError(f"{name} must be a tensor, not {type(data)}: "
                                "see to_tensors")
            if data.numel() == 0 or data.shape[:1] != inputs.shape[:1]:
                raise ValueError("there must be samples, and one target for "
                                 f"each, not {inputs.shape}, {data.shape}")
            if data.device != weights.device:
                raise ValueError(f"{name} are on {data.device}, the model on "
                                 f"{weights.device}: use .to(device) on both")
            if not data.float().isfinite().all():
                raise ValueError(f"{name} hold NaN or infinity: leave those "
                                 "samples out, or fill the gaps")
        try:
            outputs = model(inputs)
        except (IndexError, RuntimeError) as error:
            if "type" in str(error) and inputs.dtype != weights.dtype:
                raise TypeError(f"inputs are {inputs.dtype}, but the model is "
                                f"{weights.dtype}: write inputs.float(), or "
                                f"inputs.to({weights.dtype})") from error
            raise ValueError("the model refuses inputs of shape "
                             f"{tuple(inputs.shape)}: compare in_features of "
                             f"its first layer ({error})") from error
        if not torch.is_tensor(outputs):
            raise TypeError(f"the model must return a tensor: {type(outputs)}")
        check_targets(outputs, targets, loss_fn)
        name = getattr(loss_fn, "__name__", type(loss_fn).__name__)
        if (name in OF_LOGITS | {"CrossEntropyLoss", "cross_entropy"}
                and inputs.is_floating_point() and all(
                    0 <= found.min() < found.max() <= 1
                    for found in (outputs, model(1000 * inputs)))):
            warnings.warn("the outputs look like probabilities, but the loss "
                          "takes logits: leave out the sigmoid or softmax",
                          stacklevel=2)

# %% [markdown]
# No news is good news: a batch that fits passes in silence.

# %%
network, loss_fn = models["network"], nn.BCEWithLogitsLoss()
X_few, y_few = X_train[:32], y_train[:32]
check_batch(network, X_few, y_few, loss_fn)
print("The first", len(X_few), "samples fit the network and the loss")

# %% [markdown]
# Now make mistakes that people report. Without the check, the first, third
# and fourth would train without an error: to a loss far below 0, towards the
# mean of the targets, and with a loss that is exactly 0. The second ends in
# NaN.

# %%
X_gap = X_few.clone()
X_gap[3, 0] = math.nan
mistakes = {
    "Labels 1 and 2": (X_few, y_few + 1, loss_fn),
    "A gap in the data": (X_gap, y_few, loss_fn),
    "Targets (N,)": (X_few, y_few.flatten(), nn.MSELoss()),
    "One column": (X_few, y_few.flatten().long(), nn.CrossEntropyLoss())}
for name, batch in mistakes.items():
    try:
        check_batch(network, *batch)
    except ValueError as error:
        print(textwrap.fill(f"{name}: {error}.", 79))

# %% [markdown]
# Each message ends in its cure. Write what the first and the third say, and
# the check is silent again. One mistake can only be suspected: outputs that
# stay between 0 and 1 whatever goes in, where the loss expects logits. That
# brings a warning.

# %%
check_batch(network, X_few, (y_few + 1 == 2).float(), loss_fn)
check_batch(network, X_few, y_few.flatten().reshape(-1, 1), nn.MSELoss())
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    check_batch(nn.Sequential(network, nn.Sigmoid()), X_few, y_few, loss_fn)
print(textwrap.fill(f"A sigmoid too many: {caught[0].message}.", 79))

# %% [markdown]
# **Step 4: implement the training loop.** It is the heart of Section 8, cut
# into pieces that each do one thing. The first hands out the batches, on the
# device. (Moving does nothing for a tensor that is already there.) `yield`
# hands out one pair, and waits until the loop asks for the next.

# %%
def pairs_of(batches, device, name):
    """Yield each (inputs, targets) of batches as tensors on a device.

    Raises TypeError for a Dataset or a generator in place of batches, and
    ValueError for batches that are not pairs or where there are none; name
    is what the messages call them.
    """
    if isinstance(batches, Dataset):
        raise TypeError(f"{name} is a Dataset, which yields single samples: "
                        f"write DataLoader({name}, batch_size=64)")
    if hasattr(batches, "__next__"):
        raise TypeError(f"{name} is a generator, which is empty after one "
                        "epoch: pass a list, TensorBatches or a DataLoader")
    empty = True
    for batch in batches:
        if not isinstance(batch, (list, tuple)) or len(batch) != 2:
            raise ValueError(f"each of {name} must be a pair of inputs and "
                             "targets, such as TensorBatches(X, y, ...) gives")
        yield tuple(torch.as_tensor(part, device=device) for part in batch)
        empty = False
    if empty:
        raise ValueError(f"there are no batches in {name}")

# %% [markdown]
# The second gives the loss on the validation set. It collects the outputs and
# compares all of them at once: a mean of the means of the batches would
# depend on the batch size, and count class weights wrongly.

# %%
def evaluate(model, val_batches, loss_fn, device="cpu"):
    """Return the loss of a model on all samples of the batches together.

    Needs modes_kept, pairs_of, check_targets and check_classes. Runs in eval
    mode and without gradients; the size of the batches makes no difference.
    Raises what check_targets and pairs_of raise.
    """
    with modes_kept(model), torch.no_grad():
        model.eval()
        parts = [(model(inputs), targets) for inputs, targets
                 in pairs_of(val_batches, device, "val_batches")]
        outputs, targets = (torch.cat(part) for part in zip(*parts))
        check_targets(outputs, targets, loss_fn)
        return loss_fn(outputs, targets).item()

# %% [markdown]
# The third is the loop of Section 8 over one epoch. Reading a number from a
# GPU makes Python wait until the GPU has finished its work, so the losses are
# summed *on the device* and read once. The one error that it explains comes
# from **BatchNorm**, a layer that scales by the statistics of the batch while
# it trains, and cannot take those of a single sample.

# %%
def train_epoch(model, pairs, loss_fn, optimizer):
    """Train a model on each (inputs, targets) once; return the mean loss.

    The mean is one per sample, taken while the weights move. Raises
    ValueError for a batch of one sample where BatchNorm needs two.
    """
    total, count = 0.0, 0
    for inputs, targets in pairs:
        optimizer.zero_grad()
        try:
            outputs = model(inputs)
        except ValueError as error:
            if len(inputs) > 1:
                raise
            raise ValueError(
                "BatchNorm cannot train on one sample, here the last batch: "
                "use drop_last=True or another batch_size") from error
        loss = loss_fn(outputs, targets)
        loss.backward()
        optimizer.step()
        total = total + loss.detach() * len(inputs)  # stays on the device
        count += len(inputs)
    return (total / count).item()

# %% [markdown]
# `fit` puts them in a loop over epochs and adds what real training needs:
#
# - the first batch is checked;
# - validation after each epoch, and the best weights kept. Those it begins
#   with compete too, so a second call never leaves a model worse;
# - **early stopping**: `patience=n` ends the training when n epochs in a row
#   brought no new best;
# - a loss that is not finite is an error that says where to look.

# %%
def fit(model, train_batches, val_batches, loss_fn, optimizer, num_epochs,
        device="cpu", log_every=0, patience=0):
    """Train a model and leave it with the best weights it has had.

    Needs check_batch, check_targets, check_classes, modes_kept, pairs_of,
    train_epoch and evaluate. Both batches arguments yield pairs (inputs,
    targets) anew in each epoch, as TensorBatches, a DataLoader or a list do.
    The best weights have the lowest validation loss, at entry or after an
    epoch. log_every=n prints every n-th epoch; patience=n stops after n
    epochs without a new best (early stopping). A layer that you froze with
    eval() stays so in a model in train mode.
    Returns {"train_loss": [...], "val_loss": [...]}, a number for each epoch.
    Raises TypeError or ValueError for what cannot be trained. The model keeps
    its best weights then too, and when you interrupt it.
    """
    held = [id(parameter) for group in getattr(optimizer, "param_groups", [])
            for parameter in group["params"]]
    history = {"train_loss": [], "val_loss": []}
    best_epoch, best_loss, best_weights = 0, math.inf, None
    with modes_kept(model):
        if set(held).isdisjoint(map(id, model.parameters())):
            raise ValueError("the optimizer holds no parameter of this model: "
                             "make it anew from model.parameters()")
        if not model.training:
            model.train()
        try:
            for epoch in range(1, num_epochs + 1):
                pairs = pairs_of(train_batches, device, "train_batches")
                if epoch == 1:
                    first = next(pairs)
                    check_batch(model, *first, loss_fn)
                    best_loss = evaluate(model, val_batches, loss_fn, device)
                    best_weights = copy.deepcopy(model.state_dict())
                    pairs = itertools.chain([first], pairs)
                train_loss = train_epoch(model, pairs, loss_fn, optimizer)
                val_loss = evaluate(model, val_batches, loss_fn, device)
                if not math.isfinite(train_loss + val_loss):
                    raise ValueError(
                        f"the loss is not finite in epoch {epoch}: lower the "
                        "learning rate, with a new optimizer (this one may "
                        "hold NaN), and look for NaN in the data")
                history["train_loss"].append(train_loss)
                history["val_loss"].append(val_loss)
                if not best_loss <= val_loss:  # also if best_loss is NaN
                    best_epoch, best_loss = epoch, val_loss
                    best_weights = copy.deepcopy(model.state_dict())
                if log_every and epoch % log_every == 0:
                    print(f"epoch {epoch:>3}: training loss {train_loss:.4f}, "
                          f"validation loss {val_loss:.4f}")
                if patience and epoch - best_epoch >= patience:
                    break
        finally:
            if best_weights is not None:
                model.load_state_dict(best_weights)
    return history

# %% [markdown]
# To use a model you need `eval()` mode, no gradients, and the data where the
# model is. Put the three in a function. It takes a thousand samples at a time,
# or the hidden layers of a large data set might not fit in memory at once.

# %%
def predict(model, inputs, device="cpu", batch_size=1024):
    """Return the model's outputs for inputs, on the CPU.

    Needs modes_kept and to_tensors. Shapes: inputs (num_samples, ...) as the
    model takes them; the outputs as it gives them. A tensor of decimal
    numbers, an array, a list or a data frame becomes floats of the model's
    dtype; a tensor of whole numbers goes in as it is. Runs in eval mode,
    without gradients, and batch_size samples at a time to save memory.
    """
    with modes_kept(model), torch.no_grad():
        model.eval()
        weights = next(model.parameters(), torch.zeros(()))
        if not torch.is_tensor(inputs) or inputs.is_floating_point():
            inputs, = to_tensors([inputs], dtype=weights.dtype)
        first = model(inputs[:1].to(device)).cpu()
        # One tensor for all: many small ones would scatter over the memory.
        outputs = first.new_empty((len(inputs), *first.shape[1:]))
        for start in range(0, len(inputs), batch_size):
            rows = slice(start, start + batch_size)
            outputs[rows] = model(inputs[rows].to(device))
        return outputs

# %% [markdown]
# Train the baseline first, then the network, with the same loop. A log line
# every second epoch is enough to see it learn.

# %%
train_batches = TensorBatches(X_train, y_train, batch_size=100, shuffle=True)
val_batches = TensorBatches(X_val, y_val, batch_size=200)
histories = {}
for name, model in models.items():
    print(f"Training the {name}")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    histories[name] = fit(model, train_batches, val_batches, loss_fn,
                          optimizer, 10, device, log_every=2)

# %% [markdown]
# How to read the figure: training and validation loss fall together and then
# level off. When the validation loss turns up again while the training loss
# still falls, the network is learning its samples by heart, which is called
# **overfitting**. Single jumps are noise; a lasting rise is not. The marker is
# the best epoch, whose weights `fit` kept. Compare the panels: the network's
# losses end at about half of the baseline's, and its validation loss jumps but
# does not rise for good.

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharex=True, sharey=True)
for ax, (name, history) in zip(axes, histories.items()):
    best = int(np.argmin(history["val_loss"]))
    ax.plot(range(1, 11), history["train_loss"], label="training")
    ax.plot(range(1, 11), history["val_loss"], label="validation")
    ax.plot(best + 1, history["val_loss"][best], "o", color="C4",
            label=f"best: epoch {best + 1}")
    ax.set(title=f"Learning curves: {name}", xlabel="epoch", ylim=(0, 0.75))
    ax.legend()
axes[0].set_ylabel("loss")
show(fig, "09_learning_curves")

# %% [markdown]
# **Step 5: evaluate the model.** For the accuracy you need answers: a logit
# above 0 is a probability above one half, and means class 1.

# %%
def binary_accuracy(logits, targets):
    """Return the share of logits on the right side of 0, a number.

    Needs to_tensors. Shapes: two arrays, lists or tensors of the same shape,
    the targets 0 or 1. A logit that is NaN is wrong. Raises ValueError when
    the shapes differ, there are no targets or one is not 0 or 1.
    """
    logits, targets = to_tensors([logits, targets], dtype=torch.float64)
    if logits.shape != targets.shape or targets.numel() == 0:
        raise ValueError("logits and targets must have one shape, not empty: "
                         f"{tuple(logits.shape)}, {tuple(targets.shape)}")
    if not ((targets == 0) | (targets == 1)).all():
        raise ValueError("targets must be 0 or 1")
    right = torch.where(targets == 1, logits > 0, logits <= 0)
    return right.float().mean().item()

# %% [markdown]
# Choose between the two models by validation data. Only then open the test
# set, for the model chosen.

# %%
for name, model in models.items():
    logits = predict(model, X_val, device)
    print(f"{name}: validation accuracy {binary_accuracy(logits, y_val):.3f}")

logits = predict(models["network"], X_test, device)
print(f"network: test accuracy {binary_accuracy(logits, y_test):.3f}")

# %% [markdown]
# One run is one draw of the initial weights and of the order of the batches.
# Give the range over several seeds with the mean, or a lucky seed will pass
# for a better method. And 200 test points are a small sample: the standard
# error $\sqrt{p(1 - p)/N}$ says how far the accuracy $p$ typically lies from
# the one on endlessly many points. Compare it with the range over the seeds:
# here the choice of points matters more. (The later runs are single ones.)

# %%
accuracies = []
for seed in range(5):
    torch.manual_seed(seed)
    model = MLP(2, [32, 32], 1).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    fit(model, train_batches, val_batches, loss_fn, optimizer,
        num_epochs=10, device=device)
    logits = predict(model, X_test, device)
    accuracies.append(binary_accuracy(logits, y_test))
mean = np.mean(accuracies)
print(f"test accuracy over 5 seeds: mean {mean:.3f},",
      f"from {min(accuracies):.3f} to {max(accuracies):.3f}")
print(f"standard error from {len(y_test)} test points:",
      f"{math.sqrt(mean * (1 - mean) / len(y_test)):.3f}")

# %% [markdown]
# What does the network look like while it learns? Train a fresh one in three
# stages of 1, 2 and 7 epochs. Each goes on from the last, and `fit` leaves the
# weights of its best epoch. Then ask the network about a grid of points. How
# to read the figure: the shade is the probability of class 1, from blue (0) to
# red (1), the black line is where it is one half, and the points are training
# data. The line starts out nearly straight, like the baseline's, and then
# bends around the moons.

# %%
torch.manual_seed(9)
model = MLP(2, [32, 32], 1).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
x1, x2 = np.meshgrid(np.linspace(-3, 3, 80), np.linspace(-3, 3, 80))
# A layer works along the last dimension: (80, 80, 2) becomes (80, 80, 1),
# and squeeze(-1) drops the 1.
grid = torch.tensor(np.stack([x1, x2], axis=-1), dtype=torch.float32)

fig, axes = plt.subplots(1, 3, figsize=(9, 3.3), sharex=True, sharey=True)
titles = ["After 1 epoch", "Best of 2 more", "Best of 7 more"]
for ax, num_epochs, title in zip(axes, [1, 2, 7], titles):
    fit(model, train_batches, val_batches, loss_fn, optimizer, num_epochs,
        device)
    p = torch.sigmoid(predict(model, grid, device)).squeeze(-1).numpy()
    ax.imshow(p, cmap="coolwarm", alpha=0.4, vmin=0, vmax=1, origin="lower",
              extent=(-3, 3, -3, 3), aspect="auto")
    ax.contour(x1, x2, p, levels=[0.5], colors="black")
    scatter_classes(ax, X_train.cpu(), y_train.cpu().flatten(), size=2)
    ax.set(title=title, xlabel="feature 1 (scaled)",
           xticks=[-2, 0, 2], yticks=[-2, 0, 2])
axes[0].set_ylabel("feature 2 (scaled)")
show(fig, "09_boundary")

# %% [markdown]
# Accuracy hides which mistakes are made. The **confusion matrix** counts
# them: one row for each true class, one column for each predicted class, and
# the right answers on the diagonal.

# %%
answers = (predict(models["network"], X_test, device) > 0).int()
matrix = confusion_matrix(y_test.cpu(), answers)
print(f"Test set, rows true class, columns predicted class:\n{matrix}")

# %% [markdown]
# The same as a picture, which helps when there are more classes. A dark
# square off the diagonal is a pair of classes that the network confuses.

# %%
fig, ax = plt.subplots(figsize=(4, 3.4))
ax.imshow(matrix, cmap="Blues", vmax=2 * matrix.max())
for (row, column), count in np.ndenumerate(matrix):
    ax.text(column, row, count, ha="center", va="center", fontsize=16)
ax.set(title="Confusion matrix, test set", xlabel="predicted class",
       ylabel="true class", xticks=[0, 1], yticks=[0, 1])
show(fig, "09_confusion_matrix")

# %% [markdown]
# **Save and reload.** Save the `state_dict` (a saved model object stops
# loading when its class moves), and with it what else a prediction needs: the
# scaling. `map_location="cpu"` loads a file written on a GPU on any machine.
# A file can carry code that runs when you load it. `weights_only=True`, where
# PyTorch knows it (1.13 or newer), is meant to refuse such files; load only
# files you trust all the same. The folder here is a temporary one.

# %%
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "moons.pt")
    # In scikit-learn, a final _ marks what fit() measured.
    torch.save({"model": models["network"].state_dict(),
                "mean": torch.tensor(scaler.mean_),
                "scale": torch.tensor(scaler.scale_)}, path)
    options = {"weights_only": True}
    if "weights_only" not in inspect.signature(torch.load).parameters:
        options = {}  # before PyTorch 1.13
    saved = torch.load(path, map_location="cpu", **options)
print("In the file:", ", ".join(saved))

# %% [markdown]
# A fresh model of the same shape takes the weights. Check that it gives the
# same outputs, bit for bit.

# %%
reloaded = MLP(2, [32, 32], 1).to(device)
reloaded.load_state_dict(saved["model"])
same = torch.equal(predict(reloaded, X_test, device),
                   predict(models["network"], X_test, device))
print("The reloaded model gives the same outputs:", same)
assert same

# %% [markdown]
# **Predict one new point.** It arrives unscaled, and alone. This one lies on
# the upper moon, class 0. Scale it with the saved numbers, make it a batch of
# one, and turn the logit into a probability.

# %%
new_point = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
scaled = (new_point - saved["mean"]) / saved["scale"]
torch.testing.assert_close(scaled, torch.tensor(scaler.transform(new_point)))
probability = torch.sigmoid(predict(reloaded, scaled.float(), device)).item()
print(f"Point {new_point[0].tolist()}: probability of class 1 is",
      f"{probability:.3f}, so class {int(probability > 0.5)}")

# %% [markdown]
# **The same loop, ten classes.** scikit-learn brings 1,797 real handwritten
# digits, 8 by 8 pixels with values from 0 to 16. (The same few people wrote
# all of them, so a test set taken from them says little about a stranger's
# hand.)

# %%
digits = datasets.load_digits()
count, height, width = digits.images.shape
print(f"digits: {count} images, {height} by {width} pixels, values from",
      f"{digits.data.min():.0f} to {digits.data.max():.0f}")

# %% [markdown]
# What changes? Ten logits, `CrossEntropyLoss`, and integer targets of shape
# `(N,)`. `fit` stays as it is. You know the largest value, 16, without a look
# at any sample, so you may divide by it before the split.

# %%
X_parts, y_parts = split_in_three(digits.data / 16, digits.target,
                                  random_state=9, stratify=digits.target)
X_train, X_val, X_test = to_tensors(X_parts, device)
y_train, y_val, y_test = to_tensors(y_parts, device, dtype=torch.int64)
print("Training inputs", tuple(X_train.shape), "targets",
      tuple(y_train.shape))

# %% [markdown]
# Train with `fit` and watch both losses. The validation loss can be the lower
# one: `fit` averages the training loss over an epoch in which the network
# still improves, and the two sets hold different samples.

# %%
torch.manual_seed(9)
model = MLP(64, [64], 10).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
train_batches = TensorBatches(X_train, y_train, batch_size=100, shuffle=True)
val_batches = TensorBatches(X_val, y_val, batch_size=512)
history = fit(model, train_batches, val_batches, nn.CrossEntropyLoss(),
              optimizer, num_epochs=15, device=device, log_every=5)

# %% [markdown]
# The prediction is the class with the largest logit.

# %%
for name, inputs, targets in [("validation", X_val, y_val),
                              ("test", X_test, y_test)]:
    answers = predict(model, inputs, device).argmax(dim=1)
    right = (answers == targets.cpu()).sum().item()
    print(f"digits, {name} set: {right} of {len(targets)} right,",
          f"accuracy {right / len(targets):.3f}")

# %% [markdown]
# Always look at the wrong answers: they show faults in the data that no
# average does. Since you may act on what you see, look at the validation set.
# How to read the figure: "1 read as 8" is a 1 that the network takes for an 8.

# %%
answers, truth = predict(model, X_val, device).argmax(dim=1), y_val.cpu()
wrong = (answers != truth).nonzero().flatten().tolist()
fig, axes = plt.subplots(1, 6, figsize=(9, 2.2))
for ax, index in zip(axes, wrong):
    ax.imshow(X_val[index].cpu().numpy().reshape(8, 8), cmap="gray_r")
    ax.set_title(f"{truth[index]} read as {answers[index]}", fontsize=11)
    ax.axis("off")
fig.suptitle("The first six validation digits that the network gets wrong")
fig.subplots_adjust(top=0.72, bottom=0.02, left=0.02)
show(fig, "09_wrong_digits")

# %% [markdown]
# **The same loop, a quantity.** `make_friedman1` has ten features, of which
# five matter, three of them in a curved way. What changes? One output,
# `MSELoss`, and targets scaled like the inputs, again by the training set
# alone.

# %%
X, y = datasets.make_friedman1(n_samples=1000, noise=1.0, random_state=9)
X_parts, y_parts = split_in_three(X, y.reshape(-1, 1), random_state=9)
x_scaler, y_scaler = (StandardScaler().fit(part[0])
                      for part in (X_parts, y_parts))
X_train, X_val, X_test = to_tensors(map(x_scaler.transform, X_parts), device)
y_train, y_val, _ = to_tensors(map(y_scaler.transform, y_parts), device)
print("friedman1: training inputs", tuple(X_train.shape), "targets",
      tuple(y_train.shape))

# %% [markdown]
# Baseline and network run through the same lines. The outputs are in scaled
# units; `inverse_transform` takes them back to the targets' own units before
# they are judged. $R^2$ is $1 - \mathrm{MSE} / M$, where $M$ is the MSE of
# always giving the mean of the targets: 1 is perfect, and 0 is no better than
# that mean.

# %%
for name, hidden_sizes in [("linear baseline", []), ("network", [64])]:
    torch.manual_seed(9)
    model = MLP(10, hidden_sizes, 1).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    fit(model, TensorBatches(X_train, y_train, batch_size=100, shuffle=True),
        TensorBatches(X_val, y_val, batch_size=200), nn.MSELoss(), optimizer,
        num_epochs=20, device=device)
    outputs = y_scaler.inverse_transform(predict(model, X_val, device))
    print(f"{name}: validation R2 {r2_score(y_parts[1], outputs):.3f}")

# %% [markdown]
# The loop has left the network in `model`, trained last, and its answers in
# `outputs`. How to read the figure: each point is a validation sample, and the
# dashed line is where truth and prediction agree. Noise scatters the points up
# and down. A bend would mean a pattern that the network has missed.

# %%
fig, ax = plt.subplots(figsize=(4.5, 4))
ax.plot(outputs, y_parts[1], "o", markersize=4)
ax.axline((0, 0), slope=1, color="black", linestyle="--")
ax.set(title="Regression: truth against prediction",
       xlabel="predicted value", ylabel="true value",
       xlim=(0, 30), ylim=(0, 30))
fig.subplots_adjust(left=0.14)
show(fig, "09_regression")

# %% [markdown]
# The points follow the line. Now, once, the test set.

# %%
outputs = y_scaler.inverse_transform(predict(model, X_test, device))
print(f"network: test R2 {r2_score(y_parts[2], outputs):.3f}")

# %% [markdown]
# **Where does the time go?** When training is slow, people blame the device.
# Measure first, and mind three things:
#
# - The first pass pays for set-up, so run one before you time any.
# - A GPU is handed its work and Python goes on at once. Wait for the result
#   before you read the clock, or you time the asking. Reading a number waits,
#   on any device; `torch.cuda.synchronize()` does so for an NVIDIA GPU.
# - Other programs mostly make a run slower. Take the fastest of a few.

# %%
def steps_per_second(model, batches, loss_fn, device="cpu", repeats=2):
    """Return how many training steps a second a model makes, a number.

    batches yields (inputs, targets) and has a length, the steps per pass;
    the model must be on the device, and a copy of it is trained. The speed
    is that of the fastest of the repeats, after one pass to warm up.
    Raises ValueError when there are no batches or no repeats.
    """
    if len(batches) == 0 or repeats < 1:
        raise ValueError("there are no batches to time, or no repeats")
    model = copy.deepcopy(model).train()
    optimizer = torch.optim.Adam(model.parameters())
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        for inputs, targets in batches:
            inputs, targets = inputs.to(device), targets.to(device)
            optimizer.zero_grad()
            loss = loss_fn(model(inputs), targets)
            loss.backward()
            optimizer.step()
        next(model.parameters()).sum().item()  # wait for the last step
        seconds.append(time.perf_counter() - start)
    return len(batches) / min(seconds[1:])

# %% [markdown]
# Compare three ways to make batches from the same samples. The default loader
# fetches them one by one and stacks them. With a **batch sampler** it asks
# the dataset for a whole batch at once, by a list of numbers. `TensorBatches`
# gathers rows. First check that the second way, new here, serves every sample
# once.

# %%
torch.manual_seed(9)
X, y = torch.randn(1024, 20), torch.randint(0, 4, (1024,))
dataset, loss_fn = ArrayDataset(X, y), nn.CrossEntropyLoss()
numbers = BatchSampler(RandomSampler(dataset), 512, drop_last=False)
# batch_size=None: the sampler yields whole batches, as lists of numbers.
loader = DataLoader(dataset, sampler=numbers, batch_size=None)
served = [X_batch for X_batch, y_batch in loader]
print("Batches of shapes", [tuple(X_batch.shape) for X_batch in served])
rows = torch.cat(served)  # in another order, so sort both
assert torch.equal(rows[rows[:, 0].argsort()], X[X[:, 0].argsort()])

# %% [markdown]
# Now train the same network on each, on the CPU, and on your GPU if there is
# one. Your numbers will differ from those of others, and from one run to the
# next.

# %%
places = sorted({"cpu", device.type})
batch_sizes = [32, 128, 512]
ways = ["default loader", "batch sampler", "TensorBatches"]
print("Steps per second:     " + "".join(
    f"{'batch ' + str(batch_size):>14}" for batch_size in batch_sizes))
speeds = {}
for place in places:
    model = MLP(20, [64, 64], 4).to(place)
    for batch_size in batch_sizes:
        numbers = BatchSampler(RandomSampler(dataset), batch_size,
                               drop_last=False)
        for way, batches in zip(ways, [
                DataLoader(dataset, batch_size, shuffle=True),
                DataLoader(dataset, sampler=numbers, batch_size=None),
                TensorBatches(X.to(place), y.to(place), shuffle=True,
                              batch_size=batch_size)]):
            speeds[place, way, batch_size] = steps_per_second(
                model, batches, loss_fn, place)
    for way in ways:
        row = [f"{speeds[place, way, size]:>12.0f}/s" for size in batch_sizes]
        print(f"{place:<6}{way:<16}" + "".join(row))

# %% [markdown]
# Read down a column, not along a row: a step on a larger batch does more work.
# Within a column the arithmetic is the same, and the rest is fetching (and, on
# a GPU, copying to it). Where the first row is below half of the third, most
# of the time goes there: a faster GPU helps little, and a batch sampler or
# `TensorBatches` helps much.
#
# Next, vary the arithmetic. Sharing a step among threads has a fixed cost, and
# so has each call to a GPU. A small network cannot pay it back; wide layers
# can. So compare the one thread of this tutorial with all that PyTorch would
# take by itself, and with your GPU.

# %%
hidden_sizes = [32, 128, 512]
rows = [("cpu, one thread", "cpu", 1),
        ("cpu, all threads", "cpu", ALL_THREADS)]
rows += [(device.type, device, 1)] if device.type != "cpu" else []
print("Steps per second:     " + "".join(
    f"{'hidden ' + str(hidden_size):>14}" for hidden_size in hidden_sizes))
widths = {}
for name, place, threads in rows:
    torch.set_num_threads(threads)
    batches = TensorBatches(X.to(place), y.to(place), batch_size=128)
    widths[name] = [
        steps_per_second(MLP(20, [size, size], 4).to(place), batches, loss_fn,
                         place) for size in hidden_sizes]
    print(f"{name:<22}" + "".join(f"{speed:>12.0f}/s"
                                  for speed in widths[name]))
torch.set_num_threads(1)

# %% [markdown]
# How to read the figure: compare lines at one batch size; the higher one is
# faster, and each mark on the vertical axis is ten times the one below. In
# the panels on batches, the further a line lies below that of `TensorBatches`,
# the larger the share of its time that fetching takes: look at the largest
# batch. (Small gaps, and lines that cross, are noise.) In the last panel, look
# for the width at which the line of all threads crosses that of one, if it
# does: below it, one thread is enough. The same goes for a GPU's line.

# %%
fig, axes = plt.subplots(1, len(places) + 1, figsize=(9, 3.4), sharey=True)
for ax, place in zip(axes, places):
    for way, marker in zip(ways, "os^"):
        ax.loglog(batch_sizes, [speeds[place, way, n] for n in batch_sizes],
                  marker=marker, label=way)
    ax.set(title=f"Making batches, {place}", xlabel="batch size",
           xticks=batch_sizes, xticklabels=batch_sizes)
    ax.minorticks_off()
for (name, values), marker in zip(widths.items(), "os^"):
    axes[-1].loglog(hidden_sizes, values, marker=marker, label=name)
axes[-1].set(title="Width of the layers", xlabel="units in a hidden layer",
             xticks=hidden_sizes, xticklabels=hidden_sizes)
axes[-1].minorticks_off()
axes[0].set(ylabel="steps per second", ylim=(10, 10000))
axes[0].yaxis.set_major_formatter("{x:g}")
for ax in axes:
    ax.legend(loc="lower left")
show(fig, "09_steps_per_second")

# %% [markdown]
# **How to choose what to do next**
#
# | What you see | What to try |
# |---|---|
# | both losses stay high | more units, another learning rate |
# | training low, validation high | more data, dropout, fewer units |
# | no better than the baseline | learn 10 samples by heart; if not, a bug |
# | validation good, test poor | a new test set; compare fewer models |
#
# **Exercise 9.** Overfit on purpose: train `MLP(2, [256, 256], 1)` on the
# first 20 samples of the moons' training set, all in one batch, for 100
# epochs with Adam at 0.001, and plot both losses. (`X_train` and `X_val` hold
# other data by now: make the moons again first.) *Expect the training loss to
# come close to 0, and the validation loss to fall at first and then rise.*

# %% [markdown]
# ## Recap
#
# The whole subject on one screen, and below it the smallest program that
# trains a network. It leaves out mini-batches and validation, and treats its
# two classes as C = 2. They are about equally likely, so a network that knows
# nothing has a loss of log 2, about 0.7: look for a much lower one.
#
# | Where | Take |
# |---|---|
# | hidden layers | ReLU; Leaky ReLU if units die |
# | output layer | none: give the loss logits or plain numbers |
#
# | Task | Loss | Targets |
# |---|---|---|
# | a quantity | `nn.MSELoss` | float, (N, 1) |
# | two classes | `nn.BCEWithLogitsLoss` | float, (N, 1) |
# | C classes | `nn.CrossEntropyLoss` | int64, (N,) |
#
# | Optimizer | First `lr` |
# |---|---|
# | Adam | 0.001 (tiny networks: 0.01) |
# | SGD with momentum 0.9 | 0.01 |
#
# | | Mistake | Symptom |
# |---|---|---|
# | 1 | no activation between layers | no better than a linear model |
# | 2 | softmax before `CrossEntropyLoss` | loss stays well above 0 |
# | 3 | sigmoid and `BCELoss` | worst mistakes have gradient 0 |
# | 4 | shapes (N, 1) and (N,) in `MSELoss` | a warning, a wrong loss |
# | 5 | `zero_grad()` forgotten | loss jumps or explodes |
# | 6 | `step()` forgotten, or the wrong model's optimizer | loss stays flat |
# | 7 | `eval()` forgotten, with dropout | another answer each time |
# | 8 | features not scaled | slow or unsteady learning |
# | 9 | sorted data not shuffled | higher loss, lower accuracy |
# | 10 | layers in a plain list | fewer parameters than you count |

# %%
section("Recap",
        "The smallest program that trains a network.")
torch.manual_seed(0)
inputs = torch.rand(256, 2)
targets = (inputs[:, 0] > inputs[:, 1]).long()  # is the first one larger?
model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(100):
    optimizer.zero_grad()            # 1. clear
    outputs = model(inputs)          # 2. forward
    loss = loss_fn(outputs, targets)  # 3. loss
    loss.backward()                  # 4. backward
    optimizer.step()                 # 5. step
print(f"The five lines, 100 times: last loss {loss.item():.4f},",
      f"where knowing nothing gives {math.log(2):.1f}")
assert loss.item() < math.log(2) / 2

# %% [markdown]
# ## Where to go next
#
# - Tensors, with their shapes, types and devices:
#   <https://docs.pytorch.org/docs/stable/tensors.html>
# - Autograd, what `backward()` records and how:
#   <https://docs.pytorch.org/docs/stable/notes/autograd.html>
# - Convolution, the layer for images:
#   <https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html>
# - Regularisation, against overfitting. Dropout:
#   <https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html>
#   and weight decay, in AdamW:
#   <https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html>

# %% [markdown]
# ## Solutions
#
# Try each exercise before you read on. Each solution prints its result, and
# checks what the exercise tells you to expect.
#
# **Solution 1.** With inputs of zero, every product of an input and a weight
# is zero, so only the biases are left: 4, 0 and -1. The weights are random
# here, because they don't matter.

# %%
section("Solutions", "What did the exercises come to?")
layer = nn.Linear(2, 3)
with torch.no_grad():
    layer.bias.copy_(torch.tensor([4.0, 0.0, -1.0]))
    sums = layer(torch.zeros(1, 2))
print("Solution 1: weighted sums", sums.flatten().tolist())
torch.testing.assert_close(sums, layer.bias.detach().reshape(1, 3))

# %% [markdown]
# **Solution 2.** NAND is 0 only when both inputs are 1, so each input must
# pull the sum down, and the bias must keep it up while fewer than two do.

# %%
corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
perceptron = Perceptron(in_features=2)
mistakes = perceptron.fit(corners, torch.tensor([1.0, 1.0, 1.0, 0.0]))
print(f"Solution 2: mistakes {mistakes}, weights",
      f"{perceptron.weights.tolist()}, bias {perceptron.bias.item()}")
assert mistakes[-1] == 0
assert perceptron.weights.max() < 0 < perceptron.bias

# %% [markdown]
# **Solution 3.** By the chain rule, the slope of $1 / (1 + e^{-z})$ is
#
# $$\frac{e^{-z}}{(1 + e^{-z})^2} = \frac{1}{1 + e^{-z}} \cdot
# \frac{e^{-z}}{1 + e^{-z}} = \sigma(z)\,(1 - \sigma(z)).$$
#
# At $z = 0$ it is one half times one half.

# %%
z = torch.tensor([-4.0, -1.0, 0.0, 0.5, 3.0])
slopes = gradient_of(torch.sigmoid, z)
torch.testing.assert_close(slopes, torch.sigmoid(z) * (1 - torch.sigmoid(z)))
print(f"Solution 3: five slopes agree; at z = 0 it is {slopes[2].item()}")
assert slopes[2] == 0.25

# %% [markdown]
# **Solution 4.** Without ReLU the hidden units are $x_1 + x_2$ and
# $x_1 + x_2 - 1$, so the output is
# $(x_1 + x_2) - 2 (x_1 + x_2 - 1) = 2 - (x_1 + x_2)$.

# %%
hidden = torch.stack([corners.sum(dim=1), corners.sum(dim=1) - 1], dim=1)
output = hidden @ torch.tensor([1.0, -2.0])
print("Solution 4: outputs without ReLU", output.tolist())
assert output.tolist() == [2.0, 1.0, 1.0, 0.0]

# %% [markdown]
# **Solution 5.** Each layer has `(inputs + 1) * outputs` parameters, one
# weight for each input and one bias:
# $11 \cdot 20 + 21 \cdot 30 + 31 \cdot 5 = 220 + 630 + 155$.

# %%
counts = [p.numel() for p in MLP(10, [20, 30], 5).parameters()]
layers = [weights + biases
          for weights, biases in zip(counts[::2], counts[1::2])]
print(f"Solution 5: {' + '.join(map(str, layers))} = {sum(layers)}")
assert layers == [11 * 20, 21 * 30, 31 * 5] and sum(layers) == 1005

# %% [markdown]
# **Solution 6.** The slope of the MSE is zero where the errors cancel, at the
# mean. The slope of the L1 loss is the number of targets below the
# prediction minus the number above, divided by four: zero between 2 and 3.

# %%
grid = torch.arange(0, 100.5, 0.5)
for outlier, mean in [(100.0, 26.5), (4.0, 2.5)]:
    targets = torch.tensor([1.0, 2.0, 3.0, outlier])
    errors = grid.unsqueeze(1) - targets  # one row per prediction
    mse, l1 = errors.square().mean(dim=1), errors.abs().mean(dim=1)
    best = grid[l1 < l1.min() + 1e-4].tolist()
    print(f"Solution 6: targets up to {outlier:.0f}: best for MSE",
          f"{grid[mse.argmin()].item()}; for L1 {best}")
    assert grid[mse.argmin()] == targets.mean() == mean
    assert best == [2.0, 2.5, 3.0]

# %% [markdown]
# **Solution 7.** The limit is $2 (1 + 0.8) / 20 = 0.18$: the steepest
# direction decides again, and momentum raises the limit by the factor
# $1 + \mu$.

# %%
limit = 2 * (1 + 0.8) / 20
start = torch.tensor([-9.0, 1.5])
for learning_rate in (0.179, 0.181):
    point, velocity = start.clone().requires_grad_(), torch.zeros(2)
    for step in range(300):
        point.grad = None
        ravine(point).backward()
        sgd_step(point, velocity, learning_rate, momentum=0.8)
    fell = bool(ravine(point) < ravine(start))
    print(f"Solution 7: limit {limit:.2f}; at {learning_rate} the loss",
          "falls" if fell else "grows")
    assert fell == (learning_rate < limit)

# %% [markdown]
# **Solution 8.** The mean over 8 samples is half the mean over the first 4
# plus half the mean over the other 4. The gradient of a sum is the sum of the
# gradients, and `backward()` adds them up in `.grad`. (This is called
# gradient accumulation.)

# %%
torch.manual_seed(8)
X, targets, loss_fn = torch.randn(8, 3), torch.randn(8, 1), nn.MSELoss()
network = MLP(3, [16], 1)
loss_fn(network(X), targets).backward()
whole = [p.grad.clone() for p in network.parameters()]
network.zero_grad()
for half in (slice(0, 4), slice(4, 8)):
    (loss_fn(network(X[half]), targets[half]) / 2).backward()
for parameter, gradient in zip(network.parameters(), whole):
    torch.testing.assert_close(parameter.grad, gradient)
print(f"Solution 8: the gradients agree in all {len(whole)} tensors")

# %% [markdown]
# **Solution 9.** First the data of Section 9, made anew.

# %%
X, y = datasets.make_moons(n_samples=1000, noise=0.25, random_state=9)
X_parts, y_parts = split_in_three(X, y, random_state=7, stratify=y)
scaler = StandardScaler().fit(X_parts[0])
X_train, X_val, _ = to_tensors(map(scaler.transform, X_parts), device)
y_train, y_val, _ = (
    targets.reshape(-1, 1) for targets in to_tensors(y_parts, device))
few = [(X_train[:20], y_train[:20])]  # a list of one batch will do
print("Solution 9: training inputs", tuple(few[0][0].shape))

# %% [markdown]
# A network with far more parameters than samples can learn them by heart. It
# ends sure of every training sample. Sure answers that are wrong cost a large
# loss, and on the validation set there are some.

# %%
torch.manual_seed(9)
model = MLP(2, [256, 256], 1).to(device)
history = fit(model, few, [(X_val, y_val)], nn.BCEWithLogitsLoss(),
              torch.optim.Adam(model.parameters(), lr=0.001), num_epochs=100,
              device=device)
training, validation = history["train_loss"], history["val_loss"]
print(f"Training loss: {training[0]:.1f} at first, below 0.01 in the end")
print(f"Validation loss: {validation[0]:.1f} at first,",
      f"{min(validation):.1f} at best, {validation[-1]:.1f} in the end")
assert training[-1] < 0.01
assert 1.2 * min(validation) < min(validation[0], validation[-1])

# %% [markdown]
# How to read the figure: at first both lines fall. Then the dashed line turns
# and rises while the solid one still falls: that is overfitting. `fit` keeps
# the weights of the lowest point of the dashed line.

# %%
fig, ax = plt.subplots(figsize=(6, 3.4))
ax.plot(range(1, 101), training, label="training, 20 samples")
ax.plot(range(1, 101), validation, label=f"validation, {len(X_val)} samples")
ax.set(title="Overfitting on purpose", xlabel="epoch", ylabel="loss",
       ylim=(0, 1))
ax.legend()
fig.subplots_adjust(left=0.12)
show(fig, "10_overfitting")

# %% [markdown]
# Every check in this tutorial has passed if you can read the next line. (And
# PyTorch gets its threads back, in case you go on in the same session.)

# %%
torch.set_num_threads(ALL_THREADS)
print("Reached the end: every assertion on the way has held.")
