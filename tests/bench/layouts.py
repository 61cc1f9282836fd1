"""Small data sets in the layouts that others publish, drawn by LittleWorld: nobody's data is needed or shipped."""

from __future__ import annotations

import csv
import importlib
import io
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from undrift.bench.data.pie import MAPPING, PICTURES, SIZE, TYPES, encode_mask, type_folder
from undrift.littleworld.edits import Edit
from undrift.littleworld.sequences import EditSequence, sample_sequence

PIE_TYPES = {"object": 1, "add": 2, "delete": 3, "colour": 6, "background": 8}
"""The PIE-Bench type of each LittleWorld type."""


def sequences(count: int, turns: int = 1, seed: int = 0) -> list[EditSequence]:
    """Drawn sequences; the first turns are of all five types."""
    found: dict[str, EditSequence] = {}
    rest: list[EditSequence] = []
    for number in range(seed, seed + 1000):
        sequence = sample_sequence(random.Random(number), turns)
        (
            rest.append(sequence)
            if sequence.edits[0].type in found
            else found.update({sequence.edits[0].type: sequence})
        )
        if len(found) == len(PIE_TYPES) and len(found) + len(rest) >= count:
            return [*found.values(), *rest][:count]
    raise AssertionError("too few sequences")


def pie_id(kind: int, index: int) -> str:
    """An id of PIE-Bench: artificial, of animals."""
    return f"{index:012}" if kind == 0 else f"{kind}11{index:09}"


def pie_path(kind: int, name: str) -> str:
    """Where the picture lies."""
    return f"{type_folder(kind)}/" + (f"{name}.jpg" if kind == 0 else f"1_artificial/1_animal/{name}.jpg")


def bracketed(caption: str, part: str | None) -> str:
    """The caption with the differing part in brackets."""
    return caption.replace(part, f"[{part}]") if part else caption


def pie_record(name: str, kind: int, edit: Edit, runs: Sequence[int]) -> dict[str, Any]:
    """A record of ``mapping_file.json``."""
    blended = [part.split()[-1] if part else "" for part in (edit.before, edit.after)]
    return {
        "image_path": pie_path(kind, name),
        "original_prompt": bracketed(edit.source_prompt, edit.before),
        "editing_prompt": bracketed(edit.target_prompt, edit.after),
        "editing_instruction": edit.label,
        "editing_type_id": str(kind),
        "blended_word": " ".join(blended) if all(blended) else "",
        "mask": list(runs),
    }


def write_pie(folder: Path, drawn: Sequence[EditSequence]) -> dict[str, EditSequence]:
    """The original folder, and which sequence each id shows."""
    shown: dict[str, EditSequence] = {}
    records: dict[str, dict[str, Any]] = {}
    for sequence in drawn:
        kind = PIE_TYPES[sequence.edits[0].type]
        name = pie_id(kind, sum(other[0] == str(kind) for other in records))
        records[name] = pie_record(name, kind, sequence.edits[0], encode_mask(sequence.mask(1, SIZE)))
        file = folder / PICTURES / records[name]["image_path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        sequence.picture(0, SIZE).save(file, quality=95)
        shown[name] = sequence
    (folder / MAPPING).write_text(json.dumps(records), encoding="utf-8")
    return shown


def png(image: Image.Image, name: str = "x.png") -> dict[str, Any]:
    """A picture as the hub stores it."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": name}


def write_rows(file: Path, rows: Sequence[Mapping[str, Any]], group: int = 2) -> None:
    """A parquet file of several row groups."""
    file.parent.mkdir(parents=True, exist_ok=True)
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist([dict(row) for row in rows]), file, row_group_size=group)


def pie_pp_row(name: str, kind: int, sequence: EditSequence) -> dict[str, Any]:
    """A row of PIE-Bench++: all strings but the picture."""
    edit = sequence.edits[0]
    said = "+" if edit.before is None else "-" if edit.after is None else edit.before
    blended = [part.split()[-1] for part in (edit.before, edit.after) if part]
    return {
        "image": png(sequence.picture(0, SIZE), f"{name}.jpg"),
        "id": name,
        "source_prompt": edit.source_prompt,
        "target_prompt": bracketed(edit.target_prompt, edit.after),
        "edit_action": json.dumps({edit.after or edit.before: {"position": 1, "edit_type": kind, "action": said}}),
        "aspect_mapping": "{}",
        "blended_words": json.dumps([",".join(blended)] if len(blended) == 2 else []),
        "mask": " ".join(map(str, encode_mask(sequence.mask(1, SIZE)))),
    }


def write_pie_pp(folder: Path, drawn: Sequence[EditSequence]) -> dict[str, EditSequence]:
    """PIE-Bench++, and which sequence each id shows. Types without pictures get no file."""
    shown: dict[str, EditSequence] = {}
    for kind in TYPES:
        mine = [s for s in drawn if PIE_TYPES[s.edits[0].type] == kind]
        named = {pie_id(kind, place): sequence for place, sequence in enumerate(mine)}
        if named:
            rows = [pie_pp_row(name, kind, sequence) for name, sequence in named.items()]
            write_rows(folder / type_folder(kind) / "V1-00000-of-00001.parquet", rows)
        shown.update(named)
    return shown


def write_mse(folder: Path, drawn: Sequence[EditSequence]) -> Path:
    """MSE-Bench, in the order of the sequences."""
    rows = [
        {
            "image": png(sequence.picture(0, SIZE)),
            "context": [edit.label for edit in sequence.edits],
            "description_source": sequence.captions[0],
            "description_target": list(sequence.captions[1:]),
            "index": place,
            "operation": [edit.type for edit in sequence.edits],
            "summary": "edits",
        }
        for place, sequence in enumerate(drawn)
    ]
    file = folder / "data" / "train-00000-of-00001.parquet"
    write_rows(file, rows)
    return file


def magicbrush_mask(sequence: EditSequence, turn: int, size: int) -> Image.Image:
    """The picture before the turn, clear where it changes."""
    clear = sequence.picture(turn - 1, size).convert("RGBA")
    clear.putalpha(Image.fromarray(np.where(sequence.mask(turn, size), 0, 255).astype(np.uint8)))
    return clear


def magicbrush_rows(sequence: EditSequence, name: str, size: int = 256) -> list[dict[str, Any]]:
    """A session of MagicBrush, one row a turn."""
    return [
        {
            "img_id": name,
            "turn_index": turn,
            "source_img": png(sequence.picture(turn - 1, size)),
            "mask_img": png(magicbrush_mask(sequence, turn, size)),
            "instruction": sequence.edits[turn - 1].label,
            "target_img": png(sequence.picture(turn, size)),
        }
        for turn in range(1, sequence.turns + 1)
    ]


EDIVAL_HEADER = (
    "image_index,turns,task_type,instructions,format_instructions,bg_consistency,unchanged_objects,"
    "available_objects,all_objects"
)


def lme_item(sequence: EditSequence, name: str) -> dict[str, Any]:
    """A session of LME-Bench."""
    said = [edit.label for edit in sequence.edits]
    return {
        "id": name,
        "category": "drawn",
        "source_prompt": sequence.captions[0],
        "turns": said,
        "labels": ["hard", *["local"] * (len(said) - 1)],
    }


def write_lme(folder: Path, drawn: Sequence[EditSequence]) -> None:
    """LME-Bench."""
    (folder / "images").mkdir(parents=True)
    items = [lme_item(sequence, f"{number:04}") for number, sequence in enumerate(drawn, 1)]
    for number, sequence in enumerate(drawn, 1):
        sequence.picture(0, 1024).save(folder / "images" / f"{number:04}.png")
    (folder / "lme_bench.json").write_text(json.dumps({"meta": {"name": "LME-Bench"}, "items": items}))


def write_edival(folder: Path, drawn: Sequence[EditSequence]) -> None:
    """EdiVal-Bench."""
    pictures = folder / "input_images_resize_512"
    pictures.mkdir(parents=True)
    with (folder / "oai_instruction_generation_output.csv").open("w", newline="") as file:
        file.write(EDIVAL_HEADER + "\n")
        rows = csv.writer(file)
        for index, sequence in enumerate(drawn):
            sequence.picture(0, 512).save(pictures / f"{index}_input_raw.{'jpg' if index else 'png'}")
            for turn in range(1, sequence.turns + 1):
                done = sequence.edits[:turn]
                # As published, some instructions stand in quotes of their own.
                said = [f'""{edit.label}""' if number else edit.label for number, edit in enumerate(done)]
                kinds = [edit.type for edit in done]
                rows.writerow([index, turn, kinds, said, said, turn == 1, ["cat"], [], []])
