"""Projections of diffusers' joint ``Attention``, in which image and text have layers of their own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from undrift.attention.taps import Projections


def joint_projections(attn: Any, image: Tensor, text: Tensor) -> Projections:
    """Query, key and value of the whole sequence of diffusers' joint ``Attention``, text first, normalised."""
    streams = (
        (text, attn.add_q_proj, attn.add_k_proj, attn.add_v_proj, attn.norm_added_q, attn.norm_added_k),
        (image, attn.to_q, attn.to_k, attn.to_v, attn.norm_q, attn.norm_k),
    )
    parts = []
    for hidden, to_q, to_k, to_v, norm_q, norm_k in streams:
        query, key, value = (to(hidden).unflatten(-1, (attn.heads, -1)) for to in (to_q, to_k, to_v))
        parts.append((query if norm_q is None else norm_q(query), key if norm_k is None else norm_k(key), value))
    query, key, value = (torch.cat(pair, dim=1) for pair in zip(*parts, strict=True))
    return Projections(query, key, value, text.shape[1])
