"""Oracles of the training code: exact growth, exact resumption, and the approximations it relies on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import FluxPipeline
from torch.nn import functional

from tests.support.closeness import assert_rounded, flux_operations
from training import distill, flow, optim, sample, save, text, vae
from training.helper import Helper, attach
from training.nets import HEADS, WIDTH, Nets, fast_gelu, grow, sources
from training.run import load_checkpoint, save_checkpoint
from undrift.littleworld.captions import VOCABULARY


def operations(double: int, evaluations: int = 1) -> int:
    """Roundings of the networks: 64 tokens of the picture and the caption's."""
    return evaluations * flux_operations(double, 2 * double, WIDTH, 64 + text.T5_LENGTH, HEADS)


def dataset(nets: Nets, count: int = 6) -> flow.Dataset:
    packed = torch.randn(count, 64, 32, generator=torch.Generator().manual_seed(1))
    return flow.Dataset(packed, nets)


def trainer(double: int = 2) -> flow.Trainer:
    torch.manual_seed(0)
    return flow.Trainer(Nets(double))


def velocity(nets: Nets, guidance: float = 1.0) -> torch.Tensor:
    data = dataset(nets)
    x = data.packed[:2]
    with torch.no_grad():
        result: torch.Tensor = nets(
            x, torch.tensor([0.3, 0.8]), data.t5_ids[1:3], data.clip_ids[1:3], torch.full((2,), guidance)
        )
    return result


def test_growth_keeps_the_function() -> None:
    shallow = trainer()
    for _ in range(3):
        shallow.step(dataset(shallow.nets), 0.0, size=4)
    deep = Nets(5)
    flow.load_parameters(deep, grow(shallow.state()["weights"], 2, 5))
    expected = velocity(shallow.nets)
    assert expected.abs().max() > 1e-3
    assert_rounded(velocity(deep), expected, operations(5))


def test_growth_keeps_the_order_of_blocks_and_adds_copies_between_them() -> None:
    assert sources(2, 5) == [(0, True), (0, False), (1, True), (1, False), (1, False)]
    assert sources(3, 3) == [(0, True), (1, True), (2, True)]


def test_new_blocks_learn_after_growth(tmp_path: Path) -> None:
    shallow = trainer()
    shallow.step(dataset(shallow.nets), 0.0, size=4)
    deep = trainer(4)
    deep.restore(shallow.state())
    before = deep.nets.transformer.transformer_blocks[1].attn.to_out[0].weight.clone()
    assert before.abs().max() == 0
    deep.step(dataset(deep.nets), 0.0, size=4)
    assert deep.nets.transformer.transformer_blocks[1].attn.to_out[0].weight.abs().max() > 0


def test_resumed_training_equals_uninterrupted(tmp_path: Path) -> None:
    whole = trainer()
    data = dataset(whole.nets)
    losses = [whole.step(data, 0.1 * i, size=4) for i in range(4)]
    first = trainer()
    for i in range(2):
        first.step(data, 0.1 * i, size=4)
    save_checkpoint(tmp_path / "flow.pt", first.state())
    resumed = trainer()
    state = load_checkpoint(tmp_path / "flow.pt")
    assert state is not None
    resumed.restore(state)
    assert [resumed.step(data, 0.1 * i, size=4) for i in (2, 3)] == losses[2:]
    for name, weight in whole.ema.items():
        assert torch.equal(weight, resumed.ema[name]), name


def test_attached_weights_keep_their_values_and_are_shared() -> None:
    first, second = trainer(), trainer()
    first.step(dataset(first.nets), 0.0, size=4)
    expected = velocity(first.nets)
    attach(second.nets, attach(first.nets))
    assert torch.equal(velocity(first.nets), expected)
    assert torch.equal(velocity(second.nets), expected)
    first.step(dataset(first.nets), 0.0, size=4)
    assert torch.equal(velocity(second.nets), velocity(first.nets))


def test_a_waiting_gradient_is_averaged_in_once() -> None:
    main = trainer()
    helper = Helper(main, trainer, lambda t: dataset(t.nets), batch=4, nice=0)
    weight = main.nets.transformer.proj_out.weight
    for p in main.nets.parameters():
        p.grad = torch.ones_like(p)
    assert helper.collect() == 0
    helper._gradients.fill_(3.0)
    helper._mail[0] = 1
    assert helper.collect() == 4
    assert helper.collect() == 0
    assert torch.equal(weight.grad, torch.full_like(weight, 2.0))


def test_distillation_target_is_two_evaluations() -> None:
    teacher = trainer()
    data = dataset(teacher.nets)
    teacher.step(data, 0.0, size=4)
    plain = velocity(teacher.nets)
    inputs = (data.packed[:2], torch.tensor([0.3, 0.8]), data.t5_ids[1:3], data.clip_ids[1:3])
    no_t5, no_clip = data.t5_ids[:1].expand(2, -1), data.clip_ids[:1].expand(2, -1)
    with torch.no_grad():
        empty = teacher.nets(inputs[0], inputs[1], no_t5, no_clip, torch.ones(2))
    assert_rounded(distill.guided(teacher.nets, data, inputs, torch.ones(2)), plain, operations(2))
    assert_rounded(distill.guided(teacher.nets, data, inputs, torch.zeros(2)), empty, operations(2))
    threefold = distill.guided(teacher.nets, data, inputs, torch.full((2,), 3.0))
    assert_rounded(threefold, 3 * plain - 2 * empty, operations(2), size=5 * float(plain.abs().max()))
    # A share of the square of the velocity, which float32 rounds to 1e-5 of its size at most.
    assert distill.agreement(teacher.nets, teacher.nets, data, 1.0, count=4)["error"] < 1e-9


def test_student_starts_at_the_plain_velocity_for_every_guidance() -> None:
    teacher = trainer()
    teacher.step(dataset(teacher.nets), 0.0, size=4)
    expected = velocity(teacher.nets)
    student = distill.Distiller(teacher.nets).nets
    for value in (1.0, 2.0, 5.0):
        assert_rounded(velocity(student, value), expected, operations(2))


def test_saved_folder_is_an_ordinary_pipeline_with_the_same_velocity(tmp_path: Path) -> None:
    torch.manual_seed(0)
    nets = trainer(19).nets
    torch.nn.init.normal_(nets.transformer.proj_out.weight, std=0.05)
    captions = ["a red cat in a meadow", "an orange car at night"]
    expected = sample.sample(nets, captions, guidance=2.0, distilled=True)
    save.save(nets, vae.build(), tmp_path / "model")
    pipeline = FluxPipeline.from_pretrained(tmp_path / "model", dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    noise = torch.randn(2, 64, 32, generator=torch.Generator().manual_seed(0))
    result = pipeline(
        captions,
        height=128,
        width=128,
        num_inference_steps=sample.STEPS,
        guidance_scale=2.0,
        max_sequence_length=text.T5_LENGTH,
        latents=noise,
        output_type="latent",
    ).images
    assert_rounded(result, expected, operations(19, sample.STEPS))
    assert max(file.stat().st_size for file in tmp_path.rglob("*.safetensors")) < 16 * 2**20


def test_fast_gelu_is_the_tanh_gelu_with_its_gradient() -> None:
    x = torch.linspace(-8, 8, 1001, requires_grad=True)
    y = functional.gelu(x, approximate="tanh")
    assert_rounded(fast_gelu(x), y, 10)
    (gradient,), (expected,) = torch.autograd.grad(fast_gelu(x).sum(), x), torch.autograd.grad(y.sum(), x)
    assert_rounded(gradient, expected, 10, size=8.0)  # x, by which the gradient's terms are multiplied


@pytest.mark.parametrize("shape", [(96, 864), (96, 96), (384, 96)])
def test_orthogonalise_brings_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrices = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(optim.orthogonalise(matrices))
    assert values.max() < 1.3
    assert values.median() > 0.6


@pytest.mark.parametrize("word", VOCABULARY)
def test_every_caption_word_is_one_token(word: str) -> None:
    assert len(text.build_t5_tokenizer()(word).input_ids) == 2
    assert len(text.build_clip_tokenizer()(word).input_ids) == 3


def test_standardised_latents_have_unit_variance_and_decode_the_same() -> None:
    torch.manual_seed(0)
    model = vae.build().eval()
    x = vae.channels_last(range(16))
    with torch.no_grad():
        before = model.decode(model.encode(x).latent_dist.mode()).sample
        vae.standardise(model, count=16)
        latent = model.encode(x).latent_dist.mode()
        after = model.decode(latent).sample
    count = 16 * 16 * 16  # over which both are taken; with count - 1 in its place a deviation is 1 / (2 count) larger
    assert_rounded(latent.std(dim=(0, 2, 3)), torch.ones(8), count, size=4.0)
    assert_rounded(latent.mean(dim=(0, 2, 3)), torch.zeros(8), count, size=1.0)
    inner = (slice(None), slice(None), slice(48, 80), slice(48, 80))
    assert (after - before)[inner].abs().max() < 0.2
