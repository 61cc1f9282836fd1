"""What one running studio consists of: a model, a folder of sessions, a queue and what the pages are told."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from undrift import __version__
from undrift.backbones.base import Backbone
from undrift.instructions.exchange import LanguageModel
from undrift.methods import registry
from undrift.methods.base import EditMethod
from undrift.session.ahead import Ahead
from undrift.session.extending import FILL
from undrift.session.segmenting import Segmenter
from undrift.studio import uploads, views
from undrift.studio.events import EventLog
from undrift.studio.forms import MOST_CANDIDATES, MOST_REFERENCES, MethodForm
from undrift.studio.jobs import JobQueue
from undrift.studio.notes import Notes
from undrift.studio.saying import Exchanges
from undrift.studio.session_folders import SessionFolders


class Studio:
    """One model and everything the pages share.

    Args:
        backbone: the model that all sessions are edited with.
        root: the folder that holds the sessions.
        first: the session that the page opens with; None opens the list.
        describe: an unexpected error in one line.
        language: reads instructions where a page asks it to; None leaves them to the grammar.
        load: loads another model by its name; None: there is no other.
        segmenter: finds the thing that is clicked; None has the model itself find it.
        looks_ahead: compute half of a next turn while nobody asks for anything (``undrift.session.ahead``).
    """

    def __init__(
        self,
        backbone: Backbone,
        root: Path,
        first: str | None = None,
        describe: Callable[[Exception], str] = repr,
        language: LanguageModel | None = None,
        load: Callable[[str], Backbone] | None = None,
        *,
        segmenter: Segmenter | None = None,
        looks_ahead: bool = False,
    ) -> None:
        self.backbone = backbone
        self._ahead = Ahead()
        self._looks_ahead = looks_ahead
        self.folders = SessionFolders(root)
        self.notes = Notes(self.folders)
        self.first = first
        self.describe = describe
        self.language = language
        self.load = load
        self.segmenter = segmenter
        self.exchanges = Exchanges()
        self.events = EventLog()
        self.jobs = JobQueue(self.events, describe, self._ahead)
        self.uploads = uploads.Uploads()

    def start(self) -> None:
        """Begin to work on jobs."""
        self.jobs.start()

    def stop(self) -> None:
        """Let the pages go and cancel what runs."""
        self.events.close()
        self.jobs.stop()
        self._forget()

    def method(self, form: MethodForm) -> EditMethod:
        """The method that a page chose, its dial turned.

        Raises:
            InputError: no such method, preset or parameter, or a value out of range.
        """
        return registry.get(form.name, form.preset, form.params, self.backbone.tuned, form.dial)

    def free_name(self, wanted: str) -> str:
        """A name for a new session, made from ``wanted``, that no session has and none that waits to be made."""
        return self.folders.free_name(wanted, {job.about.session for job in self.jobs.unfinished()})

    def use(self, backbone: Backbone) -> None:
        """Edit with another model from now on, and tell the pages."""
        self._forget()
        self.backbone = backbone
        self.__dict__.pop("about", None)
        self.events.publish("about", "about", {})

    def expect(self, session: str, method: EditMethod | None = None) -> None:
        """Somebody looks at the head of ``session``: prepare a turn from there, with ``method`` or the usual one."""
        if self._looks_ahead:
            self._ahead.expect(self.folders.session(session), self.backbone, method)
            self.jobs.look_ahead()

    def _forget(self) -> None:
        """Let go of what was prepared with the model."""
        self._ahead.forget()
        if self._looks_ahead:
            self.backbone.memory = None

    def changed(self, session: str) -> None:
        """Tell the pages that a session's tree is another one now."""
        self.events.publish("session", session, {"name": session})

    @cached_property
    def about(self) -> dict[str, Any]:
        """What does not change while the model stays the same."""
        identity = self.backbone.identity
        return {
            "version": __version__,
            "model": {**vars(identity), "notes": self.backbone.capabilities.notes},
            "vocabulary": self.backbone.capabilities.vocabulary,
            "folder": str(self.folders.root.resolve()),
            "first": self.first,
            "other_models": self.load is not None,
            "language_model": None if self.language is None else self.language.name,
            "default_method": registry.DEFAULT,
            "fill_method": FILL,
            "methods": views.methods_view(self.backbone),
            "limits": {
                "bytes": uploads.MAX_BYTES,
                "megapixels": uploads.MAX_MEGAPIXELS,
                "candidates": MOST_CANDIDATES,
                "references": MOST_REFERENCES,
            },
        }
