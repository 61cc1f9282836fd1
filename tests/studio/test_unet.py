"""The studio over a Stable Diffusion: five turns, each by another of the UNet's editors, left and gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.studio.conftest import Json, edit_form, edited, finished, shown, started
from tests.support.tiny_sd import tiny_sd
from undrift.session.store import Session
from undrift.studio.app import create_app
from undrift.studio.studio import Studio

TURNS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("a blue cat", {}),
    "p2p": ("a blue dog", {"self_share": 0.5}),
    "null_text": ("a green dog", {"inner_steps": 1}),
    "pnp_inversion": ("a green cat", {"editor": "masactrl", "start_step": 1}),
    "masactrl": ("a red cat", {"start_step": 0, "masked": True, "source": "caption"}),
}


def opened(folder: Path) -> TestClient:
    return TestClient(
        create_app(Studio(tiny_sd(), folder)), base_url="http://127.0.0.1:7860", raise_server_exceptions=False
    )


def form(name: str, params: dict[str, Any]) -> Json:
    return {"name": name, "params": {"steps": 2, "guidance": 3.0, **params}}


@pytest.mark.slow
def test_five_turns_by_five_editors(tmp_path: Path) -> None:
    with opened(tmp_path) as client:
        listed = {method["name"] for method in client.get("/api/about").json()["methods"]}
        assert set(TURNS) <= listed
        parent = started(client)["turns"][0]["id"]
        for name, (prompt, params) in TURNS.items():
            turn = edited(client, parent, prompt, method=form(name, params))
            assert (turn["parent"], turn["spec"]["method"]) == (parent, name)
            assert turn["evaluations"] > 0
            parent = turn["id"]
        asked = edit_form(parent, "a blue cat", method={"name": "stable_flow", "params": {"steps": 2}})
        refused = client.post("/api/sessions/cat/edit", json=asked)
        said = refused.json()["error"] if refused.status_code != 200 else finished(client, refused.json())["error"]
        assert "'stable_flow' needs layers known to be vital and tiny-sd has none" in said
        assert "\n" not in said
    session = Session.open(tmp_path / "cat")
    assert [turn.spec and turn.spec.method for turn in session.path(session.head)] == [None, *TURNS]
    with opened(tmp_path) as client:
        assert shown(client)["head"] == parent
        again = edited(client, parent, "a blue cat", method=form("p2p", {}))
        assert again["parent"] == parent
    assert len({turn.image_hash for turn in Session.open(tmp_path / "cat").turns()}) == 7
