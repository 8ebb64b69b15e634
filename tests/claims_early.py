r"""Rows of test_claims.py: the front to Section 5. Part, cell :: words, if any ::
numbers that it prints (k); figure, line, style :: words :: y for its x; part ::
words :: what is true. A row ends with its line, or with three spaces.
"""

import re

import numpy as np
import torch
from definitions import CELLS, load
from walk import always

MLP, Perceptron, d = map(load, ("MLP", "Perceptron", "gradient_of"))
CORNERS = torch.cartesian_prod(*torch.tensor([[0.0, 1], [0, 1]]))
AND, OR, XOR = CORNERS.amin(1), CORNERS.amax(1), CORNERS.sum(1) % 2
F, GRID = torch.nn.functional, np.arange(361) / 40  # SUM: of the six pieces
SUM = np.interp(GRID, range(7), np.sin(range(7))) + np.where(
    GRID > 6, GRID - 6, 0) * (np.sin(6) - np.sin(5))
TABLE = r"""
Set-up :: out.split()[-1] == device.type
First :: "; ".join(i.get_xlabel() + "|" + i.get_ylabel() for name in [
  *t.figures][:9] for i in axes(name) if i.get_xlabel()) == "feature 1|feature
  2; feature 1|feature 2; w|height; layer|last = 1; input 1|input 2; hidden
  unit 1|hidden unit 2; x|; x|; x|; x|; x|"
First 0 :: 1, torch.manual_seed(t.shift) and loss_fn(MLP(2, [32], 1)(X),
  y).data, 200, loss_fn(model(X), y).data
First :: blue where it is sure of the circles, red of the triangles :: [
  np.allclose(i.get_array(), model(torch.cartesian_prod(*2 * [torch.linspace(
  *i.get_extent()[:2], 80)]).flip(1)).sigmoid().data.view(80, 80), 0, 1e-3)
  and i.cmap.name for i in axes("00_first_look")[0].images] == ["coolwarm"]
First :: No straight line divides :: Perceptron(2).fit(X, y, 30)[-1]
00_first_look class 0 o :: X[y[:, 0] == 0, 1]   03_walk height - :: x ** 2
00_first_look class 1 ^ :: X[y[:, 0] == 1, 1]   PyTorch 0 :: 1 / 4, 1, 1, 1
Basic 0 :: 3 * [0.5 * 2 - 1 * 3 + 4]   Basic 2 :: 2, 3, 1, 2, 3, 3, 1, 3
Basic 1 :: 2, 2, 2, 3, *[w @ x + c for x in X for w, c in zip(W, b)]
Basic :: `1x3` is your data (`mat1`) and `2x3` the transposed weight (`mat2`)
  :: re.search("mat1 and mat2.*1x3 and 2x3", out)
Basic :: solid blue when positive, dashed orange when negative ::
  torch.manual_seed(1) and [i.get_linewidth() * {("-", True): 1, ("--", False):
  -1}[i.get_linestyle(), i.get_color()[2] > 0.5] for i in axes("01_network")[
  0].lines[:36]] == [2 * torch.randn(()).item() for _ in range(36)]
Basic :: Data flows to the right. :: "ihho" == "".join(i.get_text()[0] for i in
  sorted(axes("01_network")[0].texts, key=lambda i: i.get_position()))
Single 1 :: [v for gate in re.findall("AND|OR", out) for p in [Perceptron(2)]
  for v in (*p.fit(CORNERS, eval(gate)), *p.weights, p.bias)]
Single :: sum is at least 0, and 0 otherwise :: Perceptron(4).predict(XOR)
Linear 0 :: 100, *Perceptron(2).fit(X, y)   Purpose 0 :: the two steps are
  worth one: times 1.32. :: 1.1, 1.2, 1.1 * 1.2
02_perceptron class 0 o :: X[y == 0, 1]   02_perceptron class 1 ^ :: X[y == 1, 1]
02_perceptron at the end - :: Each line is where the weighted sum is zero ::
  -(x * w[0] + b) / w[1]   04_universal target sin x - :: x.sin()
02_perceptron after pass 1 : :: the dotted line XXX ::
  -(x * early.weights[0] + early.bias) / early.weights[1]
Linear 2 :: np.take(Perceptron(2).fit(CORNERS, XOR), [*range(9), 99])
Linear :: because no line does it :: Perceptron(2).fit(CORNERS, XOR, 500)[-1]
The W 0 :: the first weights moved, and the answers did not :: [
  v for first in (1, 1.1, 1.2) for v in (first, *XOR)]
The W :: second minus 0.5) :: both.equal(AND) and at_least_one.equal(OR)
Purpose :: Any number of linear layers is worth one, unless ::
  torch.allclose(second(first(torch.eye(4))), W.T + b, atol=1e-6)
Walking 0 :: The steps shorten as the ground flattens. :: [
  v for n in range(1, 5) for v in (n, 12.5 * 0.8 ** n, 5 * 0.8 ** n)]
03_walk slope 10, at w = 5 -. :: touches the valley at 5 and has the slope there
  :: 25 + 10 * (x - 5)   Walking 3 :: 2, 5, 2 * 5, -1, 2, 5, -2, 4, 10
Sigmoid :: is too large for a 32-bit number and becomes infinite ::
  torch.exp(-z) == np.inf > np.exp(100.0) and "nan" in out
ReLU 2 :: With ReLU the slope is now zero for all samples :: [v for f in (
  F.relu, F.leaky_relu, F.elu) for w, b in [(3.0, 1.0), (-31 / 3, -11.0)]
  for v in (round(w, 1), "%.2g" % d(lambda u: (f(u[0] * X + u[1]) - X).square(
  ).mean(), torch.tensor([w, b]))[0])]   Sigmoid 0 :: -100, 0
ReLU :: so low that every sum is negative. :: max(-31 / 3 * X - 11) < 0
ReLU :: Leaky ReLU's slope is negative, so steps against it slowly pull the unit
  back :: k[7] < 0
ReLU :: ELU's is next to nothing :: k[7] < 100 * k[11] < 0
ReLU :: A far smaller rate would have kept it alive. ::
  min((3 - 0.1 * 20 / 3) * X + 1 - 0.1 * 6) > 0
Softmax 1 :: only the stable form survives it :: *2 * [*logits[0].softmax(0)],
  1, 1, 1, 0, 0, 3
Softmax :: samples of a batch compete :: all(softmax(logits, 0).sum(0) == 1)
PyTorch :: sigmoid and tanh on both sides, ReLU and ELU on the left :: [
  d(f, torch.tensor([-4.0, 4])).lt(0.02).tolist() for f in (torch.sigmoid,
  torch.tanh, F.relu, F.elu)] == 2 * [[1, 1]] + 2 * [[1, 0]]
03_activations function - :: getattr(F, title)(x)
03_activations slope -- :: Where a dashed line is near zero, a unit passes on
  almost no slope :: d(getattr(F, title), x)
Initial 0 :: 0.5, 1, 2, 0, 1, "%.0e" % 2 ** 50, *[v for name, s in sizes.items(
  ) for v in (*re.findall("[.0-9]+$", name), s[0] ** (1 / 49), "%.0e" % s[0])]
Initial :: equal distances are equal factors :: [np.array_equal(i.get_xydata(),
  np.c_[1:51, sizes[i.get_label()]]) for ax in axes("03_initial_weights")
  for i in ax.lines if ax.get_yscale() == "log"] == 6 * [1]
Initial :: early layers hardly learn; too large ones make it **explode** ::
  [n for n in sizes if abs(np.log(sizes[n][0])) < 9] == ["ReLU 1.41", "sigmoid 11"]
Architecture 0 :: [v for a, b in CORNERS.tolist() for v in (
  a, b, max(0, a + b), max(0, a + b - 1), a != b)]
04_xor class 0 o :: x if "Inputs" in title else x / 2
04_xor class 1 ^ :: two triangles now share one place ::
  1 - x if "Inputs" in title else 0 * x
04_xor _child6 -- :: separates them from the circles :: (x - 0.5) / 2
The Power :: labelled by their inputs :: [np.allclose(i.get_position(), place[
  int(a + b, 2)], atol=0.1) for place, ax in zip([CORNERS, hidden], axes(
  "04_xor")) for i in ax.texts for a, b in re.findall(r"(\d), (\d)",
  i.get_text())] == 8 * [1]
The Power 1 :: [v for x in (6, 9) for v in (
  max(abs(SUM - np.sin(GRID))[GRID <= x]), x)]
The Power :: each thin blue line is what one unit adds :: [np.allclose(
  i.get_ydata(), i.get_ydata()[-1] * np.maximum(GRID - k, 0) / (9 - k), 0,
  1e-5) for k, i in enumerate(axes("04_universal")[0].lines[1:7])] == 6 * [1]
04_universal sum of the pieces -- :: the dashed line is their sum: straight
  between the knots, and on the curve at each. Past 6 it goes straight on :: SUM
Forward Propagation in 0 :: the rows, one per sample, stay; the columns become
  each layer's units :: 5, 3, 5, 4, 5, 6, 5, 2   03_walk steps o :: x ** 2
What Depth 1 :: yet from six units on, for such a curve, depth is worth far
  more :: 0.2, 2 - 2 * (2 * 2 * 0.2), *[
  v for n in range(1, 6) for v in (2 * n, 2 ** n, n, 2 * n + 1)]
04_folds _child0 - :: the pieces are copies of each other :: 1 - abs({"2 units, 1 deep": 2 * x, "4 units, 2 deep": 4 *
  x, "10 units, 5 deep": 32 * x}.get(title, (11 * x - 1).relu()) % 2 - 1)
What Depth :: equally many weights and biases :: np.equal(*[sum(p.numel() for p
  in MLP(1, sizes, 1).parameters()) for sizes in ([2] * 5, 10)])
Defining 0 :: its layers are not found, not trained, not saved and not moved ::
  0, 4 * 4 + 4 + 4 * 2 + 2
Implementing :: which runs `forward` and whatever is attached :: [m(1)
  for m in [nn.Identity()] if m.register_forward_hook(lambda *_: 7)] == [7]
Example 0 :: 32, 32, 10, 128, 784, 128 * 784, 128, 128, 10, 128, 10 * 128, 10,
  10, 128 * 785 + 10 * 129
Example :: maps these names to the numbers :: re.findall(r"(\w+\.\w+) \(",
  out) == [*SimpleMLP(1, 1, 1).state_dict()]
Two 0 :: In use it must do nothing. :: *k[:4], *4 * [
  model.layers[3](model.layers[:2](point)).data]
Two :: sets each to zero with probability $p$, and scales the rest by ::
  {0, 1.25} == {*F.dropout(torch.ones(99), 0.2).tolist()}
Two :: the first changes what layers compute, the second stops the memory ::
  model(point).requires_grad and len({*k[:4]}) > 1 and out[0] == "t"
"""


def check_of(place, expression):
    """A check of the numbers or lines of a row, or that a claim is true."""
    figure, label, part, cell = re.fullmatch(r"(0\S+) (.*)|(.*?)( \d)?", place).groups()


def row(place, *rest):
    part, cell = re.fullmatch(r"(.*?)( \d)?", place).groups()

    def check(t):
        value = eval(f"({rest[-1]})", {
            **t.names(part, int(cell or -1)), **globals(), "t": t,
            "k": t.numbers(part), "out": t.printed(part),
            "axes": lambda name: t.figures[name].axes})
        return value if not cell else [np.testing.assert_allclose(
            t.numbers(part, int(cell)), [*map(float, value)], 0, 0.0051)]
    return (part, *rest[:-1], check if "axes(" in rest[-1] else always(check))


def draws(place, *rest):
    figure, label = place.split(" ", 1)

    def check(t):
        names = t.shown[[figure in cell for cell in CELLS].index(True)][2]
        return [np.testing.assert_allclose(y, eval(rest[-1], {
            **names, **globals(), "x": x, "title": ax.get_title()}), 0, 1e-4)
            for ax in t.figures[figure].axes for line in ax.lines
            for x, y in [torch.tensor(line.get_xydata().T)]
            if label == f"{line.get_label()} " + line.get_marker().replace(
                "None", line.get_linestyle())]
    return (figure, *rest[:-1], check)


ROWS = [(draws if line[0] == "0" else row)(*" ".join(line.split()).split(" :: "))
        for line in re.split(r"\n(?! )|   ", TABLE.strip())]
SAID = [each for each in ROWS if len(each) == 3]
SHOWN = [each for each in ROWS if len(each) == 2]
