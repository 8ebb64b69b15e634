"""Rows of test_claims.py: Sections 6 to 8; k holds the numbers printed."""

import re
from timeit import repeat  # noqa: F401 (the tables call it)

from compare import differences
from definitions import CELLS  # noqa: F401
from walk import always

PRINTED = """
>Mean Squared 0: MSE {5 / 3}, slopes tensor([{-2 / 3}, 0.0, {4 / 3}])
>Mean Squared 1: {" ".join("Targets of shape %s: %d pairs, MSE of perfect "
"predictions %f" % row for row in [((8,), 64, 10.5), ((8, 1), 8, 0)])}
>Cross-Entropy 1: Knowing nothing of 3 classes: {np.log(3)}; log 3 = 1.0986
Sure and right: 0.0; with one softmax too many {np.log(1 + 2 / np.e)} Class
numbers as floats raise a RuntimeError:\n(message)
>Binary 1: Slopes of BCELoss, BCEWithLogitsLoss and ours: [0.0, 1.0, 1.0]
>One Recipe 0: {" ".join("%s: mean of -log p %s, loss %s" % (name, loss, loss)
for name, loss in zip("normal Laplace Bernoulli categorical".split(), k[::2]))}
>One Recipe 1: {" ".join("p = %f: slope of square %f, of -log %f" % (p, -2 * (1
- p) ** 2 * p, p - 1) for p in 1 / (1 + np.exp([8, 0, -2])))}
>Gradient Descent 1: {" ".join("rate %s: last loss %.4f" % (rate, ravine(paths[
rate][-1])) for rate in (0.005, 0.09, 0.105))}
>Learning Rate 0: {" ".join("learning rate %s: each step keeps %f of w1 and %f"
" of w2" % (rate, 1 - rate, 1 - 20 * rate) for rate in (0.005, 0.09, 0.105))}
>Linking 0: {" ".join("%s: loss 63.0 -> %.1e" % (rule, ravine(paths[rule][-1]))
for rule in rules)} Adam's first step: tensor([ 0.7, -0.7])
>Linking 2: The optimizer of the old model moves the model's weight: False The
optimizer of the model moves the model's weight: True
>Adam, and 1: Adam: the weights end at {k[0]} and {k[1]} AdamW: the weights end
at {0.995 ** 200:.2f} and {0.995 ** 200:.2f}
>Forward Propagation: 0: Total, ReLU, output, error, loss: 5.0 5.0 10.0 1.0 1.0
>Backward 0: slopes: output 2.0, w2 10.0, b2 2.0, hidden 4.0, total 4.0, w1
8.0, b1 4.0
>Backward 2: w1 = 3.001: loss {1.004 ** 2}, slope {(1.004 ** 2 - 1) * 1000:.2f}
Slopes of w1, b1, w2 and b2, by PyTorch: [8.0, 4.0, 10.0, 2.0]
>Optimizer Step 0: w1, b1, w2 and b2 after one step: 2.992 -1.004 1.990 -0.002
Loss 1.0 -> {(1.99 * (2.992 * 2 - 1.004) - 0.002 - 9) ** 2}
>Zeroing 0: {" ".join("cleared: %s; slope of b2 %f" % row for row in zip((True,
False, True), 2 * 0.9082 * np.array([1, 2, 1])))}
>Iterating 0: {" ".join("epoch %d: mean loss %s" % row for row in zip(
np.arange(1, 5) * epoch // 4, k[1:6:2] + [total]))}
>Backpropagation for 0: loss.backward() gives the same gradients; that of W1: {
network[0].weight.grad}
>An Engine 1: Slopes of w1, b1, w2 and b2: 8.0 4.0 10.0 2.0
>An Engine 2: After d, c passes on first: slope of a 12.0 After d, b passes on
first: slope of a 8.0
>An Engine 3: Slopes of a and b, by both: [{a.grad}, {b.grad}]
>An Engine 4: XOR, by your engine: {"%.2f %.2f %.2f %.2f" % tuple(answers)}
>What Each 1: {" ".join("left out: %s last loss %s, accuracy %s" % (part, loss
if loss < 2 else "over 2", right) for part, (loss, right) in means.items())}
>Why Layers 0: {" ".join("broken by %d%%, step %d: error %.3f, first weights "
"%.2f to %.2f" % (100 * size, n, loss, *ends) for ((size, n), loss), ends in
zip(errors.items(), [k[4:2:-1], k[9:7:-1], k[13:15], weights.data.aminmax()]))}
>What Mends 0: {" ".join("%s: loss %.3f after %d steps" % (mend, ends[-1], len(
ends)) for mend, ends in losses.items())}
>XOR, Trained 0: {" ".join("%d hidden units: %d of 200 find XOR; others: loss "
"%s" % row for row in zip((2, 4, 8), found, re.findall("loss (.*)", printed)))}
"""
SAID = r"""
>Cross-Entropy 1: can round to 0 :: softmax(logits, 1)[2, 0].log() == -np.inf
>Cross-Entropy 1: near $\log C$ for $C$ classes, if its inputs are not large ::
[abs(cross_entropy(MLP(20, [32], 9)(size * torch.randn(200, 20)), torch.arange(
200) % 9) - np.log(9)) < 0.2 for size in (1, 300)] == [1, 0]
>Cross-Entropy 1: the loss can never come near zero :: right == 0 < 0.5 < twice
>Binary 1: $\sigma(20)$ is exactly 1 :: sigmoid(torch.tensor(20.0)) == 1
>Binary 1: which is a probability above one half :: all((z > 0) == (p > 0.5))
>One Recipe 1: factors may round to 0 :: torch.full((1000,), 0.5).prod() == 0
>Linking 1: Ellipses join points of equal loss, the cross is the lowest point,
and each dot is where a step landed. :: [np.ptp(i.collections[0].get_paths()[
1].vertices ** 2 @ [1, 20]) < 1 and all(map(np.array_equal, i.lines[
0].get_xydata(), p)) and [i.get_title().split()[-1], i.get_xlabel(),
i.get_ylabel(), i.lines[1].get_marker(), *i.lines[1].get_xydata()[0]] for i, p
in zip(panels("07_learning_rates") + panels("07_trajectories"),
paths.values())] == [[str(p), "w1", "w2" * (p in (0.005, "SGD")), "x", 0, 0]
for p in paths]
>Gradient Descent 2: Left: steps so short that 40 do not arrive. Middle: it
jumps across the steep direction at first, and settles. Right, its first steps
only: each lands further out along w2. :: (lambda slow, fast, far: slow[40, 0]
< -5 and fast[1, 1] < 0 < fast[2, 1] and min(fast[40]) > -0.3 and len(far) < 20
and min(np.diff(abs(far[:, 1]))) > 0)(*[i.lines[0].get_xydata() for i in
panels("07_learning_rates")])
>Gradient Descent 2: four times the batch halves the noise :: (lambda x: [
round(float(2 ** n * x[torch.randint(999, (9999, 4 ** n))].mean(1).std() /
x.std()), 1) for n in range(4)])(torch.arange(999.0)) == 4 * [1]
>SGD with 0: to and fro cancel :: sum((-0.9) ** n for n in range(99)) < 1
>Linking 1: SGD jumps across the ravine and creeps along it; momentum arrives
much closer in as many steps. Adam begins with equal steps in both directions,
overshoots and turns back. :: (lambda sgd, quick, adam: max(sgd[1:, 1] * sgd[
:-1, 1]) < 0 > max(sgd[:, 0]) < -1e3 * abs(quick[40]).max() and adam[40, 0] < 1
< max(adam[:, 0]) and np.ptp(abs(adam[1] - adam[0])) < 1e-6)(*[torch.stack(
paths[rule]).numpy() for rule in rules])
>Adam, and 1: SGD without momentum that is the same as :: [abs((lambda w, v: [
setattr(w, "grad", w / 2) or sgd_step(w, v, 0.01, mu) for _ in range(99)] and w
- 0.995 ** 99)(*torch.eye(2)[:, :1])) > 1e-5 for mu in (0, 0.9)] == [0, 1]
>Adam, and 1: drowns in large slopes and swamps :: k[0] > 0.9 > 0.1 > k[1]
>Backward 1: Each slope is the one at the tip of its arrow, times how fast the
tip :: [(i.get_text(), j.get_text(), j.get_style(), i.get_position()[1] >
j.get_position()[1]) for i, j in zip(ax.texts[:18:2], ax.texts[1::2])] == [(
"%s\n%s" % (globals()[name], name), str(globals().get("d_" + name, {"x":
""}.get(name, 1.0))), "italic", True) for name, *_ in nodes] and " ".join(
place[i.xyann] + "-" + place[i.xy] for place in [{node[1:3]: node[0] for node
in nodes}] for i in ax.texts[18:]) == "x-total w1-total "
"b1-total total-hidden hidden-output w2-output b2-output output-loss"
>Zeroing 0: *adds* to `.grad` :: all(c.count("optimizer.zero_grad()") >=
c.count("optimizer.step()") for c in CELLS if ".backward()" in c)
>Iterating 0: It is the first look :: 0.4 < loss_fn(model(X), y) / total < 2.5
>Iterating 2: it is several times quicker to gather the rows of each batch in
one go :: (lambda slow, fast: slow > 3 * fast)(*[min(repeat(lambda: list(
batches), number=1, repeat=3)) for batches in (DataLoader(TensorDataset(X), 50,
shuffle=True), TensorBatches(X, batch_size=50, shuffle=True))])
>Iterating 3: every sample must come once in an epoch :: sorted(re.findall(
r"\d+", printed)) == sorted("12" + 2 * "0123456789")
>What Each 1: so take the means of several :: np.allclose(means["eval()"], sum(
np.array(left_out("eval()", seed + t.shift)) for seed in range(3)) / 3)
>What Each 1: Without `step()` the loss stays. Without `zero_grad()` old
gradients keep pushing, and the loss runs away :: 0.5 < means["step()"][0] <
0.9 and 0.5 < means["zero_grad()"][1] < 2 < means["zero_grad()"][0]
>Why Layers 0: in time the units part :: weights.std() > 0.2
>What Mends 0: each layer shrinks the differences :: (lambda f, x: f(x).std(
0).max() < 1e-3 > gradient_of(f, x).norm())(nn.Sequential(*[i for _ in range(
20) for i in (nn.ReLU(), nn.Linear(16, 16))]), torch.eye(16))
>What Mends 1: The black line stays at $\log 2 = 0.693$ :: {i.get_label():
list(i.get_ydata()) for i in ax.lines} == losses and [i.get_label() for i in
ax.lines if i.get_color() == "k"] + [ax.get_xlabel(), ax.get_ylabel()] == [
"no mend", "steps taken", "loss"] and np.ptp(losses["no mend"]) < 0.03
>XOR, Trained 0: two corners are sure and two stay at one half; at 0.48 one is
sure, and the others share an answer. :: (lambda rest: {*re.findall(r"0\.\d\d",
printed)} <= {*rest} and right.sum() == found[2] and all(np.allclose(sorted(
missed), rest["%.2f" % loss], 0, 0.1) for loss, missed in zip(losses[
~right].tolist(), abs(logits.sigmoid() - targets).T[~right].tolist())))({
"0.69": [0.5] * 4, "0.35": [0, 0, 0.5, 0.5], "0.48": [0, 1 / 3, 1 / 3, 2 / 3]})
"""


def row(part, cell, words, claim):
    def check(t):
        k, printed = (f(part, int(cell)) for f in (t.numbers, t.printed))
        names = {**globals(), **t.names(part, int(cell)), "t": t, "k": k,
                 "printed": printed, "panels": lambda f: t.figures[f].axes}
        wrong = not eval("(%s)" % claim, names) if claim else differences(
            eval("f'''%s'''" % words, names), printed)
        return not wrong or print(wrong)
    return (part, " ".join(words.split()), check if re.search(
        r"\bax\b|panels", claim) else always(check))[::1 if claim else 2]


SAID, SHOWN = [[row(*match) for match in re.findall(
    r"(?ms)^>(.*?) (\d):\s(.*?)(?:\s::\s(.*?))?(?=\n>[A-Z]|\n\Z)", table)]
    for table in (SAID, PRINTED)]
