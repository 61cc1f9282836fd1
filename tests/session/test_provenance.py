"""What a picture's metadata says, from whomever the picture came."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from tests.support.toy import ToyBackbone, ToyMethod
from undrift.errors import PictureError
from undrift.pictures import png_bytes
from undrift.session.engine import EditPlan, import_picture, restore, run_turn
from undrift.session.export import export_png
from undrift.session.provenance import recall
from undrift.session.store import Session


def carrying(text: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("undrift", text)
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes, width: int = 2, height: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_an_exported_picture_tells_its_turns(session: Session, backbone: ToyBackbone, tmp_path: Path) -> None:
    first = run_turn(session, backbone, ToyMethod(), EditPlan("a dog", words=("dog",), seed=7))
    restore(session, backbone, Image.new("L", (40, 32), 255))
    import_picture(session, Image.new("RGB", (40, 32)), "black", backbone)
    export_png(session, session.head, tmp_path / "out.png")
    found = recall((tmp_path / "out.png").read_bytes())
    assert found == recall(tmp_path / "out.png")
    assert found.prompt == "black"
    assert [(turn.kind, turn.prompt) for turn in found.turns] == [
        *(("original", "a cat"), ("edit", "a dog"), ("restore", "a dog"), ("import", "black")),
    ]
    assert [turn.spec for turn in found.turns] == [None, first.spec, None, None]
    inside = recall(session.folder / first.image)
    assert [(turn.number, turn.spec) for turn in inside.turns] == [(1, first.spec)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"hello", "is not a picture that can be read"),
        (png_bytes(Image.new("RGB", (2, 2))), "carries no undrift metadata"),
        (carrying("not json"), "the undrift metadata in the picture is damaged"),
        (carrying("[1, 2]"), "the undrift metadata in the picture is damaged"),
        (carrying("[" * 200_000), "the undrift metadata in the picture is damaged"),
        (carrying('{"a":' * 100_000), "the undrift metadata in the picture is damaged"),
        (carrying("{}"), "the undrift metadata is damaged: prompt: field required"),
        (carrying('{"prompt": "x", "prompt": "y", "turns": []}'), "the undrift metadata in the picture is damaged"),
        (carrying('{"prompt": "x", "turns": 7}'), "the undrift metadata is damaged: turns: "),
        (carrying('{"prompt": "x", "turns": [{"number": 0}]}'), "the undrift metadata is damaged: turns.0.kind"),
        (
            carrying('{"prompt": "x", "turns": [{"number": 1, "kind": "edit", "prompt": "y", "spec": {}}]}'),
            "the undrift metadata is damaged: turns.0.spec.source_prompt",
        ),
        (carrying("9" * 10_000), "the undrift metadata in the picture is damaged"),
        *(
            (
                carrying(f'{{"prompt": "x", "turns": [], "more": {more}}}'),
                "the undrift metadata in the picture is damaged",
            )
            for more in ("NaN", "-Infinity", "1e999", '"\\ud800"')
        ),
        (
            carrying('{"prompt": "x", "turns": [{"number": ' + "9" * 400 + ', "kind": "original", "prompt": "y"}]}'),
            "the undrift metadata is damaged: turns.0.number: input should be less than",
        ),
        (png(chunk(b"iTXt", b"undrift\0\1\0\0\0" + zlib.compress(bytes(200_000_000), 9))), "carries larger texts"),
        (png(width=100_000, height=100_000), "too many pixels"),
        (png(chunk(b"iTXt", b"undrift\0\0\0\0\0\xff\xfe")), "carries no undrift metadata|damaged"),
        (png()[:40], "damaged|not a picture|carries no"),
    ],
)
def test_hostile_pictures_are_one_clear_error(data: bytes, message: str) -> None:
    with pytest.raises(PictureError, match=message):
        recall(data)
