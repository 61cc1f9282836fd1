"""The parts of the GPU's training that a CPU can check; what is captured there is called here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from training import data, flow, latents, oracle, text
from training.gpu import adopt, graph, learn
from training.gpu.draw import CHUNK, Drawing, _tasks, draw
from training.gpu.prepare import token_parts
from training.nets import Nets
from undrift.littleworld.captions import caption
from undrift.littleworld.render import render

CPU = torch.device("cpu")


def test_a_drawn_chunk_is_the_scenes_of_its_seeds() -> None:
    drawn = draw((40, 3, True))
    scene = data.scene(41)
    assert drawn.pictures.shape == (3, 256, 256, 3)
    np.testing.assert_array_equal(drawn.pictures[1], np.asarray(render(scene, size=256)))
    np.testing.assert_array_equal(drawn.parts[1], oracle.part_map(scene))
    assert drawn.labels[1].tolist() == oracle.labels(scene)
    assert drawn.captions[1].lower().rstrip(".") == caption(scene)


def test_every_seed_is_drawn_once_and_both_sizes_come_early() -> None:
    tasks = list(_tasks(8 * CHUNK, 2 * CHUNK))
    assert sorted(first for first, _, _ in tasks) == [CHUNK * place for place in range(10)]
    assert [large for _, _, large in tasks].count(True) == 2
    assert {large for _, _, large in tasks[:2]} == {True, False}


@pytest.mark.slow
def test_drawing_fills_the_stores_in_the_background() -> None:
    drawing = Drawing(CHUNK, 0, workers=1)
    small, large = drawing.stores(CPU)
    while not drawing.poll(at_least=1):
        pass
    assert (small.ready, large.ready) == (CHUNK, 0)
    shown, parts, labels = small.batch(2)
    assert shown.shape == (2, 3, 128, 128)
    assert (parts.shape, labels.shape) == ((2, 32, 32), (2, len(oracle.LABELS)))
    np.testing.assert_array_equal(small.pictures[7].numpy(), data.picture(7))


def test_token_parts_are_the_oracles() -> None:
    scene = data.scene(3)
    parts = torch.from_numpy(np.array(oracle.part_map(scene)))[None]
    np.testing.assert_array_equal(token_parts(parts, large=False)[0].numpy(), oracle.token_parts(scene))
    large = token_parts(parts, large=True)
    assert large.shape == (1, 256, 4)
    assert large[0, 16 * 5 + 6].tolist() == parts[0, 10:12, 12:14].flatten().tolist()


def test_the_steps_of_a_round_are_taken_in_turn() -> None:
    taken: list[str] = []

    def named(name: str) -> graph.Repeated:
        def step() -> torch.Tensor:
            taken.append(name)
            return torch.zeros(())

        return graph.Repeated(step, CPU)

    rounds = graph.alternate([named("a"), named("b")], 0.05, lambda n, p: None, lambda n, p, losses: None)
    assert rounds > 0
    assert taken == ["a", "b"] * rounds


@pytest.fixture
def nets() -> Nets:
    torch.manual_seed(0)
    return Nets(2)


def dataset(nets: Nets, tokens: int) -> flow.Dataset:
    generator = torch.Generator().manual_seed(1)
    scenes = latents.Shard(
        torch.randn(6, tokens, 32, generator=generator).half(),
        torch.zeros(6, tokens, 4, dtype=torch.uint8),
        torch.zeros(6, len(oracle.LABELS), dtype=torch.uint8),
    )
    captions = ["", *(data.text(seed) for seed in range(6))]
    return flow.Dataset(
        scenes,
        text.tokenise(nets.t5_tokenizer, captions, text.T5_LENGTH),
        text.tokenise(nets.clip_tokenizer, captions, text.CLIP_LENGTH),
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")  # autocast's norms are not fused
def test_a_step_in_bfloat16_follows_the_gradient_of_both_sizes(nets: Nets) -> None:
    trainer = flow.Trainer(nets)
    trainer.set_rate(1.0)
    for tokens in (64, 256):
        pictures = dataset(nets, tokens)
        losses = []
        for _ in range(8):
            trainer.generator.manual_seed(3)  # the same pictures and noise at every step
            losses.append(float(learn.step(trainer, pictures, 4)))
        assert losses[-1] < 0.95 * losses[0]


def test_weights_brought_home_go_on_training(nets: Nets, tmp_path: Path) -> None:
    learn.save(dict(nets.named_parameters()), tmp_path / "flow.safetensors")
    state = adopt.checkpoint(load_file(tmp_path / "flow.safetensors"), 2)
    trainer = flow.Trainer(Nets(2))
    trainer.restore(state)
    name, value = next(iter(nets.named_parameters()))
    brought = dict(trainer.nets.named_parameters())[name]
    torch.testing.assert_close(brought, value.half().float(), atol=0, rtol=0)  # exactly what float16 holds
    assert np.isfinite(trainer.step(dataset(nets, 64), 1.0, 2))
