"""What the tests share: one clean run of the script, one of the notebook."""

import os
import subprocess
import sys
from collections import namedtuple

import build_notebook
import nbformat
import pytest
import walk

Run = namedtuple("Run", "returncode stdout stderr figures folder")
# The tests run side by side: one thread each, or they wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"


def environment(**changes):
    """Return this environment for a run on the CPU, without a display.

    A change to None takes a variable out.
    """
    wanted = dict(os.environ, CUDA_VISIBLE_DEVICES="",
                  PYTHONIOENCODING="utf-8")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND",
                 "PYTHONWARNINGS"):
        wanted.pop(name, None)
    wanted.update(changes)
    return {name: value for name, value in wanted.items()
            if value is not None}


def figures_in(folder):
    """Return the figures below a folder, {name: bytes of the PNG}."""
    return {path.stem: path.read_bytes()
            for path in sorted(folder.glob("figures/*.png"))}


def run_python(arguments, folder, **changes):
    """Run Python from a folder, in an environment with some changes."""
    process = subprocess.run(
        [sys.executable] + arguments, cwd=str(folder),
        env=environment(**changes), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
    return Run(process.returncode, process.stdout.decode("utf-8"),
               process.stderr.decode("utf-8"), figures_in(folder), folder)


def pytest_addoption(parser):
    parser.addoption("--shifts", type=int, default=3, help="how many times "
                     "all seeds of the tutorial are moved (default: 3)")


@pytest.fixture(scope="session")
def tour():
    """One walk through the tutorial, in this process."""
    return walk.Walk()


@pytest.fixture(scope="session")
def script_text():
    return build_notebook.SCRIPT.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def cells(script_text):
    return build_notebook.cells_of(script_text)


@pytest.fixture(scope="session")
def stored():
    """The notebook as it stands in the repository."""
    return nbformat.read(str(build_notebook.NOTEBOOK), as_version=4)


@pytest.fixture(scope="session")
def fresh(script_text):
    """The notebook built and executed now, in a fresh kernel."""
    return build_notebook.execute(build_notebook.notebook_from(script_text))


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """One run of the script, warnings as errors, from another folder."""
    return run_python(["-W", "error", str(build_notebook.SCRIPT)],
                      tmp_path_factory.mktemp("elsewhere"))
