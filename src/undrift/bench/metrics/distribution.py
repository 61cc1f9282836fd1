"""Distances of two sets of feature vectors."""

from __future__ import annotations

import torch
from torch import Tensor


def frechet(x: Tensor, y: Tensor) -> float:
    """|mu_x - mu_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2)), with covariances over N - 1.

    The trace of the root is the nuclear norm of X Y^T / sqrt((N - 1)(M - 1)), the rows centred: exact where there are
    fewer pictures than features and the covariances are singular, without a matrix root that turns imaginary. Between
    paired sets of N it is at most N / (N - 1) times the mean squared distance of the pairs (Gelbrich 1990).

    Args:
        x, y: (N, D) and (M, D), N and M at least 2.

    Source: Heusel et al. 2017, equation 6.
    """
    x, y = x.double(), y.double()
    means = (x.mean(0) - y.mean(0)).square().sum()
    a, b = ((rows - rows.mean(0)) / (len(rows) - 1) ** 0.5 for rows in (x, y))
    root = torch.linalg.svdvals(_short(a) @ _short(b).mT).sum()
    return max(0.0, float(means + a.square().sum() + b.square().sum() - 2 * root))


def kernel_distance(x: Tensor, y: Tensor) -> float:
    """The unbiased squared MMD with the kernel (x . y / D + 1)^3, over all pairs at once: KID.

    It can be slightly negative. Unlike `frechet` it does not grow when there are fewer pictures.

    Args:
        x, y: (N, D) and (M, D), N and M at least 2.

    Source: Binkowski et al. 2018, section 4.
    """
    x, y = x.double(), y.double()
    return float(_off_diagonal_mean(_kernel(x, x)) + _off_diagonal_mean(_kernel(y, y)) - 2 * _kernel(x, y).mean())


def _short(rows: Tensor) -> Tensor:
    """At most D rows with the same Gram matrix of the columns, so with the same singular values in any product."""
    return torch.linalg.qr(rows, mode="r").R if rows.shape[0] > rows.shape[1] else rows


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.mT / x.shape[1] + 1) ** 3


def _off_diagonal_mean(gram: Tensor) -> Tensor:
    count = len(gram)
    return (gram.sum() - gram.diagonal().sum()) / (count * (count - 1))
