"""Session folders from strangers: each fault is one line that names the session, and nothing outside is touched."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.sessions import append, outcome, start
from tests.support.toy import ToyBackbone, ToyMethod, toy_picture
from undrift.cli.options import _setting
from undrift.errors import InputError, SessionError
from undrift.methods import registry
from undrift.session import database, reading, script
from undrift.session.engine import EditPlan, import_picture, run_turn, start_session
from undrift.session.export import export_zip
from undrift.session.model import Turn
from undrift.session.replay import recorded_method
from undrift.session.store import Session
from undrift.session.unpack import import_zip

ROOT = Path(__file__).parents[2]
Change = Callable[[sqlite3.Connection], object]
Record = dict[str, Any]

PENDING = "INSERT INTO pending VALUES (?, ?, ?, 'lost', NULL, ?, ?, ?, ?)"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder beside the session that must stay as it is."""
    folder = tmp_path / "victim"
    folder.mkdir()
    for name in ("a.png", "b.txt", "session.sqlite-journal"):
        (folder / name).write_text("precious")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tampered(session: Session, change: Change) -> Path:
    """The session's folder with another database; the triggers do not keep anybody from changing a file."""
    with closing(sqlite3.connect(session.folder / database.FILE, isolation_level=None)) as db:
        db.executescript("DROP TRIGGER IF EXISTS turns_stay; DROP TRIGGER IF EXISTS turns_fixed")
        db.execute("PRAGMA ignore_check_constraints = 1")
        change(db)
    return session.folder


def with_record(session: Session, change: Callable[[Record], object]) -> Path:
    """The session's folder with another record of its head."""
    key = session.head.id

    def rewrite(db: sqlite3.Connection) -> None:
        (text,) = db.execute("SELECT record FROM turns WHERE id = ?", (key,)).fetchone()
        record = json.loads(text)
        change(record)
        db.execute("UPDATE turns SET record = ? WHERE id = ?", (json.dumps(record), key))

    return tampered(session, rewrite)


DEAD = (os.uname().nodename, 2**22 + 1, "dead", "2020-01-01T00:00:00+00:00")


def pending(key: object, *made_by: object) -> Change:
    """An unfinished turn of a process that does not live, or of ``made_by``."""
    owner = [*made_by, *DEAD[len(made_by) :]]

    def add(db: sqlite3.Connection) -> None:
        (head,) = db.execute("SELECT turn FROM head").fetchone()
        db.execute(PENDING, (key, head, head, *owner))

    return add


def refuses(folder: Path, message: str) -> None:
    before = contents(folder.parent)
    with pytest.raises(SessionError, match=message) as caught:
        Session.open(folder).tree()
    assert folder.name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert contents(folder.parent) == before


@pytest.mark.parametrize("key", ["../../victim/*", "*", "../../victim/a", "", "[0-9a-f]*", b"0123456789ab", 7])
def test_an_unfinished_turn_deletes_nothing_by_its_name(session: Session, victim: Path, key: object) -> None:
    refuses(tampered(session, pending(key)), "an unfinished turn is called .*, expected 12 hexadecimal digits")


def test_a_finished_turn_is_never_discarded(session: Session) -> None:
    refuses(tampered(session, pending(session.head.id)), "the unfinished turn .* is finished")
    assert session.picture(session.head).tobytes() == toy_picture().tobytes()


@pytest.mark.parametrize(
    ("made_by", "message"),
    [
        (("h", "x"), "a process without a number"),
        (("h", -1), "a process without a number"),
        (("h", 2**40), "a process without a number"),
        ((b"h", 5), "the host of the unfinished turn .* is no text"),
        (("h", 5, b"p"), "the process of the unfinished turn .* is no text"),
        (("h", 5, "p", "yesterday"), "the time of turn .* is none"),
    ],
)
def test_wrong_owners(session: Session, made_by: tuple[object, ...], message: str) -> None:
    refuses(tampered(session, pending("0" * 12, *made_by)), message)


@pytest.mark.slow
def test_thousands_of_unfinished_turns_are_forgotten_at_once(
    session: Session, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [f"{number:012x}" for number in range(3000)]
    for key in (keys[0], keys[-1]):
        (session.folder / "pictures" / f"{key}.png").write_bytes(b"half")
    before = contents(session.folder / "pictures")

    def add(db: sqlite3.Connection) -> None:
        db.execute("BEGIN")
        db.executemany(PENDING, [(key, session.head.id, session.head.id, *DEAD) for key in keys])
        db.execute("COMMIT")

    tampered(session, add)
    transactions: list[bool] = []
    transaction = database.transaction

    def counted(folder: Path, *, write: bool, **how: Any) -> Any:
        transactions.append(write)
        return transaction(folder, write=write, **how)

    monkeypatch.setattr(database, "transaction", counted)
    opened = Session.open(session.folder)
    assert sum(transactions) == 1, "the disk is waited for once"
    assert not opened.unfinished()
    assert len(before) - len(contents(session.folder / "pictures")) == 2
    assert len(caplog.messages) < 20
    assert caplog.messages[-1] == "so were 2984 more"


def test_a_branch_that_is_called_like_a_turn_is_not_taken_for_it(session: Session) -> None:
    """undrift never names a branch so: whoever says the id means the turn."""
    turn = next(turn for turn in (append(session, number) for number in range(20)) if turn.id[0].isalpha())
    other = session.original.id
    folder = tampered(session, lambda db: db.execute("INSERT INTO branches VALUES (?, ?)", (turn.id, other)))
    assert Session.open(folder).turn(turn.id).id == turn.id


@pytest.mark.parametrize("folder", ["pictures", "latents"])
def test_folders_that_are_links_lead_nowhere(session: Session, victim: Path, folder: str) -> None:
    (victim / "0123456789ab.png").write_text("precious")
    (session.folder / folder).rename(session.folder.parent / "elsewhere")
    (session.folder / folder).symlink_to(victim, target_is_directory=True)
    before = contents(victim)
    opened = Session.open(tampered(session, pending("0123456789ab")))
    assert not opened.unfinished()
    assert contents(victim) == before
    with pytest.raises(SessionError, match="its folder is a link"):
        append(opened, 3)
    assert contents(victim) == before


@pytest.mark.parametrize("make", ["fifo", "link", "folder", "device"])
def test_what_is_no_file_is_not_read(session: Session, victim: Path, make: str) -> None:
    path = session.folder / session.head.image
    path.unlink()
    if make == "fifo":
        os.mkfifo(path)
    elif make == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if make == "device" else victim / "a.png")
    with pytest.raises(
        SessionError, match=r"cannot read '.*\.png' of the session: a (link|pipe|folder), expected a f"
    ):
        Session.open(session.folder).picture(session.head)


def test_a_mask_elsewhere_is_not_exported(session: Session, backbone: ToyBackbone, victim: Path) -> None:
    turn = run_turn(session, backbone, ToyMethod(), EditPlan("a dog", seed=1))
    refuses(with_record(session, lambda r: r.update(mask="../victim/b.txt")), "names a file that is not its own")
    target = session.folder.parent / "x.zip"
    with pytest.raises(SessionError):
        export_zip(Session(session.folder), target)
    assert not target.exists()
    with_mask = with_record_of_mask(session, turn.mask)
    (with_mask.folder / str(turn.mask)).write_bytes(b"another")
    with pytest.raises(SessionError, match="was changed since its turn was made"):
        export_zip(with_mask, target)
    (with_mask.folder / str(turn.mask)).unlink()
    (with_mask.folder / str(turn.mask)).symlink_to(victim / "b.txt")
    with pytest.raises(SessionError, match="a link, expected a file"):
        export_zip(with_mask, target)
    assert not target.exists()


def test_a_mask_that_does_not_reach_over_its_picture(session: Session, backbone: ToyBackbone, tmp_path: Path) -> None:
    """A side of a token that was made smaller: what is drawn from the mask would end before the picture does."""
    run_turn(session, backbone, ToyMethod(), EditPlan("a dog", seed=1))
    lied = Session.open(with_record(session, lambda r: r.update(token_side=r["token_side"] - 1)))
    with pytest.raises(SessionError, match="is not of the size that its turn says"):
        lied.mask(lied.head)
    with pytest.raises(SessionError, match="is not of the size that its turn says"):
        export_zip(lied, tmp_path / "lied.zip")
    assert not (tmp_path / "lied.zip").exists()


def with_record_of_mask(session: Session, mask: str | None) -> Session:
    with closing(sqlite3.connect(session.folder / database.FILE, isolation_level=None)) as db:
        db.execute("UPDATE turns SET record = json_set(record, '$.mask', ?) WHERE record LIKE '%victim%'", (mask,))
    return Session.open(session.folder)


def test_an_archive_holds_nothing_that_is_not_in_the_tree(session: Session, tmp_path: Path) -> None:
    session.abandon(session.begin(session.head, "a secret that was taken back"))
    export_zip(session, tmp_path / "x.zip")
    assert b"taken back" not in (tmp_path / "x.zip").read_bytes()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM head", "it has no head"),
        ("INSERT INTO head SELECT * FROM head", "it has several heads"),
        ("UPDATE head SET turn = 'none'", "its head or a branch names a turn that is not there"),
        ("UPDATE head SET turn = x'00'", "its head or a branch names a turn that is not there"),
        ("UPDATE head SET branch = 'none'", "its head or a branch names a turn that is not there"),
        ("UPDATE branches SET turn = 'none'", "its head or a branch names a turn that is not there"),
        ("INSERT INTO branches SELECT x'00ff', turn FROM head", "a branch's name is no text"),
        ("INSERT INTO branches SELECT '../up', turn FROM head", "branch name '../up'"),
        ("INSERT INTO trail SELECT turn, turn FROM head", "its way back to the head does not follow the turns"),
        ("UPDATE turns SET parent = id", "does not follow from the turn that its row says"),
        ("UPDATE turns SET id = x'303132333435363738396162'", "a turn is called 'bytes', expected 12"),
        ("UPDATE turns SET record = CAST(record AS BLOB)", "the record of turn .* is no text"),
        ("UPDATE turns SET record = '{}'", "a turn that undrift did not write"),
        ("UPDATE turns SET record = 'x'", "a turn that undrift did not write"),
        ("DELETE FROM turns", "it has no turns"),
        ("DROP TABLE trail", "has other tables than undrift makes"),
        ("CREATE TABLE more (x)", "has other tables than undrift makes"),
        ("CREATE TRIGGER t AFTER INSERT ON turns BEGIN DELETE FROM head; END", "has other tables"),
        ("PRAGMA user_version = -1", "has format -1"),
    ],
)
def test_made_up_databases(session: Session, statement: str, message: str) -> None:
    refuses(tampered(session, lambda db: db.executescript(statement)), message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(parent=r["id"]), "does not follow from the turn that its row says"),
        (lambda r: r.update(seconds=float("inf")), "seconds: input should be a finite number"),
        (lambda r: r.update(seconds=float("nan")), "seconds: input should be a finite number"),
        (lambda r: r["spec"]["params"].update(steps=float("inf")), "spec.params: expected finite"),
        (lambda r: r["spec"]["params"].update(steps=[0] * 2000), "expected at most 1000 values"),
        (lambda r: r["drift_previous"].update(psnr=float("nan")), "psnr: input should be a finite number"),
        (lambda r: r["drift_previous"].update(psnr=-3), "psnr: input should be greater than or equal to 0"),
        (lambda r: r["drift_previous"].update(outside=True), "outside: input should be a valid number"),
        (lambda r: r["spec"].update(model=""), "spec.model: string should have at least 1 character"),
        (lambda r: r["spec"].update(model=["toy"]), "spec.model: input should be a valid string"),
        (lambda r: r["spec"].update(model="x" * 5000), "spec.model: string should have at most 4096"),
        (lambda r: r["spec"].update(weights_hash=None), "spec.weights_hash: input should be a valid string"),
        (lambda r: r["spec"].update(dial=7), "spec.dial: input should be less than or equal to 1"),
        (lambda r: r["spec"].update(seed="1"), "spec.seed: input should be a valid integer"),
        (lambda r: r["spec"].update(device="\x1b]0;x\x07"), "spec.device: string should match pattern"),
        (lambda r: r["spec"].update(dtype="\u202e"), "spec.dtype: string should match pattern"),
        (lambda r: r["spec"].update(options=["text_tokens=many"]), "spec.options.0: expected NAME=VALUE"),
        (lambda r: r.update(seconds=1e300), "seconds: input should be less than or equal to"),
        (lambda r: r["spec"].update(handover="none"), "spec.handover: input should be 'latent' or 'image'"),
        (lambda r: r["spec"].update(region_hash="../x"), "spec.region_hash: it is no SHA-256"),
        (lambda r: r["spec"].update(versions={"torch": 2}), "spec.versions.torch: input should be a valid string"),
        (lambda r: r["spec"].update(words="dog"), "spec.words: input should be a valid array"),
        (lambda r: r.update(number=True), "number: input should be a valid integer"),
        (lambda r: r.update(width=41), "pictures/.*png' is not of the size that its turn says"),
        (lambda r: r.update(id="../evil"), "id: expected 12 hexadecimal digits"),
        (lambda r: r["spec"].update(seed=-1), "seed: input should be greater"),
        (lambda r: r.update(width=10**6, height=10**6), "has more than 64 megapixels"),
        (lambda r: r.update(width=-4), "width: input should be greater"),
        (lambda r: r.update(number=10**30), "number: input should be less"),
        (lambda r: r.update(image_hash="short"), "no SHA-256"),
        (lambda r: r.update(created="soon"), "created: it is no time"),
        (lambda r: r.update(prompt="x" * 300_000), "is longer than 256 KB"),
        (lambda r: r.update(kind="import"), "is called import and was made otherwise"),
    ],
)
def test_made_up_records(
    session: Session, backbone: ToyBackbone, change: Callable[[Record], object], message: str
) -> None:
    run_turn(session, backbone, ToyMethod(), EditPlan("a dog", seed=1))
    refuses(with_record(session, change), message)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": -5}, "parameter steps: input should be greater than or equal to 1"),
        ({"steps": "15"}, "parameter steps: input should be a valid integer"),
        ({"steps": True}, "parameter steps: input should be a valid integer"),
        ({"steps": 10**9}, "parameter steps: input should be less than or equal to"),
        ({"guidance": [1]}, "parameter guidance: input should be a valid number"),
        ({"guidance": None}, "parameter guidance: input should be a valid number"),
    ],
)
def test_parameters_that_a_method_cannot_have_had(
    session: Session, backbone: ToyBackbone, values: Record, message: str
) -> None:
    made = run_turn(session, backbone, ToyMethod(), EditPlan("a dog", seed=1))
    assert made.spec is not None
    whole = registry.get("multi_turn").params.model_dump(mode="json")
    told = {"method": "multi_turn", "params": whole}
    honest = with_record(session, lambda r: r["spec"].update(told))
    assert Session.open(honest).head.spec == made.spec.model_copy(update=told)
    refuses(with_record(session, lambda r: r["spec"]["params"].update(values)), message)


def _told(told: Record, record: Record) -> None:
    record["spec"].update(told)


def test_parameters_of_other_versions_and_plug_ins_are_left_to_whoever_repeats_the_turn(
    session: Session, backbone: ToyBackbone
) -> None:
    run_turn(session, backbone, ToyMethod(), EditPlan("a dog", seed=1))
    dropped: Record = {"method": "multi_turn", "params": {"steps": 3, "was_dropped": 1}}
    for told in (dropped, {"method": "of_a_plug_in"}):
        opened = Session.open(with_record(session, partial(_told, told)))
        assert opened.head.spec is not None
        with pytest.raises(InputError, match=r"no parameter named 'was_dropped'|no method 'of_a_plug_in'"):
            recorded_method(opened.head.spec)


@pytest.mark.parametrize("name", sorted(registry.all_methods()))
def test_what_a_method_records_is_read_again(name: str) -> None:
    for preset, params in registry.all_methods()[name].presets.items():
        registry.check_recorded(name, registry.get(name, preset).params.model_dump(mode="json"))
        registry.check_recorded(name, params.model_dump(mode="json"))


def test_a_picture_of_another_size_is_seen_before_anything_is_done_with_its_record(session: Session) -> None:
    """The same line from the folder and from its archive."""
    Image.new("RGB", (9, 9)).save(session.folder / session.head.image)
    refuses(session.folder, r"damaged: 'pictures/.*png' is not of the size that its turn says")


def test_a_picture_that_is_missing_leaves_the_others_readable(session: Session) -> None:
    turn = append_picture(session)
    (session.folder / turn.image).unlink()
    opened = Session.open(session.folder)
    assert opened.picture(opened.original).size == toy_picture().size
    with pytest.raises(SessionError, match="no such file"):
        opened.picture(opened.head)


def append_picture(session: Session) -> Turn:
    return import_picture(session, toy_picture(), "again", ToyBackbone())


def test_1e999_seconds(session: Session) -> None:
    change = "UPDATE turns SET record = replace(record, '\"seconds\":0.0', '\"seconds\":1e999')"
    refuses(tampered(session, lambda db: db.execute(change)), "seconds: input should be a finite number")


@pytest.mark.parametrize(
    "view",
    [
        "DROP TABLE turns; CREATE VIEW turns AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT i AS ordinal, 'x' AS id, NULL AS parent, '{}' AS record FROM n WHERE i < 0",
        "DROP TABLE head; CREATE VIEW head AS SELECT 'x' AS turn, NULL AS branch",
    ],
)
def test_a_view_instead_of_a_table(session: Session, view: str) -> None:
    script = f"PRAGMA foreign_keys = 0; DROP VIEW log; {view}"
    refuses(tampered(session, lambda db: db.executescript(script)), "has other tables than undrift makes")


def test_a_schema_that_takes_for_ever_to_read(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's time for views grows with the square of their number."""
    monkeypatch.setattr(database, "_OPENING_SECONDS", 0.02)
    views = ((f"v{i}", f"v{i}", f"CREATE VIEW v{i} AS SELECT 1") for i in range(20_000))

    def add(db: sqlite3.Connection) -> None:
        db.execute("PRAGMA writable_schema = 1")
        db.execute("BEGIN")
        db.executemany("INSERT INTO sqlite_master VALUES ('view', ?, ?, 0, ?)", views)
        db.execute("COMMIT")

    folder = tampered(session, add)
    began = time.process_time()
    refuses(folder, "takes too long, or too much memory, to read")
    assert time.process_time() - began < 8


def test_rows_that_share_their_text_are_not_held_all_at_once() -> None:
    """Overflow pages may belong to any number of rows: a database of 1 MB then reads as one of 10 GB."""
    read: list[int] = []

    def text(number: int) -> str:
        read.append(number)
        return "x" * 900_000

    with closing(sqlite3.connect(":memory:")) as db:
        db.create_function("text", 1, text)
        db.execute("CREATE TABLE row (ordinal INTEGER PRIMARY KEY)")
        db.executemany("INSERT INTO row VALUES (?)", ((number,) for number in range(9000)))
        db.execute(
            "CREATE VIEW turns AS SELECT ordinal, 'id' AS id, NULL AS parent, text(ordinal) AS record FROM row"
        )
        with pytest.raises(reading.Damaged, match="its turns take more than 48 MB of records"):
            reading.tree(db, {})
    assert len(read) < 60


def test_a_schema_whose_statements_are_huge(session: Session) -> None:
    """SQLite parses all of it before the first question is answered."""
    many = "CREATE VIEW v{} AS SELECT 1 IN (" + "1," * 200_000 + "1)"
    views = ((f"v{i}", f"v{i}", many.format(i)) for i in range(10))

    def add(db: sqlite3.Connection) -> None:
        db.execute("PRAGMA writable_schema = 1")
        db.executemany("INSERT INTO sqlite_master VALUES ('view', ?, ?, 0, ?)", views)

    refuses(tampered(session, add), "takes too long, or too much memory, to read")


def test_parameters_that_only_look_like_json_are_written_so_that_they_are_read_as_they_are(
    tmp_path: Path, backbone: ToyBackbone
) -> None:
    session = start_session(tmp_path / "s", toy_picture(), "a cat", backbone)
    run_turn(session, backbone, ToyMethod(), EditPlan("a dog", seed=1))
    strange = {"deep": "[" * 100_000, "number": "1e5", "text": "it's\n$(x)", "open": '{"a": '}
    opened = Session.open(with_record(session, lambda record: record["spec"].update(params=strange)))
    given = shlex.split("\n".join(script.commands(opened, opened.head)))
    settings = [_setting(value) for option, value in pairwise(given) if option == "--set"]
    assert dict(settings) == strange
    assert "[" * 100_000 in script.python_script(opened, opened.head)


def test_a_folder_whose_name_is_no_text(tmp_path: Path, backbone: ToyBackbone) -> None:
    session = start_session(tmp_path / os.fsdecode(b"caf\xe9"), toy_picture(), "a cat", backbone)
    export_zip(session, tmp_path / "x.zip")
    assert import_zip(tmp_path / "x.zip", tmp_path / "again").turns() == session.turns()
    typed = script.contents("\n".join(script.commands(session, session.original)))
    assert os.fsencode(session.folder.resolve() / session.original.image) in typed
    named = ascii(str(session.folder.resolve() / session.original.image))
    assert f"read_picture({named})".encode() in script.contents(script.python_script(session, session.original))
    with pytest.raises(SessionError) as caught:
        Session.open(session.folder / "none")
    assert str(caught.value).encode()


def test_a_journal_deletes_no_file(session: Session, victim: Path) -> None:
    """SQLite deletes the super-journal that a hot journal names, whatever file that is."""
    name = str(victim / "b.txt").encode()
    magic = bytes.fromhex("d9d505f920a163d7")
    header = magic + struct.pack(">5I", 0, 0, (session.folder / database.FILE).stat().st_size // 4096, 512, 4096)
    tail = struct.pack(">I", 2**30 // 4096 + 1) + name + struct.pack(">2I", len(name), sum(name)) + magic
    (session.folder / f"{database.FILE}-journal").write_bytes(header.ljust(512, b"\0") + tail)
    refuses(session.folder, "'session.sqlite-journal' is not undrift's, remove it")
    assert (victim / "b.txt").read_text() == "precious"


@pytest.mark.parametrize("name", [database.FILE, f"{database.FILE}-journal", f"{database.FILE}-wal"])
def test_databases_that_are_links_or_pipes(session: Session, victim: Path, name: str) -> None:
    path = session.folder / name
    path.unlink(missing_ok=True)
    path.symlink_to(victim / "b.txt")
    refuses(session.folder, f"'{re.escape(name)}' in it is no file")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SessionError, match="in it is no file"):
        Session.open(session.folder)


def test_a_temporary_file_that_is_a_link_is_not_written_through(session: Session, victim: Path) -> None:
    pending_turn = session.begin(session.head, "next")
    for name in ("pictures/{}.png", "pictures/{}.png.0.tmp", f"pictures/{{}}.png.{os.getpid()}.tmp"):
        (session.folder / name.format(pending_turn.id)).symlink_to(victim / "a.png")
    turn = session.finish(pending_turn, outcome(3))
    assert (victim / "a.png").read_text() == "precious"
    assert session.contents(turn, turn.image)


def test_latents_that_disagree(session: Session, backbone: ToyBackbone) -> None:
    from safetensors.torch import load, save

    from undrift.session import latents

    data = session.latent(session.head)
    assert data is not None
    about = latents._about(data)
    packed = load(data)["packed"]

    def made(tensor: Any, **geometry: Any) -> bytes:
        text = json.dumps(about | {"geometry": about["geometry"] | geometry})
        stored: bytes = save({"packed": tensor.contiguous()}, metadata={"undrift": text})
        return stored

    assert latents.from_bytes(made(packed), backbone).size == (40, 32)
    for wrong in (
        made(packed[:, :-1]),
        made(packed[0]),
        made(packed.repeat(2, 1, 1)),
        made(packed.half()),
        made(packed * float("inf")),
        made(packed, rows=-4, columns=-5),
        made(packed, rows=10**9),
        made(packed, width="40"),
        made(packed, width=True),
    ):
        with pytest.raises(SessionError, match="a latent file of the session is not one of undrift's"):
            latents.from_bytes(wrong, backbone)


def test_1200_nested_branches(tmp_path: Path) -> None:
    """Every turn has a sibling, so that each level is a branch of its own, deeper than Python's stack."""
    session = start(tmp_path / "s")
    turns = [
        session.original.model_copy(update={"latent": None, "latent_hash": None, "mask": None, "mask_hash": None})
    ]
    source = turns[0].model_dump_json()
    parent, rows, trail = turns[0].id, [], {}
    for level in range(1, 1201):
        for side in (0, 1):
            key = f"{level * 2 + side:012x}"
            record = {"id": key, "number": level, "parent": parent, "kind": "import", "image": f"pictures/{key}.png"}
            rows.append((key, parent, json.dumps(json.loads(source) | record)))
        trail[parent] = f"{level * 2:012x}"
        parent = f"{level * 2 + 1:012x}"

    def nest(db: sqlite3.Connection) -> None:
        db.execute("BEGIN")
        db.executemany("INSERT INTO turns (id, parent, record) VALUES (?, ?, ?)", rows)
        db.executemany("INSERT INTO trail VALUES (?, ?)", trail.items())
        db.execute("COMMIT")

    opened = Session.open(tampered(session, nest))
    assert len(opened.tree().text().splitlines()) == 2401


def test_more_turns_than_a_session_can_have(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_TURNS", 3)
    append(session, 1)
    append(session, 2)
    with pytest.raises(InputError, match="the session has 3 turns, as many as it can have"):
        append(session, 3)
    assert len(Session.open(session.folder).turns()) == 3
    monkeypatch.setattr(reading, "MAX_TURNS", 2)
    refuses(session.folder, "it has more than 2 turns")


@pytest.mark.parametrize("statement", ["UPDATE sqlite_sequence SET seq = {0}", "UPDATE turns SET ordinal = {0}"])
def test_rows_that_leave_no_number_for_another_are_seen_before_the_work(session: Session, statement: str) -> None:
    opened = Session.open(tampered(session, lambda db: db.execute(statement.format(2**63 - 1))))
    with pytest.raises(InputError, match="as many as it can have"):
        opened.begin(opened.head, "a dog")
    assert not opened.unfinished()


def test_a_prompt_that_could_not_be_read_again_is_refused(session: Session) -> None:
    with pytest.raises(InputError, match="the texts of this turn have 200000 characters, at most 131072"):
        session.begin(session.head, "x" * 200_000)
    assert not session.unfinished()


WORK = """
import sys, time
from undrift.session.store import Session
session = Session.open(sys.argv[1])
print(session.begin(session.head, "slow").id, flush=True)
time.sleep(60)
"""


def worker(folder: Path, *before: str) -> tuple[subprocess.Popen[str], str]:
    command = [*before, sys.executable, "-c", WORK, str(folder)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def age(folder: Path, started: str) -> None:
    with database.transaction(folder, write=True) as db:
        db.execute("UPDATE pending SET started = ?", (started,))


@pytest.mark.slow
@pytest.mark.parametrize("started", ["1970-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"])
def test_a_jump_of_the_clock_kills_nobody(session: Session, started: str) -> None:
    process, key = worker(session.folder)
    try:
        age(session.folder, started)
        assert [turn.id for turn in Session.open(session.folder).unfinished()] == [key]
    finally:
        end(process)
    assert Session.open(session.folder).unfinished() == ()
    assert not list((session.folder / "working").iterdir())


def test_a_turn_in_another_pid_namespace_lives(session: Session) -> None:
    unshare = ("unshare", "--pid", "--fork", "--kill-child")
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("PID namespaces are not permitted here")
    process, key = worker(session.folder, *unshare)
    try:
        assert [turn.id for turn in Session.open(session.folder).unfinished()] == [key]
    finally:
        end(process)
    deadline = time.monotonic() + 20
    while Session.open(session.folder).unfinished() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert Session.open(session.folder).unfinished() == ()


def test_a_copy_of_a_session_at_work_has_nothing_unfinished(session: Session, tmp_path: Path) -> None:
    session.begin(session.head, "slow")
    shutil.copytree(session.folder, tmp_path / "copy")
    assert Session.open(tmp_path / "copy").unfinished() == ()
    assert len(Session.open(session.folder).unfinished()) == 1


def test_an_archive_that_is_a_pipe_or_a_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.zip")
    for path in (tmp_path / "x.zip", Path("/dev/zero"), tmp_path):
        with pytest.raises(SessionError, match=r"cannot read '.*': a (pipe|device|folder), expected a file"):
            import_zip(path, tmp_path / "again")
