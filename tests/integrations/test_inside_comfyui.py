"""The nodes inside ComfyUI itself: its own loader, its check of a graph, its executor."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.comfyui import COMFYUI, example, happened, laid_out, started, waited
from undrift.pictures import read_picture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not COMFYUI, reason="$UNDRIFT_COMFYUI names no folder with ComfyUI"),
]


def test_the_example_runs_and_nothing_is_made_twice(tmp_path: Path) -> None:
    """Loaded, run, run again after a restart, refused and stopped."""
    folder = laid_out(tmp_path)
    with started(folder) as comfyui:
        known = comfyui.call("/object_info")
        ours = {name: each for name, each in known.items() if each["category"] == "undrift"}
        assert len(ours) == 6
        assert {each["python_module"] for each in ours.values()} == {"custom_nodes.undrift"}
        # Or the page would give every turn of a chain a new seed at every run.
        assert ours["UndriftEditTurn"]["input"]["required"]["seed"][1]["control_after_generate"] is False
        record = comfyui.run(example())
        assert record["status"]["status_str"] == "success", record["status"]
        session = comfyui.session
        head = session.head
        assert head.prompt == "a blue dog wearing a red hat next to a red cactus on a beach"
        outputs = record["outputs"]
        (saved,) = outputs["8"]["images"]
        assert read_picture(folder / "output" / saved["filename"]).tobytes() == session.picture(head).tobytes()
        assert outputs["11"]["text"][0].endswith("% changed")
        assert "add a red hat" in outputs["12"]["text"][0]
        assert {len(outputs[node]["images"]) for node in ("9", "10")} == {1}
    before = [turn.id for turn in session.turns()]
    with started(folder) as comfyui:
        assert comfyui.run(example())["status"]["status_str"] == "success"
        assert [turn.id for turn in session.turns()] == before
        refused = example()
        refused["5"]["inputs"]["text"] = "make the horse red"
        told = happened(comfyui.run(refused))["execution_error"]
        assert (told["node_type"], told["exception_message"].count("\n")) == ("UndriftEditTurn", 1)
        assert "the caption has no 'the horse'" in told["exception_message"]
        stopped = example()
        stopped["5"]["inputs"].update(text="make it night", seed=11)

        def stop() -> None:
            waited(session.unfinished, "the turn is begun")
            comfyui.call("/interrupt", {})

        assert happened(comfyui.run(stopped, stop))["execution_interrupted"]["node_type"] == "UndriftEditTurn"
        assert session.unfinished() == ()
        assert [turn.id for turn in session.turns()] == before
