"""A Space that edits a picture over many turns: ``python app.py``, or as a Gradio Space on Hugging Face.

``UNDRIFT_MODEL`` names another model than the embedded one.
"""

from __future__ import annotations

import html
import os
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

import editing
import gradio as gr

from undrift import Backbone, UndriftError, load
from undrift.littleworld import demo

Shown = list[tuple[Any, str]]


def told(error: Exception) -> gr.Error:
    """What went wrong, for the visitor; nothing of an unexpected error."""
    return gr.Error(
        html.escape(str(error), quote=False) if isinstance(error, UndriftError) else "this did not work: try again"
    )


def page(model: Backbone) -> gr.Blocks:
    """The page over ``model``."""

    def begin(visit: editing.Visit | None, picture: Any, caption: str) -> tuple[editing.Visit, Shown, str]:
        try:
            new = editing.begin(model, editing.opened(picture), caption)
        except Exception as error:
            raise told(error) from None
        if visit is not None:
            visit.end()
        return new, new.pictures(), ""

    def say(visit: editing.Visit | None, text: str, dial: float) -> tuple[Shown, str, str]:
        try:
            reading = editing.say(model, visit, text, dial=dial)
            return editing_pictures(visit), reading, ""
        except Exception as error:
            raise told(error) from None

    def undo(visit: editing.Visit | None) -> Shown:
        try:
            editing.undo(visit)
            return editing_pictures(visit)
        except Exception as error:
            raise told(error) from None

    def editing_pictures(visit: editing.Visit | None) -> Shown:
        return [] if visit is None else visit.pictures()

    with gr.Blocks(title="undrift") as blocks:
        gr.Markdown("# undrift\nEdit one picture over many turns with words; what you do not mention stays as it is.")
        visit = gr.State(None, time_to_live=3600, delete_callback=lambda ended: ended and ended.end())
        with gr.Row():
            with gr.Column():
                picture = gr.Image(demo.picture(), type="filepath", image_mode=None, label="Picture")
                caption = gr.Textbox(demo.prompt(), label="What it shows", max_length=editing.LONGEST_TEXT)
                start = gr.Button("Begin", variant="primary")
                text = gr.Textbox(
                    label="What to change, or what it is to show",
                    placeholder="make the robot green",
                    max_length=editing.LONGEST_TEXT,
                )
                dial = gr.Slider(-1, 1, 0, label="Obey the words (-1) or preserve the picture (1)")
                with gr.Row():
                    make = gr.Button("Make the turn")
                    back = gr.Button("Undo")
                reading = gr.Markdown()
            turns = gr.Gallery(label="Turns", columns=2, format="png")
        start.click(begin, [visit, picture, caption], [visit, turns, reading], concurrency_id="model")
        for asked in (make.click, text.submit):
            asked(say, [visit, text, dial], [turns, reading, text], concurrency_id="model", concurrency_limit=1)
        back.click(undo, [visit], [turns])
    return blocks


if __name__ == "__main__":
    page(load(os.environ.get("UNDRIFT_MODEL", "littleworld"))).queue(max_size=32).launch(
        max_file_size=editing.MOST_BYTES
    )
