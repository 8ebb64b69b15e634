"""What the README says runs, and where it points exists."""

import re
import socket
import subprocess
import sys

import build_notebook
import numpy as np
import pytest
import torch
from compare import differences
from conftest import environment, run_python
from definitions import IMPORTS, NEEDS, SOURCES, parts_of
from sklearn.datasets import make_moons
from sklearn.model_selection import train_test_split
from torch.utils.data import DistributedSampler

ROOT = build_notebook.ROOT
TEXT = build_notebook.README.read_text(encoding="utf-8")
PROGRAMS = re.findall(r"(?ms)^```python\n(.*?)^```$", TEXT)
PRINTED, = re.findall(r"(?m)^It prints `([^`]*)`\.", TEXT)
COMMANDS = re.findall(r"(?ms)^```bash\n(.*?)^```$", TEXT)
COPIED = re.findall(r"(?m)^\| \[`(\w+)`\]\([^)]*\) \| [^|]* \| (.*) \|$", TEXT)
TRAINING = """PAIR = torch.ones(3, 2), torch.ones(3, 1)
model = nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
"""


def anchor(heading):
    """Return the anchor that GitHub gives to a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


# What torchrun runs, and a pasted program whose weights it keeps.
TORCHRUN = ["-m", "torch.distributed.run", "--standalone"]
KEEP_WEIGHTS = """
import os
import runpy
import warnings

import torch

warnings.simplefilter("error")
names = runpy.run_path("pasted.py", run_name="__main__")
torch.save((names["network"].state_dict(), names["order"].tolist()),
           "rank%s.pt" % os.environ["RANK"])
"""


def results_of(result):
    """Return the validation loss and the test accuracy that a run prints."""
    assert result.returncode == 0, result.stderr
    (loss, accuracy), = re.findall(
        r"validation loss (\d\.\d+), test accuracy (\d\.\d+)", result.stdout)
    return float(loss), float(accuracy)


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    """A run of the complete program, as pasted."""
    folder = tmp_path_factory.mktemp("pasted")
    (folder / "pasted.py").write_bytes(PROGRAMS[0].encode("utf-8"))
    return run_python(["-W", "error", "pasted.py"], folder)


def test_the_program_runs_as_pasted(one_process):
    assert (one_process.returncode, one_process.stderr) == (0, "")
    assert differences(PRINTED, one_process.stdout) == []


DATA = "X, y = make_moons(n_samples=1000, noise=0.2, random_state=0)\n"


@pytest.mark.parametrize("change, words", [
    ("y = 2 * y - 1", "0 or 1"), ("y = y + 1", "0 or 1"),
    ("X[3, 0] = float('nan')", "finite"), ("X = X.astype(str)", None),
    ("import pandas as pd; X, y = pd.DataFrame(X), pd.Series(y)", None),
    ("X, y = X.tolist(), y.tolist()", None),
    ("y = np.where(y == 1, 'yes', 'no'); y = y == 'yes'", None),
    ("X = X.astype(object); X[0, 0] = 'red'", "red")])
def test_the_program_takes_what_people_bring(tmp_path, change, words):
    assert DATA in PROGRAMS[0] and DATA in PROGRAMS[1]
    text = PROGRAMS[0].replace(DATA, DATA + change + "\n")
    (tmp_path / "pasted.py").write_bytes(text.encode("utf-8"))
    result = run_python(["pasted.py"], tmp_path)
    if words is None:
        assert differences(PRINTED, result.stdout) == []
    else:
        assert re.search(words, result.stderr.strip().splitlines()[-1])


TABLES = {  # what to bring, and what the table says to change for it
    "C classes": [
        (DATA, "from sklearn.datasets import load_iris\n"
               "X, y = load_iris(return_X_y=True)\n"
               "classes, y = np.unique(y, return_inverse=True)\n"),
        ('np.asarray(y, dtype="float32")', "np.asarray(y)"),
        (" and np.isin(y, [0, 1]).all()", ""),
        ("part.reshape(-1, 1), dtype=torch.float32",
         "part, dtype=torch.int64"),
        ("nn.Linear(2, 32)", "nn.Linear(X.shape[1], 32)"),
        ("nn.Linear(32, 1)", "nn.Linear(32, len(classes))"),
        ("nn.BCEWithLogitsLoss()", "nn.CrossEntropyLoss()"),
        ("((model(X_test) > 0) == (y_test > 0.5))",
         "(model(X_test).argmax(dim=1) == y_test)")],
    "a quantity": [
        (DATA, "from sklearn.datasets import load_diabetes\n"
               "X, y = load_diabetes(return_X_y=True)\n"),
        ("np.isin(y, [0, 1]).all()", "np.isfinite(y).all()"),
        ("scaler = ", "mean, deviation = y_train.mean(), y_train.std()\n"
                      "scaler = "),
        ("part.reshape(-1, 1),", "(part.reshape(-1, 1) - mean) / deviation,"),
        ("nn.Linear(2, 32)", "nn.Linear(X.shape[1], 32)"),
        ("nn.BCEWithLogitsLoss()", "nn.MSELoss()"),
        ("((model(X_test) > 0) == (y_test > 0.5)).float()",
         "deviation * (model(X_test) - y_test).abs()")],
}


@pytest.mark.parametrize("yours, low, high", [
    ("C classes", 0.85, 1.0), ("a quantity", 35.0, 55.0)])
def test_the_program_as_changed_for_your_data(tmp_path, yours, low, high):
    text = PROGRAMS[0]
    for old, new in TABLES[yours]:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "pasted.py").write_bytes(text.encode("utf-8"))
    result = run_python(["-W", "error", "pasted.py"], tmp_path)
    score, = re.findall(r"test accuracy (\S+)", result.stdout)
    assert low < float(score) <= high
    row, = [line for line in TEXT.splitlines()
            if line.startswith("| %s | `cl" % yours)
            or line.startswith("| %s | the ch" % yours)]
    for code in re.findall(r"`([^`]+)`", row)[:1]:
        assert code in text


def test_a_loss_that_is_not_finite_is_named(tmp_path):
    text = PROGRAMS[0].replace("lr=0.01", "lr=1e30")
    (tmp_path / "pasted.py").write_bytes(text.encode("utf-8"))
    stderr = run_python(["pasted.py"], tmp_path).stderr
    assert re.search("ValueError: the loss is not finite in epoch ", stderr)


def test_two_processes_train_as_one_does(one_process, tmp_path):
    (tmp_path / "pasted.py").write_bytes(PROGRAMS[1].encode("utf-8"))
    (tmp_path / "keep.py").write_bytes(KEEP_WEIGHTS.encode("utf-8"))
    result = run_python(TORCHRUN + ["--nproc_per_node=2", "keep.py"], tmp_path)
    for one, other in zip(results_of(result), results_of(one_process)):
        assert abs(one - other) <= 0.02
    (one, order), (other, other_order) = (
        torch.load(str(tmp_path / ("rank%d.pt" % rank))) for rank in (0, 1))
    assert sorted(order + other_order) == list(range(562))  # half each
    sampler = DistributedSampler(range(562), num_replicas=2, rank=0)
    assert order != list(sampler)  # that of the first epoch
    sampler.set_epoch(49)
    assert order == list(sampler)
    saved = torch.load(str(tmp_path / "model.pt"))
    X, y = make_moons(n_samples=1000, noise=0.2, random_state=0)
    for _ in range(2):
        X, _, y, _ = train_test_split(X, y, random_state=0)
    for kept, whole in [(saved["mean"], X.astype("float32").mean(axis=0)),
                        (saved["scale"], X.astype("float32").std(axis=0))]:
        np.testing.assert_allclose(kept, whole, rtol=1e-5)
    assert set(saved) == {"model", "mean", "scale"}
    assert set(saved["model"]) == set(one)
    for name, weights in saved["model"].items():
        assert torch.equal(one[name], other[name])
        assert torch.equal(one[name], weights)
    assert float(saved["model"]["0.weight"].norm()) > 0


def test_on_two_machines_one_process_writes(tmp_path):
    """Two agents of one process each: both have the local rank 0."""
    agents = []
    with socket.socket() as free:
        free.bind(("localhost", 0))
        endpoint = "--rdzv_endpoint=localhost:%d" % free.getsockname()[1]
    for number in (0, 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "train.py").write_bytes(PROGRAMS[1].encode("utf-8"))
        agents.append(subprocess.Popen(
            [sys.executable] + TORCHRUN[:2] + [
                "--nnodes=2", "--nproc_per_node=1", "--rdzv_backend=c10d",
                endpoint, "train.py"],
            cwd=str(folder), env=environment(), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE))
    printed = [agent.communicate(timeout=300)[0] for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0]
    assert sum(text.count(b"test accuracy") for text in printed) == 1
    assert len(list(tmp_path.glob("*/model.pt"))) == 1


def test_the_programs_are_two_and_fit():
    assert len(PROGRAMS) == 2
    code = [line for line in PROGRAMS[0].splitlines() if line.strip()]
    assert 30 <= len(code) <= 48
    for line in "".join(PROGRAMS).splitlines():
        assert len(line) <= 79


def test_links_lead_somewhere():
    anchors = {anchor(h) for h in re.findall(r"(?m)^#+ (.*)$", TEXT)}
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert links
    for link in links:
        if link.startswith("#"):
            assert link[1:] in anchors
        elif not link.startswith("https://"):
            assert (ROOT / link.split("#")[0]).is_file(), link


def test_links_into_the_script_point_at_their_lines(script_text):
    lines = script_text.splitlines()
    links = re.findall(r"\[([^\]]*)\]\([^)#]*\.py#L(\d+)\)", TEXT)
    for text, number in links:
        line = lines[int(number) - 1]
        assert text.strip("`") in line, text
        assert re.match("# ###? |def |class ", line), line
    parts = [part for part in parts_of(script_text)
             if not part.title.startswith("Exercise")]
    sections = [text for text, _ in links if re.match(r"\d\. ", text)]
    assert len(sections) == 9
    assert len(links) == len(parts) + 9 + len(COPIED)
    assert build_notebook.link_sections(TEXT, script_text) == TEXT


def test_the_picture_names_every_section():
    picture, = re.findall(r"(?ms)^```mermaid\n(.*?)^```$", TEXT)
    assert {int(n) for n in re.findall(r"\d", picture)} == set(range(1, 10))


# What to do with each part that is worth copying, to see that it works.
USES = {
    "MLP": "assert MLP(2, [3], 1)(torch.zeros(4, 2)).shape == (4, 1)",
    "TensorBatches": "assert len(list(TensorBatches(torch.zeros(5, 2), "
                     "batch_size=2, shuffle=True))) == 3",
    "split_in_three": "assert len(split_in_three(np.zeros((10, 2)), "
                      "np.zeros(10), 0)[0][0]) == 6",
    "to_tensors": "assert to_tensors([[[1, 2]]])[0].dtype == torch.float32",
    "check_targets": "check_targets(torch.zeros(2, 1), torch.ones(2, 1), "
                     "nn.BCEWithLogitsLoss())",
    "check_batch": "check_batch(nn.Linear(2, 1), torch.zeros(3, 2), "
                   "torch.ones(3, 1), nn.MSELoss())",
    "train_epoch": TRAINING + "assert train_epoch(model, [PAIR], "
                   "nn.MSELoss(), optimizer) > 0",
    "evaluate": TRAINING + "assert evaluate(model, [PAIR], nn.MSELoss()) > 0",
    "fit": TRAINING + "history = fit(model, [PAIR], [PAIR], nn.MSELoss(), "
           "optimizer, 3)\nassert len(history['val_loss']) == 3",
    "predict": "assert predict(nn.Linear(2, 1), [[1, 2]]).shape == (1, 1)",
    "classify": """torch.save({"sizes": [1, [2], 1], "activation": "ReLU",
    "weights": MLP(1, [2], 1).state_dict(), "mean": torch.zeros(1),
    "scale": torch.ones(1), "classes": ["a", "b"]}, "file.pt")
assert classify("file.pt", [[0.5]])[0][0] in "ab\"""",
}


def test_each_part_to_copy_has_a_use():
    assert [row[0] for row in COPIED] == list(USES)


@pytest.mark.parametrize("name, needs", COPIED)
def test_parts_work_when_pasted_with_what_they_need(name, needs, tmp_path):
    needed = re.findall(r"`(\w+)`", needs)
    assert sorted(needed) == sorted(NEEDS[name])
    text = "\n".join([IMPORTS] + [SOURCES[part] for part in needed]
                     + [SOURCES[name], USES[name], ""])
    (tmp_path / "pasted.py").write_bytes(text.encode("utf-8"))
    result = run_python(["-W", "error", "pasted.py"], tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


def test_length():
    assert 120 <= len(TEXT.splitlines()) <= 420


def test_ci_runs_the_test_command_as_written():
    test_commands = [c.strip() for c in COMMANDS if "pytest" in c]
    assert len(test_commands) == 1
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert test_commands[0] in ci
    assert "nox" in "".join(ci)


def test_the_versions_are_those_that_nox_tests():
    rows = [row.split(" | ") for row in re.findall(
        r"(?m)^\| (\d+\.\d+\.\d+ \| .*) \|$", TEXT)]
    noxfile = (ROOT / "tests" / "noxfile.py").read_text(encoding="utf-8")
    pythons = re.findall(r'session\(python="([\d.]+)"\)', noxfile)
    pins = re.findall(r'"torch==(\S+)", "numpy==(\S+)", "matplotlib==(\S+)",'
                      r'\s+"scikit-learn==([\d.]+)"', noxfile)
    assert len(rows) == 3 and len(pins) == len(pythons) == 2
    for row, python, pinned in zip(rows, pythons, pins):
        assert row[0].startswith(python + ".") and row[1:] == list(pinned)
    newer = [tuple(map(int, row[1].split("."))) for row in rows]
    assert newer == sorted(newer)


def test_the_run_command_names_the_script_and_the_requirements():
    run_commands = [c for c in COMMANDS if "requirements.txt" in c
                    and build_notebook.SCRIPT.name in c]
    assert len(run_commands) == 1


def test_requirements_are_the_five_packages():
    lines = [line for line in (ROOT / "requirements.txt").read_text()
             .splitlines() if not line.startswith("#")]
    assert [re.split(r"[<>=]", line)[0] for line in lines] == [
        "torch", "numpy", "numpy", "matplotlib", "scikit-learn", "jupyter"]
    assert lines[2].startswith("numpy<2; sys_platform == \"darwin\"")
