"""Networks with random weights in the formats in which the real ones are published."""

from __future__ import annotations

import json
from pathlib import Path

import torch


def tiny_clip(folder: Path) -> Path:
    """A CLIP folder as on the hub: byte-level tokens without merges."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    characters = [chr(code) for code in range(33, 127)]
    words = [*characters, *(f"{c}</w>" for c in characters), "<|startoftext|>", "<|endoftext|>"]
    start, end = len(words) - 2, len(words) - 1
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {**layers, "vocab_size": len(words), "bos_token_id": start, "eos_token_id": end, "pad_token_id": end}
    vision = {**layers, "image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    said = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return folder


def tiny_dino(folder: Path) -> Path:
    """A ViT folder as on the hub."""
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
    ViTModel(ViTConfig(**shape, image_size=224, patch_size=32), add_pooling_layer=False).save_pretrained(folder)
    return folder


def squeezenet(file: Path) -> Path:
    """SqueezeNet 1.1 as torchvision publishes it, the classifier included."""
    from undrift.bench.metrics.lpips import SqueezeNet

    torch.manual_seed(0)
    classifier = {"classifier.1.weight": torch.zeros(1000, 512, 1, 1), "classifier.1.bias": torch.zeros(1000)}
    torch.save({**SqueezeNet().state_dict(), **classifier}, file)
    return file
