"""The script runs whole and in sections, anywhere, or says what to do."""

import ast
import os
import re

import build_notebook
import pytest
from compare import FIGURES, is_blank
from conftest import run_python
from definitions import CELLS, code_cells, is_definition_cell, parts_of

SCRIPT = str(build_notebook.SCRIPT)
TEXT = build_notebook.SCRIPT.read_text(encoding="utf-8")
PIECES = re.split(r"(?m)^# %% \[markdown\]\n# ## (.*)\n", TEXT)
SECTIONS = dict(zip(PIECES[1::2], map(code_cells, PIECES[2::2])))


def without_titles(text):
    """Return what a script prints beside titles, names and blank lines."""
    return re.sub(r"(?m)^.*\n=+\n|^# .*\n|^\[figure .*\]\n|^\n", "", text)


def test_runs_clean(run):
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.endswith("every assertion on the way has held.\n")
    printed = re.findall(r"(?m)^# .+|^.+(?=\n=+$)", run.stdout)
    titles = re.findall(r"(?m)^# #(?:# (.+)|#(# .+))", TEXT)
    assert printed == ["".join(title).replace("`", "") for title in titles]
    assert not re.search(r"(?m)^(?!# ).{80}|\d\.\d{5}", run.stdout)
    names = re.findall(r"\[figure saved: figures/(.*)\.png\]", run.stdout)
    assert names == FIGURES.findall(TEXT)
    assert sorted(names) == sorted(run.figures)
    assert not any(map(is_blank, run.figures.values()))


def run_cells(sources, folder):
    path = folder / "cells.py"
    path.write_bytes("\n\n".join(sources).encode("utf-8"))
    result = run_python(["-W", "error", str(path)], folder)
    assert (result.returncode, result.stderr) == (0, "")
    return result


@pytest.mark.parametrize("title", [t for t in SECTIONS if SECTIONS[t]][1:])
def test_a_section_alone_prints_what_it_prints_in_a_run(run, tmp_path, title):
    before = CELLS[1:CELLS.index(SECTIONS[title][0])]
    result = run_cells(CELLS[:1] + list(filter(is_definition_cell, before))
                       + SECTIONS[title], tmp_path)
    text = without_titles(result.stdout).split("\n", 1)[1]  # not the set-up's
    assert text in without_titles(run.stdout)
    assert result.figures.items() <= run.figures.items()


def test_the_core_runs_without_the_deeper_parts(tmp_path):
    core = [source for part in parts_of(TEXT, with_sections=True)
            for kind, source in part.cells
            if kind == "code" and not part.title.startswith("Deeper: ")]
    assert len(core) < len(CELLS) - 20
    run_cells(core, tmp_path)


def test_the_test_set_is_neither_learnt_from_nor_chosen_by():
    learning = {"fit", "TensorBatches", "train_epoch", "check_batch",
                "evaluate", "models", "hidden_sizes"}
    users = []
    for node in ast.walk(ast.parse("\n".join(
            cell for cell in CELLS if not is_definition_cell(cell)))):
        heads = [node.func] if isinstance(node, ast.Call) else [
            node.iter, node.target] if isinstance(node, ast.For) else []
        if learning & {getattr(part, "id", "") for head in heads
                       for part in ast.walk(head)}:
            users.append(type(node))
            assert not [part.id for part in ast.walk(node) if "test" in
                        getattr(part, "id", "")], ast.dump(node)
    assert users.count(ast.Call) >= 10 and ast.For in users
    seen = re.findall(r"StandardScaler\(\)\.fit\((.*?)\)", TEXT)
    assert set(seen) == {"X[:400]", "X_parts[0]", "p[0]"}  # for training


# Section 9 and the solutions, where data is split.
LATE = [cell for title in SECTIONS if re.match("9|Solutions", title)
        for cell in SECTIONS[title]
        if not is_definition_cell(cell) and "Perceptron" not in cell]
# What names data there, and which set it is; "" is for any other.
DATA = (r"\b(?:(?:[Xyp]|images|labels|\w+_(?:parts|sets))\b(\[\d\])?"
        r"|[Xy]_(\w+))")
SETS = {"[0]": "training", "train": "training", "[1]": "validation",
        "val": "validation", "[2]": "test", "test": "test"}
# Which sets functions take, by the place of the argument.
TAKES = {"fit": ["", "training", "validation"],
         "train_epoch": ["", "training"], "evaluate": ["", "validation"]}


def calls_in(cell):
    """Return (name of the function, call, its source) for all in a cell."""
    return [(getattr(node.func, "id", getattr(node.func, "attr", "")), node,
             ast.get_source_segment(cell, node))
            for node in ast.walk(ast.parse(cell))
            if isinstance(node, ast.Call)]


def assigned_in(cell):
    """Return {name: source} for what a cell gives a name, but data."""
    found = {}
    for node in ast.walk(ast.parse(cell)):
        if isinstance(node, ast.Assign):
            pairs = [(node.targets[0], node.value)]
            if all(isinstance(side, ast.Tuple) for side in pairs[0]):
                pairs = zip(node.targets[0].elts, node.value.elts)
            found.update((getattr(target, "id", ""),
                          ast.get_source_segment(cell, value))
                         for target, value in pairs)
    return {name: source for name, source in found.items()
            if not re.fullmatch(DATA, name)}


def test_training_data_is_learnt_from_and_validation_data_judges():
    known, checked = {}, 0
    for cell in LATE:
        known.update(assigned_in(cell))
        for name, call, source in calls_in(cell):
            takes = TAKES.get(name, [])
            if (isinstance(call.func, ast.Attribute) and name == "fit"
                    or name == "TensorBatches" and "shuffle=True" in source):
                takes = ["training"] * len(call.args)
            for wanted, argument in zip(takes, call.args):
                text = re.sub(r"\w+", lambda name: known.get(
                    name.group(), name.group()),
                    ast.get_source_segment(cell, argument))
                sets = {SETS.get(number or ending, "")
                        for number, ending in re.findall(DATA, text)}
                assert not wanted or sets == {wanted}, source
                checked += bool(wanted)
    assert checked >= 30


def test_networks_go_to_the_device_where_their_data_is():
    on_device, checked = False, 0
    for cell in LATE:
        calls = calls_in(cell)
        told = [(name, "device" in re.findall(r"\w+", source))
                for name, _, source in calls]
        places = {there for name, there in told if there and name == "tensor"
                  or name in ("to_tensors", "noisy_digits")}
        assert len(places) < 2, cell
        on_device = places.pop() if places else on_device
        moved = [part for _, call, source in calls
                 if source.endswith(".to(device)") for part in ast.walk(call)]
        for name, call, source in calls:
            if name == "MLP":
                assert (call in moved) == on_device, source
                checked += 1
    assert checked >= 9


def test_the_environment_changes_nothing(run, tmp_path):
    other = run_python(
        ["-W", "error", SCRIPT], tmp_path, COLUMNS="20", OMP_NUM_THREADS="2",
        MPLBACKEND="module://backend_interagg",  # PyCharm's, not there
        HOME=None, XDG_CACHE_HOME=None, XDG_CONFIG_HOME=None, LC_ALL="C",
        PYTHONIOENCODING=None, PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert other._replace(folder=run.folder) == run


RUN = "import runpy; runpy.run_path(%r, run_name='__main__')" % SCRIPT
# Stops the script at a connection, at a pickle that names a class, and at a
# file that it writes elsewhere than below its folder or a temporary one.
AUDIT = """import os, sys, tempfile
inside = os.getcwd(), tempfile.gettempdir(), os.devnull
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "pickle.find_class") \
            or event == "open" and isinstance(args[0], str) \
            and set(str(args[1])) & set("wax+") \
            and not os.path.abspath(args[0]).startswith(inside):
        sys.exit("not allowed: %s %r" % (event, args))
sys.addaudithook(hook)
"""


def test_again_it_does_the_same_without_network_pickles_or_files_elsewhere(
        run):
    assert run_python(["-B", "-c", AUDIT + RUN], run.folder) == run
    assert {path.suffix for path in run.folder.glob("figures/*")} == {".png"}


@pytest.mark.parametrize("attempt", [
    "import socket; socket.create_connection(('127.0.0.1', 9))",
    "import pathlib, pickle; pickle.loads(pickle.dumps(pathlib.Path('x')))",
    "open(os.path.expanduser('~/elsewhere.txt'), 'w')"])
def test_the_audit_sees(attempt, tmp_path):
    result = run_python(["-c", AUDIT + attempt], tmp_path)
    assert result.returncode == 1 and "not allowed" in result.stderr


# A session of the reader's own, which runs the script in four ways: whole, and
# then its first and last cells. It prints its backend, threads and Ctrl-C.
SESSION = """import matplotlib, runpy, signal, sys, threading, torch
before = signal.getsignal(signal.SIGINT)
from IPython.core.interactiveshell import InteractiveShell
matplotlib.use("svg")
torch.set_num_threads(2)
sys.path.insert(0, sys.argv[1])
program = "runpy.run_path('short.py', run_name='__main__')"
for way in ["import neural_networks_fundamentals",
            "sys.ps1 = '>>> '; %s; del sys.ps1" % program,
            "thread = threading.Thread(target=exec, args=[program, globals()])"
            "; thread.start(); thread.join()",
            "InteractiveShell.instance().run_line_magic('run', 'short.py')"]:
    exec(way)
    print("STATE", matplotlib.get_backend(), torch.get_num_threads(),
          signal.getsignal(signal.SIGINT) is before)
"""


def test_a_session_stays_as_it_was(run, tmp_path):
    short = "\n\n".join(CELLS[:3] + CELLS[-1:])
    (tmp_path / "short.py").write_bytes(short.encode("utf-8"))
    result = run_python(["-B", "-c", SESSION, os.path.dirname(SCRIPT)],
                        tmp_path, IPYTHONDIR=str(tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(run.stdout + "STATE")
    assert result.stdout.count("has held.\nSTATE svg 2 True\n") == 4
    assert result.figures == run.figures


SMALL_FILES = """import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""
CTRL_C = """import builtins, os, signal
def spy(*values, print=print):
    print(*values)
    if "04_xor.png" in str(values):
        os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
builtins.print = spy
"""


@pytest.mark.parametrize("folder, mine, before, most", [
    ("/proc", [], "", 0), ("", ["figures"], "", 1), ("", [], SMALL_FILES, 0),
    ("", [], CTRL_C, 9)], ids=["read-only", "a file", "full disk", "Ctrl-C"])
def test_stopped_it_says_so_in_one_line_and_leaves_whole_files_alone(
        run, tmp_path, folder, mine, before, most):  # run: fonts are cached
    for name in mine:
        (tmp_path / name).write_text("mine")
    result = run_python(["-B", "-c", before + RUN], tmp_path / folder)
    assert result.returncode == 1
    assert re.fullmatch(".*[Rr]un the script.*", result.stderr.strip())
    left = {path.name: path.read_bytes()
            for path in tmp_path.rglob("*") if path.is_file()}
    assert bool(most) <= len(left) <= most < len(run.figures)
    assert left.items() <= {"figures": b"mine", **{
        name + ".png": png for name, png in run.figures.items()}}.items()
