"""A rough idea of where something is, fitted to the edges of its picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from undrift.session.drift import Mask

LEVELS = 12
"""Of each channel, into which colours are sorted."""
ROUNDS = 6
WEIGHT = 3.0
"""Of what a colour says, against what the rough idea says."""
SURE = 0.02
"""The rough idea is never surer than this of either answer, so that a colour can change it."""
PRIOR = 5e-4
"""Share of pixels that every colour is taken to have on either side, beside those that it was seen in."""


def fitted(likely: NDArray[np.float32], near: Mask, pixels: NDArray[np.uint8]) -> Mask:
    """Where something is to the pixel.

    In turns, as in GrabCut (Rother et al. 2004) with histograms for its mixtures and without its cut: how often each
    colour is in the thing and in what is around it, and from that how likely each pixel is part of it,
    logit p = logit likely + WEIGHT log(share in the thing / share around it).

    Args:
        likely: (height, width) in [0, 1], a rough idea of where it is.
        near: what is looked at; beyond it nothing is part of the thing, and no colour counts.
        pixels: (height, width, 3).
    """
    colours = (pixels.astype(np.int64) * LEVELS // 256) @ np.array([LEVELS * LEVELS, LEVELS, 1])
    colours, rough = colours[near], likely[near]
    bounded = np.clip(rough, SURE, 1.0 - SURE)
    start = np.log(bounded / (1.0 - bounded))
    for _ in range(ROUNDS):
        told = np.log(_shares(colours, rough) / _shares(colours, 1.0 - rough))
        rough = 1.0 / (1.0 + np.exp(-(start + WEIGHT * told[colours])))
    whole = np.zeros(near.shape)
    whole[near] = rough
    return _smooth(whole) >= 0.5


def _shares(colours: NDArray[np.int64], weights: NDArray[np.floating]) -> NDArray[np.floating]:
    counts = np.bincount(colours, weights=weights, minlength=LEVELS**3)
    shares: NDArray[np.floating] = counts / max(float(counts.sum()), 1e-9) + PRIOR
    return shares


def _smooth(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """The mean of each pixel and its eight neighbours: single specks are noise."""
    padded = np.pad(values, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    means: NDArray[np.floating] = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9.0
    return means
