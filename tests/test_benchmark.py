"""The benchmark runs, and times every loop on the same work."""

import re

import build_notebook
from conftest import run_python

BENCHMARK = build_notebook.ROOT / "tests" / "benchmark_training.py"


def test_times_every_loop(tmp_path):
    result = run_python([
        str(BENCHMARK), "--hidden", "16", "--samples", "2048", "--epochs",
        "8", "--repeats", "1", "--batch-sizes", "256", "1024"], tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    rows = re.findall(r"(?m)^\| (\d+) \| (\w+) \| (\S+) \| (\S+) \| (\S+) \|$",
                      result.stdout)
    loops = {"taught", "floor", "textbook", "sklearn"}
    for batch_size in ("256", "1024"):
        names = {row[1] for row in rows if row[0] == batch_size}
        assert names - {"skorch"} == loops
    for _, name, milliseconds, ratio, accuracy in rows:
        assert float(milliseconds) > 0 and float(ratio) > 0
        assert 0.3 < float(accuracy) < 1  # chance: a quarter
        assert name != "taught" or ratio == "1.00"
