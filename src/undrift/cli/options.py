"""Options that several commands share. Where diffusers has the same thing, this is its name there:

- ``--model``: ``pretrained_model_name_or_path`` of ``from_pretrained``; ``--dtype``: its ``dtype`` (``torch_dtype``)
- ``--steps``: ``num_inference_steps``, but for the inversion and the sampling each
- ``--guidance``: ``guidance_scale`` while sampling
- ``--seed``: ``generator``, drawn on the CPU for every device
- ``--offload model``: ``enable_model_cpu_offload``; ``--offload group``: group offloading
- ``--quantize``: a ``quantization_config``
- ``--cache``: ``transformer.enable_cache``
- ``--tiling``: ``vae.enable_tiling``; ``--compile``: ``transformer.compile_repeated_blocks``
- ``--text-tokens``: ``max_sequence_length``
- ``--lora FILE:SCALE``: ``load_lora_weights`` and ``set_adapters``; ``--transformer``: part of ``from_pretrained``
- ``--only``: ``mask_image``, white where the picture may change; ``--protect`` is its opposite
- ``--set NAME=VALUE``: any other argument of a call
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import click

from undrift.cli.logs import loud
from undrift.cli.paths import Folder, OutputFile
from undrift.errors import InputError
from undrift.from_json import from_json
from undrift.outputs import PICTURE_ENDINGS

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]

Handover = Literal["latent", "image"]

SESSION_VARIABLE = "UNDRIFT_SESSION"


@dataclass
class Shell:
    """What holds for the whole command line, whichever command it is."""

    debug: bool = False
    quiet: bool = False


PLACEMENT = {
    "dtype": "auto",
    "device": "auto",
    "offload": "none",
    "quantize": "none",
    "tiling": "auto",
    "compile": "off",
    "cache": "none",
    "text_tokens": "auto",
}
"""How a model is held and run unless a session or an option says otherwise."""

DTYPES = ("auto", "bf16", "fp16", "fp32")
OFFLOADS = ("none", "model", "group")
QUANTIZATIONS = ("none", "nf4", "int8", "fp8")
TILINGS = ("auto", "on", "off")
SWITCH = ("off", "on")

NO_FILE = "none"
"""What ``--transformer`` and ``--lora`` take for the model's own weights, where the session has others."""


@dataclass(frozen=True)
class ModelChoice:
    """Which model, and how it is held and run; None takes what suits the session, see ``settled``.

    So does a ``transformer`` of None and an empty ``loras``; ``none`` for either is the model's own weights.
    """

    model: str | None
    dtype: str | None
    device: str | None
    offload: str | None
    quantize: str | None
    tiling: str | None = None
    compile: str | None = None
    cache: str | None = None
    text_tokens: str | None = None
    weights: str | None = None
    revision: str | None = None
    transformer: Path | None = None
    loras: tuple[str, ...] = ()

    @property
    def placement(self) -> dict[str, str]:
        """What was said of how the model is held and run."""
        return {name: value for name in PLACEMENT if (value := getattr(self, name)) is not None}

    @property
    def held(self) -> dict[str, Any]:
        """The same with nothing left open, as ``undrift.load`` takes it."""
        said = self.settled().placement
        count = said.pop("text_tokens")
        compiled = said.pop("compile") == "on"
        return {**said, "compile": compiled, "text_tokens": None if count == "auto" else int(count)}

    @property
    def arguments(self) -> dict[str, Any]:
        """All that ``undrift.load`` takes beside the name."""
        return {**self.held, **self.files, "revision": self.revision, "weights": self.weights}

    @property
    def files(self) -> dict[str, Any]:
        """The files of weights that it takes beside the model, as ``undrift.load`` takes them."""
        transformer = None if self.transformer == Path(NO_FILE) else self.transformer
        return {"transformer": transformer, "loras": () if self.loras == (NO_FILE,) else self.loras}

    def settled(self, usual: Mapping[str, str] | None = None) -> ModelChoice:
        """The choice with ``usual`` where it says nothing, and ``PLACEMENT`` where neither does."""
        held = {**PLACEMENT, **(usual or {}), **self.placement}
        return replace(self, **held)  # type: ignore[arg-type]


EDITOR_METHOD = "instruct"
"""The method that ``--editor`` implies."""


@dataclass(frozen=True)
class MethodChoice:
    """Which editor with which parameters; None takes the default, or in a replay what was recorded."""

    method: str | None
    preset: str | None
    steps: int | None
    guidance: float | None
    settings: tuple[str, ...]
    dial: float | None
    recorded_as: str | None = None
    editor: str | None = None

    @property
    def named(self) -> str | None:
        """The method that the options name; an editor implies its own."""
        return self.method or (None if self.editor is None else EDITOR_METHOD)

    @property
    def overrides(self) -> dict[str, Any]:
        """Parameters that the user set, by name; ``--set`` wins over options of their own.

        Raises:
            InputError: a ``--set`` that is not NAME=VALUE.
        """
        named = {"steps": self.steps, "guidance": self.guidance, "editor": self.editor}
        return {name: value for name, value in named.items() if value is not None} | dict(
            map(_setting, self.settings)
        )


def shell() -> Shell:
    """The running command line's settings."""
    return click.get_current_context().find_root().ensure_object(Shell)


def common(command: Command) -> Command:
    """``--quiet`` and ``--debug``, which every command takes."""
    for name, text in (
        ("--debug", "Show tracebacks and the libraries' own messages."),
        ("--quiet", "No progress, only results and errors."),
    ):
        command = click.option(name, is_flag=True, expose_value=False, callback=_remember, help=text)(command)
    return command


session_option: Decorator = click.option(
    "--session",
    "-s",
    type=Folder(),
    envvar=SESSION_VARIABLE,
    help=f"Session folder. Default: ${SESSION_VARIABLE}, else the current folder or its undrift-session.",
)

json_option: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object instead of text."
)

output_option: Decorator = click.option(
    "--output",
    "-o",
    type=OutputFile(*PICTURE_ENDINGS),
    help="Also write the resulting picture to this file, as PNG with full metadata.",
)


def _remember(context: click.Context, option: click.Parameter, value: bool) -> None:
    if value:
        setattr(context.find_root().ensure_object(Shell), str(option.name), True)
        if option.name == "debug":
            loud()


def _as_text(context: click.Context, option: click.Parameter, value: int | None) -> str | None:
    return None if value is None else str(value)


def _setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE; the value is read as JSON if it is any, such as ``ranks=[10,15]`` or ``map_column=null``."""
    name, equals, value = text.partition("=")
    if not (name.strip() and equals):
        raise InputError(f"--set {text}: expected NAME=VALUE, such as --set gain=0.8; see: undrift methods --long")
    try:
        return name.strip(), from_json(value)
    except ValueError:
        return name.strip(), value.strip()


def bundle(argument: str, build: type[Any], options: tuple[Decorator, ...]) -> Decorator:
    """A decorator that adds ``options`` and hands their values to the command as one ``build`` object."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def bundled(**values: Any) -> Any:
            chosen = build(**{field.name: values.pop(field.name) for field in fields(build)})
            return command(**values, **{argument: chosen})

        decorated: Command = bundled
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


model_options = bundle(
    "chosen_model",
    ModelChoice,
    (
        click.option(
            "--model",
            "-m",
            metavar="MODEL",
            help="littleworld, a Hub id such as black-forest-labs/FLUX.1-dev, a folder, or a checkpoint of Stable "
            "Diffusion 1 or XL in one file. Default: the session's model, littleworld for a new one.",
        ),
        click.option(
            "--dtype",
            type=click.Choice(DTYPES),
            help="Number format of the weights. Default: as the session's model, auto for a new one.",
        ),
        click.option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:1 or mps. Default: as with --dtype."),
        click.option(
            "--offload",
            type=click.Choice(OFFLOADS),
            help="Keep parts of the model in main memory until they are needed. Default: as the session's model, "
            "none for a new one.",
        ),
        click.option(
            "--quantize",
            type=click.Choice(QUANTIZATIONS),
            help="Hold the transformer's weights in fewer bits. Default: as with --offload.",
        ),
        click.option(
            "--tiling",
            type=click.Choice(TILINGS),
            help="Whether the VAE works in tiles, which need less memory. Default: as with --offload, auto for a new "
            "one: for large pictures on a GPU.",
        ),
        click.option(
            "--compile", "compile", flag_value="on", help="Compile the network's blocks: slow once, then fast."
        ),
        click.option("--no-compile", "compile", flag_value="off", help="Do not, though the session's model was."),
        click.option(
            "--cache",
            metavar="NAME[:VALUE]",
            help="Leave blocks out where an evaluation resembles the one before: first_block[:0.05] or "
            "taylorseer[:3], less exact; none turns it off. Default: as with --offload, none for a new one.",
        ),
        click.option(
            "--text-tokens",
            type=click.IntRange(1, 512),
            callback=_as_text,
            metavar="N",
            help="Tokens that a prompt of a FLUX.1 model takes at most. FLUX.1-schnell was made with 256.",
        ),
        click.option("--revision", metavar="REF", help="Branch, tag or commit of a Hub id."),
        click.option(
            "--transformer",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Take the transformer's weights from this file: safetensors in its authors' layout, or GGUF. Of "
            "Stable Diffusion: a whole checkpoint, or a UNet. Default: as the turn before; none for the model's own.",
        ),
        click.option(
            "--lora",
            "loras",
            multiple=True,
            metavar="FILE[:SCALE]",
            help="Add this LoRA to the transformer or UNet; repeatable. Default: those of the turn before; none for "
            "none.",
        ),
        click.option(
            "--weights",
            metavar="HASH",
            help="Warn if the model has other weights than these; for exported commands.",
        ),
    ),
)
"""The options that choose a model; the command receives one ``ModelChoice`` as ``chosen_model``."""

method_options = bundle(
    "chosen_method",
    MethodChoice,
    (
        click.option(
            "--method",
            metavar="NAME",
            help="Editor; see: undrift methods. Default: that of the turn before, undrift for the first.",
        ),
        click.option("--preset", metavar="NAME", help="Parameter set of the method. Default: as with --method."),
        click.option("--steps", type=int, metavar="N", help="Steps of inversion and of sampling."),
        click.option("--guidance", type=float, metavar="G", help="Guidance while sampling the target prompt."),
        click.option(
            "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any parameter of the method; repeatable."
        ),
        click.option(
            "--dial",
            type=click.FloatRange(-1, 1),
            metavar="X",
            help="From -1, obey the prompt, to 1, preserve the picture; 0 is the method as it is.",
        ),
        click.option(
            "--editor",
            metavar="MODEL",
            help="Hub id or folder of an editor that was trained on instructions; with --method instruct, which it "
            "implies.",
        ),
        click.option(
            "--recorded-as",
            metavar="PRESET[:DIAL]",
            help="What the parameters, all of them given with --set, are recorded as; for exported commands.",
        ),
    ),
)
"""The options that choose an editor; the command receives one ``MethodChoice`` as ``chosen_method``."""

reference_option: Decorator = click.option(
    "--reference",
    "references",
    multiple=True,
    metavar="PICTURE[:WEIGHT[:MASK]]",
    help="Pull the turn towards the look of this picture, of the session's size: by the WEIGHT, up to 1 (default "
    "0.7), where the MASK is white. Repeatable. For the methods undrift and multi_turn.",
)

ahead_option: Decorator = click.option(
    "--ahead/--no-ahead",
    default=True,
    show_default=True,
    help="Compute what the next turn needs whatever it says while nobody asks for anything: half of its time.",
)

seed_option: Decorator = click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), metavar="N", help="Default: drawn, and recorded with the turn."
)

handover_option: Decorator = click.option(
    "--handover",
    type=click.Choice(["latent", "image"]),
    default="latent",
    show_default=True,
    help="Continue from the turn's stored latent, or encode its picture again.",
)
