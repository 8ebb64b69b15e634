"""Each formula of the tutorial, read from its own text and computed, holds.

TABLE has it as it stands in the script, "::", and in Python what it equals on
random numbers (by the tutorial's code, PyTorch or a simulation), then values
for names in it. With nothing given its sides are equal, or it only names.
"""

import re

import pytest
import torch
from definitions import SOURCES, load
from torch import nn
from walk import TEXT, plain

# A row ends with its line, or with three spaces; an indented line goes on.
TABLE = r"""
0.5 \cdot 2 - 1 \cdot 3 + 4 = 2 :: cell("Basic Components", "z", 0)   w \cdot w
z = w_1 x_1 + w_2 x_2 + b, \qquad \mathrm{output} = f(z) :: b=unit.bias,
  z=unit(stack([x_1, x_2]).T).T, w_1=unit.weight[0, 0], w_2=unit.weight[0, 1]
Z = X W^T + b :: W=layer.weight, b=layer.bias, Z=layer(X)   x_1 + x_2 - 0.5
W^T :: X.permute(1, 0), W=X   w = 5 :: w=cell("Walking", "dots")[0]   x_1 + x_2
w \leftarrow w + (y - \hat{y})\,x, \qquad b \leftarrow b + (y - \hat{y}) ::
  taught(Perceptron(8), x), x=-x, w=-x, b=-1, y=0, haty=1
w_1 x_1 + w_2 x_2 + b = 0 :: x_2=-(w_1 * x_1 + b) / w_2   w_1 x_1 + w_2 x_2 + b
b < 0, \qquad w_2 + b \geq 0, \qquad w_1 + b \geq 0, \qquad
  w_1 + w_2 + b < 0. :: list(gate.predict(corners) == tensor([0, 1, 1, 0])),
  b=gate.bias, w_1=gate.weights[0], w_2=gate.weights[1]   5 - 0.1 \cdot 10 = 4
w_1 + w_2 + 2b \geq 0 :: (w_2 + b) + (w_1 + b) >= 0   w - 0.1 \cdot 2w = 0.8\,w
w_2\,(w_1 x + b_1) + b_2 = (w_2 w_1)\,x + (w_2 b_1 + b_2)   x_1 + x_2 - 1.5
(w + h)^2 - w^2 = 2wh + h^2   2w + h :: ((w + h) ** 2 - w ** 2) / h   x + f(x)
2w :: slope("w^2", "w")   \tanh(z) = \frac{e^{z} - e^{-z}}{e^{z} + e^{-z}}   -b
2a :: slope("a^2 + b^2 + c^2", "a")   z = -100 :: z=cell("Sigmoid", "z", 0)
\sigma(z) = \frac{1}{1 + e^{-z}}   \max(0.01 z, z) :: leaky_relu(z)   \beta^t
2 \cdot 3 :: slope("3(2z)")   -\alpha :: nn.ELU(alpha)(z - 99)   w_1 + w_2 + b
e^{z} / (1 + e^{z}) :: sigma(z)   \tanh(z) = 2\,\sigma(2z) - 1   x_1 + x_2 - 1
\max(0, z) :: relu(z)   \alpha (e^{z} - 1) :: nn.ELU(alpha)(-abs(z)), z=-abs(z)
\mathrm{softmax}(z)_i = \frac{e^{z_i}}{\sum_j e^{z_j}}   \frac{\lambda}{2} w^2
e^{z + c} = e^{c} e^{z}   \sqrt{2} :: nn.init.calculate_gain("relu")   1 + \mu
2 w_1 x_1 w_2 x_2 :: (w_1*x_1 + w_2*x_2)**2 - (w_1*x_1)**2 - (w_2*x_2)**2   w^2
\sqrt{n s^2} :: (randn(999, n) @ (p * randn(n, 999))).std(), s=p, rtol=0.02
1 / \sqrt{2} :: norm(relu(cat([z, -z]))) / norm(cat([z, z]))   a^2 + b^2 + c^2
s = \mathrm{gain} / \sqrt{n} :: gain=2 ** 0.5, s=kaiming.std(), rtol=0.02   a^2
-1 / \sqrt{n} :: even.min(), rtol=0.02   1 / \sqrt{n} :: even.max(), rtol=0.02
1 / \sqrt{3} :: even.std() * n ** 0.5, rtol=0.02   -e^{-z} :: slope("e^{-z}")
1 / u :: sigma(z), u=1 + exp(-z)   u_1 - 2 u_2 = 0.5 :: u_1=0.5 + 2 * a, u_2=a
\sigma(z)(1 - \sigma(z)) :: slope(r"\sigma(z)")   2 (1 + 0.8) / 20 = 0.18
u_1 = \max(0,\; x_1 + x_2), \qquad u_2 = \max(0,\; x_1 + x_2 - 1), \qquad
  \mathrm{output} = u_1 - 2 u_2 :: output=cell("Architecture", "output"),
  x_1=corners[:, 0], x_2=corners[:, 1]   \max(0,\; x - t) :: relu(x - t)   e^z
\max(0, x) - 2 \max(0, x - 1) :: cell("Architecture", "output"),
  x=corners.sum(1)   (1 + 0 + 4) / 3 :: cell("Mean Squared", "loss", 0)   e^{z}
0 \leq x \leq 6 :: True, x=cell("The Power", "knots").max()   2a \cdot 3a   u^2
H_1 = f(X W_1^T + b_1), \qquad H_2 = f(H_1 W_2^T + b_2), \qquad
  \mathrm{output} = H_2 W_3^T + b_3 :: output=mlp(X),
  **dict(zip("W_1 b_1 W_2 b_2 W_3 b_3".split(), mlp.parameters()))   e^{-z}
2 \max(0, x) - 4 \max(0, x - 0.5) :: fold(x)   p = 0   p / (1 - p)   \sin x
1 / (1 - p) :: nn.Dropout(p)(ones(999)).max()   e^{c}   u = 1 + e^{-z}
\mathrm{MSE} = \frac{1}{N} \sum_i (\hat{y}_i - y_i)^2 :: mse(haty, y)
2(\hat{y}_i - y_i)/N :: gradient_of(lambda x: mse(x, y), haty)   x = x_1 + x_2
-\frac{1}{N} \sum_i \log p_{i, y_i} :: cross_entropy(X, kinds),
  p=softmax(X)[arange(8), kinds]   \log C :: cross_entropy(zeros(8, C), kinds)
-\log p :: cross_entropy(X, 0 * kinds), p=softmax(X)[:, 0]   \sigma(20) :: 1
\log p_k = z_k - \log \sum_j e^{z_j} :: z_k=z[2], p_k=softmax(z)[2]
\log 3 :: cross_entropy(0 * X, kinds)   \log(1 - p) :: -inf, p=sigma(20)
p = \sigma(z) :: p=softmax(stack([z, 0 * z], 1))[:, 0]   e^{a} :: 1, a=0
-\bigl(y \log p + (1 - y) \log(1 - p)\bigr). :: bce(z, y), p=sigma(z)
\log(1 + e^{-z}) :: bce(z, yes)   -\log(1 - p) :: bce(z, 0 * z), p=sigma(z)
\log(1 + e^{z}) :: bce(z, 0 * z)   1 - \sigma(z) :: Bernoulli(logits=-z).mean
\log(e^{a} + e^{b}) :: logaddexp(a, b)   \sigma(z) :: Bernoulli(logits=z).mean
\sigma(z) - y :: gradient_of(lambda z: N * bce(z, y), z)
e^{-(y - \hat{y})^2 / 2} / \sqrt{2 \pi} :: Normal(haty, 1).log_prob(y).exp()
e^{-\lvert y - \hat{y} \rvert} / 2 :: Laplace(haty, 1).log_prob(y).exp()
-2(1 - \sigma(z))^2 \sigma(z) :: slope(r"(1 - \sigma(z))^2")   \log 2 = 0.693
-\log \sigma(z) :: bce(z, yes)   \sigma(z) - 1 :: slope(r"-\log \sigma(z)")
z = -8 :: z=cell("One Recipe", "z")[0]   \mu = 0 :: mu=sgd_step.__defaults__[0]
w \leftarrow w - \eta \, \frac{\partial \mathrm{loss}}{\partial w} ::
  moved(sgd_step, g, [w, 0 * v], eta)[0], gradient=g   \log 2 :: bce(0 * z, y)
\frac{1}{2}(w_1^2 + 20\, w_2^2) :: ravine(stack([w_1, w_2], 1))   \mu = 0.8
v \leftarrow \mu v + g, \qquad w \leftarrow w - \eta v :: moved(sgd_step, g,
  [w, v], eta, mu)[1::-1]   g\,(1 + \mu + \mu^2 + \dots) = g / (1 - \mu) ::
  dots=mu ** 3 / (1 - mu)   g^2 :: moved(adam_step, g, [w, 0 * m, 0 * s], 1,
  eta)[2] / 0.001   2 / (1 + 20) :: 2 / gradient_of(ravine, ones(2)).sum()
m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad
  s \leftarrow \beta_2 s + (1 - \beta_2)\, g^2 :: moved(adam_step, g, [w, m,
  s], 3, *rates)[1:3]   \lambda w :: slope(r"\frac{\lambda}{2} w^2", "w")
w \leftarrow w - \eta \,
  \frac{m / (1 - \beta_1^t)}{\sqrt{s / (1 - \beta_2^t)} + \epsilon} :: t=3,
  **dict(zip(["value", "m", "s"], moved(adam_step, g, [w, m, s], 3, *rates)))
\eta\, g / |g| :: w - moved(adam_step, g, [w, 0 * m, 0 * s], 1, eta)[0]
1 - \eta \cdot \mathrm{curvature} :: 1 - eta * gradient_of(ravine, ones(2)),
  curvature=tensor([1, 20])   y = \tanh a :: y=Value(p).tanh().data, a=p + ZERO
w \leftarrow (1 - \eta \lambda)\, w - \eta\, g ::
  moved(lambda w: optim.AdamW([w], eta, weight_decay=decay).step(), g, [w])[0],
  g=g / abs(g)   \log 19 :: log(cell("Five per", "weight", 0).item())   t = 1
2 (1 + \mu) / \mathrm{curvature} :: 2 / moved(sgd_step, yes, [w, -yes / (1 +
  mu)], 0, mu)[1], curvature=1   \sqrt{2 / n} :: kaiming.std(), rtol=0.02
a + b :: (Value(a) + Value(b)).data   a \cdot b :: (Value(a) * Value(b)).data
1 - y^2 :: Value(p).tanh().arrows[0][1], y=Value(p).tanh().data
(z - m) / \sqrt{v + \epsilon} :: nn.BatchNorm1d(1, epsilon)(z[:, None])[:, 0],
  m=z.mean(), v=z.var(unbiased=False)   12a :: slope(r"2a \cdot 3a", "a")
\sqrt{p(1 - p)/N} :: (rand(50000, N) < p).float().mean(1).std(), rtol=0.02
3x + 1 :: cell("A Schedule", "targets")[:9], x=cell("A Schedule", "x")[:9]
g \leftarrow g \cdot \min(1,\; m / |g|) :: g=x, m=3 * p, abs=norm, value=
  moved(lambda x: nn.utils.clip_grad_norm_([x], 3 * p), x, [x])[-1]
(x_1 + x_2) - 2 (x_1 + x_2 - 1) = 2 - (x_1 + x_2)   w_1 x_1 + \dots + w_n x_n
\frac{e^{-z}}{(1 + e^{-z})^2} = \frac{1}{1 + e^{-z}} \cdot
  \frac{e^{-z}}{1 + e^{-z}} = \sigma(z)\,(1 - \sigma(z)).   w_i^2 x_i^2
11 \cdot 20 + 21 \cdot 30 + 31 \cdot 5 = 1005 :: cell("Solutions", "count", 1)
"""
ROWS = dict((row + " :: ").split(" ::")[:2] for row in re.split(
    r"\n|   ", re.sub(r"\n +", " ", TABLE.strip())))
SYMBOL = r"(?:\\hat\{\w\}|\\[a-z]+|[A-Za-z])(?:_(?:\w|\{[^}]*\}))?"
STATES_NOTHING = re.compile(r"{0}|\({0}, {0}\)".format(SYMBOL))
READ = [  # LaTeX -> Python, in this order; a space after a name; f(z), x * y
    (r"\\frac\{\\partial.*\\partial w\}", r"\\gradient"), (r"\^T", ".T"),
    (r"\\sum_\w (e\^\{z_j\}|.*)", r"\\sum(\1)"), (r"_[ij]\b|_\{i.*?\}", ""),
    (r"\\(log|sin|tanh) (\\?\w+(\([^()]*\))?)", r"\\\1(\2)"), (r"\^", "**"),
    (r"\\(mathrm\{|(hat)\{)(\w+)\}", r"\\\2\3"), (r"\\[,;]|\\big.|\.$", ""),
    (r"\\lvert (.*) \\rvert|\|(\w)\|", r"\\abs(\1\2)"), (r"\\cdot", "*"),
    (r"\\geq", ">="), (r"\\leq", "<="), (r"\\lambda", r"\\decay"),
    (r"\}\{", ", "), (r"\{", "("), (r"\}", ")"),
    (r"\\?((?<=\\)[A-Za-z]+(_\w)?|[A-Za-z](_\w)?(\.T)?|[\d.]+) *", r"\1 "),
    (r"\b(abs|f|frac|log|m..|s[iu][nm]|sigma|softmax|sqrt|tanh) \(", r"\1("),
    (r"([A-Z]\S* )(?=[A-Z])", r"\1@ "),
    (r"(?<=\w )(?=[\w(])|(?<=\)) *(?=[\w(])", "* ")]
DEFINED = {name: load(name) for name in SOURCES}
ZERO = torch.zeros(())  # plus this, any number is a tensor


def value_of(latex, names):
    for old, new in READ:
        latex = re.sub(old, new, latex)
    return eval(latex.strip(), names) + ZERO


def moved(rule, gradient, state, *rates):
    """The state, a weight first, after a step of a rule, and the gradient."""
    state = [part.clone() for part in state]
    state[0].grad = gradient.clone()
    rule(*state, *rates)
    return state + [state[0].grad]


@pytest.fixture(params=range(3))
def n(request, tour):
    """All that formulas and rows may name: torch, the definitions, numbers."""
    torch.manual_seed(request.param)
    n = {**vars(torch), **vars(torch.distributions), **DEFINED, **globals()}
    n.update((name, torch.randn(8)) for name in "a b c dots g h haty t u v w "
             "w_1 w_2 w_n b_1 b_2 x x_1 x_2 x_n z".split())
    n.update((name, 0.1 + 0.8 * torch.rand(()).item()) for name in
             "p eta mu alpha beta beta_1 beta_2 decay epsilon".split())
    n.update(
        row=lambda value=None, rtol=5e-4, **given: (value, rtol, given),
        cell=lambda part, name, index=-1: tour.names(part, index)[name],
        slope=lambda latex, name="z": n["gradient_of"](
            lambda value: value_of(latex, {**n, name: value}), n[name]),
        max=lambda a, b: torch.max(a + 0 * b, b), frac=lambda a, b: a / b, N=8,
        min=lambda a, b: torch.min(a + 0 * b, b), sqrt=lambda x: x ** 0.5, C=4,
        log=lambda x: torch.log(x + ZERO), f=n["relu"], mse=nn.MSELoss(), n=50,
        sigma=lambda z: n["sigmoid"](z + ZERO), kinds=torch.arange(8) % 3,
        softmax=lambda z: DEFINED["softmax"](z, dim=-1), X=torch.randn(8, 3),
        bce=n["binary_cross_entropy_with_logits"], mlp=n["MLP"](3, [4, 6], 2),
        unit=nn.Linear(2, 1), layer=nn.Linear(3, 4), yes=torch.ones(8),
        even=nn.Linear(50, 999).weight, m=torch.rand(8), s=torch.rand(8),
        kaiming=nn.init.kaiming_normal_(torch.empty(999, 50)),
        rates=[n[name] for name in ("eta", "beta_1", "beta_2", "epsilon")],
        corners=tour.names("Single-Layer")["corners"], y=torch.rand(8),
        gate=tour.names("Single-Layer")["perceptron"],
        taught=lambda neuron, x: neuron.fit(torch.stack([x, -x]), torch.zeros(
            2), 1) and [neuron.weights, neuron.bias])
    return n


def test_the_table_has_each_formula_and_no_other():
    text = plain("\n".join(re.findall("(?m)^#.*", TEXT)))
    found = {part for part in re.findall(r"\$\$?(.+?)\$\$?", text)
             if not STATES_NOTHING.fullmatch(part)}
    assert found == set(ROWS), "TABLE needs rows for %s, and not for %s" % (
        sorted(found - set(ROWS)), sorted(set(ROWS) - found))


@pytest.mark.parametrize("formula", sorted(ROWS))
def test_the_formula_holds(formula, n):
    value, rtol, given = eval("row(%s)" % ROWS[formula], n)
    n.update(given)
    values = value if isinstance(value, list) else [value] * 9
    for statement, value in zip(formula.split(r", \qquad "), values):
        name, _, right = statement.rpartition(r" \leftarrow ")
        *sides, right = right.split(" = ")
        n[name] = result = value_of(right, n)
        for side in sides:  # it may be a name for the result
            name = re.sub(r"\\(mathrm)?|[{}]", "", side)
            n[name] = given.get(name, result)
        others = [value_of(side, n) for side in sides] + [value]
        for other in [other + ZERO for other in others if other is not None]:
            mine = result if other.dim() else result.mean()
            assert torch.allclose(mine, other, rtol, 1e-4), (
                "$%s$ is %s, its row says %s" % (formula, mine, other))
