"""Docstrings: each sentence is held by a test that quotes it; examples run."""

import ast
import doctest
import importlib
import re

import pytest
from definitions import CELLS, load

EXAMPLES = """MLP TensorBatches split_in_three train_epoch to_tensors
check_targets check_batch evaluate fit predict classify""".split()
SPLIT = re.compile(r"(?<=[.;]) ").split  # at the end of a sentence, or at ";"
DOCS = {}  # the name of a function, class or method -> what its docstring says
for node in sum([list(ast.walk(ast.parse(cell))) for cell in CELLS], []):
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        for part in node.body:  # those with a name are methods
            part.name = node.name + "." + getattr(part, "name", "")
        words = (ast.get_docstring(node) or "Needs ").split(">>> ")[0].split()
        DOCS[node.name] = sorted(said for said in SPLIT(" ".join(words))
                                 if not said.startswith("Needs"))
QUOTED = {name: [] for name in DOCS}
for module in ("definitions", "data", "verdicts", "training"):
    for test, value in vars(importlib.import_module("test_" + module)).items():
        words = (test.startswith("test_") and value.__doc__ or "").split()
        parts = re.split("(?:^| )(%s): " % "|".join(DOCS), " ".join(words))
        for name, quotation in zip(parts[1::2], parts[2::2]):
            QUOTED[name] += SPLIT(quotation)


@pytest.mark.parametrize("name", DOCS)
def test_each_sentence_is_held_by_a_test_that_quotes_it(name):
    assert sorted(QUOTED[name]) == DOCS[name] and (DOCS[name] or "." in name)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    it, printed = load(name), []
    names = getattr(it, "__globals__", None) or it.__init__.__globals__
    test = doctest.DocTestParser().get_doctest(it.__doc__, names, name, "", 0)
    result = doctest.DocTestRunner().run(test, out=printed.append)
    assert result.attempted > 0 == result.failed, "".join(printed)
