"""Where a model's parts live and compute: device, dtype, offloading, and what to advise when memory ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Literal, get_args

import torch
from torch import nn

from undrift.backbones.caching import Cache
from undrift.backbones.denormals import flushed
from undrift.errors import OutOfMemory

Offload = Literal["none", "model", "group"]
Quantize = Literal["none", "nf4", "int8", "fp8"]
Tiling = Literal["auto", "on", "off"]

OFFLOADS: tuple[str, ...] = get_args(Offload)
QUANTIZATIONS: tuple[str, ...] = get_args(Quantize)
TILINGS: tuple[str, ...] = get_args(Tiling)


def quantize_option(recorded: str) -> str:
    """What ``quantize`` was asked to be where ``ModelIdentity.quantize`` is ``recorded``: files that are quantised
    themselves need nothing, the other parts may have been quantised beside them."""
    asked = recorded.rpartition("+")[2]
    return asked if asked in QUANTIZATIONS else "none"


DTYPES = {
    "float32": torch.float32,
    "fp32": torch.float32,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "float16": torch.float16,
    "fp16": torch.float16,
}
GROUP_OFFLOAD_FROM = 2**28
"""Parts with fewer bytes than this stay on the device in group offloading: moving them costs more than it saves."""


_GRADIENTS: ContextVar[bool] = ContextVar("gradients", default=False)


@contextmanager
def gradients() -> Iterator[None]:
    """Within the block gradients flow through the networks to what they are given, for methods that optimise it.

    The weights themselves never get any.
    """
    token = _GRADIENTS.set(True)
    try:
        yield
    finally:
        _GRADIENTS.reset(token)


class Placement:
    """The device and dtype a model computes in, and the moving of its parts.

    Offload ``none`` keeps every part on the device. ``model`` keeps one part there at a time, so that a turn moves
    each part once. ``group`` streams the large parts' layers through the device as they are needed.

    Args:
        device, dtype: what the model computes on and in.
        offload, quantize: as above, and how the weights of large parts are held.
        tiling: whether the VAE works in tiles, which need less memory and leave faint seams; ``auto`` does it for
            large pictures on a GPU.
        compiled: whether the network's blocks are compiled.
        cache: how evaluations leave blocks out that change little from step to step.
    """

    def __init__(
        self,
        device: torch.device,
        dtype: torch.dtype,
        offload: Offload = "none",
        quantize: Quantize = "none",
        *,
        tiling: Tiling = "auto",
        compiled: bool = False,
        cache: Cache | None = None,
    ) -> None:
        self.device = device
        self.dtype = dtype
        self.offload = offload
        self.quantize = quantize
        self.tiling = tiling
        self.compiled = compiled
        self.cache = cache
        self._resident: nn.Module | None = None

    @property
    def dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    @property
    def options(self) -> tuple[str, ...]:
        """What beside number format and quantisation decides a result, ``name=value`` each, as records have it."""
        tiling = () if self.tiling == "auto" else (f"tiling={self.tiling}",)
        cache = () if self.cache is None else (f"cache={self.cache}",)
        return (*tiling, *(("compile=on",) if self.compiled else ()), *cache)

    @property
    def moves(self) -> bool:
        """Whether parts are moved to the device when they are used."""
        return self.offload != "none"

    def place(self, modules: Sequence[nn.Module]) -> None:
        """Put freshly loaded parts where they wait for their work."""
        with self.explained():
            for module in modules:
                if self.offload == "group" and _size(module) < GROUP_OFFLOAD_FROM:
                    module.to(self.device)
                elif self.offload == "group":
                    self._stream(module)
                else:
                    self.settle(module)

    def settle(self, module: nn.Module) -> None:
        """Put a part that was just loaded where it waits, so that the next one has the room that it was loaded in.

        That is the device, or main memory where parts are moved: bitsandbytes quantises on the device and leaves
        them there.
        """
        with self.explained():
            module.to("cpu" if self.moves else self.device)

    def current(self) -> AbstractContextManager[object]:
        """Within the block the device is the one that libraries take which do not ask, as bitsandbytes and Triton."""
        return torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()

    @contextmanager
    def using(self, module: nn.Module) -> Iterator[None]:
        """Run ``module`` in the block: on the device, without gradients (but see ``gradients``), denormal numbers
        flushed, running out of memory explained."""
        with self.explained():
            if self.offload == "model" and module is not self._resident:
                self._bring(module)
            gradients = torch.enable_grad() if _GRADIENTS.get() else self._without_gradients()
            with self.current(), gradients, flushed(self.device):
                yield

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn running out of device memory into an ``OutOfMemory`` that says what helps."""
        try:
            yield
        except RuntimeError as error:
            # CUDA has its own exception type, the CPU's allocator only a message.
            if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
                raise
            raise OutOfMemory(f"the memory of {self.device} is too small: {memory_advice(self)}") from error

    def _bring(self, module: nn.Module) -> None:
        """Put ``module`` on the device in place of the one that is there; if it does not fit, nothing is there."""
        before, self._resident = self._resident, None
        if before is not None:
            before.to("cpu")
        try:
            module.to(self.device)
        except BaseException:
            module.to("cpu")  # whole again, what was moved before memory ended included
            raise
        self._resident = module

    def _stream(self, module: nn.Module) -> None:
        from diffusers.hooks import apply_group_offloading

        apply_group_offloading(
            module,
            onload_device=self.device,
            offload_device=torch.device("cpu"),
            offload_type="leaf_level",
            use_stream=self.device.type == "cuda",
        )
        for parameter in module.parameters():
            # The scales of weights in four bits are no parameters: what streams those leaves them where they are.
            if (scales := getattr(parameter, "quant_state", None)) is not None:
                scales.to(self.device)

    def _without_gradients(self) -> AbstractContextManager[None]:
        # Streaming replaces the data of parameters while they run, which inference tensors do not allow.
        return torch.no_grad() if self.offload == "group" else torch.inference_mode()


def memory_advice(placement: Placement, *, working: bool = True) -> str:
    """What to try when a model and its work do not fit into memory, given what is used already.

    Args:
        placement: what is used.
        working: whether it is the work that does not fit, which grows with the picture, and not the weights alone.
    """
    on_gpu = placement.device.type == "cuda"
    steps = {
        "--dtype bf16": placement.dtype == torch.float32,
        "--offload model": on_gpu and placement.offload == "none",
        "--offload group": on_gpu and (placement.offload == "none" or (working and placement.offload == "model")),
        "--quantize nf4": on_gpu and placement.quantize == "none",
        "--tiling on": working and placement.tiling != "on",
        "a smaller picture": working,
    }
    useful = [step for step, helps in steps.items() if helps]
    return "try " + " or ".join(useful) if useful else "free some, or use a smaller model"


def free_memory(device: torch.device | None = None) -> int:
    """Bytes that are free on a device, by default where a model would go: on the first GPU, or in main memory."""
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else free_main_memory()


def free_main_memory() -> int:
    """Bytes of main memory that programs may still take."""
    import psutil  # type: ignore[import-untyped]

    return int(psutil.virtual_memory().available)


def _size(module: nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in module.parameters())
