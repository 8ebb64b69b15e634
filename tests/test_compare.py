"""The comparisons see what they should see."""

import io

import matplotlib.image
import numpy as np
import pytest
from compare import differences, is_blank, same_frame, same_picture
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


@pytest.mark.parametrize("one, other", [
    ("loss 0.1234", "loss 0.1234"), ("loss 0.1234", "loss 0.1235"),
    ("a -0.0000 b", "a 0.0000 b"), ("[1.0,  2.0]", "[1.0, 2.0]"),
    ("nan and inf", "nan and inf"), ("1.4e-14", "1.4e-14"),
    ("raise a RuntimeError:\nshape 2", "raise a RuntimeError:\nsize 3")])
def test_same(one, other):
    assert differences(one, other) == []


@pytest.mark.parametrize("one, other", [
    ("loss 0.1234", "loss 0.1334"), ("loss 0.12", "cost 0.12"),
    ("8 wrong", "9 wrong"), ("x 0.5", "x -0.5"), ("x nan", "x 0.5"),
    ("x inf", "x -inf"), ("[1.0, 2.0]", "[1.0, 2.0, 3.0]"),
    ("1.4e-14", "1.4e-10"), ("", "text"), ("True", "False"),
    ("31.2 -> 4", "31.2 -> 5"),
    ("raise a RuntimeError:\nx\nloss 1.0",
     "raise a RuntimeError:\nx\nloss 2.0")])
def test_different(one, other):
    assert differences(one, other) != []


def picture(title="one", slope=1.0, xlabel="feature 1"):
    fig = Figure(figsize=(8, 4))
    ax = fig.add_subplot()
    if title:
        ax.plot([0, 1], [0, slope])
        ax.set(title=title, ylim=(0, 2), xlabel=xlabel)
        fig.subplots_adjust(bottom=0.15)
    else:
        ax.axis("off")
    file = io.BytesIO()
    FigureCanvasAgg(fig).print_png(file)
    return file.getvalue()


def test_pictures():
    assert same_picture(picture(), picture())
    assert not same_picture(picture(), picture(slope=1.3))
    assert not same_picture(picture(), picture("two"))
    assert not same_picture(picture(), picture(""), same_matplotlib=False)
    assert not same_picture(picture(), picture(""))
    assert is_blank(picture("")) and not is_blank(picture())


def test_frames():
    assert same_frame(picture(), picture(slope=1.3))
    assert not same_frame(picture(), picture("two"))
    assert not same_frame(picture(), picture(xlabel="feature 2"))
    assert not same_picture(picture(), picture(xlabel="feature 2"))
    assert not same_frame(picture(), picture(""))


def test_a_picture_of_another_size_is_another_picture():
    file = io.BytesIO()
    matplotlib.image.imsave(file, np.ones((10, 10, 3)), format="png")
    assert not same_picture(picture(), file.getvalue())
