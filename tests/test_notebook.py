"""The notebook is the script, executed, and its outputs are true."""

import base64
import re

import build_notebook
from compare import FIGURES, differences, same_picture
from test_script import without_titles

SAME_MATPLOTLIB = build_notebook.versions().splitlines()[0] \
    == build_notebook.BUILT_WITH.read_text().splitlines()[0]


def shown(notebook):
    """Return (code cell, its printed text, its pictures) for each."""
    return [(cell, "".join(output.get("text", "") for output in cell.outputs),
             [base64.b64decode(output.data["image/png"])
              for output in cell.outputs if "data" in output])
            for cell in notebook.cells if cell.cell_type == "code"]


def test_cells_are_the_scripts_and_all_else_the_builders(
        stored, cells, script_text):
    bare = build_notebook.notebook_from(script_text)
    assert [(c.cell_type, c.source) for c in stored.cells] == cells
    assert [(c.id, c.metadata) for c in stored.cells] == [
        (c.id, c.metadata) for c in bare.cells]
    assert stored.metadata == bare.metadata == build_notebook.METADATA
    new = 2 * "# %%\nprint('new')\n\n" + script_text
    ids = [c.id for c in build_notebook.notebook_from(new).cells]
    assert ids[2:] == [c.id for c in bare.cells]
    assert len(set(ids)) == len(ids)


def test_cells_are_executed_in_order_and_show_text_and_pictures_alone(stored):
    for number, (cell, text, pictures) in enumerate(shown(stored), start=1):
        assert cell.execution_count == number
        assert cell.metadata == ({"jupyter": {"source_hidden": True}}
                                 if pictures else {}), cell.source
        assert not re.search(r"0x[0-9a-f]{6}|(^|\s)(/\w+/|[A-Z]:\\)", text)
        for output in cell.outputs:
            if output.output_type == "stream":
                assert output.name == "stdout"
            else:
                assert output.output_type == "display_data"
                assert set(output.data) == {"image/png", "text/plain"}
                assert re.match("Figure: .*[a-z]", output.data["text/plain"])
        for png in pictures:  # no program's name or time in them
            assert build_notebook.without_text_chunks(png) == png


def test_run_all_gives_the_stored_text_and_pictures(stored, fresh):
    for (cell, old, olds), (_, new, news) in zip(shown(stored), shown(fresh)):
        assert differences(old, new) == [], cell.source
        assert len(olds) == len(news), cell.source
        for pair in zip(olds, news):
            assert same_picture(*pair, SAME_MATPLOTLIB), cell.source


def test_run_all_gives_the_scripts_text_and_pictures(fresh, run):
    _, texts, pictures = zip(*shown(fresh))
    assert differences("".join(texts), without_titles(run.stdout)) == []
    names = FIGURES.findall("\n".join(cell.source for cell in fresh.cells))
    pictures = sum(pictures, [])
    assert len(names) == len(pictures)
    for name, png in zip(names, pictures):
        assert same_picture(png, run.figures[name]), name
