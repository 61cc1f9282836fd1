"""What an agent may do: open, edit, look, go back, branch, compare and export, within one folder.

Sessions are named, never paths; pictures are read and written within the folder alone, whatever is asked for. Every
method returns what is said of the result and the picture to look at.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from undrift.backbones.base import Backbone
from undrift.backbones.knowledge import unknown_note
from undrift.backbones.stopping import stoppable
from undrift.errors import InputError
from undrift.instructions import TextForm
from undrift.instructions.exchange import LanguageModel
from undrift.methods import registry
from undrift.outputs import PICTURE_ENDINGS, check_ending
from undrift.pictures import read_picture
from undrift.services.mcp.watch import Watch
from undrift.session import drift, engine
from undrift.session.ahead import Meanwhile
from undrift.session.compare import compare, mask_overlay
from undrift.session.database import FILE
from undrift.session.engine import EditPlan
from undrift.session.export import export_png
from undrift.session.model import Turn
from undrift.session.next_turn import candidate_plans, carried, followed, keep, last_method
from undrift.session.provenance import known_prompt
from undrift.session.saying import again_plan, heard, said_plan, told
from undrift.session.store import Session
from undrift.studio.session_folders import SessionFolders

LARGEST_SIDE = 1024
"""In pixels, of a picture that is sent to be looked at; what is stored and exported keeps its size."""

MOST_BYTES = 64 * 2**20
MOST_TURNS_TOLD = 100

Told = dict[str, Any]


@dataclass(frozen=True)
class Shown:
    """What a tool answers.

    Attributes:
        told: what is said of it.
        pictures: PNG files to look at.
    """

    told: Told
    pictures: tuple[bytes, ...] = ()


class Desk:
    """One model, one folder, one piece of work at a time.

    Args:
        backbone: what edits.
        folder: where sessions and pictures are.
        language: reads instructions; None leaves them to the grammar.
        looks_ahead: compute half of a next turn while the agent thinks (``undrift.session.ahead``).
    """

    def __init__(
        self,
        backbone: Backbone,
        folder: Path,
        language: LanguageModel | None = None,
        *,
        looks_ahead: bool = False,
    ) -> None:
        self._backbone, self._folder, self._language = backbone, folder.resolve(), language
        self._sessions = SessionFolders(self._folder)
        self._meanwhile, self._looks_ahead = Meanwhile(), looks_ahead

    def close(self) -> None:
        """Compute nothing any more."""
        self._meanwhile.close()

    def open(self, picture: str, caption: str, session: str, watch: Watch | None = None) -> Shown:
        """Begin a session with a picture, or open one that is there.

        Raises:
            UndriftError: neither or both, a file outside of the folder, no picture, or no such session.
            Cancelled: ``watch`` says that nobody waits for it; nothing is left.
        """
        if not picture:
            opened = self._sessions.session(session)
            self._expect(opened)
            return self._shown(session, opened, opened.head, note="opened")
        path = self._inside(picture)
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            raise InputError(f"'{picture}' has more than {MOST_BYTES // 2**20} MB")
        image, known = read_picture(path), known_prompt(path)
        name = session or self._sessions.free_name(path.stem)
        with self._working(watch or Watch()):
            opened = engine.start_session(self._sessions.new(name), image, caption or known, self._backbone)
        self._expect(opened)
        source = (
            "given" if caption else "from the picture's own metadata" if known else "none: say one with 'caption'"
        )
        return self._shown(name, opened, opened.original, caption_is=source)

    def sessions(self) -> Shown:
        """What is in the folder."""
        pictures = sorted(path.name for path in self._folder.iterdir() if _is_offered(path))
        return Shown({"sessions": self._sessions.names()[:MOST_TURNS_TOLD], "pictures": pictures[:MOST_TURNS_TOLD]})

    def edit(
        self,
        session: str,
        text: str,
        turn: str,
        read_as: TextForm | None,
        candidates: int,
        method: str,
        dial: float | None,
        seed: int | None,
        watch: Watch | None = None,
    ) -> Shown:
        """Make the turn that ``text`` asks for, or go back where it asks for that.

        Raises:
            UndriftError: no such session, turn or method, or a text without a sure reading.
            Cancelled: ``watch`` says that nobody waits for it; candidates that were finished stay.
        """
        opened, watch = self._sessions.session(session), watch or Watch()
        with self._working(watch):
            tree = opened.tree()
            parent = tree.turn(turn)
            name, preset = (method, "default") if method else last_method(tree, parent)
            params = carried(tree, parent, name)
            editor = registry.get(name, preset, params, self._backbone.tuned)
            listen = partial(heard, tree, text, parent.id, None, read_as, self._language)
            reading = told(listen, text, parent.prompt, editor)
            unknown = unknown_note(self._backbone.capabilities, reading.target)
            note = "; ".join(filter(None, (reading.note, unknown)))
            said = {"read_as": reading.form, "kinds": list(reading.kinds), "note": note}
            if reading.turn is not None:
                back = tree.path(parent)[reading.turn]
                opened.checkout(followed(tree, back))
                self._expect(opened)
                return self._shown(session, opened, back, **said)
            plan: EditPlan
            if reading.strength:
                plan, dial = again_plan(reading, parent)
            else:
                plan = said_plan(reading, parent)
            if seed is not None:
                plan = replace(plan, seed=seed)
            editor = registry.get(name, preset, params, self._backbone.tuned, dial or 0.0)
            plans = candidate_plans(tree, editor, plan, candidates)
            watch.expect([variant.cost(self._backbone).evaluations for variant, _ in plans], self._backbone.counter)
            turns = [
                engine.run_turn(opened, self._backbone, variant, wanted, [watch], tree=tree)
                for variant, wanted in plans
            ]
        self._expect(opened)
        shown = [self._shown(session, opened, made, **said) for made in turns]
        if len(shown) == 1:
            return shown[0]
        pictures = tuple(picture for each in shown for picture in each.pictures)
        return Shown({**shown[0].told, "candidates": [turn_view(made) for made in turns]}, pictures)

    def look(self, session: str, turn: str, what: str) -> Shown:
        """A turn's picture, where it edited, or what changed since the original.

        Raises:
            UndriftError: no such session or turn, or it has no mask.
        """
        opened = self._sessions.session(session)
        seen = opened.turn(turn)
        if what == "changes":
            heat = compare(opened, opened.original, seen).heat
            return Shown(turn_view(seen), (_png(heat),))
        if what == "mask":
            mask = opened.mask(seen) or opened.region(seen)
            if mask is None:
                raise InputError(f"turn {seen.number} has no mask: its method edits everywhere")
            return Shown(
                turn_view(seen), (_png(mask_overlay(opened.picture(seen), mask, token_side=seen.token_side)),)
            )
        return self._shown(session, opened, seen)

    def history(self, session: str) -> Shown:
        """The tree of turns."""
        tree = self._sessions.session(session).tree()
        newest = list(tree.turns.values())[-MOST_TURNS_TOLD:]
        told = {"head": tree.head_id, "branches": dict(tree.branches), "tree": tree.text()[-20_000:]}
        return Shown({**told, "turns": [turn_view(turn) for turn in newest]})

    def undo(self, session: str, steps: int, watch: Watch | None = None) -> Shown:
        """Go back, or with a negative number forward; nothing is lost.

        Raises:
            UndriftError: not so many turns to undo or redo.
        """
        opened = self._sessions.session(session)
        with self._working(watch or Watch()):
            moved = opened.undo(steps) if steps > 0 else opened.redo(-steps)
        self._expect(opened)
        return self._shown(session, opened, moved)

    def go(self, session: str, turn: str, watch: Watch | None = None) -> Shown:
        """Go to a turn, keeping it instead of its siblings if it is a candidate."""
        opened = self._sessions.session(session)
        with self._working(watch or Watch()):
            kept = keep(opened, turn)
        self._expect(opened)
        return self._shown(session, opened, kept)

    def branch(self, session: str, name: str, turn: str, watch: Watch | None = None) -> Shown:
        """Begin a branch at a turn.

        Raises:
            UndriftError: a name that is taken or none.
        """
        opened = self._sessions.session(session)
        with self._working(watch or Watch()):
            begun = opened.branch(name, turn)
        self._expect(opened)
        return self._shown(session, opened, begun, branch=name)

    def compare(self, session: str, first: str, second: str) -> Shown:
        """Two turns in numbers, and a map of where they differ."""
        opened = self._sessions.session(session)
        one, other = opened.turn(first), opened.turn(second)
        found = compare(opened, one, other)
        numbers = {**found.numbers.model_dump(), "mean": found.mean, "largest": found.largest}
        return Shown({"first": turn_view(one), "second": turn_view(other), **numbers}, (_png(found.heat),))

    def export(self, session: str, turn: str, file: str) -> Shown:
        """Write a turn's picture with its history; a file that is there is not replaced.

        Raises:
            UndriftError: a name outside of the folder or one that is taken, or it cannot be written.
        """
        opened = self._sessions.session(session)
        seen = opened.turn(turn)
        name = file or f"{session}-{seen.number}.png"
        check_ending(name, PICTURE_ENDINGS)
        path = self._inside(name)
        if any((folder / FILE).is_file() for folder in path.parents if folder.is_relative_to(self._folder)):
            raise InputError(f"{name!a} would be within a session: put it beside")
        if os.path.lexists(path):
            raise InputError(f"'{path.name}' exists already: choose another name")
        export_png(opened, seen, path)
        return Shown({**turn_view(seen), "file": str(path.relative_to(self._folder))})

    @contextmanager
    def _working(self, watch: Watch) -> Iterator[None]:
        """What changes a session, one after another, as long as somebody waits for it."""
        with self._meanwhile.working(watch.check), stoppable(watch.check):
            watch.check()
            yield

    def _expect(self, session: Session) -> None:
        """The agent looks at the head of ``session``, and thinks."""
        if self._looks_ahead:
            self._meanwhile.expect(session, self._backbone)

    def _inside(self, name: str) -> Path:
        """A file of the folder, wherever links lead.

        Raises:
            InputError: it is outside.
        """
        try:
            path = (self._folder / name).resolve()
            path.exists()  # says if a name is too long
        except (OSError, ValueError, RuntimeError):
            path = Path("/")
        if not path.is_relative_to(self._folder) or path == self._folder or not name.isprintable():
            raise InputError(f"{name[:200]!a} is not within the folder that this server works in: copy it there")
        return path

    def _shown(self, name: str, session: Session, turn: Turn, **more: Any) -> Shown:
        warned = {"warning": warning} if (warning := drift.warning(turn)) else {}
        return Shown({"session": name, **turn_view(turn), **more, **warned}, (_png(session.picture(turn)),))


def turn_view(turn: Turn) -> Told:
    """What an agent is told of a turn."""
    edit: Told = {}
    if turn.spec is not None:
        edit = {"said": turn.spec.instruction, "method": turn.spec.method, "seed": turn.spec.seed}
    changed = None if turn.drift_original is None else turn.drift_original.text
    return {
        "turn": turn.id,
        "number": turn.number,
        "parent": turn.parent,
        "caption": turn.prompt,
        **edit,
        "changed_outside_since_original": changed,
    }


_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".bmp"})


def _is_offered(path: Path) -> bool:
    """Whether ``path`` is called as a picture, in a name that can be given back (``Desk.open``)."""
    return path.suffix.lower() in _PICTURES and path.name.isprintable()


def _png(image: Image.Image) -> bytes:
    small = image.copy()
    small.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    file = io.BytesIO()
    small.save(file, "PNG")
    return file.getvalue()
