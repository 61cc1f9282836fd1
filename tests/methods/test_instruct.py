"""Editors by instructions: called as diffusers calls them, at the picture's own size, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from diffusers.pipelines.longcat_image.pipeline_longcat_image_edit import calculate_dimensions as longcat_dimensions
from numpy.typing import NDArray
from PIL import Image

from tests.support import tiny_pipelines
from tests.support.icc import SRGB_CURVE, rgb_profile
from undrift.backbones import Backbone
from undrift.backbones.counter import Counter
from undrift.backbones.editors import EDITORS, InstructedEditor, Order, editor_class, name_editor
from undrift.backbones.folder import read_folder
from undrift.backbones.placement import Placement
from undrift.cli.main import cli
from undrift.errors import Cancelled, InputError, ModelError
from undrift.flow import Observer, Step
from undrift.methods import instruct
from undrift.methods.instruct import Instruct
from undrift.methods.registry import get
from undrift.methods.registry import method as method_here
from undrift.pictures import read_picture
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.store import Session

CPU = Placement(torch.device("cpu"), torch.float32)
ORDER = Order("make it red", steps=2, guidance=1.0, seed=3)
MAKERS = {
    "FluxKontextPipeline": tiny_pipelines.kontext,
    "Flux2KleinPipeline": tiny_pipelines.FAMILIES["flux2"].make,
    "QwenImageEditPlusPipeline": tiny_pipelines.qwen_edit,
    "LongCatImageEditPipeline": tiny_pipelines.longcat_edit,
}

LONGCAT = "diffusers.pipelines.longcat_image.pipeline_longcat_image_edit"


def picture(width: int, height: int) -> Image.Image:
    return Image.effect_mandelbrot((width, height), (-2, -1, 1, 1), 50).convert("RGB")


def pixels(image: Image.Image) -> NDArray[np.int64]:
    return np.asarray(image, dtype=np.int64)


@pytest.fixture(scope="module", params=list(MAKERS))
def editor(request: pytest.FixtureRequest) -> InstructedEditor:
    return EDITORS[request.param](MAKERS[request.param](), CPU)


class Stopped(Exception):
    """Enough was seen."""


def tokens_seen(editor: InstructedEditor, image: Image.Image) -> int:
    """Image tokens, noise and reference, that the transformer is first called with; it is not run."""
    seen: list[int] = []

    def stop(_: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        seen.append(named["hidden_states"].shape[1])
        raise Stopped

    hook = editor.pipe.transformer.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        with pytest.raises(Stopped):
            editor.edit(image, ORDER, Counter(), lambda *_: None)
    finally:
        hook.remove()
    return seen[0]


def test_a_picture_of_any_size_keeps_it(editor: InstructedEditor) -> None:
    image = picture(91, 75)
    assert tokens_seen(editor, image) == 2 * 12 * 10  # 8 pixels a token: the noise's grid, and as many of the picture
    steps: list[tuple[int, int]] = []
    counter = Counter()
    made = editor.edit(image, ORDER, counter, lambda *step: steps.append(step))
    assert made.size == (91, 75)
    assert steps == [(0, 2), (1, 2)]
    assert (counter.evaluations, counter.rows) == (2, 2)
    again = editor.edit(image, ORDER, counter, lambda *_: None)
    assert made.tobytes() == again.tobytes()


@pytest.mark.slow
def test_large_pictures_are_not_shrunk(editor: InstructedEditor) -> None:
    """1104 x 1096 pixels are more than the megapixel that diffusers shrinks references to."""
    assert tokens_seen(editor, Image.new("RGB", (1104, 1096), "teal")) == 2 * 138 * 137


def test_a_picture_is_padded_below_and_to_the_right_alone(editor: InstructedEditor) -> None:
    image = picture(91, 75)
    padded = editor.padded(image)
    assert padded.size == (96, 80)
    assert np.array_equal(pixels(padded)[:75, :91], pixels(image))
    assert np.array_equal(pixels(padded)[75:, :91], np.repeat(pixels(image)[-1:], 5, axis=0))
    assert editor.padded(padded).size == (96, 80)


def test_guidance_by_two_evaluations_is_counted_as_it_is_announced(editor: InstructedEditor) -> None:
    counter = Counter()
    editor.edit(picture(64, 64), Order("make it red", steps=2, guidance=3.0, seed=0), counter, lambda *_: None)
    assert counter.evaluations == 2 * editor.calls_per_step({}, 3.0)


OWN: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {
    "FluxKontextPipeline": ((96, 80), {"width": 96, "height": 80, "max_area": 96 * 80, "_auto_resize": False}),
    "Flux2KleinPipeline": ((96, 80), {"width": 96, "height": 80}),
    "QwenImageEditPlusPipeline": ((96, 96), {"width": 96, "height": 96, "negative_prompt": " "}),
    "LongCatImageEditPipeline": ((96, 96), {}),
}
"""A size that diffusers' own call takes as it is, and what else that call is given."""


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("name", list(OWN))
def test_a_size_that_fits_gives_what_the_pipeline_gives(
    name: str, guidance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    (size, own), image = OWN[name], picture(*OWN[name][0])
    order = Order("make it red", steps=2, guidance=guidance, seed=3)
    # What LongCat's and Qwen's pipelines would scale to a megapixel is of as many pixels here.
    monkeypatch.setattr(f"{LONGCAT}.calculate_dimensions", lambda _, ratio: longcat_dimensions(96 * 96, ratio))
    made = EDITORS[name](MAKERS[name](), CPU).edit(image, order, Counter(), lambda *_: None)
    monkeypatch.setattr("diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus.VAE_IMAGE_SIZE", 96 * 96)
    expected = MAKERS[name]()(
        image=image,
        prompt=order.instruction,
        num_inference_steps=2,
        generator=torch.Generator("cpu").manual_seed(3),
        **{"true_cfg_scale" if name.startswith("Qwen") else "guidance_scale": guidance},
        **own,
    ).images[0]
    assert expected.size == size
    assert np.abs(pixels(made) - pixels(expected)).max() <= 1  # a value on the border of two levels


@pytest.mark.parametrize(
    ("name", "read"), [("QwenImageEditPlusPipeline", (416, 352)), ("LongCatImageEditPipeline", (568, 472))]
)
def test_the_language_model_reads_the_size_that_the_pipeline_shows_it(name: str, read: tuple[int, int]) -> None:
    """384 x 384 pixels of 6 : 5 in steps of 32; half of 1024 x 1024 in steps of 16 that are rounded up."""
    editor, seen = EDITORS[name](MAKERS[name](), CPU), []

    def shown(image: Any, **_: Any) -> None:
        seen.append((image[0] if isinstance(image, list) else image).size)
        raise Stopped

    editor.pipe.encode_prompt = shown
    with pytest.raises(Stopped):
        editor.edit(picture(96, 80), ORDER, Counter(), lambda *_: None)
    assert seen == [read]
    assert editor.pipe.image_processor.resize(picture(96, 80), 8, 16).size == (16, 8), "as it was"


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (400, 3)])
def test_a_dot_and_a_line_keep_their_size(editor: InstructedEditor, size: tuple[int, int]) -> None:
    assert editor.edit(picture(*size), ORDER, Counter(), lambda *_: None).size == size


@pytest.mark.parametrize("name", ["QwenImageEditPlusPipeline", "LongCatImageEditPipeline"])
def test_a_line_is_padded_to_what_the_language_model_takes(name: str) -> None:
    """Its processor refuses a side that is 200 times as long as the other: 1704 x 8 is."""
    editor = EDITORS[name](MAKERS[name](), CPU)
    assert editor.padded(picture(1700, 3)).size == (1704, 24)
    assert editor.edit(picture(1700, 3), ORDER, Counter(), lambda *_: None).size == (1700, 3)


def test_a_schedule_that_needs_more_steps_says_so() -> None:
    editor = EDITORS["QwenImageEditPlusPipeline"](MAKERS["QwenImageEditPlusPipeline"](), CPU)
    with pytest.raises(InputError, match="steps is 1, QwenImageEditPlusPipeline takes at least 2"):
        editor.edit(picture(64, 64), Order("make it red", 1, 1.0, 0), Counter(), lambda *_: None)


def test_klein_takes_pictures_that_are_small_or_narrow() -> None:
    editor = EDITORS["Flux2KleinPipeline"](MAKERS["Flux2KleinPipeline"](), CPU)
    assert editor.padded(picture(20, 30)).size == (64, 64)
    assert editor.padded(picture(800, 70)).size == (800, 104)
    assert editor.edit(picture(20, 30), ORDER, Counter(), lambda *_: None).size == (20, 30)


def test_a_pipeline_that_returns_another_size_is_refused(editor: InstructedEditor, monkeypatch: Any) -> None:
    monkeypatch.setattr(type(editor), "_called", lambda *_, **__: Image.new("RGB", (10, 10)))
    with pytest.raises(ModelError, match="was given and returned 96 x 80 and 10 x 10 pixels: it moves what it keeps"):
        editor.edit(picture(91, 75), ORDER, Counter(), lambda *_: None)


class Painter(InstructedEditor):
    """Paints a red square in the middle, and brightens all of the picture a little, as a tint would."""

    pipeline_class = "Flux2KleinPipeline"

    def __init__(self) -> None:
        self.asked: list[str] = []

    @staticmethod
    def usual(index: Any) -> tuple[int, float]:
        return 4, 1.0

    @staticmethod
    def calls_per_step(index: Any, guidance: float) -> int:
        return 1

    @staticmethod
    def _autoencoder(vae: Any, placement: Placement) -> Any:
        raise NotImplementedError

    def _called(self, picture: Image.Image, order: Order, **common: Any) -> Image.Image:
        raise NotImplementedError

    def edit(self, picture: Image.Image, order: Order, counter: Counter, watch: Any) -> Image.Image:
        self.asked.append(order.instruction)
        for step in range(order.steps):
            watch(step, order.steps)
            counter.add(1)
        levels = np.clip(pixels(picture) + 5, 0, 255)
        levels[20:40, 20:40] = (255, 0, 0)
        return Image.fromarray(levels.astype(np.uint8))

    def round_trip(self, picture: Image.Image) -> Image.Image:
        return picture


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> Painter:
    made = Painter()
    monkeypatch.setattr(instruct, "load_editor", lambda folder, placement: made)
    return made


@pytest.fixture(scope="module")
def klein(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipelines.saved("flux2", tmp_path_factory.mktemp("editor") / "klein")


def opened(folder: Path, backbone: Backbone) -> Session:
    return start_session(folder / "s", picture(64, 56), "a cat", backbone)


def method(editor: Path, **params: Any) -> Instruct:
    made = method_here("instruct", **{"editor": str(editor), "steps": 2, **params})
    assert isinstance(made, Instruct)
    return made


def test_what_did_not_really_change_stays_to_the_bit(
    tmp_path: Path, tiny_flux: Backbone, painter: Painter, klein: Path
) -> None:
    session = opened(tmp_path, tiny_flux)
    turn = run_turn(session, tiny_flux, method(klein), EditPlan("a red cat", instruction="paint it red"))
    before, after = pixels(picture(64, 56)), pixels(session.picture(turn))
    assert painter.asked == ["paint it red"]
    assert (after[24:36, 24:36] == (255, 0, 0)).all()
    outside = np.ones((56, 64), dtype=bool)
    outside[12:48, 12:48] = False  # the square, a cell of 2 pixels around, and those that a cell's mean reaches
    assert np.array_equal(after[outside], before[outside])
    mask = session.mask(turn)
    assert mask is not None
    assert mask.getpixel((3, 3)) == 255
    assert mask.getpixel((0, 0)) == 0


def test_without_exact_the_tint_stays(tmp_path: Path, tiny_flux: Backbone, painter: Painter, klein: Path) -> None:
    session = opened(tmp_path, tiny_flux)
    turn = run_turn(session, tiny_flux, method(klein, exact=False), EditPlan("a red cat"))
    assert painter.asked == ["a red cat"], "a caption is told where nothing was said"
    assert (pixels(session.picture(turn))[0] == pixels(picture(64, 56))[0] + 5).all()


def test_regions_hold_to_the_bit(tmp_path: Path, tiny_flux: Backbone, painter: Painter, klein: Path) -> None:
    session = opened(tmp_path, tiny_flux)
    region = Image.new("L", (64, 56), 0)
    region.paste(255, (0, 0, 30, 56))
    turn = run_turn(session, tiny_flux, method(klein, exact=False), EditPlan("a red cat", region=region))
    before, after = pixels(picture(64, 56)), pixels(session.picture(turn))
    assert np.array_equal(after[:, 30:], before[:, 30:])
    assert not np.array_equal(after[:, :20], before[:, :20])


def sixteen_bits(file: Path) -> None:
    Image.fromarray((pixels(picture(51, 77))[..., 0] * 257).astype(np.uint16)).save(file)


def display_p3(file: Path) -> None:
    picture(67, 29).save(file, icc_profile=rgb_profile("Display P3", SRGB_CURVE, "P3"))


def narrow(file: Path) -> None:
    picture(300, 2).save(file)


@pytest.mark.parametrize("write", [sixteen_bits, display_p3, narrow])
def test_a_real_editor_leaves_every_byte_outside_a_region_over_turns(
    write: Callable[[Path], None], tmp_path: Path, tiny_flux: Backbone, klein: Path
) -> None:
    write(tmp_path / "picture.png")
    source = read_picture(tmp_path / "picture.png")
    session, (width, height) = start_session(tmp_path / "s", source, "a cat", tiny_flux), source.size
    region = Image.new("L", source.size, 0)
    region.paste(255, (0, 0, width // 2, height))
    editing, seen = method(klein, guidance=1.0, exact=False), [pixels(source)]
    for number, text in enumerate(("red", "blue"), 1):
        plan = EditPlan("a cat", instruction=f"make it {text}", seed=number, region=region)
        turn = run_turn(session, tiny_flux, editing, plan)
        seen.append(pixels(session.picture(turn)))
        assert np.array_equal(seen[-1][:, width // 2 :], seen[0][:, width // 2 :])
        assert not np.array_equal(seen[-1], seen[-2])
        assert turn.drift_original is not None


def test_the_turn_records_the_editor_and_its_weights(
    tmp_path: Path, tiny_flux: Backbone, painter: Painter, klein: Path
) -> None:
    session = opened(tmp_path, tiny_flux)
    turn = run_turn(session, tiny_flux, method_here("instruct", editor=str(klein)), EditPlan("a red cat"))
    assert turn.spec is not None
    params = turn.spec.params
    assert (params["editor"], params["weights"]) == (str(klein), read_folder(klein, "x").weights_hash)
    assert (params["steps"], params["guidance"]) == (50, 4.0), "as klein-base was published"
    assert turn.evaluations == 50
    other = get("instruct", overrides={**params, "weights": "0123456789abcdef"})
    with pytest.raises(InputError, match=r"has the weights \w{16}, the turn was made with 0123456789abcdef: use"):
        run_turn(session, tiny_flux, other, EditPlan("a blue cat"))
    assert len(session.turns()) == 2


def test_wrapped_it_is_recorded_too(tmp_path: Path, tiny_flux: Backbone, painter: Painter, klein: Path) -> None:
    session = opened(tmp_path, tiny_flux)
    name_editor(str(klein))
    wrapped = get(
        "revert_unchanged", overrides={"method": "instruct", "method_params": {"editor": str(klein), "steps": 2}}
    )
    turn = run_turn(session, tiny_flux, wrapped, EditPlan("a red cat"))
    assert turn.spec is not None
    assert turn.spec.params["method_params"]["weights"] == read_folder(klein, "x").weights_hash


class StopAt(Observer):
    def __init__(self, step: int) -> None:
        self._step = step

    def begin(self, step: Step) -> None:
        if step.index == self._step:
            raise Cancelled("stopped")


@pytest.mark.slow
def test_a_real_editor_makes_five_turns_and_stops_when_asked(
    tmp_path: Path, tiny_flux: Backbone, klein: Path
) -> None:
    session = opened(tmp_path, tiny_flux)
    plain = method(klein, guidance=1.0, weak=0.0, strong=0.0)
    seen = set()
    for number, text in enumerate(("red", "blue", "a hat", "snow", "no hat"), 1):
        turn = run_turn(session, tiny_flux, plain, EditPlan("a cat", instruction=f"make it {text}", seed=number))
        assert turn.number == number
        assert turn.evaluations == plain.cost(tiny_flux).evaluations == 2
        assert session.picture(turn).size == (64, 56)
        seen.add(session.picture(turn).tobytes())
    assert len(seen) == 5
    with pytest.raises(Cancelled):
        run_turn(session, tiny_flux, plain, EditPlan("a dog"), [StopAt(1)])
    assert len(session.turns()) == 6
    assert session.unfinished() == ()


def test_what_is_no_editor_is_said_before_anything_is_done(
    tmp_path: Path, tiny_flux: Backbone, tiny_flux_folder: Path
) -> None:
    session = opened(tmp_path, tiny_flux)
    with pytest.raises(InputError, match="'instruct' needs an editor: name one with --editor"):
        run_turn(session, tiny_flux, get("instruct"), EditPlan("a dog"))
    with pytest.raises(ModelError, match="is a FluxPipeline, no editor by instructions: expected FluxKontext"):
        method(tiny_flux_folder)
    with pytest.raises(ModelError, match="no editor by instructions"):
        editor_class(read_folder(tiny_flux_folder, "flux"))
    assert len(session.turns()) == 1


def test_an_editor_that_only_a_record_names_is_not_looked_for(
    tmp_path: Path, tiny_flux: Backbone, painter: Painter
) -> None:
    """Neither a stranger's folder, which may be on another machine, nor a model of the hub."""
    foreign = tiny_pipelines.saved("flux2", tmp_path / "stranger")
    session = opened(tmp_path, tiny_flux)
    for editor, lacks in ((str(foreign), "is a folder that nobody named"), ("a/b", "is not on this machine")):
        recorded = get("instruct", overrides={"editor": editor})
        with pytest.raises(InputError, match=rf"the editor is {editor}, which {lacks}.*, add: --editor {editor}"):
            run_turn(session, tiny_flux, recorded, EditPlan("a red cat"))
    assert painter.asked == []
    assert len(session.turns()) == 1


def test_batches_are_rows_made_singly(tiny_flux: Backbone, painter: Painter, klein: Path) -> None:
    from tests.contracts.test_methods import request

    asked, editing = request(tiny_flux, 1, 2), method(klein, guidance=1.0)
    name_editor(str(klein))
    inside = {"method": "instruct", "method_params": editing.params.model_dump(mode="json")}
    wrapped = get("revert_unchanged", overrides=inside).edit(tiny_flux, asked)
    painter.asked.clear()
    before = tiny_flux.counter.copy()
    result = editing.edit(tiny_flux, asked)
    assert tiny_flux.counter.since(before).evaluations == 4
    assert result.evaluations == wrapped.evaluations == editing.cost(tiny_flux).evaluations == 2, "those of a picture"
    assert result.sample_evaluations == wrapped.sample_evaluations == 2
    assert result.images is not None
    assert len(result.images) == 2
    assert painter.asked == list(asked.target_prompts)


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(cli, list(arguments), prog_name="undrift")
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_line_tells_the_editor_what_was_said_and_goes_on_with_it(
    tmp_path: Path, tiny_flux_folder: Path, painter: Painter, klein: Path
) -> None:
    source, folder = tmp_path / "cat.png", tmp_path / "s"
    picture(64, 56).save(source)
    shared: Sequence[str] = ("--model", str(tiny_flux_folder), "--editor", str(klein), "--steps", "2")
    invoke("run", str(source), "-p", "a cat", "--say", "let it snow all over", "-s", str(folder), *shared)
    invoke("edit", "turn the whole mood around", "--say", "-s", str(folder), "--steps", "2")
    assert painter.asked == ["let it snow all over", "turn the whole mood around"]
    turns = Session.open(folder).turns()
    assert [turn.spec.method for turn in turns if turn.spec] == ["instruct", "instruct"]
    assert [turn.spec.params["editor"] for turn in turns if turn.spec] == [str(klein)] * 2
    assert [turn.prompt for turn in turns] == ["a cat"] * 3
