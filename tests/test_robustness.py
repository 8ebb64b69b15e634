"""The script finishes where it is put, or says in one line what to do."""

import ctypes
import os
import re
import signal
import subprocess
import sys

import build_notebook
import pytest
from compare import differences, same_picture
from conftest import environment, figures_in, run_python

SCRIPT = str(build_notebook.SCRIPT)
POSIX = pytest.mark.skipif(os.name != "posix",
                           reason="needs signals and file modes")
# Stops the script at a connection, at a pickle that names a class, and at a
# file that it writes elsewhere than below its folder or a temporary one.
AUDIT = """
import os, runpy, sys, tempfile
inside = [os.getcwd(), tempfile.gettempdir(), os.devnull]

def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "pickle.find_class"):
        sys.exit("not allowed: %s %r" % (event, args))
    if event == "open" and isinstance(args[0], str) \\
            and isinstance(args[1], str) and set(args[1]) & set("wax+") \\
            and not os.path.abspath(args[0]).startswith(tuple(inside)):
        sys.exit("not allowed: writing %r" % args[0])

sys.addaudithook(hook)
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def same_run(run, other):
    """Check that a run ended well and shows what another one shows."""
    assert other.returncode == 0, other.stderr
    assert differences(run.stdout, other.stdout) == []
    assert set(other.figures) == set(run.figures)
    for name, png in other.figures.items():
        assert same_picture(png, run.figures[name]), name


@pytest.mark.parametrize("change", [
    # An inherited backend, and two threads: the other runs have one.
    {"MPLBACKEND": "TkAgg", "OMP_NUM_THREADS": "2"},
    # No home, and a narrow locale that knows ASCII alone.
    {"HOME": None, "USERPROFILE": None, "XDG_CACHE_HOME": None,
     "XDG_CONFIG_HOME": None, "LC_ALL": "C", "PYTHONIOENCODING": None,
     "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "20"},
    {"HOME": os.devnull, "USERPROFILE": os.devnull, "XDG_CACHE_HOME": None,
     "XDG_CONFIG_HOME": None},
], ids=["inherited backend", "no home, C locale", "no usable home"])
def test_the_environment_changes_nothing(run, tmp_path, change):
    same_run(run, run_python(["-W", "error", SCRIPT], tmp_path, **change))


def test_twice_in_a_row_gives_the_same(run):
    again = run_python([SCRIPT], run.folder)
    same_run(run, again)
    assert run.stdout == again.stdout
    assert run.figures == again.figures
    assert {path.suffix for path in run.folder.glob("figures/*")} == {".png"}


# Ways to run the script in a session of the reader's own. Each program prints
# what the session's backend, Ctrl-C and threads are before and after.
STATE = """
import signal, sys, threading
import matplotlib, torch
matplotlib.use("svg")
torch.set_num_threads(2)
def state():
    print("STATE", matplotlib.get_backend(), torch.get_num_threads(),
          signal.getsignal(signal.SIGINT) is signal.default_int_handler)
state()
"""
WAYS = {
    "%run": """
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.instance().run_line_magic("run", sys.argv[1])
state()
""",
    "import": """
sys.path.insert(0, sys.argv[1].rsplit("/", 1)[0])
import neural_networks_fundamentals
state()
""",
    "import in a thread": """
sys.path.insert(0, sys.argv[1].rsplit("/", 1)[0])
thread = threading.Thread(
    target=__import__, args=["neural_networks_fundamentals"])
thread.start()
thread.join()
state()
""",
    "as a program in a thread": """
import runpy
thread = threading.Thread(target=runpy.run_path, args=sys.argv[1:],
                          kwargs={"run_name": "__main__"})
thread.start()
thread.join()
state()
""",
    "in a prompt": """
sys.ps1 = ">>> "
exec(open(sys.argv[1], encoding="utf-8").read(),
     {"__name__": "__main__", "__file__": sys.argv[1]})
state()
""",
}


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_session_stays_as_it_was(run, tmp_path, way):
    result = run_python(["-B", "-c", STATE + WAYS[way], SCRIPT], tmp_path)
    assert result.returncode == 0, result.stderr
    assert re.findall("STATE (.*)", result.stdout) == ["svg 2 True"] * 2
    assert set(result.figures) == set(run.figures)
    assert re.sub(r"STATE .*\n| *\d+/s", "", result.stdout) \
        == re.sub(r" *\d+/s", "", run.stdout)


def test_ipython_runs_it_as_a_file(run, tmp_path):
    same_run(run, run_python(
        ["-m", "IPython", "--no-banner", "--colors=NoColor", SCRIPT],
        tmp_path, IPYTHONDIR=str(tmp_path)))


def test_a_kernel_that_runs_the_file_shows_the_figures(run):
    import nbformat
    notebook = nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_code_cell("%%run %s" % SCRIPT)])
    outputs = build_notebook.execute(notebook).cells[0].outputs
    shown = [output for output in outputs
             if "image/png" in output.get("data", {})]
    assert len(shown) == len(run.figures)


@pytest.mark.skipif(sys.version_info < (3, 8), reason="needs audit hooks")
def test_neither_network_nor_foreign_pickles_nor_files_elsewhere(
        run, tmp_path):
    same_run(run, run_python(
        ["-B", "-c", AUDIT, SCRIPT], tmp_path, MPLCONFIGDIR=str(tmp_path)))


@pytest.mark.skipif(sys.version_info < (3, 8), reason="needs audit hooks")
@pytest.mark.parametrize("attempt", [
    "import socket; socket.create_connection(('127.0.0.1', 9))",
    "import pickle; pickle.loads(pickle.dumps(pathlib.Path('x')))",
    "open(os.path.expanduser('~/elsewhere.txt'), 'w')"])
def test_the_audit_sees(attempt, tmp_path):
    (tmp_path / "bad.py").write_text("import os, pathlib\n" + attempt)
    result = run_python(["-c", AUDIT, "bad.py"], tmp_path)
    assert result.returncode == 1 and "not allowed" in result.stderr


def one_clear_line(stderr):
    lines = stderr.strip().splitlines()
    return len(lines) == 1 and re.search("[Rr]un the script", lines[0])


def without_override():
    """Let the mode of a folder bind root too: drop CAP_DAC_OVERRIDE."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


@POSIX
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o555)
    try:
        process = subprocess.run(
            [sys.executable, SCRIPT], cwd=str(tmp_path), env=environment(),
            preexec_fn=without_override, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=300)
    finally:
        tmp_path.chmod(0o755)
    assert process.returncode == 1
    assert one_clear_line(process.stderr.decode())
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_figures_should_go(tmp_path):
    (tmp_path / "figures").write_text("mine")
    result = run_python([SCRIPT], tmp_path)
    assert result.returncode == 1
    assert one_clear_line(result.stderr)
    assert (tmp_path / "figures").read_text() == "mine"


@POSIX
def test_a_full_disk(run, tmp_path):  # run: fonts are cached by then
    import resource

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    process = subprocess.run(
        [sys.executable, "-B", SCRIPT], cwd=str(tmp_path),
        env=environment(), preexec_fn=small_files, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=300)
    assert process.returncode == 1
    assert one_clear_line(process.stderr.decode())
    assert list(tmp_path.glob("figures/*")) == []


@POSIX
def test_interrupted_half_way(run, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-u", SCRIPT], cwd=str(tmp_path), env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for line in process.stdout:
        if b"04_xor.png" in line:
            process.send_signal(signal.SIGINT)
            break
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 1
    assert one_clear_line(stderr.decode())
    saved = figures_in(tmp_path)
    assert 0 < len(saved) < len(run.figures)
    assert {path.suffix for path in tmp_path.glob("figures/*")} == {".png"}
    for name, png in saved.items():
        assert same_picture(png, run.figures[name]), name
