"""Break the tutorial in small ways, one at a time, and see what notices.

Usage: python tests/mutate.py [--only WORDS] [--jobs 2]

Each entry of MUTANTS is a wrong edit to the script or the README. It is made
in a copy, and the tests run there until one fails. A mutant counts as caught
only if a test fails, not if pytest itself does. Left out are the tests that
any edit would fail, because they compare the notebook's cells with the
script's, and the tests of form.

The table says what caught each one. "stored outputs" means that only a
comparison with the stored notebook did: the wrong edit changes what a reader
sees, but contradicts nothing else.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from definitions import SOURCES

ROOT = Path(__file__).resolve().parent.parent
SCRIPT, README = "neural_networks_fundamentals.py", "README.md"
# What is run for a mutant, one after the other, the quick tests first. Tests
# of form are not: an edit may be too long for its line, and wrong in nothing
# else.
STAGES = {
    SCRIPT: [["test_definitions.py", "test_data.py", "test_training.py",
              "test_verdicts.py"],
             ["test_script.py::test_runs_clean"],
             ["test_script.py", "test_prose.py", "-k", "set or number"],
             ["test_notebook.py"], ["test_robustness.py"],
             ["test_script.py"]],
    README: [["test_prose.py", "test_readme.py"]],
}
LEFT_OUT = ["test_notebook.py::test_cells_are_the_scripts",
            "test_notebook.py::test_ids_and_metadata_are_the_builders"]
KINDS = {"test_definitions": "tests of definitions",
         "test_data": "tests of definitions",
         "test_training": "tests of definitions",
         "test_verdicts": "tests of definitions",
         "test_script.py::test_runs_clean": "the script's own checks",
         "test_script": "other tests of the script",
         "test_prose": "numbers in prose", "test_readme": "the README's tests",
         "test_robustness": "robustness", "test_notebook": "stored outputs"}

# (words in the script, what they become).
MUTANTS = [
    # The setup.
    ("        part.write_bytes(png.getvalue())\n        part.replace(path)  "
     "# the figure is there whole or not at all\n",
     "        path.write_bytes(png.getvalue())\n"),
    ("signal.SIGINT, lambda", "signal.SIGTERM, lambda"),
    ('fig.savefig(png, format="png", dpi=100)',
     'fig.savefig(png, format="png", dpi=50)'),
    ("to within 0.00001 plus", "to within 0.0001 plus"),
    # Section 1.
    ("inputs[1] * weights[1] + bias", "inputs[1] * weights[1] - bias"),
    ("torch.clamp(z, min=0)", "torch.clamp(z, max=0)"),
    ("layer_output = X @ W.T + b", "layer_output = X @ W.T - b"),
    ('color="C0" if weight[i, j] > 0', 'color="C0" if weight[i, j] < 0'),
    ("weight = nn.Linear(sizes[column], sizes[column + 1])",
     "weight = nn.Linear(sizes[column + 1], sizes[column])"),
    # Section 2.
    ("error = target - self.predict(x)", "error = self.predict(x) - target"),
    ("self.bias = self.bias + error", "self.bias = self.bias - error"),
    ("self.bias >= 0).to(X.dtype)", "self.bias > 0).to(X.dtype)"),
    ("mistakes[-1] += 1", "mistakes[-1] = 1"),
    ("if y.shape != X.shape[:1] or not ((y == 0) | (y == 1)).all():",
     "if y.shape != X.shape[:1]:"),
    ("slope=-w1 / w2", "slope=w1 / w2"),
    ('[(0, "o"), (1, "^")]', '[(1, "o"), (0, "^")]'),
    ('xlabel="feature 1", ylabel="feature 2", ylim=(-0.7, 5)',
     'xlabel="feature 2", ylabel="feature 1", ylim=(-0.7, 5)'),
    ("xor = torch.tensor([0.0, 1.0, 1.0, 0.0])",
     "xor = torch.tensor([0.0, 1.0, 1.0, 1.0])"),
    ("torch.linspace(-2, 2, 17)", "torch.linspace(-2, 2, 15)"),
    ("the next cell tries 17 values", "the next cell tries 18 values"),
    # Section 3.
    ("z = torch.tensor(3.0, requires_grad=True)\n(z ** 2)",
     "z = torch.tensor(3.0, requires_grad=True)\n(z ** 3)"),
    ("torch.autograd.grad(function(points).sum(), points)",
     "torch.autograd.grad(function(points).mean(), points)"),
    ("torch.exp(torch.where(positive, -z, z))", "torch.exp(-z)"),
    ("1 / (1 + small), small / (1 + small)",
     "1 / (1 + small), 1 / (1 + small)"),
    ("magnitude = -decay / (decay + 2)", "magnitude = -decay / (decay + 1)"),
    ("torch.where(positive, magnitude, -magnitude)",
     "torch.where(positive, magnitude, magnitude)"),
    ("torch.where(z <= 0, torch.zeros_like(z), z)",
     "torch.where(z < 0, torch.zeros_like(z), z)"),
    ("leaky_relu(z, negative_slope=0.01)",
     "leaky_relu(z, negative_slope=0.1)"),
    ("negative_part = torch.where(positive, torch.zeros_like(z), z)",
     "negative_part = z"),
    ("alpha * torch.expm1(negative_part)", "alpha * torch.exp(negative_part)"),
    ("torch.exp(logits - logits.amax(dim=dim, keepdim=True))",
     "torch.exp(logits)"),
    ("exponentials / exponentials.sum(dim=dim, keepdim=True)",
     "exponentials / exponentials.sum(dim=0, keepdim=True)"),
    ("calculate_gain(name) / width ** 0.5", "calculate_gain(name) / width"),
    ("unit.weight -= 2.0 * unit.weight.grad",
     "unit.weight += 2.0 * unit.weight.grad"),
    ('ax.plot(z, gradient_of(function, z), label="slope")',
     'ax.plot(z, function(z), label="slope")'),
    ('ylabel="gradient size",\n       xlabel="layer (1 is nearest the input)"',
     'ylabel="gradient size",\n       xlabel="layer (1 is nearest the end)"'),
    # Section 4.
    ("h2 = torch.relu(h1 @ W2.T + b2)", "h2 = h1 @ W2.T + b2"),
    ("W2, b2 = torch.tensor([[1.0, -2.0]])",
     "W2, b2 = torch.tensor([[1.0, -1.0]])"),
    ("slopes = values.diff() / knots.diff()", "slopes = values.diff()"),
    ("network[0].bias.copy_(-knots[:-1])",
     "network[0].bias.copy_(-knots[1:])"),
    ("network[2].weight[0, 1:] = slopes.diff()",
     "network[2].weight[0, 1:] = slopes[1:]"),
    ("errors[0] / 16 ** 2", "errors[0] / 16"),
    ('xlabel="hidden unit 1",\n            ylabel="hidden unit 2"',
     'xlabel="hidden unit 2",\n            ylabel="hidden unit 1"'),
    # Section 5.
    ("hidden = self.relu(self.fc1(x))", "hidden = self.fc1(x)"),
    ("layers += [nn.Linear(size_in, size_out), activation()]",
     "layers += [nn.Linear(size_in, size_out)]"),
    ("zip(sizes, sizes[1:]):\n            layers",
     "zip(sizes, sizes):\n            layers"),
    ("784 * 128 + 128 + 128 * 10 + 10", "784 * 128 + 128 + 128 * 10"),
    ("nn.init.constant_(parameter, 0.5)", "nn.init.normal_(parameter)"),
    ("outputs_seen.clear()\n", ""),
    ("self.layers = nn.ModuleList([", "self.layers = list(["),
    ("*Expect 1005.*", "*Expect 1050.*"),
    # Section 6.
    ("torch.testing.assert_close(predictions.grad, 2 * errors / 3)",
     "torch.testing.assert_close(predictions.grad, errors / 3)"),
    ("return -right_class.mean()", "return right_class.mean()"),
    ("shifted - shifted.logsumexp(dim=1, keepdim=True)",
     "shifted - shifted.logsumexp(dim=0, keepdim=True)"),
    ("shifted = logits - logits.amax(dim=1, keepdim=True)",
     "shifted = logits"),
    ("targets.max() >= logits.shape[1]", "targets.max() > logits.shape[1]"),
    ("targets * torch.logaddexp(zeros, -logits)",
     "targets * torch.logaddexp(zeros, logits)"),
    ("return losses.mean()", "return losses.sum()"),
    ('left.plot(p, -torch.log(p), label="cross-entropy")',
     'left.plot(p, -torch.log(1 - p), label="cross-entropy")'),
    ("-2 * (1 - p) ** 2 * p", "-2 * (1 - p) * p"),
    # Section 7.
    ("return 0.5 * (curvatures", "return (curvatures"),
    ("(0.005, 0.09, 0.105)", "(0.005, 0.9, 0.105)"),
    ("limit = 2 / curvatures.max().item()",
     "limit = 1 / curvatures.max().item()"),
    ("velocity.mul_(momentum).add_(parameter.grad)",
     "velocity.mul_(1 - momentum).add_(parameter.grad)"),
    ("parameter.sub_(learning_rate * velocity)",
     "parameter.add_(learning_rate * velocity)"),
    ("mean_corrected = mean / (1 - beta1 ** step)", "mean_corrected = mean"),
    ("mean / (1 - beta1 ** step)", "mean / (1 - beta1 ** (step + 1))"),
    ("(square_corrected.sqrt() + epsilon)", "(square_corrected + epsilon)"),
    ("2 * errors.unsqueeze(1) * X", "errors.unsqueeze(1) * X"),
    ("torch.optim.SGD(old_model.parameters(), lr=0.1)",
     "torch.optim.SGD(model.parameters(), lr=0.1)"),
    ('ax.set(title=name, xlabel="w1"', 'ax.set(title=name, xlabel="w2"'),
    # Section 8.
    ("d_predictions = 2 * (predictions", "d_predictions = (predictions"),
    ("d_sums = d_hidden * (1 - hidden ** 2)",
     "d_sums = d_hidden * (1 - hidden)"),
    ("d_b1 = d_sums.sum(dim=0)", "d_b1 = d_sums.mean(dim=0)"),
    ("gap = abs((above - below) / (2 * step)",
     "gap = abs((above - below) / step"),
    ('        if placement == "first":\n            optimizer.zero_grad()\n',
     ""),
    ("return self.X[index], self.y[index]",
     "return self.X[index], self.y[index - 1]"),
    ("return math.ceil(len(self.tensors[0])",
     "return math.floor(len(self.tensors[0])"),
    ("tensors = [t.index_select(0, order) for t in tensors]",
     "tensors = [t[torch.randperm(len(t))] for t in tensors]"),
    ("if left_out != \"step()\":", "if left_out == \"step()\":"),
    ("scaler = StandardScaler().fit(X_train)  # measures",
     "scaler = StandardScaler().fit(X)  # measures"),
    ('ylabel="mean training loss"', 'ylabel="mean test loss"'),
    # Section 9.
    ("X_rest, y_rest, test_size=0.25,", "X_rest, y_rest, test_size=0.2,"),
    ("stratify=None if stratify is None else groups)", "stratify=None)"),
    ("scaler = StandardScaler().fit(X_parts[0])\nX_train, X_val, X_test",
     "scaler = StandardScaler().fit(X)\nX_train, X_val, X_test"),
    ("model.train(training)  # False is eval()", "model.train()"),
    ("torch.set_grad_enabled(training):", "torch.set_grad_enabled(True):"),
    ("                if training:\n                    "
     "optimizer.zero_grad()\n", "                if training:\n"),
    ("total + loss.detach() * len(inputs)", "total + loss.detach()"),
    ("if val_loss < best_loss:\n                best_loss = val_loss",
     "if train_loss < best_loss:\n                best_loss = train_loss"),
    ("best_loss = val_loss\n                best_weights = "
     "copy.deepcopy(model.state_dict())",
     "best_loss = val_loss\n                best_weights = "
     "model.state_dict()"),
    ("        model.load_state_dict(best_weights)\n", ""),
    ("    model.eval()\n    try:", "    try:"),
    ("torch.where(targets == 1, logits > 0, logits <= 0)",
     "torch.where(targets == 1, logits > 1, logits <= 1)"),
    ("logits = predict(model, X_val, device)\n    print(f\"{name}: "
     "validation accuracy {binary_accuracy(logits, y_val)",
     "logits = predict(model, X_test, device)\n    print(f\"{name}: "
     "validation accuracy {binary_accuracy(logits, y_test)"),
    ("val_batches = TensorBatches(X_val, y_val, batch_size=200)\nloss_fn",
     "val_batches = TensorBatches(X_test, y_test, batch_size=200)\nloss_fn"),
    ("confusion_matrix(y_test.cpu(), answers)",
     "confusion_matrix(answers, y_test.cpu())"),
    ('xlabel="predicted class",\n       ylabel="true class"',
     'xlabel="true class",\n       ylabel="predicted class"'),
    ('"mean": torch.tensor(scaler.mean_)',
     '"mean": torch.tensor(scaler.var_)'),
    ("digits.data / 16, digits.target", "digits.data / 255, digits.target"),
    ("lr=0.005)", "lr=0.05)"),
    ("StandardScaler().fit(part[0])", "StandardScaler().fit(part[1])"),
    ('ax.plot(outputs, y_parts[1], "o"', 'ax.plot(y_parts[1], outputs, "o"'),
    ("        next(model.parameters()).sum().item()  # wait for the last "
     "step\n", ""),
    ("return len(batches) / min(seconds[1:])",
     "return len(batches) / max(seconds[1:])"),
    ('axes[0].set(ylabel="steps per second"',
     'axes[0].set(ylabel="seconds per step"'),
    ("scikit-learn brings 1,797", "scikit-learn brings 1,979"),
    # The recap and the solutions.
    ("    loss.backward()                  # 4. backward\n", ""),
    ("perceptron.fit(corners, torch.tensor([1.0, 1.0, 1.0, 0.0]))",
     "perceptron.fit(corners, torch.tensor([0.0, 1.0, 1.0, 0.0]))"),
    ("limit = 2 * (1 + 0.8) / 20", "limit = 2 * (1 - 0.8) / 20"),
    ("(loss_fn(network(X[half]), targets[half]) / 2).backward()",
     "loss_fn(network(X[half]), targets[half]).backward()"),
    ("*Expect the mean, 26.5, for MSE", "*Expect the mean, 25.5, for MSE"),
]

# The same for the README.
README_MUTANTS = [
    ("scaler = StandardScaler().fit(X_train)",
     "scaler = StandardScaler().fit(X)"),
    ("        optimizer.zero_grad()                    # 1. clear the "
     "gradients\n", ""),
    ("        loss.backward()                          # 4. backward\n", ""),
    ("(model(X_test) > 0)", "(model(X_test) < 0)"),
    ("model = DistributedDataParallel(network)", "model = network"),
    ("share = slice(rank, None, world_size)", "share = slice(rank, None)"),
    ("    dist.all_reduce(total) ", "    # no sum "),
    ("test accuracy 0.960`", "test accuracy 0.980`"),
    ("`Target 3 is out of bounds.`", "`Target 3 is out of range.`"),
    ("-m pip install -r requirements.txt -r tests/requirements.txt",
     "-m pip install -r tests/requirements.txt"),
]


def section_of(text, position):
    """Return the last heading before a position of the script."""
    headings = re.findall(r"(?m)^# ## (.*)$", text[:position])
    return headings[-1].split(":")[0] if headings else "Before Section 1"


def mutate(name, before, after):
    """Return (section, what caught the mutant or None)."""
    text = (ROOT / name).read_text(encoding="utf-8")
    section = "README" if name == README else section_of(
        text, text.index(before))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        shutil.copytree(str(ROOT), str(copy), ignore=shutil.ignore_patterns(
            ".git", ".venv", ".nox", "__pycache__", "figures"))
        (copy / name).write_bytes(text.replace(before, after).encode("utf-8"))
        stages = STAGES[name]
        if name == SCRIPT and before not in "".join(SOURCES.values()):
            stages = stages[1:]  # no definition is touched
        return section, first_failure(copy, stages)


def first_failure(copy, stages):
    """Return the test that fails first in a copy, or None."""
    for stage in stages:
        process = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p",
             "no:cacheprovider", "--tb=no"]
            + ["--deselect=" + test for test in LEFT_OUT] + stage,
            cwd=str(copy / "tests"), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1200)
        output = process.stdout.decode("utf-8", "replace")
        failed = re.findall(r"(?m)^(?:FAILED|ERROR) (\S+)", output)
        if process.returncode == 1 and failed:
            return failed[0]
        if process.returncode != 0:
            sys.exit("the tests did not run:\n" + output[-3000:])
    return None


def kind_of(test):
    return next(kind for name, kind in KINDS.items() if test.startswith(name))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="words in the edit")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    mutants = [(SCRIPT,) + pair for pair in MUTANTS]
    mutants += [(README,) + pair for pair in README_MUTANTS]
    mutants = [m for m in mutants if options.only in m[1] + m[2]]
    texts = {name: (ROOT / name).read_text(encoding="utf-8")
             for name in (SCRIPT, README)}
    gone = [m for m in mutants if m[1] not in texts[m[0]]]
    for name, before, _ in gone:
        print("no longer in %s: %.60r" % (name, before))
    mutants = [m for m in mutants if m not in gone]
    for name in {mutant[0] for mutant in mutants}:
        unbroken = first_failure(ROOT, STAGES[name])
        if unbroken:
            sys.exit("fails without any mutant: " + unbroken)
    kinds, survivors = Counter(), []
    with ThreadPoolExecutor(options.jobs) as pool:
        for mutant, (section, test) in zip(
                mutants, pool.map(lambda m: mutate(*m), mutants)):
            words = " ".join(mutant[2].split()) or "(gone) " + " ".join(
                mutant[1].split())
            print("%-28.28s %-58.58s %s" % (
                section, words, test or "SURVIVED"), flush=True)
            if test:
                kinds[kind_of(test)] += 1
            else:
                survivors.append(mutant)
    for kind, count in kinds.most_common():
        print("%4d caught by %s" % (count, kind))
    print("%d caught of %d; %d are of an older text" % (
        len(mutants) - len(survivors), len(mutants), len(gone)))
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
