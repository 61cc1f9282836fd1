"""Hostile uploads are refused before they cost anything, and none of them stops the studio."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.studio.conftest import finished, picture_file, started
from undrift.studio import uploads
from undrift.studio.studio import Studio


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing: a decompression bomb in the making."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def animated() -> bytes:
    """A GIF of two frames."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


HOSTILE = {
    "nothing": (b"", "is empty (0 bytes)"),
    "no picture": (b"GET / HTTP/1.1\r\n" * 9, "is not a picture that can be read"),
    "a page": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "is not a picture"),
    "a program": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a picture"),
    "too many pixels": (png_of(20_000, 20_000), "too many pixels"),
    "just too many pixels": (png_of(6_000, 4_001), "at most 24 megapixels are read"),
    "cut off": (picture_file()[:200], "is damaged or cut off"),
    "a film": (animated(), "has 2 frames, expected a still picture"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_line(client: TestClient, name: str) -> None:
    data, message = HOSTILE[name]
    answer = client.post("/api/uploads", content=data)
    assert answer.status_code == 400
    assert message in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert client.get("/api/about").status_code == 200


@pytest.mark.parametrize("name", HOSTILE)
def test_a_refused_file_is_called_by_its_name(client: TestClient, name: str) -> None:
    answer = client.post("/api/uploads", params={"name": "a b&c.png"}, content=HOSTILE[name][0])
    assert answer.status_code == 400
    assert "'a b&c.png' " in answer.json()["error"]
    assert "the picture" not in answer.json()["error"]


def test_the_name_of_a_file_may_be_anything(client: TestClient) -> None:
    answer = client.post("/api/uploads", params={"name": "a\nb\x00" + 10_000 * "é"}, content=b"")
    assert answer.json()["error"].startswith("'a b")
    assert "\n" not in answer.json()["error"]
    assert len(answer.json()["error"]) < 600
    taken = client.post("/api/uploads", params={"name": "../../x.png"}, content=picture_file())
    assert taken.status_code == 200


def test_too_many_bytes_are_refused_from_the_length_alone(client: TestClient) -> None:
    answer = client.post("/api/uploads", headers={"content-length": str(uploads.MAX_BYTES + 1)}, content=b"x")
    assert answer.status_code == 413
    assert answer.json()["error"] == "this is larger than the 32 MB that are taken"


@pytest.mark.parametrize("length", ["told", "counted"])
def test_a_file_that_is_too_large_is_called_by_its_name(client: TestClient, length: str) -> None:
    large = uploads.MAX_BYTES + 1
    body = (bytes(2**20) for _ in range(33)) if length == "counted" else b"x"
    headers = {"content-length": str(large)} if length == "told" else {}
    answer = client.post("/api/uploads", params={"name": "a\nb.png"}, headers=headers, content=body)
    assert (answer.status_code, answer.json()["error"]) == (413, "'a b.png' is larger than the 32 MB that are taken")


def test_a_zip_file_that_is_refused_is_called_by_its_name(client: TestClient) -> None:
    broken = client.post("/api/archives", params={"name": "holiday.zip"}, content=b"PK").json()["error"]
    assert broken.startswith("'holiday.zip' is not a zip file that can be read: ")
    unnamed = client.post("/api/archives", content=b"PK").json()["error"]
    assert unnamed.startswith("the zip file is not a zip file that can be read: ")


def test_a_body_that_lies_about_its_length_is_counted(client: TestClient) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while taken < 40 * 2**20:
            taken += 2**20
            yield bytes(2**20)

    answer = client.post("/api/diff", content=endless())
    assert answer.status_code == 413
    assert answer.json()["error"] == "this is larger than the 8 MB that are taken"


@pytest.mark.parametrize("length", ["-1", "1e9", "99999999999999999999", "x"])
def test_a_length_that_is_none_is_refused(client: TestClient, length: str) -> None:
    assert client.post("/api/uploads", headers={"content-length": length}, content=b"x").status_code == 413


def test_a_form_that_is_no_json_is_refused(client: TestClient) -> None:
    for body in (b"", b"{", b"[]", b"null", b'{"source": 1, "target": "x"}', b"\xff\xfe"):
        answer = client.post("/api/diff", content=body)
        assert answer.status_code == 422
        assert answer.json()["error"]


def test_no_more_words_are_chosen_than_a_prompt_can_have(client: TestClient) -> None:
    view = started(client)
    form = {"parent": view["head"], "prompt": "a cat", "method": {"name": "toy"}, "words": ["cat"] * 2001}
    refused = client.post("/api/sessions/cat/edit", json=form)
    assert (refused.status_code, "at most 2000 items" in refused.json()["error"]) == (422, True), refused.text


def test_only_the_newest_uploads_are_kept(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [picture_file(8 + n, 8) for n in range(6)]
    # Each is held as it came and as a preview, which for a small picture is as large or smaller.
    monkeypatch.setattr(uploads, "KEPT_BYTES", 2 * sum(len(file) for file in files[2:]))
    ids = [client.post("/api/uploads", content=file).json()["id"] for file in files]
    assert client.get(f"/api/uploads/{ids[0]}/preview").status_code == 404
    assert client.get(f"/api/uploads/{ids[-1]}/preview").status_code == 200
    answer = client.post("/api/sessions", json={"upload": ids[0], "prompt": "x", "name": "gone"})
    assert answer.json()["error"] == "this picture is not held any more: drop it again"


def test_prompts_are_text_and_not_markup_or_paths(client: TestClient) -> None:
    prompt = "<img src=x onerror=alert(1)> ../../etc \u202e \N{DOG FACE}"
    view = started(client, prompt=prompt)
    assert view["turns"][0]["prompt"] == prompt


def test_unknown_addresses_and_methods_are_clear(client: TestClient) -> None:
    assert client.get("/api/nothing").json() == {"error": "not found"}
    assert client.get("/static/../app.py").status_code == 404
    assert client.get("/static/%2e%2e/app.py").status_code == 404
    assert client.delete("/api/sessions").status_code == 405


@pytest.mark.slow
def test_a_large_picture_is_scaled_only_if_somebody_says_so(client: TestClient, studio: Studio) -> None:
    large = picture_file(2400, 1200)
    upload = client.post("/api/uploads", content=large).json()
    assert upload["smaller"] == [[1024, 512], [2048, 1024]]
    assert client.post("/api/uploads", content=picture_file(1000, 1000)).json()["smaller"] == []
    form = {"upload": upload["id"], "prompt": "a cat"}
    sizes = {}
    for name, chosen in {"as it is": {}, "smaller": {"longest": 64}, "no larger": {"longest": 4000}}.items():
        job = client.post("/api/sessions", json={**form, "name": name, **chosen}).json()
        assert finished(client, job)["state"] == "done", name
        original = studio.folders.session(name).original
        sizes[name] = (original.width, original.height)
    assert sizes == {"as it is": (2400, 1200), "smaller": (64, 32), "no larger": (2400, 1200)}
