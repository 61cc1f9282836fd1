"""References: pictures whose look a turn takes on, from a form to what the session keeps of them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.studio.conftest import Json, edit_form, finished, shown, started
from undrift.pictures import png_bytes
from undrift.session.references import Look
from undrift.studio import uploads
from undrift.studio.studio import Studio

SIZE = (40, 32)
"""Of the session's pictures."""

GREEN, RED = (30, 160, 60), (200, 20, 20)


def held(client: TestClient, picture: Image.Image) -> str:
    """The id of ``picture`` once it is uploaded."""
    return str(client.post("/api/uploads", content=png_bytes(picture)).json()["id"])


def left_half() -> str:
    """A mask that is white on the left, in base64."""
    mask = Image.new("L", SIZE)
    mask.paste(255, (0, 0, SIZE[0] // 2, SIZE[1]))
    return b64encode(png_bytes(mask)).decode()


def made(client: TestClient, method: str = "multi_turn", **more: Any) -> Json:
    """The job of a turn, once it has ended."""
    form = edit_form(str(shown(client)["head"]), method={"name": method}, **more)
    answer = client.post("/api/sessions/cat/edit", json=form)
    assert answer.status_code == 200, answer.text
    return finished(client, answer.json())


def looks(studio: Studio, job: Json) -> tuple[Look, ...]:
    """The references that the session keeps of what ``job`` has made."""
    assert job["state"] == "done", job
    session = studio.folders.session("cat")
    return session.references(session.turn(job["turns"][0]))


def test_a_picture_of_another_size_is_scaled_and_cropped_to_its_middle(client: TestClient, studio: Studio) -> None:
    started(client)
    # Twice as high as the session, and so wide that all of its red is cropped.
    wide = Image.new("RGB", (240, 64), RED)
    wide.paste(GREEN, (40, 0, 200, 64))
    job = made(client, references=[{"upload": held(client, wide), "weight": 0.4, "mask": left_half()}])
    (look,) = looks(studio, job)
    assert (np.asarray(look.picture) == GREEN).all()
    assert look.mask is not None
    weights = np.asarray(look.mask)
    assert (weights[:, :20] == round(0.4 * 255)).all()
    assert (weights[:, 20:] == 0).all()
    assert shown(client)["turns"][-1]["has_references"]


def test_a_turn_of_the_session_is_a_reference(client: TestClient, studio: Studio) -> None:
    source = started(client)["head"]
    (look,) = looks(studio, made(client, references=[{"turn": source}]))
    session = studio.folders.session("cat")
    assert look.picture.tobytes() == session.picture(session.original).tobytes()


def test_a_turn_that_is_made_again_has_its_references_where_the_method_takes_them(
    client: TestClient, studio: Studio
) -> None:
    source = started(client)["head"]
    first = made(client, references=[{"upload": held(client, Image.new("RGB", SIZE, RED)), "weight": 1}])
    again = made(client, like=first["turns"][0])
    assert [look.picture.tobytes() for look in looks(studio, again)] == [
        look.picture.tobytes() for look in looks(studio, first)
    ]
    assert looks(studio, made(client, method="toy", like=first["turns"][0])) == ()
    assert looks(studio, made(client, like=source)) == ()


def test_an_upload_is_held_by_the_turn_that_waits_for_it(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(client)
    monkeypatch.setattr(uploads, "KEPT_BYTES", 1)
    key = held(client, Image.new("RGB", SIZE, RED))
    studio.jobs.pause(True)
    form = edit_form(str(shown(client)["head"]), method={"name": "multi_turn"}, references=[{"upload": key}])
    job = client.post("/api/sessions/cat/edit", json=form).json()
    held(client, Image.new("RGB", SIZE, GREEN))
    assert client.get(f"/api/uploads/{key}/preview").status_code == 404
    studio.jobs.pause(False)
    assert (np.asarray(looks(studio, finished(client, job))[0].picture) == RED).all()


@pytest.mark.parametrize(
    ("method", "references", "status", "message"),
    [
        ("toy", [{"turn": "SOURCE"}], 400, "method 'toy' takes no reference: give none, or use one of"),
        ("multi_turn", [{}], 422, "a reference is an upload or a turn, one of them"),
        ("multi_turn", [{"turn": "SOURCE", "upload": "x"}], 422, "a reference is an upload or a turn, one of them"),
        ("multi_turn", [{"turn": "SOURCE", "weight": 0}], 422, "weight: input should be greater than 0"),
        ("multi_turn", [{"upload": "gone"}], 404, "this picture is not held any more"),
        ("multi_turn", [{"turn": "SOURCE", "mask": "AAAA"}], 400, "is not a picture"),
        ("multi_turn", [{"turn": "SOURCE"}] * 5, 422, "references: tuple should have at most 4 items"),
    ],
)
def test_what_is_no_reference_is_one_clear_line(
    client: TestClient, method: str, references: list[Json], status: int, message: str
) -> None:
    source = started(client)["head"]
    given = [{key: source if value == "SOURCE" else value for key, value in one.items()} for one in references]
    form = edit_form(source, method={"name": method}, references=given)
    answer = client.post("/api/sessions/cat/edit", json=form)
    assert answer.status_code == status, answer.text
    assert message in answer.json()["error"]
    assert len(shown(client)["turns"]) == 1
