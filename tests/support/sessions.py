"""Turns without a model, for tests of the store alone; also a program that appends them."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import torch
from PIL import Image

from tests.support.toy import ToyBackbone
from undrift.backbones.base import Geometry, Latent
from undrift.pictures import png_bytes
from undrift.session.latents import to_bytes
from undrift.session.model import Turn
from undrift.session.outcome import Outcome
from undrift.session.store import Session


def outcome(value: int) -> Outcome:
    """Files that differ with ``value``."""
    image = Image.new("RGB", (4, 4), (value % 256, value // 256 % 256, 7))
    latent = Latent(torch.full((1, 1, 3), float(value)), Geometry(4, 4, 1, 1, 4))
    mask = png_bytes(Image.new("L", (1, 1), value % 256))
    stored = to_bytes(latent, _backbone())
    return Outcome(image=png_bytes(image), width=4, height=4, latent=stored, mask=mask, token_side=4)


@cache
def _backbone() -> ToyBackbone:
    return ToyBackbone()


def start(folder: Path) -> Session:
    """A session with an original alone."""
    return Session.create(folder, "source", outcome(0))


def append(session: Session, value: int, parent: str = "head") -> Turn:
    """Append turn ``value`` to ``parent``."""
    return session.finish(session.begin(session.turn(parent), f"turn {value}"), outcome(value))


def append_all(folder: Path, first: int, count: int) -> None:
    """Append ``count`` turns; each one's id, image hash and latent hash are reported once it is finished."""
    session = Session.open(folder)
    for value in range(first, first + count):
        turn = append(session, value)
        print(turn.id, turn.image_hash, turn.latent_hash, ".", flush=True)


if __name__ == "__main__":
    append_all(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
