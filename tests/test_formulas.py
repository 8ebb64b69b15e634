"""Each formula of the tutorial, read from its own text and computed, holds.

TABLE has each as it stands in the script, "::", and in Python what it equals
on the same random numbers: by the tutorial's code, PyTorch or a simulation. A
dict gives a formula its numbers, and "value" is what it equals. Without "::"
the sides of a formula are equal, or it states nothing by itself.
"""

import math
import re
from functools import partial

import pytest
import torch
from definitions import SOURCES, load, parts_of
from torch import nn
from torch.distributions import Bernoulli, Laplace, Normal  # noqa: F401
from walk import TEXT, plain

# A row ends with its line, or with three spaces; an indented line goes on.
TABLE = r"""
0.5 \cdot 2 - 1 \cdot 3 + 4 = 2 :: cell("Basic Components", "z", 0)
z = w_1 x_1 + w_2 x_2 + b, \qquad \mathrm{output} = f(z) ::
  dict(z=total, output=nn.ReLU()(total))   w_1 x_1 + w_2 x_2 + b :: total
Z = X W^T + b :: dict(b=W[:, 0], Z=nn.functional.linear(X, W, W[:, 0]))
w \leftarrow w + (y - \hat{y})\,x, \qquad b \leftarrow b + (y - \hat{y}) ::
  dict(perceptron(W[0], b, X[:1], one[:1]), w=W[0], x=X[0], y=1)
w_1 x_1 + w_2 x_2 + b = 0 :: dict(x_2=-(w_1 * x_1 + b) / w_2)
b < 0, \qquad w_2 + b \geq 0, \qquad w_1 + b \geq 0, \qquad w_1 + w_2 + b < 0.
  :: list(perceptron(torch.stack([w_1, w_2]), b, corners, xor)["guess"] == xor)
w_1 + w_2 + 2b \geq 0 :: (w_2 + b) + (w_1 + b) >= 0
w_1 + w_2 + b   -b   x_1 + x_2 - 0.5   x_1 + x_2 - 1.5   W^T   e^z   1 + \mu
w_2\,(w_1 x + b_1) + b_2 = (w_2 w_1)\,x + (w_2 b_1 + b_2)   w^2   a^2   u^2
(w + h)^2 - w^2 = 2wh + h^2   2w + h :: ((w + h) ** 2 - w ** 2) / h   e^{z}
w = 5 :: dict(w=cell("Walking", "dots")[0])   5 - 0.1 \cdot 10 = 4   e^{-z}
w - 0.1 \cdot 2w = 0.8\,w   2w :: slope("w^2", "w")   a^2 + b^2 + c^2   e^{c}
2a :: slope("a^2 + b^2 + c^2", "a")   2 \cdot 3 :: slope("3(2z)", "z")
\sigma(z) = \frac{1}{1 + e^{-z}}   z = -100 :: dict(z=cell("Sigmoid", "z", 0))
e^{z} / (1 + e^{z}) :: sigmoid(z)   1 / u   \tanh(z) = 2\,\sigma(2z) - 1
\tanh(z) = \frac{e^{z} - e^{-z}}{e^{z} + e^{-z}}   \max(0, z) :: relu(z)
\max(0.01 z, z) :: leaky_relu(z)   -\alpha :: nn.ELU(float(alpha))(z - 99)
\alpha (e^{z} - 1) :: dict(z=-size(z), value=nn.ELU(float(alpha))(-size(z)))
\mathrm{softmax}(z)_i = \frac{e^{z_i}}{\sum_j e^{z_j}}
e^{z + c} = e^{c} e^{z}   w_1 x_1 + \dots + w_n x_n   w_i^2 x_i^2
2 w_1 x_1 w_2 x_2 ::
  (w_1 * x_1 + w_2 * x_2) ** 2 - (w_1 * x_1) ** 2 - (w_2 * x_2) ** 2
\sqrt{n s^2} :: dict(rtol=0.06, value=rms(draw(2000, n) @ (s * draw(n, 500))))
1 / \sqrt{2} :: rms(relu(torch.cat([z, -z]))) / rms(z)
s = \mathrm{gain} / \sqrt{n} :: dict(gain=cell("Initial", "gain"), n=64,
  s=cell("Initial", "layer").weight.std(), rtol=0.06)
\sqrt{2} :: nn.init.calculate_gain("relu")   1 / \sqrt{3} :: even.std() * 2
-1 / \sqrt{n} :: dict(n=4, value=even.min())
1 / \sqrt{n} :: dict(n=4, value=even.max())   -e^{-z} :: slope("e^{-z}", "z")
\sigma(z)(1 - \sigma(z)) :: slope(r"\sigma(z)", "z")
u_1 = \max(0,\; x_1 + x_2), \qquad u_2 = \max(0,\; x_1 + x_2 - 1), \qquad
  \mathrm{output} = u_1 - 2 u_2 :: units   x = x_1 + x_2 :: units
u_1 - 2 u_2 = 0.5 :: dict(u_1=0.5 + 2 * a, u_2=a)   \sin x   0 \leq x \leq 6
\max(0,\; x - t) :: relu(x - t)
\max(0, x) - 2 \max(0, x - 1) :: dict(units, value=units["output"])
H_1 = f(X W_1^T + b_1), \qquad H_2 = f(H_1 W_2^T + b_2), \qquad
  \mathrm{output} = H_2 W_3^T + b_3 :: dict(H_1=mlp.layers[:2](X), output=mlp(X),
  H_2=mlp.layers[:4](X), **dict(zip("W_1 b_1 W_2 b_2 W_3 b_3".split(),
  mlp.parameters())))
2 \max(0, x) - 4 \max(0, x - 0.5) :: fold(x)
1 / (1 - p) :: nn.Dropout(float(p))(torch.ones(999)).max()
(1 + 0 + 4) / 3 :: cell("Mean Squared", "loss", 0)
\mathrm{MSE} = \frac{1}{N} \sum_i (\hat{y}_i - y_i)^2 :: dict(MSE=mse(guess, y))
2(\hat{y}_i - y_i)/N :: gradient_of(lambda guess: mse(guess, y), guess)
-\frac{1}{N} \sum_i \log p_{i, y_i} ::
  dict(right=softmax(X)[range(8), kinds], value=cross_entropy(X, kinds))
-\log p :: dict(p=softmax(X)[:, 0], value=cross_entropy(X, 0 * kinds))
\log p_k = z_k - \log \sum_j e^{z_j} :: dict(z_k=z[2], p_k=softmax(z)[2])
\log C :: cross_entropy(torch.zeros(8, C), kinds)   p = 0 :: dict(p=0)
\log 3 :: cross_entropy(0 * X, kinds)   p = \sigma(z) :: dict(
  p=softmax(torch.stack([z, 0 * z], dim=1))[:, 0])
-\bigl(y \log p + (1 - y) \log(1 - p)\bigr). ::
  dict(p=sigmoid(z), value=bce(z, y))
\sigma(20) :: 1   \log(1 - p) :: dict(p=sigma(20), value=-math.inf)
\log(1 + e^{-z}) :: bce(z, one)   \log(1 + e^{z}) :: bce(z, 0 * z)
-\log \sigma(z) :: bce(z, one)   -\log(1 - p) :: dict(
  p=sigmoid(z), value=bce(z, 0 * z))   e^{a} :: dict(a=0, value=1)
\log(e^{a} + e^{b}) :: torch.logaddexp(a, b)
\sigma(z) - y :: gradient_of(lambda z: N * bce(z, y), z)
e^{-(y - \hat{y})^2 / 2} / \sqrt{2 \pi} :: Normal(guess, 1.0).log_prob(y).exp()
e^{-\lvert y - \hat{y} \rvert} / 2 :: Laplace(guess, 1.0).log_prob(y).exp()
\sigma(z) :: Bernoulli(logits=z).log_prob(one).exp()   z = -8 :: dict(
  z=cell("One Recipe", "z")[0])
1 - \sigma(z) :: Bernoulli(logits=z).log_prob(0 * z).exp()
-2(1 - \sigma(z))^2 \sigma(z) :: slope(r"(1 - \sigma(z))^2", "z")
\sigma(z) - 1 :: slope(r"-\log \sigma(z)", "z")
w \leftarrow w - \eta \, \frac{\partial \mathrm{loss}}{\partial w} ::
  dict(gradient=g, value=moved(sgd_step, g, [w, 0 * v], eta)[0])
\frac{1}{2}(w_1^2 + 20\, w_2^2) :: ravine(torch.stack([w_1, w_2]))
v \leftarrow \mu v + g, \qquad w \leftarrow w - \eta v ::
  moved(sgd_step, g, [w, v], eta, mu)[1::-1]
g\,(1 + \mu + \mu^2 + \dots) = g / (1 - \mu) :: dict(dots=mu ** 3 / (1 - mu))
m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad
  s \leftarrow \beta_2 s + (1 - \beta_2)\, g^2 :: third[1:3]
w \leftarrow w - \eta \,
  \frac{m / (1 - \beta_1^t)}{\sqrt{s / (1 - \beta_2^t)} + \epsilon} ::
  dict(value=third[0], m=third[1], s=third[2], t=3)
g^2 :: first[2] / (1 - beta_2)   \eta\, g / |g| :: w - first[0]
\mu = 0 :: dict(mu=sgd_step.__defaults__[0])   t = 1 :: dict(t=1)   \beta^t
1 - \eta \cdot \mathrm{curvature} :: 1 - eta * gradient_of(
  lambda w: ravine(w, [curvature]), torch.ones(1))
2 / (1 + 20) :: 2 / gradient_of(ravine, torch.ones(2)).sum()
w \leftarrow (1 - \eta \lambda)\, w - \eta\, g :: dict(
  g=g / size(g), value=moved(lambda w: torch.optim.AdamW(
    [w], float(eta), weight_decay=float(decay)).step(), g, [w])[0])
\frac{\lambda}{2} w^2   \lambda w :: slope(r"\frac{\lambda}{2} w^2", "w")
2 (1 + \mu) / \mathrm{curvature} :: 2 * w / moved(
  sgd_step, curvature * w, [w, -curvature * w / (1 + mu)], 0.0, mu)[1]
\mu = 0.8 :: dict(mu=0.8)   2 (1 + 0.8) / 20 = 0.18   \log 2 = 0.693   \log 2
w \cdot w   2a \cdot 3a   12a :: slope(r"2a \cdot 3a", "a")   x + f(x)
a + b :: (Value(a) + Value(b)).data   a \cdot b :: (Value(a) * Value(b)).data
y = \tanh a :: dict(y=Value(a).tanh().data)   1 - y^2 :: dict(
  y=torch.tanh(a), value=Value(a).tanh().arrows[0][1])
\sqrt{2 / n} :: dict(
  rtol=0.06, value=nn.init.kaiming_normal_(draw(999, n)).std())
(z - m) / \sqrt{v + \epsilon} :: dict(m=z.mean(), v=z.var(unbiased=False),
  value=nn.BatchNorm1d(1, float(epsilon))(z[:, None])[:, 0])
\sqrt{p(1 - p)/N} :: dict(
  rtol=0.03, value=(torch.rand(50000, N) < p).float().mean(dim=1).std())
3x + 1 :: dict(
  x=cell("A Schedule", "x")[:9], value=cell("A Schedule", "targets")[:9])
g \leftarrow g \cdot \min(1,\; m / |g|) :: dict(g=x, m=long, size=torch.norm,
  value=moved(lambda x: nn.utils.clip_grad_norm_([x], long), x, [x])[-1])
p / (1 - p) :: torch.logit(p).exp()   u = 1 + e^{-z} :: dict(u=1 / sigmoid(z))
\log 19 :: cell("Five per Cent", "weight", 0).log()
\frac{e^{-z}}{(1 + e^{-z})^2} = \frac{1}{1 + e^{-z}} \cdot
  \frac{e^{-z}}{1 + e^{-z}} = \sigma(z)\,(1 - \sigma(z)).
x_1 + x_2 :: dict(units, value=cell("Solutions", "hidden", 1)[:, 0])
x_1 + x_2 - 1 :: dict(units, value=cell("Solutions", "hidden", 1)[:, 1])
(x_1 + x_2) - 2 (x_1 + x_2 - 1) = 2 - (x_1 + x_2)
11 \cdot 20 + 21 \cdot 30 + 31 \cdot 5 = 1005 :: cell("Solutions", "count", 1)
"""
ROWS = dict((row + " :: None").split(" :: ")[:2] for row in re.split(
    r"\n|   ", re.sub(r"\n +", " ", TABLE.strip())))
SYMBOL = r"(?:\\hat\{\w\}|\\[a-z]+|[A-Za-z])(?:_(?:\w|\{[^}]*\}))?"
STATES_NOTHING = re.compile(r"{0}|\({0}, {0}\)".format(SYMBOL))
READ = [  # LaTeX -> Python, in this order: names and signs ...
    (r"\\frac\{\\partial.*\\partial w\}", r"\\gradient"), (r"\^T", ".T"),
    (r"p_\{i, y_i\}", r"\\right"), (r"_[ij]\b", ""), (r"\^", "**"),
    (r"\\mathrm\{(\w+)\}", r"\\\1"), (r"\\hat\{y\}", r"\\guess"),
    (r"\\lvert (.*) \\rvert|\|(\w)\|", r"\\size(\1\2)"), (r"\\cdot", "*"),
    (r"\\lambda", r"\\decay"), (r"\\[,;]|\\big[lr]|\.$", ""),
    (r"\\geq", ">="), (r"\\leq", "<="), (r"\}\{", ", "), (r"\{", "("),
    (r"\}", ")"),  # ... a space behind each name and number; log ** p; f(z)
    (r"\\?((?<=\\)[A-Za-z]+(?:_\w)?|[A-Za-z](?:_\w)?(?:\.T)?|[\d.]+) *",
     r"\1 "), (r"\b(log|sum|sin|tanh) (?=[\w(])", r"\1 ** "),
    (r"\b(f|frac|max|min|sigma|size|softmax|sqrt) (?=\()", r"\1"),
    (r"([A-Z]\S* )(?=[A-Z])", r"\1@ "),  # and products
    (r"(?<=\w )(?=[\w(])|(?<=\)) *(?=[\w(])", "* ")]
DEFINED = {name: load(name) for name in SOURCES}


class Prefix(partial):
    """A function that binds like a power: y * log ** p is y times log(p)."""

    def __pow__(self, value):
        return self(1.0 * torch.as_tensor(value))


def value_of(latex, names):
    for old, new in READ:
        latex = re.sub(old, new, latex)
    return 1.0 * torch.as_tensor(eval(latex.strip(), names))


def perceptron(w, b, X, y):
    """Its answers, and its weights and bias after one pass."""
    neuron = DEFINED["Perceptron"](len(w))
    neuron.weights, neuron.bias = w, b
    guess = neuron.predict(X)
    neuron.fit(X, y, max_passes=1)
    return dict(guess=guess, value=[neuron.weights, neuron.bias])


def moved(rule, gradient, state, *rates):
    """The state, the weight first, and the gradient after a step of a rule."""
    state = [part.clone() for part in state]
    state[0].grad = gradient.clone()
    rule(*state, *rates)
    return state + [state[0].grad]


def namespace(seed, tour):
    """Random numbers, functions and cells: all that TABLE may name."""
    torch.manual_seed(seed)
    n = dict(globals(), **DEFINED)
    for shape, names in [((), "a b c g h t v w w_1 w_2 w_n x_n b_1 b_2 dots u"),
                         (8, "x x_1 x_2 z guess"), ((8, 3), "X"), (4, "W")]:
        n.update((name, torch.randn(shape)) for name in names.split())
    n.update((name, 0.1 + 0.8 * torch.rand(())) for name in
             "p m s eta mu alpha beta beta_1 beta_2 decay epsilon".split())
    n.update(
        e=math.e, pi=math.pi, N=8, n=9 * seed + 5, C=seed + 3, y=torch.rand(8),
        kinds=torch.arange(8) % 3, one=torch.ones(8), draw=torch.randn,
    )
    return n
