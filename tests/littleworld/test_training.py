"""Oracles of the training code: exact growth, exact resumption, and the approximations it relies on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, FluxPipeline
from torch.nn import functional

from tests.support.closeness import assert_rounded, flux_operations
from training import crisp, data, distill, flow, latents, nearest, optim, oracle, robust, run, sample, save, text, vae
from training.helper import Helper, attach
from training.nets import HEADS, WIDTH, Nets, fast_gelu, grow, sources
from training.run import load_checkpoint, save_checkpoint
from undrift.littleworld import scenes
from undrift.littleworld.captions import VOCABULARY, caption
from undrift.littleworld.judge import judge


def operations(double: int, evaluations: int = 1) -> int:
    """Roundings of the networks: 64 tokens of the picture and the caption's."""
    return evaluations * flux_operations(double, 2 * double, WIDTH, 64 + text.T5_LENGTH, HEADS)


def dataset(nets: Nets, count: int = 6) -> flow.Dataset:
    packed = torch.randn(count, 64, 32, generator=torch.Generator().manual_seed(1))
    drawn = [data.scene(seed) for seed in range(count)]
    parts = torch.from_numpy(np.stack([oracle.token_parts(scene) for scene in drawn]))
    labels = torch.tensor([oracle.labels(scene) for scene in drawn])
    return flow.Dataset.from_zero(latents.Shard(packed, parts, labels), nets)


def trainer(double: int = 2) -> flow.Trainer:
    torch.manual_seed(0)
    made = flow.Trainer(Nets(double))
    made.listen(oracle.FlowHead(WIDTH))
    return made


def velocity(nets: Nets, guidance: float = 1.0) -> torch.Tensor:
    batches = dataset(nets)
    x = batches.scenes.packed[:2]
    with torch.no_grad():
        result: torch.Tensor = nets(
            x, torch.tensor([0.3, 0.8]), batches.t5_ids[1:3], batches.clip_ids[1:3], torch.full((2,), guidance)
        )
    return result


@pytest.mark.slow
def test_growth_keeps_the_function() -> None:
    shallow = trainer()
    for _ in range(3):
        shallow.step(dataset(shallow.nets), 1.0, size=4)
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
    shallow.step(dataset(shallow.nets), 1.0, size=4)
    deep = trainer(4)
    deep.restore(shallow.state())
    before = deep.nets.transformer.transformer_blocks[1].attn.to_out[0].weight.clone()
    assert before.abs().max() == 0
    deep.step(dataset(deep.nets), 1.0, size=4)
    assert deep.nets.transformer.transformer_blocks[1].attn.to_out[0].weight.abs().max() > 0


@pytest.mark.slow
def test_resumed_training_equals_uninterrupted(tmp_path: Path) -> None:
    whole = trainer()
    batches = dataset(whole.nets)
    losses = [whole.step(batches, 1 - 0.1 * i, size=4) for i in range(4)]
    first = trainer()
    for i in range(2):
        first.step(batches, 1 - 0.1 * i, size=4)
    save_checkpoint(tmp_path / "flow.pt", first.state())
    resumed = trainer()
    state = load_checkpoint(tmp_path / "flow.pt")
    assert state is not None
    resumed.restore(state)
    assert [resumed.step(batches, 1 - 0.1 * i, size=4) for i in (2, 3)] == losses[2:]
    for name, weight in whole.ema.items():
        assert torch.equal(weight, resumed.ema[name]), name


@pytest.mark.slow
def test_an_annealed_branch_ends_at_a_small_rate_and_leaves_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "Clock", lambda elapsed: Ticking(elapsed))
    monkeypatch.setattr(flow, "load_dataset", lambda runs, trainer: dataset(trainer.nets))
    args = flow.arguments(None).parse_args(["--runs", str(tmp_path), "--minutes", "0.1"])
    flow.train(trainer, "flow", args)
    before = (tmp_path / "flow.pt").read_bytes()
    rates: list[float] = []
    monkeypatch.setattr(flow, "set_lr", lambda optimisers, rate: rates.append(rate))
    monkeypatch.setattr(flow, "WARMUP", 1)
    flow.train(trainer, "flow", args, anneal="annealed")
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 0.5
    assert rates[-1] <= 0.2
    assert (tmp_path / "flow.pt").read_bytes() == before
    assert (tmp_path / "annealed.pt").exists()


class Ticking:
    """A clock on which every look takes half a second."""

    def __init__(self, elapsed: float) -> None:
        self._now = elapsed

    @property
    def elapsed(self) -> float:
        self._now += 0.5
        return self._now


def test_the_oracle_s_parts_lie_where_the_thing_is_drawn() -> None:
    scene = data.scene(3)
    bare = scenes.Scene(scene.background, scene.subject, None, None, replace(scene.placement, x=-1000))
    shows = (nearest.drawn(scene) - nearest.drawn(bare)).abs().amax(0) > 0.02
    cells = shows.view(32, 4, 32, 4).float().mean((1, 3))
    parts = torch.from_numpy(oracle.part_map(scene) > 0)
    assert cells[parts].mean() > 0.85
    assert cells[~parts].mean() < 0.05


@pytest.mark.parametrize("pose", scenes.POSES)
@pytest.mark.parametrize("kind", scenes.WEARERS)
def test_a_posed_thing_has_parts_where_it_is_drawn_and_no_new_ids(kind: str, pose: str) -> None:
    place = scenes.RICH_PLACEMENTS[-1]
    scene = scenes.Scene("desert", scenes.Thing(kind, "blue"), None, None, place, "striped", pose)
    bare = replace(scene, placement=replace(place, x=-1000))
    shows = (nearest.drawn(scene) - nearest.drawn(bare)).abs().amax(0) > 0.02
    cells = shows.view(32, 4, 32, 4).float().mean((1, 3))
    ids = oracle.part_map(scene)
    parts = torch.from_numpy(ids > 0)
    assert cells[parts].mean() > 0.85
    assert cells[~parts].mean() < (0.07 if pose == "jumping" else 0.05)  # the shadow of a jump is no part
    assert ids.max() < oracle.PARTS <= 256
    assert all(0 <= label < count for label, count in zip(oracle.labels(scene), oracle.LABELS, strict=True))


def test_both_tokenizers_read_the_longest_caption_to_its_end() -> None:
    things = (scenes.Thing("cat", "red"), scenes.Thing("hat", "blue"), scenes.Thing("flower", "yellow"))
    scene = scenes.Scene("meadow", *things, scenes.PLACEMENTS[0], "striped", "sitting", "pencil")
    said = f"{caption(scene)}."
    assert len(text.build_t5_tokenizer()(said).input_ids) <= text.T5_LENGTH
    assert len(text.build_clip_tokenizer()(said).input_ids) <= text.CLIP_LENGTH


def test_the_oracle_head_learns_and_leaves_no_trace_in_the_velocity() -> None:
    with_head = trainer()
    bare = flow.Trainer(Nets(2))
    bare.restore(with_head.state())
    assert torch.equal(velocity(with_head.nets), velocity(bare.nets))
    batch = dataset(with_head.nets)
    losses = [with_head.step(batch, 1.0, size=4) for _ in range(3)]
    assert losses[-1] != losses[0]
    assert "head" not in dict(with_head.nets.named_children())


def test_noised_latents_have_the_deviation_asked_for() -> None:
    torch.manual_seed(0)
    noise = robust.noised(torch.zeros(4000, 8, 2, 2), 0.8)
    assert noise.std(dim=(1, 2, 3)).max() < 0.8 * 1.6
    # The mean of 4000 squares of uniform deviations: a standard error of 1.5 %.
    assert noise.square().mean() == pytest.approx(0.8**2 / 3, rel=0.06)


@pytest.mark.slow
def test_the_adversarial_end_changes_the_decoder_alone() -> None:
    judge(torch.zeros(1, 3, 128, 128))  # its network, made in inference mode, is another than the trainer's
    torch.manual_seed(0)
    model = vae.build().train()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    crisp.Trainer(model).step(0, 2)
    changed = {name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"decoder"}


@pytest.mark.slow
def test_the_decoder_goes_on_alone_and_leaves_the_latents(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vae.build().save_pretrained(tmp_path / "vae")
    trainer = robust.Trainer(tmp_path / "vae", decoder=True)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.step(0.0)
    changed = {name.split(".")[0] for name, p in trainer.model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"decoder"}


def test_nearness_of_drawn_pictures_is_perfect_and_sees_what_is_missing_or_too_much() -> None:
    drawn = [replace(data.scene(seed), companion=None) for seed in range(6)]
    extra = [replace(scene, companion=scenes.Thing("balloon", "red")) for scene in drawn]
    pictures = torch.stack([nearest.drawn(scene) for scene in drawn])
    perfect = nearest.nearness(pictures, drawn)
    assert (perfect.edges, perfect.faulty) == (1.0, 0.0)
    assert perfect.things > 80
    assert nearest.nearness(pictures, extra).missing == 1.0
    assert nearest.nearness(torch.stack([nearest.drawn(scene) for scene in extra]), drawn).doubled == 1.0


def test_attached_weights_keep_their_values_and_are_shared() -> None:
    first, second = trainer(), trainer()
    first.step(dataset(first.nets), 1.0, size=4)
    expected = velocity(first.nets)
    attach(second.nets, attach(first.nets))
    assert torch.equal(velocity(first.nets), expected)
    assert torch.equal(velocity(second.nets), expected)
    first.step(dataset(first.nets), 1.0, size=4)
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
    batches = dataset(teacher.nets)
    teacher.step(batches, 1.0, size=4)
    plain = velocity(teacher.nets)
    inputs = (batches.scenes.packed[:2], torch.tensor([0.3, 0.8]), batches.t5_ids[1:3], batches.clip_ids[1:3])
    no_t5, no_clip = batches.t5_ids[:1].expand(2, -1), batches.clip_ids[:1].expand(2, -1)
    with torch.no_grad():
        empty = teacher.nets(inputs[0], inputs[1], no_t5, no_clip, torch.ones(2))
    assert_rounded(distill.guided(teacher.nets, batches, inputs, torch.ones(2)), plain, operations(2))
    assert_rounded(distill.guided(teacher.nets, batches, inputs, torch.zeros(2)), empty, operations(2))
    threefold = distill.guided(teacher.nets, batches, inputs, torch.full((2,), 3.0))
    assert_rounded(threefold, 3 * plain - 2 * empty, operations(2), size=5 * float(plain.abs().max()))
    # A share of the square of the velocity, which float32 rounds to 1e-5 of its size at most.
    assert distill.agreement(teacher.nets, teacher.nets, batches, 1.0, count=4)["error"] < 1e-9


def test_distillation_learns_one_often_and_every_guidance_alike() -> None:
    values = distill.sample_guidance(4000, torch.Generator().manual_seed(0))
    assert values.min() == 1
    assert 4.9 < values.max() <= 5
    # Binomial deviations of 4000 draws are below .008; five of them.
    assert abs(float((values == 1).float().mean()) - distill.PLAIN) < 0.04
    middle = float((values[values > 1] < 5**0.5).float().mean())
    assert abs(middle - 0.5) < 0.04


def test_distillation_counts_an_error_by_the_square_of_its_guidance(monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = trainer()
    batches = dataset(teacher.nets)
    teacher.step(batches, 1.0, size=4)
    losses = []
    for value in (1.0, 4.0):
        distiller = distill.Distiller(teacher.nets)
        monkeypatch.setattr(distill, "sample_guidance", lambda size, _, value=value: torch.full((size,), value))
        # A target that is off by the guidance, whatever the batch: the weight makes it off by one.
        monkeypatch.setattr(
            distill, "guided", lambda nets, _, inputs, g: nets(*inputs, torch.ones(len(g))) + g[:, None, None]
        )
        losses.append(float(distiller.loss(batches, 4).detach()))
    assert losses == pytest.approx([1.0, 1.0], abs=1e-3)  # what float32 leaves of velocities of size one to five


def test_student_starts_at_the_plain_velocity_for_every_guidance() -> None:
    teacher = trainer()
    teacher.step(dataset(teacher.nets), 1.0, size=4)
    expected = velocity(teacher.nets)
    student = distill.Distiller(teacher.nets).nets
    for value in (1.0, 2.0, 5.0):
        assert_rounded(velocity(student, value), expected, operations(2))


@pytest.mark.slow
def test_saved_folder_is_an_ordinary_pipeline_with_the_same_velocity(tmp_path: Path) -> None:
    torch.manual_seed(0)
    nets = trainer(19).nets
    torch.nn.init.normal_(nets.transformer.proj_out.weight, std=0.05)
    captions = ["a red cat in a meadow", "an orange car at night"]
    expected = sample.sample(nets, captions, guidance=2.0, distilled=True)
    vae.build().save_pretrained(tmp_path / "autoencoder")
    save.save(nets, AutoencoderKL.from_pretrained(tmp_path / "autoencoder"), tmp_path / "model")
    assert not [file for file in (tmp_path / "model").rglob("*.json") if str(tmp_path) in file.read_text("utf-8")]
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


@pytest.mark.slow
def test_standardised_latents_have_unit_variance_and_decode_the_same() -> None:
    torch.manual_seed(0)
    model = vae.build().eval()
    x = vae.channels_last(range(16))
    with torch.no_grad():
        before = model.decode(model.encode(x).latent_dist.mode()).sample
        vae.standardise(model, vae.latent_means(model, count=16))
        latent = model.encode(x).latent_dist.mode()
        after = model.decode(latent).sample
    count = 16 * 16 * 16  # over which both are taken; with count - 1 in its place a deviation is 1 / (2 count) larger
    assert_rounded(latent.std(dim=(0, 2, 3)), torch.ones(8), count, size=4.0)
    assert_rounded(latent.mean(dim=(0, 2, 3)), torch.zeros(8), count, size=1.0)
    inner = (slice(None), slice(None), slice(48, 80), slice(48, 80))
    assert (after - before)[inner].abs().max() < 0.2
