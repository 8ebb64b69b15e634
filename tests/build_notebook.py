"""Build neural_networks_fundamentals.ipynb from the script, executed.

Usage: python tests/build_notebook.py

Also points the README's section links at the lines of the script. Two builds
on one machine give the same bytes.
"""

import base64
import hashlib
import os
import re
import struct
import sys
import tempfile
from pathlib import Path

import jupytext
import matplotlib
import nbformat
import torch
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "neural_networks_fundamentals.py"
NOTEBOOK = ROOT / "neural_networks_fundamentals.ipynb"
README = ROOT / "README.md"
BUILT_WITH = Path(__file__).with_name("built_with.txt")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python",
                   "name": "python3"},
    "language_info": {"name": "python"},
}
PNG_TEXT_CHUNKS = {b"tEXt", b"zTXt", b"iTXt", b"tIME"}


class ThisPython(KernelManager):
    """Starts kernels of the running interpreter, whatever is registered."""

    @property
    def kernel_spec(self):
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f",
                  "{connection_file}"],
            display_name="Python 3", language="python")


def cells_of(script_text):
    """Return the script's cells as a list of (type, source)."""
    notebook = jupytext.reads(script_text, "py:percent")
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def notebook_from(script_text):
    """Return the script as a notebook without outputs.

    A cell's id is a hash of its type and source, and of a counter for cells
    that repeat, so that a new cell leaves the ids of the others alone.
    """
    cells, seen = [], {}
    for cell_type, source in cells_of(script_text):
        number = seen[cell_type, source] = seen.get((cell_type, source), 0) + 1
        text = "\0".join([cell_type, source, str(number)])
        new_cell = getattr(nbformat.v4, "new_%s_cell" % cell_type)
        cell = new_cell(source)
        cell.metadata = metadata_of(cell)
        cell["id"] = hashlib.sha256(text.encode()).hexdigest()[:12]
        cells.append(cell)
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=METADATA)
    notebook.nbformat_minor = 5
    return notebook


def is_drawing(source):
    """True for a cell that shows a figure and does nothing else."""
    return bool(re.search(r"(?m)^show\(", source)) and not re.search(
        r"(?m)\b(fit|backward|step|print)\(|^\s*(assert|def|class) ", source)


def metadata_of(cell):
    """Return a cell's metadata: drawing is out of the reader's way."""
    hidden = cell.cell_type == "code" and is_drawing(cell.source)
    return nbformat.from_dict(
        {"jupyter": {"source_hidden": True}} if hidden else {})


def without_text_chunks(png):
    """Return PNG bytes without the chunks that name programs and times."""
    kept, position = [png[:8]], 8
    while position < len(png):
        length = struct.unpack(">I", png[position:position + 4])[0]
        end = position + 12 + length
        if png[position + 4:position + 8] not in PNG_TEXT_CHUNKS:
            kept.append(png[position:end])
        position = end
    return b"".join(kept)


def execute(notebook):
    """Run a notebook in place, on the CPU, from an empty folder.

    Raises CellExecutionError when a cell fails and RuntimeError when one
    writes to stderr.
    """
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MPLBACKEND", "PYTHONWARNINGS")}
    environment["CUDA_VISIBLE_DEVICES"] = ""
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=300, kernel_manager_class=ThisPython,
            resources={"metadata": {"path": folder}}, record_timing=False,
            coalesce_streams=True, store_widget_state=False)
        client.execute(env=environment)
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = metadata_of(cell)
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise RuntimeError("a cell writes to stderr: " + output.text)
            if "image/png" in output.get("data", {}):
                png = base64.b64decode(output.data["image/png"])
                output.data["image/png"] = base64.b64encode(
                    without_text_chunks(png)).decode("ascii")
                output.metadata = nbformat.from_dict({})
    return notebook


def link_sections(readme_text, script_text):
    """Return the README with its links into the script at the right lines.

    A link's text is the name of a definition in backquotes, or the beginning
    of a heading; links to headings stand in the order of the script, and may
    begin anew after the last.
    """
    lines, place = script_text.splitlines(), [0]

    def line_of(text):
        if re.fullmatch("`\\w+`", text):
            name = re.compile(r"(def|class) %s\b" % text.strip("`"))
            return next(number for number, line in enumerate(lines, start=1)
                        if name.match(line))
        heading = re.compile("# ###? (Deeper: )?" + re.escape(text))
        found = [number for number, line in enumerate(lines, start=1)
                 if heading.match(line)]
        place[0] = next((number for number in found if number >= place[0]),
                        found[0])
        return place[0]

    return re.sub(
        r"\[([^\]]+)\]\((%s)#L\d+\)" % re.escape(SCRIPT.name),
        lambda link: "[%s](%s#L%d)" % (link.group(1), link.group(2),
                                       line_of(link.group(1))), readme_text)


def versions():
    """Return the versions that the stored outputs depend on, one a line."""
    return "".join(
        "%s %s\n" % (package.__name__, ".".join(
            package.__version__.split(".")[:2]))
        for package in (matplotlib, torch))


def write(path, text):
    """Write a file whole or not at all."""
    temporary = path.with_name(path.name + ".partial")
    temporary.write_bytes(text.encode("utf-8"))
    os.replace(str(temporary), str(path))


def main():
    script_text = SCRIPT.read_text(encoding="utf-8")
    try:
        notebook = execute(notebook_from(script_text))
    except (CellExecutionError, RuntimeError) as error:
        sys.exit("The notebook was not built.\n%s" % error)
    write(NOTEBOOK, nbformat.writes(notebook).rstrip("\n") + "\n")
    write(README, link_sections(README.read_text(encoding="utf-8"),
                                script_text))
    write(BUILT_WITH, versions())
    print("Built", NOTEBOOK.name)


if __name__ == "__main__":
    main()
