"""A turn on its way into a session: what decides it, what its work gave, and which files hold that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pydantic import TypeAdapter

from undrift.session.model import DriftNumbers, Loaded, RestoreSpec, TurnKind, TurnSpec

FOLDERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "image": ("pictures", "png"),
        "latent": ("latents", "safetensors"),
        "mask": ("masks", "png"),
        "region": ("regions", "png"),
        "references": ("references", "png"),
    }
)
"""Folder and suffix of every kind of file that a turn has."""


Spec = TurnSpec | RestoreSpec
"""What decides a turn's result."""
SPEC: TypeAdapter[Spec] = TypeAdapter(Spec)
KINDS: Mapping[type, TurnKind] = MappingProxyType({TurnSpec: "edit", RestoreSpec: "restore", type(None): "import"})
"""What kind of turn a specification makes."""


@dataclass(frozen=True)
class Outcome:
    """What the work of a turn gave: the contents of its files, and numbers as in ``Turn``."""

    image: bytes
    width: int
    height: int
    latent: bytes | None = None
    mask: bytes | None = None
    region: bytes | None = None
    references: bytes | None = None
    token_side: int | None = None
    encoded_by: Loaded | None = None
    evaluations: int = 0
    sample_evaluations: int = 0
    remembered: int | None = None
    seconds: float = 0.0
    drift_original: DriftNumbers | None = None
    drift_previous: DriftNumbers | None = None


@dataclass(frozen=True)
class Pending:
    """A turn that is being worked on: recorded, not yet in the tree.

    Attributes:
        id: what the turn will be called.
        parent: id of the turn it is made from.
        head: id of the head when it began: the head follows the turn unless somebody moves it meanwhile.
        prompt: what the turn is to show.
        spec: what decides its result, None for a picture put in by hand.
    """

    id: str
    parent: str
    head: str
    prompt: str
    spec: Spec | None

    @property
    def text(self) -> str:
        """The turn in one line: what is needed to ask for it again."""
        return f"'{self.prompt}'" + (f" (seed {self.spec.seed})" if isinstance(self.spec, TurnSpec) else "")


def file_name(what: str, key: str) -> str:
    """Path within the session of a turn's file, ``what`` being a key of ``FOLDERS``."""
    folder, suffix = FOLDERS[what]
    return f"{folder}/{key}.{suffix}"
