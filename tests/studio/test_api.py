"""What the page can ask for is what the session engine does: no more, no less, on the same files."""

from __future__ import annotations

import io
import zipfile
from base64 import b64encode
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.studio.conftest import Json, edit_form, edited, finished, picture_file, shown, started
from tests.support.toy import toy_picture
from undrift.pictures import png_bytes, read_metadata, read_picture
from undrift.session import engine
from undrift.session.compare import heat_map
from undrift.session.store import Session
from undrift.studio.forms import MethodForm
from undrift.studio.studio import Studio


def painted(*box: int) -> str:
    """A mask of the toy picture, white in ``box``, as the page sends it."""
    mask = Image.new("L", toy_picture().size, 0)
    left, top, right, bottom = box
    mask.paste(255, (left, top, right, bottom))
    return b64encode(png_bytes(mask)).decode()


def test_a_turn_is_the_bytes_that_the_engine_makes(client: TestClient, studio: Studio, tmp_path: object) -> None:
    source = started(client)["turns"][0]
    turn = edited(client, source["id"])
    session = studio.folders.session("cat")
    again = engine.start_session(f"{tmp_path}/again", toy_picture(), "a red cat", studio.backbone)
    method = studio.method(MethodForm(name="toy"))
    wanted = engine.run_turn(again, studio.backbone, method, engine.EditPlan("a blue cat", seed=1))
    assert (turn["image_hash"], turn["id"]) == (wanted.image_hash, wanted.id)
    assert turn["evaluations"] == method.cost(studio.backbone).evaluations == 4
    assert session.head.id == turn["id"]


def test_a_session_of_the_command_line_opens_and_goes_on(client: TestClient, studio: Studio) -> None:
    session = engine.start_session(
        studio.folders.root / "made elsewhere", toy_picture(), "a red cat", studio.backbone
    )
    cards = client.get("/api/sessions").json()["sessions"]
    assert [card["name"] for card in cards] == ["made elsewhere"]
    turn = edited(client, session.original.id, name="made elsewhere")
    assert Session.open(session.folder).head.id == turn["id"]


def test_undo_redo_and_branches_move_the_head_alone(client: TestClient) -> None:
    source = started(client)["turns"][0]
    first = edited(client, source["id"], "a blue cat")
    second = edited(client, first["id"], "a blue dog")
    go = "/api/sessions/cat/head"
    assert client.post(go, json={"turn": second["id"], "step": "undo"}).json() == {"head": first["id"]}
    assert client.post(go, json={"turn": first["id"], "step": "redo"}).json() == {"head": second["id"]}
    assert client.post(go, json={"turn": source["id"]}).json() == {"head": source["id"]}
    side = edited(client, source["id"], "a green cat")
    view = shown(client)
    assert [turn["parent"] for turn in view["turns"]] == [None, source["id"], first["id"], source["id"]]
    assert (view["head"], view["branches"]["main"]) == (side["id"], second["id"])
    # Going back to where a branch ends follows the branch again.
    client.post(go, json={"turn": second["id"]})
    assert shown(client)["branch"] == "main"
    refused = client.post(go, json={"turn": source["id"], "step": "undo"})
    assert (refused.status_code, refused.json()["error"]) == (
        400,
        "nothing to undo: the head is the original picture",
    )


def test_an_undo_starts_from_the_turn_that_the_page_shows(client: TestClient) -> None:
    source = started(client)["turns"][0]
    first = edited(client, source["id"])
    edited(client, first["id"], "a blue dog")
    undone = client.post("/api/sessions/cat/head", json={"turn": first["id"], "step": "undo"})
    assert undone.json() == {"head": source["id"]}


def test_candidates_stay_beside_the_first_and_one_is_kept(client: TestClient) -> None:
    source = started(client)["turns"][0]
    job = finished(client, client.post("/api/sessions/cat/edit", json=edit_form(source["id"], count=3)).json())
    view = shown(client)
    assert (job["evaluations"], job["total"], job["turns"]) == (12, 12, [turn["id"] for turn in view["turns"][1:]])
    assert [turn["spec"]["seed"] for turn in view["turns"][1:]] == [1, 2, 3]
    assert view["head"] == view["branches"]["main"] == job["turns"][0]
    client.post("/api/sessions/cat/head", json={"turn": job["turns"][2], "step": "keep"})
    view = shown(client)
    assert view["head"] == view["branches"]["main"] == job["turns"][2]
    assert (view["branch"], len(view["turns"])) == ("main", 4)


def test_candidates_in_one_batch_are_one_piece_of_work(client: TestClient) -> None:
    source = started(client)["turns"][0]
    form = edit_form(source["id"], count=3, together=True)
    job = finished(client, client.post("/api/sessions/cat/edit", json=form).json())
    turns = shown(client)["turns"][1:]
    assert (job["evaluations"], job["total"], job["items"]) == (4, 4, 1)
    assert [turn["id"] for turn in turns] == job["turns"]
    assert [(turn["spec"]["seed"], turn["spec"]["together"]) for turn in turns] == [(1, 3), (2, 3), (3, 3)]
    assert shown(client)["head"] == job["turns"][0]


def test_keeping_a_turn_never_moves_a_branch_that_has_gone_on(client: TestClient) -> None:
    source = started(client)["turns"][0]
    first = edited(client, source["id"])
    later = edited(client, first["id"], "a blue dog")
    other = edited(client, source["id"], seed=9)
    client.post("/api/sessions/cat/head", json={"turn": other["id"], "step": "keep"})
    view = shown(client)
    assert (view["head"], view["branch"], view["branches"]) == (other["id"], None, {"main": later["id"]})


def test_a_branch_is_named_at_any_turn(client: TestClient) -> None:
    source = started(client)["turns"][0]
    first = edited(client, source["id"])
    named = client.post("/api/sessions/cat/branches", json={"name": "night", "turn": source["id"]})
    assert named.json() == {"head": source["id"]}
    second = edited(client, source["id"], "a green cat")
    view = shown(client)
    assert (view["branch"], view["branches"]) == ("night", {"main": first["id"], "night": second["id"]})
    taken = client.post("/api/sessions/cat/branches", json={"name": "night", "turn": source["id"]})
    assert (taken.status_code, "branch 'night' exists already" in taken.json()["error"]) == (400, True)


def test_candidates_say_where_the_dial_stood(client: TestClient) -> None:
    source = started(client)["turns"][0]
    for dial in (0.0, -0.5, 1.0):
        edited(client, source["id"], method={"name": "toy", "dial": dial})
    edited(client, source["id"], method={"name": "toy", "params": {"steps": 2, "strength": 0.123}})
    specs = [turn["spec"] for turn in shown(client)["turns"][1:]]
    assert [(spec["preset"], spec["dial"]) for spec in specs] == [
        *(("default", 0.0), ("custom", -0.5), ("custom", 1.0), ("custom", 0.0)),
    ]


def test_only_here_and_protect_hold_to_the_bit(client: TestClient, studio: Studio) -> None:
    source = started(client)["turns"][0]
    method = {"name": "toy", "preset": "global"}
    form = {"only": painted(0, 0, 20, 32), "protect": painted(0, 0, 8, 32)}
    turn = edited(client, source["id"], method=method, **form)
    session = studio.folders.session("cat")
    before, after = (
        np.asarray(session.picture(session.original)),
        np.asarray(session.picture(session.turn(turn["id"]))),
    )
    assert (before[:, 20:] == after[:, 20:]).all()
    assert (before[:, :8] == after[:, :8]).all()
    assert (before[:, 10:18] != after[:, 10:18]).any()


def test_the_brush_puts_the_original_back(client: TestClient, studio: Studio) -> None:
    source = started(client)["turns"][0]
    turn = edited(client, source["id"], method={"name": "toy", "preset": "global"})
    form = {"parent": turn["id"], "anchor": source["id"], "brush": painted(20, 0, 40, 32)}
    job = finished(client, client.post("/api/sessions/cat/restore", json=form).json())
    session = studio.folders.session("cat")
    back = np.asarray(session.picture(session.turn(job["turns"][0])))
    assert (back[:, 24:] == np.asarray(session.picture(session.original))[:, 24:]).all()
    assert (back[:, :20] == np.asarray(session.picture(session.turn(turn["id"])))[:, :20]).all()


def test_rebasing_starts_from_the_source(client: TestClient) -> None:
    source = started(client)["turns"][0]
    second = edited(client, edited(client, source["id"])["id"], "a blue dog")
    form = {"turn": second["id"], "method": {"name": "toy"}, "seed": 5}
    job = finished(client, client.post("/api/sessions/cat/rebase", json=form).json())
    made = shown(client)["turns"][-1]
    assert (made["id"], made["parent"], made["prompt"]) == (job["turns"][0], source["id"], "a blue dog")
    assert made["spec"]["source_prompt"] == "a red cat"


def test_a_picture_made_elsewhere_is_put_in(client: TestClient, studio: Studio) -> None:
    source = started(client)["turns"][0]
    other = Image.new("RGB", toy_picture().size, "navy")
    upload = client.post("/api/uploads", content=png_bytes(other)).json()
    form = {"parent": source["id"], "upload": upload["id"], "prompt": "the night"}
    job = finished(client, client.post("/api/sessions/cat/import", json=form).json())
    session = studio.folders.session("cat")
    turn = session.turn(job["turns"][0])
    assert (turn.kind, turn.prompt, session.picture(turn).tobytes()) == ("import", "the night", other.tobytes())


def test_pictures_are_the_stored_files_and_may_be_kept_for_ever(client: TestClient, studio: Studio) -> None:
    source = started(client)["turns"][0]
    turn = edited(client, source["id"])
    session = studio.folders.session("cat")
    base = f"/api/sessions/cat/turns/{turn['id']}"
    answer = client.get(f"{base}/picture")
    assert answer.content == (session.folder / session.head.image).read_bytes()
    assert "immutable" in answer.headers["cache-control"]
    heat = client.get(f"/api/sessions/cat/heat/{source['id']}/{turn['id']}")
    wanted = heat_map(session.picture(session.original), session.picture(session.head))
    assert read_picture(heat.content).tobytes() == wanted.tobytes()
    assert read_picture(client.get(f"{base}/overlay").content).size == (40, 32)
    assert max(read_picture(client.get(f"{base}/thumbnail").content).size) <= 160
    numbers = client.get(f"/api/sessions/cat/compare/{source['id']}/{turn['id']}").json()
    assert (
        numbers["largest"]
        == np.abs(
            np.asarray(session.picture(session.original), int) - np.asarray(session.picture(session.head), int)
        ).max()
    )
    missing = client.get(f"/api/sessions/cat/turns/{source['id']}/overlay")
    assert (missing.status_code, missing.json()["error"]) == (404, "turn 0 has no mask")


@pytest.mark.parametrize("kind", ["png", "zip", "sheet", "animation", "commands", "python"])
def test_exports_are_files_that_work(client: TestClient, kind: str) -> None:
    source = started(client)["turns"][0]
    turn = edited(client, source["id"])
    answer = client.get(f"/api/sessions/cat/export/{kind}/{turn['id']}")
    assert answer.status_code == 200, answer.text
    assert "attachment" in answer.headers["content-disposition"]
    CHECKS[kind](answer.content)


def check_animation(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, getattr(image, "n_frames", 1)) == ("WEBP", 2)


def check_zip(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert "cat/session.sqlite" in archive.namelist()


def check_png(data: bytes) -> None:
    assert [turn["prompt"] for turn in read_metadata(data)["turns"]] == ["a red cat", "a blue cat"]


def check_commands(data: bytes) -> None:
    assert data.startswith(b"undrift run ")
    assert b"--edit 'a blue cat'" in data


CHECKS: dict[str, Callable[[bytes], object]] = {
    "png": check_png,
    "zip": check_zip,
    "sheet": read_picture,
    "animation": check_animation,
    "commands": check_commands,
    "python": lambda data: compile(data, "replay.py", "exec"),
}


def test_an_exported_session_opens_again(client: TestClient) -> None:
    source = started(client)["turns"][0]
    turn = edited(client, source["id"])
    data = client.get(f"/api/sessions/cat/export/zip/{turn['id']}").content
    assert client.post("/api/archives?name=cat", content=data).json() == {"name": "cat-2"}
    assert shown(client, "cat-2")["turns"] == shown(client, "cat")["turns"]


def test_an_exported_picture_gives_its_parameters_back(client: TestClient) -> None:
    source = started(client)["turns"][0]
    turn = edited(client, source["id"], seed=77)
    data = client.get(f"/api/sessions/cat/export/png/{turn['id']}").content
    upload = client.post("/api/uploads", content=data).json()
    assert upload["prompt"] == "a blue cat"
    assert upload["recipe"]["turns"][-1]["spec"] == turn["spec"]
    assert client.post("/api/uploads", content=picture_file()).json()["recipe"] is None


def test_what_changes_is_told_word_by_word(client: TestClient) -> None:
    told: Json = client.post("/api/diff", json={"source": "a red cat", "target": "a blue cat"}).json()
    assert told["words"] == [["kept", "a"], ["removed", "red"], ["added", "blue"], ["kept", "cat"]]
    assert told["steering"] == ["blue"]


def test_presets_show_what_this_model_would_run(client: TestClient, studio: Studio) -> None:
    methods = {method["name"]: method for method in client.get("/api/about").json()["methods"]}
    assert methods["toy"]["presets"]["global"]["params"] == {"steps": 4, "strength": 0.6, "masked": False}
    assert methods["toy"]["parameters"]["strength"]["exclusiveMinimum"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": {"name": "toi"}}, "no method 'toi': did you mean 'toy'?"),
        ({"method": {"name": "toy", "params": {"steps": 0}}}, "parameter steps=0"),
        ({"method": {"name": "no_edit", "dial": 0.5}}, "nothing that the dial turns"),
        ({"count": 99}, "count: input should be less than or equal to"),
        ({"parent": "../etc"}, "parent: string should match pattern"),
        ({"only": "AAAA"}, "is not a picture"),
        ({"only": b64encode(png_bytes(Image.new("L", (8, 8), 255))).decode()}, "the mask is 8x8, expected"),
        ({"surprise": 1}, "surprise: extra inputs are not permitted"),
    ],
)
def test_a_wrong_form_is_one_clear_line_and_nothing_is_queued(client: TestClient, change: Json, message: str) -> None:
    source = started(client)["turns"][0]
    answer = client.post("/api/sessions/cat/edit", json={**edit_form(source["id"]), **change})
    assert answer.status_code in (400, 422)
    assert message in answer.json()["error"]
    assert len(client.get("/api/jobs").json()["jobs"]) == 1
    assert len(shown(client)["turns"]) == 1


def test_a_turn_that_fails_says_why_and_leaves_no_trace(client: TestClient) -> None:
    source = started(client)["turns"][0]
    job = finished(client, client.post("/api/sessions/cat/edit", json=edit_form(source["id"], " ")).json())
    assert (job["state"], job["turns"]) == ("failed", [])
    assert job["error"] == "the prompt of the edit is empty: say what the picture is to show"
    assert len(shown(client)["turns"]) == 1


def test_exports_of_turns_with_one_number_have_names_of_their_own(client: TestClient) -> None:
    source = started(client)["head"]
    made = [edited(client, source, seed=seed)["id"] for seed in (1, 2)]

    def name(turn: str) -> str:
        header = client.get(f"/api/sessions/cat/export/png/{turn}").headers["content-disposition"]
        return header.partition("filename=")[2].strip('"')

    assert [name(turn) for turn in (source, *made)] == ["cat-0.png", *(f"cat-1-{turn[:6]}.png" for turn in made)]
