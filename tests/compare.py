"""Compare printed text number by number, and pictures pixel by pixel."""

import io
import math
import re

import matplotlib.image
import numpy as np

NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:\d+(?:\.\d+)?(?:e[-+]?\d+)?|nan|inf)(?!\w)")
FIGURES = re.compile(r'"(\d\d_\w+)"\)$', flags=re.M)  # names, as shown
MESSAGE = re.compile(r"(?<= a RuntimeError:\n).*")  # PyTorch's own words


def close(one, other):
    """True if two printed numbers agree; whole numbers must be equal."""
    if not set(".en") & set(one + other):
        return int(one) == int(other)
    # With an exponent, two or three digits are printed, of any size.
    relative, absolute = (0.05, 0) if "e" in one + other else (2e-3, 2e-4)
    return one == other or math.isclose(
        float(one), float(other), rel_tol=relative, abs_tol=absolute)


def differences(expected, actual):
    """Return where words differ, or numbers by more than a little."""
    texts = [MESSAGE.sub("(message)", text) for text in (expected, actual)]
    words = [NUMBER.sub("#", text).split() for text in texts]
    if words[0] != words[1]:
        return ["words: %r against %r" % (expected, actual)]
    return ["number: %s against %s" % pair
            for pair in zip(*map(NUMBER.findall, texts)) if not close(*pair)]


def pixels(png):
    return matplotlib.image.imread(io.BytesIO(png), format="png")[..., :3]


def is_blank(png):
    """True if a picture has hardly any pixel that differs from its corner."""
    image = pixels(png)
    return np.mean(np.abs(image - image[0, 0]).max(axis=-1) > 0.1) < 0.003


def blocks(image, size):
    """Return the mean colour of each square block of an image."""
    height, width = (n // size for n in image.shape[:2])
    return image[:height * size, :width * size].reshape(
        height, size, width, size, -1).mean(axis=(1, 3))


def same_picture(one, other, same_matplotlib=True):
    """True if two PNGs show the same, but for how edges are smoothed.

    The mean colours of blocks tell: small ones in the frame, where one digit
    must show, large ones for another Matplotlib, which sets text differently.
    """
    a, b = pixels(one), pixels(other)
    if a.shape != b.shape:
        return False
    if not same_matplotlib:  # a blank picture has no correlation
        rows = [blocks(image, 12).ravel() for image in (a, b)]
        return min(map(np.std, rows)) > 0 and np.corrcoef(*rows)[0, 1] > 0.8
    frame = np.abs(blocks(a - b, 3))
    edge = len(frame) * 3 // 25
    frame[edge:-edge, frame.shape[1] // 11:] = 0
    return frame.max() < 0.15 and np.abs(blocks(a - b, 6)).max() < 0.08
