"""Run the script and the tests of the definitions on several versions.

Usage: nox -f tests/noxfile.py [-s oldest]

A session whose Python is not there is skipped, and nox says so. Each one
prints its row of the README's table of tested versions.
"""

import shutil
import subprocess
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.stop_on_first_error = False

TESTS = Path(__file__).resolve().parent
DEFINITIONS = ["definitions", "data", "verdicts", "training", "docstrings"]
SCRIPT = TESTS.parent / "neural_networks_fundamentals.py"
ROW = """
import platform, torch, numpy, matplotlib, sklearn
packages = [torch, numpy, matplotlib, sklearn]
print("|", " | ".join([platform.python_version()] + [
    package.__version__.split("+")[0] for package in packages]), "|")
"""


def newest_python():
    """Return the newest Python 3 that runs under its own name, as "3.x"."""
    for minor in range(40, 7, -1):
        program = shutil.which("python3.%d" % minor)
        if program and subprocess.call(
                [program, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            return "3.%d" % minor
    return "3"


def check(session, packages):
    session.install(*packages, "pytest", "pandas", "scipy")
    with session.chdir(session.create_tmp()):
        # Not a plain "error", for which pyparsing turns on warnings of its
        # own that old Matplotlibs raise.
        session.run("python", "-W", "error::Warning", str(SCRIPT),
                    silent=True)
    session.run("python", "-m", "pytest", "-q", "--noconftest",
                "-o", "addopts=", *[str(TESTS / ("test_%s.py" % name))
                                    for name in DEFINITIONS])
    session.run("python", "-c", ROW)


@nox.session(python="3.7")
def oldest(session):
    check(session, ["torch==1.10.0", "numpy==1.21.6", "matplotlib==3.5.3",
                    "scikit-learn==1.0.2"])


@nox.session(python="3.10")
def between(session):
    check(session, ["torch==2.2.2", "numpy==1.26.4", "matplotlib==3.8.4",
                    "scikit-learn==1.4.2", "pyparsing==3.1.2"])


@nox.session(python=newest_python())
def newest(session):
    check(session, ["torch", "numpy", "matplotlib", "scikit-learn"])
