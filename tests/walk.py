"""Walk through the tutorial in one process, and keep what each cell shows.

A walk may move all seeds of the script at once: what holds on a walk with
moved seeds does not depend on a lucky one.
"""

import ast
import contextlib
import io
import re

import matplotlib.pyplot as plt
import torch
from definitions import SCRIPT, parts_of

TEXT = SCRIPT.read_text(encoding="utf-8")


def plain(text):
    """Return a text on one line, without the marks of comments."""
    return " ".join(re.sub(r"(?m)^# ?", "", text).split())


def always(check):
    """Mark a check of a walk as one that holds with all seeds moved."""
    check.always = True
    return check


class Moved(ast.NodeTransformer):
    """Adds a number to the seeds of a cell."""

    def __init__(self, shift):
        self.shift, self.count = shift, 0

    def plus(self, node):
        self.count += 1
        return ast.BinOp(node, ast.Add(), ast.Constant(self.shift))

    def visit_Call(self, node):
        self.generic_visit(node)
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in ("manual_seed", "RandomState") and isinstance(
                node.args[0], ast.Constant):
            node.args[0] = self.plus(node.args[0])
        for keyword in node.keywords:
            if keyword.arg == "random_state" and isinstance(
                    keyword.value, ast.Constant):
                keyword.value = self.plus(keyword.value)
        return node

    def visit_For(self, node):
        self.generic_visit(node)
        if any(getattr(part, "id", "") == "seed"
               for part in ast.walk(node.target)):
            node.body.insert(0, ast.Assign(
                [ast.Name("seed", ast.Store())],
                self.plus(ast.Name("seed", ast.Load()))))
        return node

    def visit_comprehension(self, node):
        self.generic_visit(node)
        if getattr(node.target, "id", "") == "seed":
            self.count += 1
            node.iter = ast.Call(ast.Name("map", ast.Load()), [
                ast.Attribute(ast.Constant(self.shift), "__add__",
                              ast.Load()), node.iter], [])
        return node


class Walk:
    """All code cells of the script, run in order in one namespace.

    printed(title) is what the cells of a part print, numbers(title) the
    numbers in it, names(title, cell) a copy of the namespace after one of
    its cells, counted from 0 (-1: the last), and figures[name] the
    Matplotlib figure that a cell shows. A title is the beginning of a "###"
    heading, without "Deeper: ", or of a "##" heading that holds code.
    """

    def __init__(self, shift=0, draw=True):
        self.shift, self.moved, self.figures = shift, Moved(shift), {}
        self.shown = []  # (title, printed, names) for each code cell
        names, threads = {"__name__": "tutorial"}, torch.get_num_threads()
        try:
            for part in parts_of(TEXT, with_sections=True):
                for kind, source in part.cells:
                    if kind == "code":
                        skip = not draw and re.search("(?m)^show\\(", source)
                        self.run(part.title, "" if skip else source, names)
        finally:
            torch.set_num_threads(threads)

    def run(self, title, source, names):
        tree = ast.parse(source)
        if self.shift:
            tree = ast.fix_missing_locations(self.moved.visit(tree))
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(tree, title, "exec"), names)
        if "def show(" in source:
            names["show"] = self.keep
        self.shown.append((title, out.getvalue(), dict(names)))

    def keep(self, fig, name):
        self.figures[name] = fig
        plt.close(fig)

    def cells(self, title):
        found = [cell for cell in self.shown if re.sub(
            "^Deeper: ", "", cell[0]).startswith(title)]
        assert len({cell[0] for cell in found}) == 1, title
        return found

    def printed(self, title, cell=None):
        texts = [text for _, text, _ in self.cells(title)]
        return "".join(texts if cell is None else [texts[cell]])

    def numbers(self, title, cell=None):
        return [float(number) for number in re.findall(
            r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?",
            self.printed(title, cell))]

    def names(self, title, cell=-1):
        return self.cells(title)[cell][2]

    def line(self, figure, label, axes=0):
        """The x and y of a line that a label names, as two arrays."""
        ax = self.figures[figure].axes[axes]
        found, = [line for line in ax.lines if line.get_label() == label]
        return found.get_xdata(), found.get_ydata()
