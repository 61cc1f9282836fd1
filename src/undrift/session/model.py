"""What a session remembers of a turn. Plain values only: this is what the SQLite file and the PNGs carry."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

TurnKind = Literal["source", "edit", "import"]


class DriftNumbers(BaseModel):
    """Change nobody asked for, measured on the pictures, relative to an anchor picture.

    Attributes:
        psnr: dB between the turn and the anchor outside the edited region (higher is closer; None = identical, or
            nothing to compare where ``outside`` is 0).
        changed: fraction of the pixels outside the edited region that changed by more than 8/255.
        outside: fraction of the picture that counts as outside the edited region.
    """

    model_config = ConfigDict(frozen=True)

    psnr: float | None
    changed: float
    outside: float


class TurnSpec(BaseModel):
    """Everything that decides a turn's result, resolved and recorded before the work starts.

    Attributes:
        source_prompt: what the parent shows.
        target_prompt: what the turn is to show.
        words: words of the target prompt that steer the highlighting, None for those that differ.
        method, preset, params: the editor, the preset's name and its resolved parameters.
        seed: the resolved seed, never -1.
        handover: ``latent`` continues from the parent's stored latent, ``image`` re-encodes its picture.
        model, weights_hash, dtype, device: what ran.
        versions: package versions.
    """

    model_config = ConfigDict(frozen=True)

    source_prompt: str
    target_prompt: str
    words: tuple[str, ...] | None = None
    method: str
    preset: str
    params: dict[str, Any]
    seed: int
    handover: Literal["latent", "image"] = "latent"
    model: str
    weights_hash: str
    dtype: str
    device: str
    versions: dict[str, str]


class Turn(BaseModel):
    """A finished turn: an immutable node of the session's tree.

    Attributes:
        id: 12 hex digits, derived from the parent's id and the spec (the source's from its picture and prompt), and
            from a count where a session repeats a turn. The same turns of the same picture have the same ids.
        number: turns from the source (0).
        parent: id of the turn it was made from, None for the source.
        kind: ``source`` (the picture the session began with), ``edit``, or ``import`` (a picture put in by hand).
        prompt: what the picture shows.
        spec: None for a source.
        image, latent, mask: paths of the files within the session folder, with forward slashes; the mask is a grey
            PNG with one pixel per token, white where the method edited, None if it has none.
        image_hash, latent_hash: sha256 of the files.
        width, height: of the picture in pixels.
        evaluations, sample_evaluations: NFE.
        seconds: wall time of the turn.
        drift_original, drift_previous: drift against turn 0 and against the parent, None for a source.
        created: UTC, ISO 8601.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    number: int
    parent: str | None
    kind: TurnKind
    prompt: str
    spec: TurnSpec | None
    image: str
    latent: str | None
    mask: str | None = None
    image_hash: str
    latent_hash: str | None
    width: int
    height: int
    evaluations: int = 0
    sample_evaluations: int = 0
    seconds: float = 0.0
    drift_original: DriftNumbers | None = None
    drift_previous: DriftNumbers | None = None
    created: str
