"""What the README says runs, and where it points exists."""

import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import build_notebook
import pytest
import torch
import torch.distributed as dist
from claims_words_late import README_SAID
from compare import differences
from conftest import environment, run_python
from definitions import parts_of
from sklearn.datasets import make_moons
from sklearn.model_selection import train_test_split
from torch.utils.data import DistributedSampler
from walk import TEXT as SCRIPT
from walk import plain

pytestmark = pytest.mark.filterwarnings("error")
ROOT, BIN = build_notebook.ROOT, str(Path(sys.executable).parent) + "/"
TEXT = build_notebook.README.read_text(encoding="utf-8")
ONE, MANY = re.findall(r"(?ms)^```python\n(.*?)^```$", TEXT)
PRINTED, = re.findall(r"(?m)^It prints `([^`]*)`\.", TEXT)
DATA = "X, y = make_moons(n_samples=1000, noise=0.2, random_state=0)\n"
LOSS, RIGHT = "nn.BCEWithLogitsLoss()", "(model(X_test) > 0) == (y_test > 0.5)"
# Runs a program, notes in which mode its network meets how many rows, and
# computes the validation loss of the weights in the end.
SPY = """
import torch
class Spy(torch.nn.Module):
    def forward(self, x):
        seen.append((self.training, torch.is_grad_enabled(), len(x)))
        return x
seen, names = [], {"Spy": Spy}
exec(text.replace("nn.ReLU()", "nn.Sequential(nn.ReLU(), Spy())"), names)
end = names.get("network", names.get("model"))
loss = names["loss_fn"](end(names["X_val"]), names["y_val"]).item()
"""


def run(text, old="", new=""):
    spied = {"text": text.replace(old, new) if old else text}
    exec(SPY, spied)
    return spied["names"], spied["seen"][:-1], spied["loss"]


def test_the_program_runs_as_pasted(capsys):
    names, seen, _ = run(ONE)
    assert differences(PRINTED, capsys.readouterr().out) == []
    assert seen == 50 * ([(True, True, 64)] * 8 + [(True, True, 50), (
        False, False, 188)]) + [(False, False, 250)]
    X, y = make_moons(n_samples=1000, noise=0.2, random_state=0)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    X, X_val, y, y_val = train_test_split(X, y, random_state=0)
    for name, part, targets in [("train", X, y), ("val", X_val, y_val),
                                ("test", X_test, y_test)]:
        part = torch.tensor((part - X.mean(axis=0)) / X.std(axis=0)).float()
        assert part.allclose(names["X_" + name], atol=1e-5)
        assert names["y_" + name].flatten().tolist() == targets.tolist()
    names, _, loss = run(ONE, "lr=0.01", "lr=0.1")  # whose last are not best
    assert abs(loss - names["best_loss"]) < 1e-6 < names["val_loss"] - loss


@pytest.mark.parametrize("old, new, words", [
    (DATA, DATA + "y = 2 * y - 1\n", "0 or 1"),
    (DATA, DATA + "X[3, 0] = float('nan')\n", "finite"),
    (DATA, DATA + "X = [['red', 'blue']] * 1000\n", "red"),
    ("lr=0.01", "lr=1e30", "the loss is not finite in epoch 0: lower lr")])
def test_the_program_says_what_is_wrong(old, new, words):
    with pytest.raises(ValueError, match=words):
        run(ONE, old, new)


# Code after the data, the row of the table for it, what is changed for that
# ("{0}" is the first piece of code in the row), and the range of the score.
@pytest.mark.parametrize("data, row, changes, low, high", [
    ("import pandas; X, y = pandas.DataFrame(X), y.tolist()", "any table", {},
     0.95, 0.97),
    ("X, y = datasets.load_breast_cancer(return_X_y=True); y = np.array(["
     "'no', 'yes'])[y]", "any table", {
         "# data": "{3}", "nn.Linear(2, 32)": "{2}"}, 0.9, 1),
    ("X, y = datasets.load_iris(return_X_y=True)", "C classes", {
        "# data": "{0}", " and np.isin(y, [0, 1]).all()": "",
        "part.{1}, dtype=torch.float32": "part, {2}", LOSS: "{4}",
        "nn.Linear(2, 32)": "nn.Linear(4, 32)", "nn.Linear(32, 1)": "{3}",
        RIGHT: "{5}"}, 0.9, 1),
    ("X, y = datasets.load_diabetes(return_X_y=True)", "a quantity", {
        "np.isin(y, [0, 1]).all()": "{0}", LOSS: "{1}",
        "nn.Linear(2, 32)": "nn.Linear(10, 32)",
        "scaler =": "mean, size = y_train.mean(), y_train.std()\nscaler =",
        "(part.reshape(-1, 1),": "((part.reshape(-1, 1) - mean) / size,",
        "(%s).float().mean()" % RIGHT: "{2}", "accuracy =": "outputs, y_test ="
        " (mean + size * z for z in (model(X_test), y_test)); accuracy ="},
     35, 55)])
def test_the_program_takes_other_data(data, row, changes, low, high, capsys):
    text = ONE.replace(DATA, "from sklearn import datasets\n%s%s\n# data\n" % (
        DATA, data))
    code = re.findall("`(.*?)`", re.findall(r"(?m)^\| %s.*" % row, TEXT)[0])
    for old, new in changes.items():
        assert old.format(*code) in text
        text = text.replace(old.format(*code), new.format(*code))
    run(text)
    assert low < float(capsys.readouterr().out.split()[-1]) <= high


def test_both_programs_read_build_and_guard_alike():
    for start, end in [("X, y =", "loss_fn"), ("    if not m", "\nmodel.l")]:
        lines = ONE[ONE.index(start):ONE.index(end)].strip()
        assert lines.replace("model", "network") in MANY
    assert "\nmodel.to(device)\n" in ONE  # as the data
    line, = re.findall("(?m)^optimizer = .*", ONE)
    assert line in MANY.splitlines()


@pytest.fixture(scope="module")
def program():
    """The names after a run whose last weights are not its best."""
    return SimpleNamespace(many=MANY, **run(ONE, "lr=0.01", "lr=0.1")[0])


@pytest.mark.parametrize("words, check", README_SAID)
def test_it_is_said_once_and_is_so(program, words, check, monkeypatch,
                                   tmp_path):
    monkeypatch.chdir(tmp_path)
    assert " ".join(TEXT.split()).count(words) == 1
    assert check(program)


def test_two_machines_train_as_one_does(tmp_path):
    """Each has one process, so both have the local rank 0."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        host = "localhost:%d" % free.getsockname()[1]
    command, = re.findall(r"(?m)^\.venv/bin/(torchrun .*HOST.*)", TEXT)
    command = command.replace("HOST:29500", host).replace("node=8", "node=1")
    agents = []
    for number in "01":
        (tmp_path / number).mkdir()
        (tmp_path / number / "train.py").write_text(
            "text = %r\n%s\ntorch.save((seen[:-1], names['order'], loss, names"
            "['best_loss'], end.state_dict()), 'kept.pt')\n" % (MANY, SPY))
        agents.append(subprocess.Popen(
            shlex.split(BIN + command), cwd=str(tmp_path / number), stdout=-1,
            env=environment(), stderr=-1, universal_newlines=True))
    printed, = filter(None, [agent.communicate(timeout=300)[0]
                             for agent in agents])
    for one, two in zip(*(re.findall(r"\d\.\d+", text)
                          for text in (PRINTED, printed))):
        assert abs(float(one) - float(two)) <= 0.02
    seen, orders, losses, best_losses, weights = zip(*(
        torch.load(str(tmp_path / number / "kept.pt")) for number in "01"))
    epochs = 50 * ([(True, True, 32)] * 8 + [(True, True, 25), (
        False, False, 94)])
    assert sorted(seen) == [epochs, epochs + [(False, False, 250)]]
    assert sorted(torch.cat(orders).tolist()) == list(range(562))
    sampler = DistributedSampler(range(562), num_replicas=2, rank=0)
    sampler.set_epoch(49)
    assert list(sampler) in [order.tolist() for order in orders]
    assert losses == pytest.approx(best_losses, rel=1e-5)
    file, = tmp_path.glob("*/model.pt")
    saved, scaler = torch.load(str(file)), run(ONE)[0]["scaler"]
    for name in saved["model"]:
        assert saved["model"][name].equal(weights[0][name])
        assert saved["model"][name].equal(weights[1][name])
    assert saved["mean"].tolist() == scaler.mean_.tolist()
    assert saved["scale"].tolist() == scaler.scale_.tolist()


@pytest.mark.parametrize("gpu, nccl, wanted", [
    (True, True, ["nccl", torch.device("cuda", 1)]), (False, True, ["gloo"]),
    (True, False, ["gloo", torch.device("cuda", 1)])])
def test_a_gpu_is_chosen_by_the_local_rank(monkeypatch, gpu, nccl, wanted):
    chosen = []
    for place, name, stub in [
            (torch.cuda, "is_available", lambda: gpu),
            (torch.cuda, "set_device", chosen.append),
            (dist, "is_nccl_available", lambda: nccl),
            (dist, "init_process_group", chosen.append),
            (dist, "get_rank", lambda: 9), (dist, "get_world_size", int)]:
        monkeypatch.setattr(place, name, stub)
    monkeypatch.setenv("LOCAL_RANK", "1")
    exec(MANY[:MANY.index("torch.manual_seed")], {})
    assert chosen == wanted


def test_links_point_at_their_lines():
    lines, places = SCRIPT.splitlines(), []
    for text, path, line in re.findall(
            r"\[([^]]*)\]\((?!https)([^)#]+)(?:#L(\d+))?\)", TEXT):
        assert (ROOT / path).is_file(), path
        if line:
            places.append(int(line))
            assert re.match("# ###? (Deeper: )?%s|(def|class) %s\\b" % (
                re.escape(text), text.strip("`")), lines[int(line) - 1])
    parts = [number for number, line in enumerate(lines, start=1)
             if re.match(r"# ## \d|# ### (?!Exercise)", line)]
    assert places[:len(parts)] == parts  # the first table holds them all
    assert build_notebook.link_sections(TEXT, SCRIPT) == TEXT


def test_words_are_the_bold_ones_and_lead_where_they_are_bold_first():
    told = re.findall(r"\*\*([^*]+)\*\*(?:(?!\*\*|#L)[\s\S])*#L(\d+)\)",
                      TEXT.split("\n## Words\n")[1].split("\n## ")[0])
    bold, lines = {}, SCRIPT.splitlines()
    for part in parts_of(SCRIPT, with_sections=True):
        prose = "\n".join(text for kind, text in part.cells if kind != "code")
        line = lines.index(prose.splitlines()[0]) + 1
        for term in re.findall(r"\*\*([^*]+)\*\*", plain(prose)):
            bold.setdefault(term.lower(), line)
    assert {term.lower(): int(line) for term, line in told} == {
        term: line for term, line in bold.items()
        if term[-1] != "." and term != "2 / curvature"}


def test_length():
    assert len(TEXT.splitlines()) <= 420
    assert max(map(len, (ONE + MANY).splitlines())) <= 79


def test_commands_name_what_is_there():
    test, = re.findall(r"(?m)^python3 .* -m pytest tests$", TEXT)
    assert test in (ROOT / ".ci" / "run").read_text().splitlines()
    for name in re.findall(r"\.venv/bin/([\w-]+)", TEXT):
        assert Path(BIN, name).exists(), name
    for name in re.findall(r"tests/[\w.]+", TEXT):
        assert (ROOT / name).is_file(), name


def test_the_benchmark_times_every_loop_of_the_table(tmp_path):
    script = ROOT / "tests" / "benchmark_training.py"
    options = "--hidden 16 --samples 2048 --epochs 8 --repeats 2 --batch-sizes"
    result = run_python([str(script), *options.split(), "256"], tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    accuracies = re.findall(r"(?m)^\| 256 .* (\S+) \|$", result.stdout)
    assert all(0.3 < float(accuracy) < 1 for accuracy in accuracies)
    head, _, *rows = TEXT.split("| Loop |")[1].split("\n\n")[0].splitlines()
    assert len(rows) == len(accuracies)
    assert "default=%s" % [int(size) for size in re.findall(
        r"\d+", head.replace(",", ""))] in script.read_text(encoding="utf-8")


def test_the_versions_are_those_that_nox_tests():
    noxfile = (ROOT / "tests" / "noxfile.py").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| (\d\.\d+)\.\d+ \| (.*) \|$", TEXT)
    assert rows[:2] == [(python, " | ".join(re.findall('==([^"]+)', pins)[:4]))
                        for python, pins in re.findall(
        r'(?s)session\(python="(.*?)"\).*?check\((.*?)\)', noxfile)]
    assert re.findall("(?m)^[a-z-]+", (ROOT / "requirements.txt").read_text()
                      ) == ["torch", "numpy", "numpy", "matplotlib",
                            "scikit-learn", "jupyter"]
