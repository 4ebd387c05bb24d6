"""The handwritten digits that the examples learn from; data/README.md says where they are from."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

import framework as torch

DATA = Path(__file__).resolve().parent / "data" / "digits.csv.gz"
TRAIN = 1437  # images to learn from; the other 360 are for testing


def load_digits():
    """The digits as ``x_train, y_train, x_test, y_test``, in an order that is always the same.

    Images are float32 of shape [n, 8, 8], from 0 (blank) to 1 (black); labels are int64 of [n].
    """
    with gzip.open(DATA, "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    table = table[np.random.Generator(np.random.Philox(0)).permutation(len(table))]
    images = torch.from_numpy(table[:, :64].reshape(-1, 8, 8) / 16)
    labels = torch.from_numpy(table[:, 64].astype(np.int64))
    return images[:TRAIN], labels[:TRAIN], images[TRAIN:], labels[TRAIN:]


def picture(image, ink=" .:-=+*#%@"):
    """An image as eight lines of text.

    >>> print(picture(torch.eye(8)).splitlines()[1])
      @@
    """
    rows = (image.clamp(0, 1) * (len(ink) - 1)).round().long().tolist()
    return "\n".join("".join(ink[level] * 2 for level in row).rstrip() for row in rows)
