"""Attention that reads and scales chosen text columns: materialised, or fused with a log-sum-exp correction.

Scaling column j of row i by m after the softmax changes the output by an exactly known amount,

    out_i += (m_i - 1) * sum_{j in T} p_ij v_j,   p_ij = exp(scale * q_i . k_j - lse_i),

so a fused kernel that also returns the log-sum-exp of each row needs only the few columns T, never the matrix.
All tensors have the shape (batch, sequence, heads, head_dim), text first; p is computed in float32 (float64 for
float64 inputs) whatever the inputs are. A mask is what ``scaled_dot_product_attention`` takes: bool, True where a row
may attend to a column, or numbers that are added to the scores; it broadcasts to (batch, heads, sequence, sequence).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend

from undrift.attention.columns import TextColumns
from undrift.attention.pieces import is_large, joined, pieces
from undrift.errors import InputError

KernelName = Literal["auto", "materialised", "fused"]

MATERIALISED_UP_TO = 150_000
"""Elements of one row's matrices, heads * sequence^2, up to which ``auto`` materialises: below it the few extra
operations of the fused correction cost more than the matrix."""

LSE_CHUNK = 256
"""Rows whose scores are held at once where no fused kernel returns the log-sum-exp."""


@dataclass(frozen=True)
class Scaling:
    """Factors on text columns of image rows, applied after the softmax.

    Attributes:
        factors: (batch, image_tokens), m_i; 1 changes nothing.
        columns: which text columns.
        renormalise: divide each row by its new sum, sum_j p'_ij = 1. The paper's released code does not.
    """

    factors: Tensor
    columns: TextColumns
    renormalise: bool = False


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(q k^T / sqrt(head_dim) + mask) v by PyTorch's own choice of kernel."""
    q, k, v = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)


def attention_and_lse(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Attention together with the natural log-sum-exp of each row's scaled scores.

    Runs the kernel that ``scaled_dot_product_attention`` itself would choose for these tensors, so the output
    equals plain attention bit for bit; where that kernel returns no log-sum-exp it is computed beside it.

    Returns:
        The output, shape of ``query``, and (batch, heads, sequence) float32 (float64 for float64 inputs).
    """
    q, k, v = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
    bias = None if mask is None else _bias(mask, query)
    out, lse = _route(q, k, v, bias)(q, k, v, bias)
    return out.transpose(1, 2), lse


def column_weights(
    query: Tensor, key: Tensor, lse: Tensor, text_tokens: int, columns: TextColumns, mask: Tensor | None = None
) -> Tensor:
    """Softmax weights of the image rows on chosen text columns, exp(scale q_i . k_j - lse_i).

    Args:
        query, key: (batch, sequence, heads, head_dim).
        lse: (batch, heads, sequence), from ``attention_and_lse``.
        text_tokens: length of the text in front of the image.
        columns: which text columns.
        mask: see above.

    Returns:
        (batch, heads, image_tokens, columns); 0 for a row that may attend to nothing.
    """
    wide = lse.dtype
    scores = _scores(query[:, text_tokens:].transpose(1, 2), columns.gather(key), wide)
    if mask is None:
        return scores.sub_(lse[:, :, text_tokens:, None]).exp_()
    bias = _bias(mask, query).to(wide)
    of_rows = bias[:, :, text_tokens:] if bias.shape[2] > 1 else bias
    every = of_rows.expand(scores.shape[0], *of_rows.shape[1:3], key.shape[1])
    scores.add_(_take_columns(every, columns)).sub_(lse[:, :, text_tokens:, None])
    return scores.exp_().nan_to_num_(0.0)


def _scores(rows: Tensor, keys: Tensor, wide: torch.dtype) -> Tensor:
    """Scaled scores (batch, heads, image_tokens, columns) of image queries and chosen keys."""
    scale = rows.shape[-1] ** -0.5
    if not narrow(rows):
        return torch.matmul(rows.to(wide), (keys.to(wide) * scale).mT)
    return wide_products(rows.flatten(0, 1), keys.flatten(0, 1).mT).view(*rows.shape[:3], -1).mul_(scale)


def narrow(tensor: Tensor) -> bool:
    """Whether products of a tensor's numbers add up in float32 without being converted first: CUDA's own units for 16
    bits do that, and a copy of all queries in float32 would take longer than everything else here."""
    return tensor.is_cuda and tensor.dtype in (torch.bfloat16, torch.float16)


def wide_products(left: Tensor, right: Tensor) -> Tensor:
    """(batch, rows, columns) in float32, of two tensors that are ``narrow``."""
    return torch.bmm(left, right, out_dtype=torch.float32)


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
    """The whole softmax matrix (batch, heads, sequence, sequence), for reference and for short sequences."""
    wide = torch.promote_types(query.dtype, torch.float32)
    q, k = query.transpose(1, 2).to(wide), key.transpose(1, 2).to(wide)
    scores = torch.matmul(q * query.shape[-1] ** -0.5, k.mT)
    if mask is None:
        return scores.softmax(-1)
    # A row that may attend to nothing attends to nothing, as in PyTorch's own kernels.
    return scores.add_(_bias(mask, query).to(wide)).softmax(-1).nan_to_num_(0.0)


def _bias(mask: Tensor, like: Tensor) -> Tensor:
    """``mask`` as numbers to add to the scores, in the dtype of ``like``, with four dimensions."""
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=like.dtype).masked_fill_(mask.logical_not(), -math.inf)
    return mask.to(like.dtype).reshape((1,) * (4 - mask.ndim) + tuple(mask.shape))


def tapped_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    text_tokens: int,
    *,
    mask: Tensor | None = None,
    read: TextColumns | None = None,
    scaling: Scaling | None = None,
    kernel: KernelName = "auto",
) -> tuple[Tensor, Tensor | None]:
    """Attention that reads the weights of some text columns and scales those of others.

    With nothing to scale the output equals plain attention bit for bit. Text rows are never scaled. For
    inference: the fused kernel updates its own output in place, no gradient flows through it.

    Args:
        query, key, value: (batch, sequence, heads, head_dim).
        text_tokens: length of the text in front of the image.
        mask: see above.
        read: columns whose weights to return, before any scaling.
        scaling: factors to apply.
        kernel: ``materialised`` builds the matrix, ``fused`` never does, ``auto`` decides by the sequence length.

    Returns:
        The output, shape of ``query``, and the weights read, (batch, heads, image_tokens, columns) or None.

    Raises:
        InputError: a column beyond the text, or another batch size than the columns'.
    """
    for columns in filter(None, (read, scaling.columns if scaling else None)):
        if columns.stop > text_tokens:
            raise InputError(f"text column {columns.stop - 1} was asked for, the text has {text_tokens} tokens")
    if scaling is not None and _materialise(kernel, query):
        return _materialised(query, key, value, text_tokens, mask, read, scaling)
    out, lse = attention_and_lse(query, key, value, mask)
    if scaling is None:
        return out, None if read is None else column_weights(query, key, lse, text_tokens, read, mask)
    # One product of queries and keys for both: it is bound by reading the queries, not by the few columns.
    wanted = scaling.columns if read is None else read.beside(scaling.columns)
    every = column_weights(query, key, lse, text_tokens, wanted, mask)
    count = scaling.columns.index.shape[1]
    _correct(out[:, text_tokens:], value, every[..., -count:], scaling)
    return out, None if read is None else every[..., :-count]


def _materialise(kernel: KernelName, query: Tensor) -> bool:
    if kernel == "auto":
        return query.shape[2] * query.shape[1] ** 2 <= MATERIALISED_UP_TO
    return kernel == "materialised"


def _materialised(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    text_tokens: int,
    mask: Tensor | None,
    read: TextColumns | None,
    scaling: Scaling,
) -> tuple[Tensor, Tensor | None]:
    matrix = attention_weights(query, key, mask)
    image_rows = matrix[:, :, text_tokens:]
    weights = None if read is None else _take_columns(image_rows, read)
    index = _expanded(image_rows, scaling.columns.index)
    change = _relative_change(scaling, matrix.dtype) * image_rows.gather(-1, index)
    image_rows.scatter_add_(-1, index, change)
    if scaling.renormalise:
        image_rows.div_(image_rows.sum(-1, keepdim=True))
    out = matrix @ value.transpose(1, 2).to(matrix.dtype)
    return out.transpose(1, 2).to(query.dtype), weights


def _take_columns(rows: Tensor, columns: TextColumns) -> Tensor:
    return rows.gather(-1, _expanded(rows, columns.index))


def _expanded(rows: Tensor, index: Tensor) -> Tensor:
    return index[:, None, None, :].expand(-1, rows.shape[1], rows.shape[2], -1)


def _relative_change(scaling: Scaling, dtype: torch.dtype) -> Tensor:
    """(m_i - 1) where a column is chosen, 0 where it is padding: (batch, 1, image_tokens, columns)."""
    change = (scaling.factors - 1.0).unsqueeze(2) * scaling.columns.weight.unsqueeze(1)
    return change.unsqueeze(1).to(dtype)


def _correct(image_rows: Tensor, value: Tensor, weights: Tensor, scaling: Scaling) -> None:
    """Turn plain attention's image rows into scaled ones, in place, with the ``weights`` of the scaled columns.

    The product is added where the rows lie, so that no second tensor of their size is made.
    """
    change = weights * _relative_change(scaling, weights.dtype)
    values = scaling.columns.gather(value)
    for rows, factors, columns in zip(image_rows.transpose(1, 2), change.to(value.dtype), values, strict=True):
        rows.baddbmm_(factors, columns)
    if scaling.renormalise:
        image_rows.div_(1.0 + change.sum(-1).transpose(1, 2).unsqueeze(-1))


_Route = Callable[[Tensor, Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]


def _route(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> _Route:
    """The route that returns what ``scaled_dot_product_attention`` would for (batch, heads, sequence, head_dim).

    The operations that return the log-sum-exp are private to PyTorch, hence looked for by name on every call.
    """
    if q.device.type not in _ROUTES or q.shape[-1] % 8 or not hasattr(torch, "_fused_sdp_choice"):
        return _beside
    if bias is not None and q.device.type != "cpu":
        # What CUDA's kernels ask of a mask's memory layout differs from kernel to kernel.
        return _beside
    name, route = _ROUTES[q.device.type].get(_choice(q, k, v, bias), ("", _beside))
    return route if not name or hasattr(torch.ops.aten, name) else _beside


def _choice(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> int:
    """PyTorch's choice of kernel; under ``torch.compile``, which cannot trace that question, its usual answer."""
    if not torch.compiler.is_compiling():
        return int(torch._fused_sdp_choice(q, k, v, bias))
    flash = q.device.type == "cpu" or q.dtype in (torch.float16, torch.bfloat16)
    return int((SDPBackend.FLASH_ATTENTION if flash else SDPBackend.EFFICIENT_ATTENTION).value)


def _flash_cpu(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    if torch.compiler.is_compiling() or not is_large(q, k):
        out, lse = flash(q, k, v, attn_mask=bias)
        return out, lse
    made = [flash(rows, k, v, attn_mask=mask) for rows, mask in pieces(q, k, bias)]
    return joined([out for out, _ in made]), torch.cat([lse for _, lse in made], dim=2)


def _flash_cuda(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    out, lse, *_ = torch.ops.aten._scaled_dot_product_flash_attention(q, k, v)
    return out, lse


def _efficient_cuda(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    out, lse, *_ = torch.ops.aten._scaled_dot_product_efficient_attention(q, k, v, None, True)
    return out, lse[..., : q.shape[2]]


def _cudnn(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    out, lse, *_ = torch.ops.aten._scaled_dot_product_cudnn_attention(q, k, v, None, True)
    return out, lse.reshape(q.shape[:3])


def _beside(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Plain attention, and the log-sum-exp in a pass of its own that holds ``LSE_CHUNK`` rows at a time."""
    wide = torch.promote_types(q.dtype, torch.float32)
    keys = k.to(wide).mT / math.sqrt(q.shape[-1])
    every = None if bias is None else bias.to(wide).expand(-1, -1, q.shape[2], -1)
    lse = []
    for start in range(0, q.shape[2], LSE_CHUNK):
        rows = slice(start, start + LSE_CHUNK)
        scores = q[:, :, rows].to(wide) @ keys
        lse.append((scores if every is None else scores + every[:, :, rows]).logsumexp(-1))
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=bias), torch.cat(lse, dim=2)


_ROUTES: dict[str, dict[int, tuple[str, _Route]]] = {
    "cpu": {SDPBackend.FLASH_ATTENTION.value: ("_scaled_dot_product_flash_attention_for_cpu", _flash_cpu)},
    "cuda": {
        SDPBackend.FLASH_ATTENTION.value: ("_scaled_dot_product_flash_attention", _flash_cuda),
        SDPBackend.EFFICIENT_ATTENTION.value: ("_scaled_dot_product_efficient_attention", _efficient_cuda),
        SDPBackend.CUDNN_ATTENTION.value: ("_scaled_dot_product_cudnn_attention", _cudnn),
    },
}
