"""The networks that are trained together, and how a shallow transformer grows into a deep one."""

from __future__ import annotations

import math
import re
from typing import Any

import torch
from diffusers import FluxTransformer2DModel
from diffusers.models.activations import GELU
from torch import Tensor, nn
from transformers import CLIPTokenizer, T5Tokenizer

from training import text, vae

WIDTH = 96
HEADS = 3
AXES = (8, 12, 12)
DOUBLE_BLOCKS = 19
SINGLE_BLOCKS = 2
_OUTPUTS = ("attn.to_out.0", "attn.to_add_out", "ff.net.2", "ff_context.net.2")


class Nets(nn.Module):
    """Transformer and text encoders with the tokenizers that go with them.

    Args:
        double_blocks: Depth of the transformer in double-stream blocks.
    """

    def __init__(self, double_blocks: int = DOUBLE_BLOCKS) -> None:
        super().__init__()
        self.t5_tokenizer: T5Tokenizer = text.build_t5_tokenizer()
        self.clip_tokenizer: CLIPTokenizer = text.build_clip_tokenizer()
        self.t5 = text.build_t5(self.t5_tokenizer)
        self.clip = text.build_clip(self.clip_tokenizer)
        self.transformer = build_transformer(double_blocks)
        quicken(self)

    def compile_blocks(self) -> None:
        """Compile the blocks one by one; they share their code, so depth does not matter.

        Their `forward` is compiled and not the module, so that hooks stay outside and run eagerly.
        """
        for block in (*self.transformer.transformer_blocks, *self.transformer.single_transformer_blocks):
            block.forward = torch.compile(block.forward, dynamic=False)

    @property
    def double_blocks(self) -> int:
        """Number of double-stream blocks."""
        return len(self.transformer.transformer_blocks)

    def forward(self, x: Tensor, sigma: Tensor, t5_ids: Tensor, clip_ids: Tensor, guidance: Tensor) -> Tensor:
        """The velocity that `FluxPipeline` would compute.

        Args:
            x: Packed latents, (batch, 64, 32), or (batch, 256, 32) of 256 x 256 pictures.
            sigma: Noise levels, (batch,).
            t5_ids: (batch, 20).
            clip_ids: (batch, 24).
            guidance: Guidance values, (batch,); 1 before distillation.

        Returns:
            dx/dsigma, (batch, 64, 32).
        """
        velocity: Tensor = self.transformer(
            hidden_states=x,
            encoder_hidden_states=self.t5(t5_ids.long())[0],
            pooled_projections=self.clip(clip_ids.long()).pooler_output,
            timestep=sigma,
            img_ids=image_ids(math.isqrt(x.shape[1]), x.device),
            txt_ids=torch.zeros(t5_ids.shape[1], 3, device=x.device),
            guidance=guidance,
            return_dict=False,
        )[0]
        return velocity


def build_transformer(double_blocks: int) -> FluxTransformer2DModel:
    """An untrained transformer; modulations start constant and the output starts at zero (Peebles & Xie, 2023)."""
    model = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4 * vae.LATENT_CHANNELS,
        num_layers=double_blocks,
        num_single_layers=SINGLE_BLOCKS,
        attention_head_dim=WIDTH // HEADS,
        num_attention_heads=HEADS,
        joint_attention_dim=text.T5_WIDTH,
        pooled_projection_dim=text.CLIP_WIDTH,
        guidance_embeds=True,
        axes_dims_rope=AXES,
    )
    for name, parameter in model.named_parameters():
        if re.search(r"norm\w*\.linear\.(weight|bias)$", name) or name.startswith("proj_out."):
            nn.init.zeros_(parameter)
    for block in model.transformer_blocks:
        for norm in (block.norm1, block.norm1_context):
            _open_gates(norm.linear.bias, (2, 5))
    for block in model.single_transformer_blocks:
        _open_gates(block.norm.linear.bias, (2,))
    return model


def _open_gates(bias: Tensor, gates: tuple[int, ...], value: float = 0.3) -> None:
    with torch.no_grad():
        for gate in gates:
            bias[gate * WIDTH : (gate + 1) * WIDTH] = value


def image_ids(grid: int, device: torch.device) -> Tensor:
    """Position ids (0, row, column) of grid x grid image tokens, as `FluxPipeline` makes them."""
    ids = torch.zeros(grid, grid, 3, device=device)
    ids[..., 1] = torch.arange(grid, device=device)[:, None]
    ids[..., 2] = torch.arange(grid, device=device)[None, :]
    return ids.view(-1, 3)


def sources(shallow: int, deep: int) -> list[tuple[int, bool]]:
    """For every block of the deep net: the block of the shallow one it starts from, and whether it is that block.

    The shallow blocks keep their order, evenly spread; those between are copies of the one before.
    """
    places = {place * deep // shallow: place for place in range(shallow)}
    result, last = [], 0
    for index in range(deep):
        last = places.get(index, last)
        result.append((last, index in places))
    return result


def grown_names(shallow: int, deep: int) -> dict[str, str]:
    """Prefixes of the blocks that carry on in the deep net, from shallow to deep names."""
    pattern = "transformer.transformer_blocks.{}."
    return {
        pattern.format(old): pattern.format(new) for new, (old, same) in enumerate(sources(shallow, deep)) if same
    }


def rename(name: str, prefixes: dict[str, str]) -> str:
    """The name of a parameter after growth."""
    match = re.match(r"transformer\.transformer_blocks\.\d+\.", name)
    return name.replace(match[0], prefixes[match[0]], 1) if match else name


def grow(weights: dict[str, Tensor], shallow: int, deep: int) -> dict[str, Tensor]:
    """Weights of a deeper net that computes exactly the same function.

    New blocks are copies of their neighbour whose output projections are zero, so that they add nothing at first and
    learn at once.

    Args:
        weights: State of `Nets(shallow)`.
        shallow: Its number of double-stream blocks.
        deep: The number wanted.

    Returns:
        State of `Nets(deep)`.
    """
    block = "transformer.transformer_blocks."
    grown = {name: value.clone() for name, value in weights.items() if not name.startswith(block)}
    for new, (old, same) in enumerate(sources(shallow, deep)):
        prefix = f"{block}{old}."
        for name, value in weights.items():
            if name.startswith(prefix):
                part = name.removeprefix(prefix)
                silent = not same and part.startswith(_OUTPUTS)
                grown[f"{block}{new}.{part}"] = torch.zeros_like(value) if silent else value.clone()
    return grown


class _FastGelu(torch.autograd.Function):
    """GELU in its tanh form, written with the sigmoid: 0.5 (1 + tanh u) = sigmoid(2 u).

    The same function; on a CPU PyTorch's own takes longer than the matrix product before it.
    """

    _A = 2 * (2 / math.pi) ** 0.5
    _B = 0.044715 * _A

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        gate = (x * x).mul_(_FastGelu._B).add_(_FastGelu._A).mul_(x).sigmoid_()
        return gate.mul_(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        square: Tensor = x * x
        gate = (square * _FastGelu._B).add_(_FastGelu._A).mul_(x).sigmoid_()
        slope = square.mul_(3 * _FastGelu._B).add_(_FastGelu._A).mul_(x).mul_(1 - gate).add_(1).mul_(gate)
        product: Tensor = slope.mul_(grad)
        return product


def fast_gelu(x: Tensor) -> Tensor:
    """`torch.nn.functional.gelu(x, approximate="tanh")` to float32 accuracy."""
    if torch.compiler.is_compiling():
        return x * torch.sigmoid(x * (_FastGelu._A + _FastGelu._B * x * x))
    result: Tensor = _FastGelu.apply(x)  # type: ignore[no-untyped-call]
    return result


def quicken(module: nn.Module) -> None:
    """Let the blocks of `module` use `fast_gelu`; weights and saved files stay as they are."""
    for part in module.modules():
        if isinstance(part, GELU):
            part.gelu = fast_gelu
        elif isinstance(part, nn.GELU) and part.approximate == "tanh":
            part.forward = fast_gelu  # type: ignore[assignment,method-assign]
