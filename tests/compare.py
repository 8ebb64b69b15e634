"""Compare printed text number by number, and pictures pixel by pixel."""

import io
import math
import re

import matplotlib.image
import numpy as np

NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:\d+\.\d+(?:e[-+]?\d+)?|\d+(?:e[-+]?\d+)?|nan|inf)"
    r"(?![\w])")
FIGURES = re.compile(r'"(\d\d_\w+)"\)$', flags=re.M)  # names, as shown
RELATIVE, ABSOLUTE = 2e-3, 2e-4
MESSAGE = re.compile(r"(?<= a RuntimeError:\n).*")


def lasting(text):
    """Return a text without the wording of PyTorch's error messages."""
    return MESSAGE.sub("(message)", text)


def skeleton(text):
    """Return a text with its numbers and the spaces around them replaced."""
    return re.sub(r"\s+", " ", NUMBER.sub("#", lasting(text))).strip()


def numbers(text):
    """Return the numbers of a text, without those that change."""
    return NUMBER.findall(lasting(text))


def close(one, other):
    """True if two printed numbers agree; whole numbers must be equal."""
    if re.fullmatch(r"[-+]?\d+", one) and re.fullmatch(r"[-+]?\d+", other):
        return int(one) == int(other)
    a, b = float(one), float(other)
    if math.isnan(a) or math.isnan(b) or math.isinf(a) or math.isinf(b):
        return str(a) == str(b)
    if "e" in one + other:  # printed to two or three digits, any size
        return math.isclose(a, b, rel_tol=0.05)
    return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def differences(expected, actual):
    """Return what differs between two texts, a list of strings.

    Same words in the same order; the numbers within a small tolerance.
    """
    if skeleton(expected) != skeleton(actual):
        return ["words: %r against %r" % (expected, actual)]
    return ["number: %s against %s" % (a, b)
            for a, b in zip(numbers(expected), numbers(actual))
            if not close(a, b)]


def pixels(png):
    """Return the pixels of a PNG, an array of numbers from 0 to 1."""
    return matplotlib.image.imread(io.BytesIO(png), format="png")[..., :3]


def is_blank(png):
    """True if a picture has hardly any pixel that differs from its corner."""
    image = pixels(png)
    return np.mean(np.abs(image - image[0, 0]).max(axis=-1) > 0.1) < 0.003


def blocks(image, size):
    """Return the mean colour of each square block of an image."""
    height, width = (n // size * size for n in image.shape[:2])
    return image[:height, :width].reshape(
        height // size, size, width // size, size, -1).mean(axis=(1, 3))


def frames(image):
    """Return the strips around the axes, with title, labels and ticks."""
    height, width = image.shape[:2]
    top, left = height * 3 // 25, width // 11
    return [image[:top], image[-top:], image[:, :left]]


def same_frame(one, other):
    """True if two PNGs agree outside their axes, to the letter.

    Nothing but words stands there, so the blocks are small, and one digit of
    a label shows.
    """
    a, b = pixels(one), pixels(other)
    return a.shape == b.shape and all(
        np.abs(blocks(x, 3) - blocks(y, 3)).max() < 0.15
        for x, y in zip(frames(a), frames(b)))


def same_picture(one, other, same_matplotlib=True):
    """True if two PNGs show the same, but for how edges are smoothed.

    A line, a marker or a word that is elsewhere changes the mean colour of
    the blocks of pixels that it covers. Versions of Matplotlib set text a
    little differently; between them only larger blocks can be compared.
    """
    a, b = pixels(one), pixels(other)
    if a.shape != b.shape:
        return False
    if same_matplotlib:
        return same_frame(one, other) \
            and np.abs(blocks(a, 6) - blocks(b, 6)).max() < 0.08
    a, b = blocks(a, 12).ravel(), blocks(b, 12).ravel()
    with np.errstate(invalid="ignore"):  # a blank picture gives NaN
        return np.corrcoef(a, b)[0, 1] > 0.8
