"""All methods on one sequence of edits, side by side on one sheet: `python examples/compare_methods.py`.

A row per method, a column per turn, the right pictures above. Every turn is made by the session engine from the turn
before, as `undrift run` makes it.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

import undrift
from undrift.backbones import Backbone
from undrift.littleworld.scoring import score_turn
from undrift.littleworld.sequences import EditSequence, sample_sequence

SIDE, LABEL, LINE = 128, 150, 16


def run_method(name: str, sequence: EditSequence, backbone: Backbone, folder: Path) -> list[Image.Image]:
    """The pictures of a session: the original, then one per turn."""
    method = undrift.method(name, backbone)
    session = undrift.start_session(folder, sequence.picture(0), sequence.captions[0], backbone)
    for prompt in sequence.captions[1:]:
        undrift.run_turn(session, backbone, method, undrift.EditPlan(prompt, seed=0))
    return [session.picture(turn) for turn in session.path(session.head)]


def fits(name: str, backbone: Backbone) -> bool:
    """Whether the model has what the method needs."""
    try:
        undrift.method(name, backbone).check(backbone)
    except undrift.UndriftError:
        return False
    return True


def label(name: str, sequence: EditSequence, pictures: Sequence[Image.Image]) -> str:
    """The method's name, its cost and how right its turns are on average."""
    scores = [score_turn(sequence, turn, picture) for turn, picture in enumerate(pictures) if turn]
    edit = sum(score.edit for score in scores) / len(scores)
    outside = sum(score.outside for score in scores) / len(scores)
    return f"{name}\nedit {edit:.2f}\noutside {outside:.1f} dB"


def sheet(sequence: EditSequence, rows: Mapping[str, Sequence[Image.Image]]) -> Image.Image:
    """Labels on the left, the instructions above."""
    captions = ["source", *(edit.label for edit in sequence.edits)]
    top = 3 * LINE + LINE // 2
    page = Image.new("RGB", (LABEL + len(captions) * (SIDE + 4), top + len(rows) * (SIDE + 4)), "white")
    draw = ImageDraw.Draw(page)
    for column, caption in enumerate(captions):
        draw.multiline_text((LABEL + column * (SIDE + 4), 2), wrapped(caption), "black", font_size=12)
    for row, (text, pictures) in enumerate(rows.items()):
        draw.multiline_text((4, top + row * (SIDE + 4) + 36), text, "black", font_size=13)
        for column, picture in enumerate(pictures):
            place = (LABEL + column * (SIDE + 4), top + row * (SIDE + 4))
            page.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), place)
    return page


def wrapped(text: str, width: int = 18) -> str:
    """Lines of at most ``width`` letters."""
    return "\n".join(textwrap.wrap(text, width))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the sequence of edits")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--model", default="littleworld")
    parser.add_argument("--methods", nargs="*", help="default: all that the model has what they need for")
    parser.add_argument("-o", "--output", type=Path, default=Path("methods.png"))
    args = parser.parse_args()
    sequence = sample_sequence(random.Random(args.seed), args.turns)
    backbone = undrift.load(args.model)
    rows: dict[str, Sequence[Image.Image]] = {"right answer": [sequence.picture(t) for t in range(args.turns + 1)]}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.methods or [name for name in undrift.all_methods() if fits(name, backbone)]:
            pictures = run_method(name, sequence, backbone, Path(folder) / name)
            rows[label(name, sequence, pictures)] = pictures
            print(label(name, sequence, pictures).replace("\n", "  "), flush=True)
    sheet(sequence, rows).save(args.output)


if __name__ == "__main__":
    main()
