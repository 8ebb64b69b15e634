"""The notebook is the script, executed, and its outputs are true."""

import base64
import re

import build_notebook
from compare import FIGURES, differences, is_blank, same_picture

SAME_MATPLOTLIB = build_notebook.versions().splitlines()[0] \
    == build_notebook.BUILT_WITH.read_text().splitlines()[0]




def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell):
    return "".join(output.text for output in cell.outputs
                   if output.output_type == "stream")


def pictures(cell):
    return [base64.b64decode(output.data["image/png"])
            for output in cell.outputs if output.output_type == "display_data"]


def test_cells_are_the_scripts(stored, cells):
    assert [(cell.cell_type, cell.source) for cell in stored.cells] == cells


def test_ids_and_metadata_are_the_builders(stored, script_text):
    bare = build_notebook.notebook_from(script_text)
    ids = [cell.id for cell in stored.cells]
    assert ids == [cell.id for cell in bare.cells]
    assert len(set(ids)) == len(ids)
    assert stored.metadata == build_notebook.METADATA
    assert [c.metadata for c in stored.cells] == [
        c.metadata for c in bare.cells]


def test_cells_that_draw_are_collapsed_and_others_are_not(stored):
    for cell in code_cells(stored):
        draws = "\nshow(" in "\n" + cell.source
        assert cell.metadata == ({"jupyter": {"source_hidden": True}}
                                 if draws else {}), cell.source


def test_a_new_cell_leaves_the_other_ids_alone(script_text):
    ids = [c.id for c in build_notebook.notebook_from(script_text).cells]
    longer = "# %%\nprint('new')\n\n" + script_text
    assert [c.id for c in build_notebook.notebook_from(longer).cells][1:] \
        == ids


def test_cells_were_executed_in_order(stored):
    counts = [cell.execution_count for cell in code_cells(stored)]
    assert counts == list(range(1, len(counts) + 1))


def test_outputs_are_printed_text_and_pictures_alone(stored):
    for cell in code_cells(stored):
        for output in cell.outputs:
            if output.output_type == "stream":
                assert output.name == "stdout"
            else:
                assert output.output_type == "display_data"
                assert set(output.data) == {"image/png", "text/plain"}
                assert re.match("Figure: .*[a-z]", output.data["text/plain"])


def test_run_all_gives_the_stored_text(stored, fresh):
    assert len(code_cells(stored)) == len(code_cells(fresh))
    for old, new in zip(code_cells(stored), code_cells(fresh)):
        assert differences(printed(old), printed(new)) == [], old.source


def test_run_all_gives_the_stored_pictures(stored, fresh):
    for old, new in zip(code_cells(stored), code_cells(fresh)):
        assert len(pictures(old)) == len(pictures(new)), old.source
        for one, other in zip(pictures(old), pictures(new)):
            assert same_picture(one, other, SAME_MATPLOTLIB), old.source


def test_no_picture_is_blank(stored):
    all_pictures = sum((pictures(cell) for cell in code_cells(stored)), [])
    assert len(all_pictures) > 8
    assert not any(is_blank(png) for png in all_pictures)


def test_pictures_are_the_scripts_figures(fresh, run):
    names = FIGURES.findall("\n".join(
        cell.source for cell in code_cells(fresh)))
    all_pictures = sum((pictures(cell) for cell in code_cells(fresh)), [])
    assert sorted(names) == sorted(run.figures)
    assert len(names) == len(all_pictures)
    for name, png in zip(names, all_pictures):
        assert same_picture(png, run.figures[name]), name


def test_printed_text_is_the_scripts(fresh, run):
    notebook_text = "".join(printed(cell) for cell in code_cells(fresh))
    titles = re.compile(r"^.*\n=+\n|^# .*\n", flags=re.M)
    script_text = titles.sub("", run.stdout)
    script_text = re.sub(r"^\[figure saved: .*\]\n", "", script_text,
                         flags=re.M)
    assert differences(notebook_text, script_text) == []


def test_no_addresses_or_paths_are_stored(stored):
    for cell in code_cells(stored):
        assert not re.search(r"0x[0-9a-f]{6}", printed(cell))
        assert not re.search(r"(^|\s)(/\w+/|[A-Z]:\\)", printed(cell))


def test_no_picture_names_a_program(stored):
    for cell in code_cells(stored):
        for png in pictures(cell):
            assert build_notebook.without_text_chunks(png) == png
