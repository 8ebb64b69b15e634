"""The comparisons see what they should see, and no more."""

import io

import numpy as np
import pytest
from compare import differences, is_blank, same_picture
from matplotlib.image import imsave


@pytest.mark.parametrize("one, other, same", [
    ("loss 0.1234", "loss 0.1235", True), ("-0.0000", "0.0000", True),
    ("[1.0,  2.0]", "[1.0, 2.0]", True), ("1.41e-14", "1.42e-14", True),
    ("nan and inf", "nan and inf", True), ("1000.0", "1001.0", True),
    ("raise a RuntimeError:\nshape 2", "raise a RuntimeError:\nsize 3", True),
    ("raise a RuntimeError:\nx\n1.0", "raise a RuntimeError:\nx\n2.0", False),
    ("loss 0.1234", "loss 0.1244", False), ("1.4e-14", "1.6e-14", False),
    ("loss 0.12", "cost 0.12", False), ("1999", "2000", False),
    ("x 0.5", "x -0.5", False), ("x nan", "x 0.5", False), ("", "a", False),
    ("x inf", "x -inf", False), ("[1.0, 2.0]", "[1.0, 2.0, 3.0]", False)])
def test_texts(one, other, same):
    assert (differences(one, other) == []) == same


def picture(place=None, shape=(400, 800, 3)):
    image = np.ones(shape)
    image[150:250, 200:600] = 0
    if place:
        image[place] = 0.7
    file = io.BytesIO()
    imsave(file, image, format="png")
    return file.getvalue()


# What is painted grey; are the pictures the same, and for other Matplotlibs?
@pytest.mark.parametrize("change, same, similar", [
    ([], True, True), ([np.s_[300:303, 300:303]], True, True),
    ([np.s_[:3, 300:303]], False, True), ([np.s_[-4:-1, :3]], False, True),
    ([np.s_[150:153, 30:33]], False, True), ([np.s_[9:, 300]], False, True),
    ([np.s_[:, :400]], False, False), ([np.s_[:]], False, False),
    ([None, (400, 900, 3)], False, False)])
def test_pictures(change, same, similar):
    changed = picture(*change)
    assert same_picture(picture(), changed) == same
    assert same_picture(picture(), changed, same_matplotlib=False) == similar
    assert is_blank(changed) == (change == [np.s_[:]])
