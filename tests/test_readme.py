"""What the README says runs, and where it points exists."""

import re

import build_notebook
import pytest
from conftest import run_python

ROOT = build_notebook.ROOT
TEXT = build_notebook.README.read_text(encoding="utf-8")
PROGRAMS = re.findall(r"(?ms)^```python\n(.*?)^```$", TEXT)
COMMANDS = re.findall(r"(?ms)^```bash\n(.*?)^```$", TEXT)


def anchor(heading):
    """Return the anchor that GitHub gives to a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_runs_as_pasted(program, tmp_path):
    path = tmp_path / "pasted.py"
    path.write_bytes(program.encode("utf-8"))
    result = run_python(["-W", "error", str(path)], tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    accuracy = re.search(r"test accuracy (\d\.\d+)", result.stdout)
    assert accuracy and float(accuracy.group(1)) > 0.9


def test_there_is_a_program():
    assert PROGRAMS
    code = [line for line in PROGRAMS[0].splitlines() if line.strip()]
    assert 30 <= len(code) <= 40
    assert max(len(line) for line in code) <= 79


def test_links_lead_somewhere():
    anchors = {anchor(h) for h in re.findall(r"(?m)^#+ (.*)$", TEXT)}
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert links
    for link in links:
        if link.startswith("#"):
            assert link[1:] in anchors
        elif not link.startswith("https://"):
            assert (ROOT / link.split("#")[0]).is_file(), link


def test_section_links_point_at_the_sections(script_text):
    lines = script_text.splitlines()
    links = re.findall(r"\[(\d+\. [^\]]*)\]\([^)#]*\.py#L(\d+)\)", TEXT)
    assert len(links) == 9
    for title, number in links:
        assert lines[int(number) - 1] == "# ## " + title


def test_length():
    assert 120 <= len(TEXT.splitlines()) <= 200


def test_ci_runs_the_test_command_as_written():
    test_commands = [c.strip() for c in COMMANDS if "pytest" in c]
    assert len(test_commands) == 1
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert ci[-1] == test_commands[0]


def test_the_run_command_names_the_script_and_the_requirements():
    run_commands = [c for c in COMMANDS if "requirements.txt" in c
                    and build_notebook.SCRIPT.name in c]
    assert len(run_commands) == 1


def test_requirements_are_the_five_packages():
    lines = (ROOT / "requirements.txt").read_text().split()
    assert [re.split(r"[<>=]", line)[0] for line in lines] \
        == ["torch", "numpy", "matplotlib", "scikit-learn", "jupyter"]
