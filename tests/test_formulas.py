"""Every formula of the tutorial is listed here, and what it says is so.

A row of FORMULAS: a formula or several, letter by letter and in the script's
order; a check; perhaps the part and number of a cell. The check returns pairs:
what the formula says, written out in Python; what the tutorial's code, PyTorch
or the other side gives; perhaps a tolerance. It may ask for letters, which are
random numbers, for names that the cell has left, and for the tour.
"""

import inspect
import math
import re

import pytest
import torch
from definitions import load
from torch import exp, log, maximum, nn, optim, sqrt, stack, tensor
from torch.distributions import Bernoulli, Laplace, Normal
from torch.nn.functional import elu, linear
from walk import TEXT, plain

(Perceptron, Value, gradient_of, sigma, tanh, relu, leaky_relu, softmax, fold,
 cross_entropy, bce, ravine, sgd_step, adam_step) = map(load, (
     "Perceptron Value gradient_of sigmoid tanh relu leaky_relu softmax fold "
     "cross_entropy binary_cross_entropy_with_logits ravine sgd_step "
     "adam_step").split())
MSE, N, n, ZERO = nn.MSELoss(), 8, 50, tensor(0.0)
KINDS, CURVATURE = torch.arange(8) % 2, tensor([1, 20])
CORNERS = tensor([[0, 0], [0, 1], [1, 0], [1, 1]]).double()
(X_1, X_2), XOR = CORNERS.T, tensor([0, 1, 1, 0])


def letters():
    """Return new random numbers for the letters that a check may ask for."""
    values = {name: torch.randn(8).double() for name in
              "a b c g h haty v w x z w_1 w_2 b_1 b_2".split()}
    values.update((name, torch.rand(8).double()) for name in "m s y".split())
    values.update((name, 0.1 + 0.8 * torch.rand(()).item()) for name in
                  "p eta mu lam alpha beta_1 beta_2 epsilon".split())
    values.update(X=torch.randn(8, 2).double(), W=torch.randn(8, 2).double())
    kaiming = nn.init.kaiming_normal_(torch.empty(999, n))
    return dict(values, kaiming=kaiming, even=nn.Linear(n, 999).weight)


def moved(rule, gradient, state, *rates):
    """Return the state, a weight first, after a rule, and the gradient."""
    state = [part.clone() for part in state]
    state[0].grad = gradient.clone()
    rule(*state, *rates)
    return state + [state[0].grad]


def perceptron_rule(w, b, x):
    for y in (0, 1):  # one of them is a mistake
        neuron = Perceptron(8)
        neuron.weights, neuron.bias = w, b[0]
        haty = neuron.predict(x)
        neuron.fit(x[None], tensor([y]), max_passes=1)
        yield w + (y - haty) * x, neuron.weights
        yield b[0] + (y - haty), neuron.bias


def adam(w, m, s, g, eta, beta_1, beta_2, epsilon):
    new = moved(adam_step, g, [w, m, s], 3, eta, beta_1, beta_2, epsilon)
    first = moved(adam_step, g, [w, 0 * m, 0 * s], 1, eta, beta_1, beta_2)
    yield w - eta * g / abs(g), first[0]
    yield [*g, *g ** 2], [*first[1] / (1 - beta_1), *first[2] / (1 - beta_2)]
    m = beta_1 * m + (1 - beta_1) * g
    s = beta_2 * s + (1 - beta_2) * g ** 2
    yield stack([m, s]), stack(new[1:3])
    yield w - eta * (m / (1 - beta_1 ** 3)) / (
        sqrt(s / (1 - beta_2 ** 3)) + epsilon), new[0]


FORMULAS = [
    # Neurons and layers
    (r"0.5 \cdot 2 - 1 \cdot 3 + 4 = 2", lambda: (0.5 * 2 - 1 * 3 + 4, 2)),
    (r"z = w_1 x_1 + w_2 x_2 + b, \qquad \mathrm{output} = f(z)",
     lambda inputs, weights, bias, z, output: [
         (weights[0, 0] * inputs[0] + weights[0, 1] * inputs[1] + bias, z),
         (maximum(ZERO, z), output)], "Basic", 0),
    (r"Z = X W^T + b", lambda X, W, b: (X @ W.T + b, linear(X, W, b))),
    # The perceptron
    (r"w \leftarrow w + (y - \hat{y})\,x, "
     r"\qquad b \leftarrow b + (y - \hat{y})", perceptron_rule),
    (r"w_1 x_1 + w_2 x_2 + b = 0", lambda tour, w, b: [
        (w[0] * x_1 + w[1] * x_2, -b) for x_1, x_2 in zip(
            *tour.line("02_perceptron", "at the end"))], "Linear Sep", 1),
    (r"b < 0, \qquad w_2 + b \geq 0, \qquad w_1 + b \geq 0, "
     r"\qquad w_1 + w_2 + b < 0.", lambda w_1, w_2, b: (
         stack([b < 0, w_2 + b >= 0, w_1 + b >= 0, w_1 + w_2 + b < 0]),
         (CORNERS @ stack([w_1, w_2]) + b >= 0) == XOR[:, None])),
    (r"w_1 + w_2 + 2b \geq 0", lambda w_1, w_2, b: (
        w_1 + w_2 + 2 * b >= 0, (w_2 + b) + (w_1 + b) >= 0)),
    ([r"x_1 + x_2 - 0.5", r"x_1 + x_2 - 1.5"], lambda at_least_one, both: [
        (X_1 + X_2 - 0.5 >= 0, at_least_one),
        (X_1 + X_2 - 1.5 >= 0, both)], "The Way Out"),
    # Activation functions
    (r"w_2\,(w_1 x + b_1) + b_2 = (w_2 w_1)\,x + (w_2 b_1 + b_2)",
     lambda w_1, w_2, b_1, b_2, x: (
         w_2 * (w_1 * x + b_1) + b_2, (w_2 * w_1) * x + (w_2 * b_1 + b_2))),
    ([r"w = 5", r"(w + h)^2 - w^2 = 2wh + h^2", r"2w + h", r"2w",
      r"5 - 0.1 \cdot 10 = 4", r"w - 0.1 \cdot 2w = 0.8\,w"],
     lambda w, h, dots: [
         (5, dots[0]), (5 - 0.1 * 10, dots[1]), (w - 0.1 * 2 * w, 0.8 * w),
         (2 * w * h + h ** 2, (w + h) ** 2 - w ** 2),
         (2 * w + h, ((w + h) ** 2 - w ** 2) / h),
         (2 * dots, gradient_of(torch.square, dots))], "Walking", 1),
    ([r"a^2 + b^2 + c^2", r"2a"], lambda a, b, c: (
        2 * a, gradient_of(lambda a: a ** 2 + b ** 2 + c ** 2, a))),
    (r"\sigma(z) = \frac{1}{1 + e^{-z}}",
     lambda z: (1 / (1 + exp(-z)), sigma(z))),
    (r"z = -100", lambda z: (-100, z), "Sigmoid", 0),
    (r"2 \cdot 3", lambda z: (2 * 3, gradient_of(lambda z: 3 * (2 * z), z))),
    (r"e^{z} / (1 + e^{z})", lambda z: (exp(z) / (1 + exp(z)), sigma(z))),
    (r"\tanh(z) = \frac{e^{z} - e^{-z}}{e^{z} + e^{-z}}",
     lambda z: ((exp(z) - exp(-z)) / (exp(z) + exp(-z)), tanh(z))),
    ([r"2 / (1 + e^{-2z}) - 1", r"\tanh(z) = 2\,\sigma(2z) - 1"], lambda z: [
        (2 / (1 + exp(-2 * z)) - 1, torch.tanh(z)),
        (2 * sigma(2 * z) - 1, torch.tanh(z))]),
    (r"\max(0, z)", lambda z: (maximum(ZERO, z), relu(z))),
    (r"\max(0.01 z, z)", lambda z: (maximum(0.01 * z, z), leaky_relu(z))),
    ([r"-\alpha", r"\alpha (e^{z} - 1)"], lambda z, alpha: [
        (-alpha, elu(z - 99, alpha)),
        (alpha * (exp(-abs(z)) - 1), elu(-abs(z), alpha))]),
    (r"\mathrm{softmax}(z)_i = \frac{e^{z_i}}{\sum_j e^{z_j}}",
     lambda z: (exp(z) / sum(exp(z)), softmax(z, dim=0))),
    (r"e^{z + c} = e^{c} e^{z}", lambda z, c: (exp(z + c), exp(c) * exp(z))),
    ([r"w_1 x_1 + \dots + w_n x_n", r"2 w_1 x_1 w_2 x_2", r"w_i^2 x_i^2"],
     lambda w, x: (sum(w * x) ** 2, sum(w ** 2 * x ** 2) + sum(
         2 * w[i] * x[i] * w[j] * x[j] for i in range(8) for j in range(i)))),
    (r"\sqrt{n s^2}", lambda p: ((n * p ** 2) ** 0.5, (
        torch.randn(999, n) @ (p * torch.randn(n, 999))).std(), 0.02)),
    (r"1 / \sqrt{2}", lambda z: (
        1 / 2 ** 0.5, relu(stack([z, -z])).norm() / stack([z, z]).norm())),
    ([r"s = \mathrm{gain} / \sqrt{n}", r"\sqrt{2}"], lambda kaiming: (
        2 ** 0.5 / n ** 0.5, kaiming.std(), 0.02)),
    ([r"-1 / \sqrt{n}", r"1 / \sqrt{n}", r"1 / \sqrt{3}"], lambda even: [
        (-1 / n ** 0.5, even.min(), 0.02), (1 / n ** 0.5, even.max(), 0.02),
        (1 / 3 ** 0.5, even.std() * n ** 0.5, 0.02)]),
    ([r"-e^{-z}", r"1 / u", r"u^2", r"\sigma(z)(1 - \sigma(z))"], lambda z: [
        (-exp(-z), gradient_of(lambda z: exp(-z), z)),
        (-2 / (2 * z) ** 2, gradient_of(lambda z: 1 / (2 * z), z)),
        (sigma(z) * (1 - sigma(z)), gradient_of(sigma, z))]),
    # Multi-layer perceptrons
    ([r"u_1 = \max(0,\; x_1 + x_2), \qquad u_2 = \max(0,\; x_1 + x_2 - 1), "
      r"\qquad \mathrm{output} = u_1 - 2 u_2", r"(u_1, u_2)",
      r"u_1 - 2 u_2 = 0.5"], lambda hidden, output: [
          (maximum(ZERO, X_1 + X_2), hidden[:, 0]),
          (maximum(ZERO, X_1 + X_2 - 1), hidden[:, 1]),
          (hidden[:, 0] - 2 * hidden[:, 1], output),
          (hidden[:, 0] - 2 * hidden[:, 1] > 0.5, XOR)], "Architecture"),
    (r"\max(0,\; x - t)", lambda x, knots, changes, pieces: [
        (maximum(ZERO, x[:, 0] - t) * changes[i], pieces[:, i])
        for i, t in enumerate(knots[:-1])], "The Power"),
    ([r"\max(0, x) - 2 \max(0, x - 1)", r"x = x_1 + x_2"], lambda output: [
        (maximum(ZERO, x) - 2 * maximum(ZERO, x - 1), output)
        for x in [X_1 + X_2]], "Architecture"),
    ([r"\sin x", r"0 \leq x \leq 6"], lambda tour, x, knots: [
        (x[:, 0].sin(), tour.line("04_universal", "target sin x")[1]),
        ([0, 6], knots[[0, -1]])], "The Power"),
    (r"H_1 = f(X W_1^T + b_1), \qquad H_2 = f(H_1 W_2^T + b_2), "
     r"\qquad \mathrm{output} = H_2 W_3^T + b_3",
     lambda X, W1, b1, W2, b2, W3, b3, network: (
         relu(relu(X @ W1.T + b1) @ W2.T + b2) @ W3.T + b3, network(X)),
     "Forward Propagation in"),
    (r"2 \max(0, x) - 4 \max(0, x - 0.5)",
     lambda x: (2 * maximum(ZERO, x) - 4 * maximum(ZERO, x - 0.5), fold(x))),
    (r"1 / (1 - p)", lambda p: (
        [0, 1 / (1 - p)], nn.Dropout(p)(torch.ones(999)).unique())),
    # Losses
    (r"(1 + 0 + 4) / 3", lambda loss: ((1 + 0 + 4) / 3, loss), "Mean Sq", 0),
    (r"\mathrm{MSE} = \frac{1}{N} \sum_i (\hat{y}_i - y_i)^2",
     lambda haty, y: (1 / N * sum((haty - y) ** 2), MSE(haty, y))),
    (r"2(\hat{y}_i - y_i)/N", lambda haty, y: (
        2 * (haty - y) / N, gradient_of(lambda haty: MSE(haty, y), haty))),
    ([r"-\log p", r"p = 0"], lambda X: [
        (-log(softmax(X, dim=1)[0, 1]), cross_entropy(X[:1], KINDS[1:2])),
        (-log(tensor(0.0)), math.inf)]),
    (r"-\frac{1}{N} \sum_i \log p_{i, y_i}", lambda X: (
        -1 / N * sum(log(softmax(X, dim=1)[range(N), KINDS])),
        cross_entropy(X, KINDS))),
    (r"\log p_k = z_k - \log \sum_j e^{z_j}",
     lambda z: (log(softmax(z, dim=0)), z - log(sum(exp(z))))),
    ([r"\log 3", r"\log C"], lambda: [(math.log(C), cross_entropy(
        torch.zeros(8, C), KINDS)) for C in (3, 5)]),
    (r"p = \sigma(z)", lambda z: (
        sigma(z), softmax(stack([z, 0 * z], 1), dim=1)[:, 0])),
    (r"-\bigl(y \log p + (1 - y) \log(1 - p)\bigr).", lambda z, y: (
        -(y * log(sigma(z)) + (1 - y) * log(1 - sigma(z))).mean(), bce(z, y))),
    ([r"\sigma(20)", r"\log(1 - p)"], lambda: [
        (sigma(tensor(20.0)), 1), (log(1 - sigma(tensor(20.0))), -math.inf)]),
    ([r"\log(1 + e^{-z})", r"1 - p = \sigma(-z)", r"-\log(1 - p)",
      r"\log(1 + e^{z})"], lambda z: [
        (1 - sigma(z), sigma(-z)),
        (-log(1 - sigma(z)), log(1 + exp(z))),
        (log(1 + exp(-z)).mean(), bce(z, 0 * z + 1)),
        (log(1 + exp(z)).mean(), bce(z, 0 * z))]),
    (r"\log(e^{a} + e^{b})",
     lambda a, b: (log(exp(a) + exp(b)), torch.logaddexp(a, b))),
    (r"\sigma(z) - y", lambda z, y: (
        sigma(z) - y, N * gradient_of(lambda z: bce(z, y), z))),
    ([r"e^{-(y - \hat{y})^2 / 2} / \sqrt{2 \pi}", r"\sigma(z)",
      r"1 - \sigma(z)", r"e^{-\lvert y - \hat{y} \rvert} / 2"],
     lambda y, haty, z: [
          (exp(-(y - haty) ** 2 / 2) / (2 * math.pi) ** 0.5,
           exp(Normal(haty, 1).log_prob(y))),
          (sigma(z), exp(Bernoulli(logits=z).log_prob(0 * z + 1))),
          (1 - sigma(z), exp(Bernoulli(logits=z).log_prob(0 * z))),
          (exp(-abs(y - haty)) / 2, exp(Laplace(haty, 1).log_prob(y)))]),
    ([r"-2(1 - \sigma(z))^2 \sigma(z)", r"-\log \sigma(z)",
      r"\sigma(z) - 1", r"z = -8"], lambda z: [
          (-2 * (1 - sigma(z)) ** 2 * sigma(z),
           gradient_of(lambda z: (1 - sigma(z)) ** 2, z)),
          (sigma(z) - 1, gradient_of(lambda z: -log(sigma(z)), z)),
          (-8, z[0])], "One Recipe"),
    # Optimizers
    (r"w \leftarrow w - \eta \, \frac{\partial \mathrm{loss}}{\partial w}",
     lambda w, y, eta: (w - eta * (2 * (w - y) / N), moved(
         sgd_step, gradient_of(lambda w: MSE(w, y), w), [w, 0 * w], eta)[0])),
    (r"\frac{1}{2}(w_1^2 + 20\, w_2^2)", lambda w_1, w_2: (
        1 / 2 * (w_1 ** 2 + 20 * w_2 ** 2), ravine(stack([w_1, w_2], 1)))),
    ([r"v \leftarrow \mu v + g, \qquad w \leftarrow w - \eta v", r"\mu = 0",
      r"g\,(1 + \mu + \mu^2 + \dots) = g / (1 - \mu)"],
     lambda w, v, g, mu, eta: [*zip([w - eta * (mu * v + g), mu * v + g],
                                    moved(sgd_step, g, [w, v], eta, mu)),
         (w - eta * g, moved(sgd_step, g, [w, v], eta)[0]),
         (g * sum(mu ** k for k in range(300)), g / (1 - mu))]),
    ([r"m \leftarrow \beta_1 m + (1 - \beta_1)\, g, "
      r"\qquad s \leftarrow \beta_2 s + (1 - \beta_2)\, g^2",
      r"w \leftarrow w - \eta \, \frac{m / (1 - \beta_1^t)}"
      r"{\sqrt{s / (1 - \beta_2^t)} + \epsilon}",
      r"t = 1", r"g^2", r"\eta\, g / |g|"], adam),
    ([r"1 - \eta \cdot \mathrm{curvature}", r"2 / (1 + 20)"], lambda X, eta: [
        ((1 - eta * CURVATURE) * X, X - eta * gradient_of(ravine, X)),
        (1 - 2 / (1 + 20) * 1, 2 / (1 + 20) * 20 - 1)]),
    ([r"w \leftarrow (1 - \eta \lambda)\, w - \eta\, g",
      r"\frac{\lambda}{2} w^2", r"\lambda w"], lambda w, g, eta, lam: [
          (lam * w, gradient_of(lambda w: lam / 2 * w ** 2, w)),
          *[((1 - eta * lam) * w - eta * step, moved(
              lambda w, rule: rule([w], eta, weight_decay=lam).step(), g, [w],
              rule)[0]) for rule, step in [
                  (optim.SGD, g), (optim.AdamW, g / abs(g))]]]),
    ([r"2 (1 + \mu) / \mathrm{curvature}", r"\mu = 0.8"], lambda v, p: [
        (-v, moved(sgd_step, p * v, [v, -2 * v / rate], rate, mu)[0])
        for mu in (0, 0.8) for rate in [2 * (1 + mu) / p]]),  # v turns round
    # Training, and trust
    (r"w \cdot w", lambda w: (w + w, gradient_of(lambda w: w * w, w))),
    ([r"a + b", r"a \cdot b", r"1 - y^2", r"y = \tanh a"], lambda a, b: [
        ([told] + factors, [value.data] + [arrow[1] for arrow in value.arrows])
        for a, b, y in zip(a, b, torch.tanh(a)) for told, factors, value in [
            (a + b, [1, 1], Value(a) + Value(b)),
            (a * b, [b, a], Value(a) * Value(b)),
            (y, [1 - y ** 2], Value(a).tanh())]]),
    ([r"2a \cdot 3a", r"12a"],
     lambda a: (12 * a, gradient_of(lambda a: 2 * a * 3 * a, a))),
    (r"\sqrt{2 / n}", lambda kaiming: ((2 / n) ** 0.5, kaiming.std(), 0.02)),
    (r"(z - m) / \sqrt{v + \epsilon}", lambda z, epsilon: (
        (z - z.mean()) / sqrt(((z - z.mean()) ** 2).mean() + epsilon),
        nn.BatchNorm1d(1, epsilon).double()(z[:, None])[:, 0])),
    (r"x + f(x)", lambda x: (
        1 + gradient_of(tanh, x), gradient_of(lambda x: x + tanh(x), x))),
    ([r"\log 2 = 0.693", r"\log 2"], lambda y: [
        (round(math.log(2), 3), 0.693), (math.log(2), bce(0 * y, y))]),
    (r"\sqrt{p(1 - p)/N}", lambda p: ((p * (1 - p) / N) ** 0.5, (
        torch.rand(50000, N) < p).double().mean(1).std(), 0.02)),
    (r"3x + 1", lambda x, targets: (3 * x[:9] + 1, targets[:9]), "A Sched"),
    (r"g \leftarrow g \cdot \min(1,\; m / |g|)", lambda g: [
        (g * min(1, m / sum(g ** 2) ** 0.5), moved(
            lambda w, m: nn.utils.clip_grad_norm_([w], m), g, [g], m)[-1])
        for m in (0.5, 99)]),
    ([r"p / (1 - p)", r"\log 19"], lambda z, weight: [
        (sigma(z) / (1 - sigma(z)), exp(z)), (0.05 / (1 - 0.05), 1 / 19),
        (math.log(19), log(weight))], "Five per", 0),
    # Solutions
    ([r"u = 1 + e^{-z}", r"\frac{e^{-z}}{(1 + e^{-z})^2} = "
      r"\frac{1}{1 + e^{-z}} \cdot \frac{e^{-z}}{1 + e^{-z}} = "
      r"\sigma(z)\,(1 - \sigma(z))."], lambda z: [
          (exp(-z) / (1 + exp(-z)) ** 2, other) for other in (
              1 / (1 + exp(-z)) * (exp(-z) / (1 + exp(-z))),
              sigma(z) * (1 - sigma(z)), gradient_of(sigma, z))]),
    ([r"x_1 + x_2", r"x_1 + x_2 - 1",
      r"(x_1 + x_2) - 2 (x_1 + x_2 - 1) = 2 - (x_1 + x_2)"], lambda hidden: [
          (X_1 + X_2, hidden[:, 0]), (X_1 + X_2 - 1, hidden[:, 1]),
          (X_1 + X_2 - 2 * (X_1 + X_2 - 1), 2 - (X_1 + X_2))], "Solutions", 1),
    (r"11 \cdot 20 + 21 \cdot 30 + 31 \cdot 5 = 1005", lambda count: [
        (11 * 20 + 21 * 30 + 31 * 5, 1005), (1005, count)], "Solutions", 1),
    ([r"2 (1 + 0.8) / 20 = 0.18", r"1 + \mu"], lambda mu: [
        (2 * (1 + 0.8) / 20, 0.18), ((1 + mu) * 2 / 20, 2 * (1 + mu) / 20)]),
]
# These state nothing by themselves.
NAMES = (
    r"x_i w_i b z f W w x y \hat{y} \leftarrow h a e u \alpha \sum c n s t p "
    r"\hat{y}_i y_i N i k C \eta v g \mu m \beta_1 \beta_2 \beta^t \epsilon "
    r"e^z e^{z} e^{-z} e^{c} e^{a} e^x w^2 -b W^T").split() + [
        r"p_{i, y_i}", r"w_1 x_1 + w_2 x_2 + b", r"w_1 + w_2 + b"]
STATES = r"[=<>/]|\\(geq|leq|frac|cdot|max|sqrt)"
LISTED = [formula for row in FORMULAS for formula in (
    row[0] if isinstance(row[0], list) else [row[0]])]


def test_each_formula_is_listed_in_its_place():
    assert not [name for name in NAMES if re.search(STATES, name)]
    text = plain("\n".join(re.findall("(?m)^#.*", TEXT)))
    found = list(dict.fromkeys(re.findall(r"\$\$?(.+?)\$\$?", text)))
    new, old = set(found) - {*LISTED, *NAMES}, {*LISTED, *NAMES} - set(found)
    assert not new and not old, (
        "Not listed: %s. Is it right? Then give it a row in FORMULAS, at its "
        "place, with a check of what it says (or put it into NAMES, if it "
        "states nothing). Listed, and not in the script: %s." % (new, old))
    assert [formula for formula in found if formula in LISTED] == LISTED, (
        "FORMULAS has not the script's order. Are two formulas exchanged?")


@pytest.mark.parametrize("row", FORMULAS, ids=lambda row: str(row[0]))
def test_what_a_formula_says_is_so(row, tour):
    _, check, *cell = row
    for seed in range(3):
        torch.manual_seed(seed)
        known = {"tour": tour, **letters()}
        known.update(tour.names(*cell) if cell else {})
        pairs = check(*[known[name] for name in
                        inspect.signature(check).parameters])
        for said, found, *tolerance in (
                [pairs] if isinstance(pairs, tuple) else pairs):
            torch.testing.assert_close(*torch.broadcast_tensors(*[
                torch.as_tensor(side).detach().double()
                for side in (said, found)]), atol=1e-5,
                rtol=tolerance[0] if tolerance else 1e-5)
