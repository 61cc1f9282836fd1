"""A transformer's weights in one file, as people hold them."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor


def transformer_weights(folder: Path) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    return weights


def gguf_file(path: Path, state: dict[str, Tensor]) -> Path:
    """Matrices in Q8_0, the rest in float32, as the quantised files on the hub have them."""
    import gguf

    writer = gguf.GGUFWriter(path, "flux")
    for name, tensor in state.items():
        numbers = tensor.float().numpy()
        if tensor.ndim == 2 and tensor.shape[1] % 32 == 0:
            packed = gguf.quants.quantize(numbers, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
