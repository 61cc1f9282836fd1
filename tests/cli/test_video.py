"""``undrift video``: frames in, frames out, all of them or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from tests.cli.conftest import Invoke, parsed
from tests.support.toy import toy_picture
from undrift.cli.video import frame_files

ASK = ("-p", "a cat", "-e", "a dog", "--method", "toy")


@pytest.fixture
def clip(folder: Path) -> Path:
    """Ten frames, one shifted: names that only sort by number."""
    frames = folder / "frames"
    frames.mkdir()
    for number in range(1, 11):
        picture = toy_picture()
        if number == 10:
            picture.paste((250, 10, 10), (0, 0, 16, 16))
        picture.save(frames / f"f{number}.png")
    (frames / "notes.txt").write_text("no frame")
    return frames


def test_a_folder_of_frames_becomes_a_folder_of_frames(invoke: Invoke, clip: Path, folder: Path) -> None:
    told = parsed(invoke("video", "frames", *ASK, "-o", "out", "--animation", "out.webp", "--fps", "4", "--json"))
    pictures = [Image.open(folder / "out" / f"{number:04}.png") for number in range(1, 11)]
    assert len({picture.tobytes() for picture in pictures[:9]}) == 1, "nothing moves until the last frame"
    assert np.asarray(pictures[9])[:8, :8].tolist() != np.asarray(pictures[8])[:8, :8].tolist()
    assert [frame["made"] for frame in told["frames"][:9]] == [1.0] + [0.0] * 8
    assert 0.0 < told["frames"][9]["made"] <= 1.0
    with Image.open(folder / "out.webp") as opened:
        shown = [frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(opened)]
        assert opened.info["loop"] == 0
    # An animation joins frames that are the same.
    assert shown[0] == pictures[0].tobytes()
    assert shown[-1] == pictures[9].tobytes()


def test_frames_by_name_are_taken_in_the_order_given(invoke: Invoke, clip: Path, folder: Path) -> None:
    names = [str(clip / f"f{number}.png") for number in (10, 1)]
    told = parsed(invoke("video", *names, *ASK, "-o", "out", "--single", "--json"))
    assert [frame["made"] for frame in told["frames"]] == [1.0, 1.0]
    assert told["frames"][0]["evaluations"] > 0
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["0001.png", "0002.png"]


def test_numbers_in_names_count(clip: Path) -> None:
    assert [path.stem for path in frame_files([clip])] == [f"f{number}" for number in range(1, 11)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("frames", "cat.png"), "'frames' is a folder: give one folder of frames, or the frames themselves"),
        (("empty",), "no frames in 'empty', expected pictures such as 0001.png"),
        (("none.png",), "none.png"),
        (("cat.png", "--animation", "film.mp4"), "'film.mp4': expected a name that ends in .webp or .gif"),
    ],
)
def test_what_is_refused_before_anything_is_made(
    invoke: Invoke, clip: Path, folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    (folder / "empty").mkdir()
    refused = invoke("video", *arguments, *ASK, "-o", "out")
    assert refused.exit_code == 2
    assert message in refused.stderr
    assert not (folder / "out").exists()


def test_a_folder_that_is_taken_stays_as_it_is(invoke: Invoke, clip: Path, folder: Path) -> None:
    refused = invoke("video", "cat.png", *ASK, "-o", "frames")
    assert refused.exit_code != 0
    assert "'frames' already exists: choose another name" in refused.stderr
    assert len(list(clip.iterdir())) == 11
