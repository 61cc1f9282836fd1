"""What a backbone's base promises, on a model with none of FLUX's conventions (tests/support/small_joint.py)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.support.closeness import assert_rounded
from tests.support.small_joint import TEMPLATE, TOKEN_SIDE, SmallJoint, image_first, split
from tests.support.small_joint import small_joint as model
from tests.support.tiny_flux import OPERATIONS
from undrift.attention import MapCapture, TextColumns, word_columns
from undrift.attention.taps import AttentionTap
from undrift.backbones.conditioning import PromptTokens, placed
from undrift.errors import InputError
from undrift.methods.registry import get
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.preview import Preview

SIZE = (40, 24)
PROMPT, LONGER = "a red cat", "a red cat sitting on the green grass"


def noise(rows: int) -> Tensor:
    shape = rows, model().geometry(SIZE).tokens, 300
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def velocity(prompt: str, guidance: float, x: Tensor | None = None, negative: str | None = None) -> Tensor:
    away = None if negative is None else model().embed([negative])
    field = model().velocity_field(model().embed([prompt]), model().geometry(SIZE), guidance, away)
    return field(noise(1) if x is None else x, 0.6)


class Hears(AttentionTap):
    """Notes the evaluations and how often each layer's projections pass."""

    def __init__(self) -> None:
        self.evaluations, self.projections = 0, 0

    def evaluation(self, sigma: float) -> None:
        self.evaluations += 1

    def project(self, site, projections):  # type: ignore[no-untyped-def]
        self.projections += 1
        return projections


def test_guidance_leads_away_from_the_negative_prompt() -> None:
    positive, empty, blue = velocity(PROMPT, 1.0), velocity("", 1.0), velocity("a blue dog", 1.0)
    assert_rounded(velocity(PROMPT, 3.0), empty + 3.0 * (positive - empty), OPERATIONS)
    assert_rounded(velocity(PROMPT, 3.0, negative="a blue dog"), blue + 3.0 * (positive - blue), OPERATIONS)
    assert_rounded(velocity(PROMPT, 0.0), empty, OPERATIONS)
    assert float((positive - empty).abs().max()) > 1e-3


def test_the_second_evaluation_is_spent_only_where_it_counts() -> None:
    spent = []
    for guidance in (1.0, 3.0, 0.0):
        before = model().counter.copy()
        velocity(PROMPT, guidance)
        spent.append((model().counter.evaluations - before.evaluations, model().counter.rows - before.rows))
    assert spent == [(1, 1), (2, 2), (2, 2)]
    assert [model().capabilities.calls_per_velocity(g) for g in (1.0, 3.0, (1.0, 1.0), (1.0, 3.0))] == [1, 2, 1, 2]


def test_a_row_of_guidance_one_is_its_positive_branch_to_the_bit() -> None:
    x = noise(2)
    both = model().embed([PROMPT, PROMPT])
    mixed = model().velocity_field(both, model().geometry(SIZE), (1.0, 3.0))(x, 0.6)
    plain = model().velocity_field(both, model().geometry(SIZE), 1.0)(x, 0.6)
    assert torch.equal(mixed[0], plain[0])
    assert not torch.equal(mixed[1], plain[1])


def test_taps_see_the_positive_branch_alone_and_change_no_bit() -> None:
    plain, tap = velocity(PROMPT, 3.0), Hears()
    with model().tapped(tap):
        tapped = velocity(PROMPT, 3.0)
    assert torch.equal(plain, tapped)
    assert (tap.evaluations, tap.projections) == (1, len(model().sites))


def test_padding_of_a_batch_changes_nothing_for_the_shorter_prompt() -> None:
    x = noise(2)
    both = model().embed([PROMPT, LONGER])
    assert both.mask is not None
    assert both.mask.sum(1).tolist() == [4, 9]
    together = model().velocity_field(both, model().geometry(SIZE), 3.0)(x, 0.6)
    for row, prompt in enumerate((PROMPT, LONGER)):
        alone = velocity(prompt, 3.0, x[row : row + 1])
        assert_rounded(together[row : row + 1], alone, OPERATIONS)


def test_the_order_of_image_and_text_is_the_model_s_own_business() -> None:
    """The network's own image-first attention and the text-first one that taps see give one velocity."""
    expected = velocity(PROMPT, 3.0)
    layers = model()._layers.values()
    ours = [layer.processor for layer in layers]
    try:
        for layer in layers:
            layer.set_processor(image_first)
        assert_rounded(velocity(PROMPT, 3.0), expected, OPERATIONS)
    finally:
        for layer, processor in zip(layers, ours, strict=True):
            layer.set_processor(processor)


def test_maps_are_the_attention_to_the_word_and_none_goes_to_padding() -> None:
    prompts = model().embed([PROMPT, LONGER])
    columns = [word_columns(prompts.tokens[row], ["cat"]) for row in range(2)]
    assert columns == [(2,), (2,)], "the template in front of the prompt has no columns"
    assert len(TEMPLATE) == 3
    seen: list[Tensor] = []
    first = model()._layers[model().sites[0]]
    hook = first.register_forward_pre_hook(lambda _, given: seen.extend(given))
    padding = TextColumns.of([[5], [5]])
    word, empty = (MapCapture(c, [model().sites[0]]) for c in (TextColumns.of(columns), padding))
    try:
        for capture in (word, empty):
            with model().tapped(capture):
                model().velocity_field(prompts, model().geometry(SIZE), 1.0)(noise(2), 0.6)
    finally:
        hook.remove()
    image, text, mask = seen[:3]
    query = split(first.image_qkv(image))[0]
    keys = torch.cat([split(first.image_qkv(image))[1], split(first.text_qkv(text))[1]], dim=1)
    scores = torch.einsum("bihd,bjhd->bhij", query.double(), keys.double()) / query.shape[-1] ** 0.5
    hidden = torch.cat([torch.zeros(image.shape[:2], dtype=torch.bool), ~mask], dim=1)
    weights = scores.masked_fill(hidden[:, None, None], -torch.inf).softmax(-1)[..., image.shape[1] + 2].mean(1)
    assert_rounded(word._raw[model().sites[0]].double(), weights, OPERATIONS, dtype=torch.float32)
    assert float(empty._raw[model().sites[0]][0].abs().max()) == 0.0
    assert float(empty._raw[model().sites[0]][1].min()) > 0.0


def test_the_mask_of_a_turn_has_the_model_s_own_token_side(tmp_path: Path) -> None:
    """10 pixels a token, in a grid that reaches beyond the picture: nothing but the model can know it."""
    shown: list[Image.Image] = []
    session = start_session(tmp_path / "s", Image.new("RGB", (52, 24), "green"), "a cat", model())
    method = get("multi_turn", overrides={"steps": 3, "highlight_start": 1, "ranks": (0, 2)})
    preview = Preview(model(), (52, 24), lambda pictures, step, steps: shown.extend(pictures))
    turn = run_turn(session, model(), method, EditPlan("a red cat", seed=1), [preview])
    mask = session.mask(turn)
    assert mask is not None
    assert (turn.token_side, mask.size) == (TOKEN_SIDE, (6, 4))
    assert {picture.size for picture in shown} == {(52, 24)}
    assert session.turn("head").token_side == TOKEN_SIDE


def test_what_a_model_lacks_is_said_before_a_turn_is_recorded(tmp_path: Path) -> None:
    bare = SmallJoint(maps=False)
    session = start_session(tmp_path / "s", Image.new("RGB", SIZE, "green"), "a cat", bare)
    with pytest.raises(
        InputError, match=r"'multi_turn' needs layers that make attention maps .*: set highlight=false"
    ):
        run_turn(session, bare, get("multi_turn"), EditPlan("a red cat"))
    assert len(session.turns()) == 1
    assert session.unfinished() == ()


def test_pieces_of_two_encoders_stand_where_the_model_puts_them() -> None:
    clip = PromptTokens("a cat", ("<s>", "a", "cat", "</s>"), ((0, 0), (0, 1), (2, 5), (0, 0)))
    t5 = PromptTokens("a cat", ("a", "cat", "</s>"), ((0, 1), (2, 5), (0, 0)))
    both = placed("a cat", {7: t5, 0: clip})
    assert word_columns(both, ["cat"]) == (2, 8)
    assert len(both.tokens) == len(both.spans) == 10
    with pytest.raises(InputError, match="pieces at column 3 overlap those in front, which end at column 4"):
        placed("a cat", {0: clip, 3: t5})


def test_rows_of_a_conditioning_can_be_taken() -> None:
    both = model().embed([PROMPT, LONGER])
    taken = both.take([1, 1, 0])
    assert [tokens.prompt for tokens in taken.tokens] == [LONGER, LONGER, PROMPT]
    assert taken.rows == 3
    assert both.mask is not None
    assert taken.mask is not None
    assert torch.equal(taken.mask, both.mask[[1, 1, 0]])
    assert torch.equal(taken.tensors["text"], both.tensors["text"][[1, 1, 0]])
    assert replace(both, mask=None).take([0]).mask is None
