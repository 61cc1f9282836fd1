"""Files that users name: links, pipes, devices, permissions, long names, wrong endings."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from undrift.errors import InputError, SessionError
from undrift.outputs import check_ending, check_output, is_stdout, output_file, write_output

posix = pytest.mark.skipif(os.name != "posix", reason="links, pipes and modes are those of POSIX")
unprivileged = pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may do everything")


def write(path: Path, data: bytes = b"new") -> None:
    check_output(path)
    write_output(path, data)


def test_a_new_file_and_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for data in (b"first", b"second"):
        write(path, data)
        assert path.read_bytes() == data
    assert [inside.name for inside in tmp_path.iterdir()] == ["a.png"]


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_an_existing_file_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    path.chmod(mode)
    write(path)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", mode)


@posix
def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "b.png").stat().st_mode


@posix
@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_a_link_and_its_end_is_written(tmp_path: Path, there: bool) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to("far")
    (tmp_path / "b.png").symlink_to(Path("near", "end.png"))
    (tmp_path / "a.png").symlink_to("b.png")
    if there:
        (tmp_path / "far" / "end.png").write_bytes(b"old")
    write(tmp_path / "a.png")
    assert (tmp_path / "far" / "end.png").read_bytes() == b"new"
    assert (tmp_path / "a.png").is_symlink()
    assert (tmp_path / "b.png").is_symlink()
    assert [inside.name for inside in (tmp_path / "far").iterdir()] == ["end.png"]


@posix
def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    reader.start()
    write(pipe, b"x" * 200_000)
    reader.join(timeout=30)
    assert heard == [b"x" * 200_000]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@posix
def test_a_device_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "null.png").symlink_to("/dev/null")
    write(tmp_path / "null.png")
    write(Path("/dev/null"))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert (tmp_path / "null.png").is_symlink()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_device_is_one_line() -> None:
    with pytest.raises(SessionError, match=r"^cannot write '/dev/full': no space left on device$"):
        write(Path("/dev/full"))


PRINTED = """
import sys
from undrift.outputs import is_stdout, write_output
assert is_stdout(sys.argv[1])
print("before")
write_output(sys.argv[1], b"file\\n")
print("after")
"""


@posix
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "link.png"])
@pytest.mark.parametrize("to", ["pipe", "file"])
def test_stdout_is_written_in_its_place(tmp_path: Path, name: str, to: str) -> None:
    (tmp_path / "link.png").symlink_to("/dev/stdout")
    command = [sys.executable, "-c", PRINTED, name]
    if to == "pipe":
        told = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, check=True).stdout
    else:
        target = tmp_path / "target"
        target.write_bytes(b"kept\n")
        with target.open("ab") as stdout:
            subprocess.run(command, cwd=tmp_path, stdout=stdout, check=True)
        told = target.read_bytes().removeprefix(b"kept\n")
        assert told != target.read_bytes(), "what the shell appends to stays there"
    assert told == b"before\nfile\nafter\n"


def test_other_names_are_not_stdout(tmp_path: Path) -> None:
    assert not any(is_stdout(name) for name in (tmp_path / "a.png", "fd/1", "/dev/null", "1"))


@pytest.mark.parametrize("length", [200, 246, 250, 255])
def test_long_names(tmp_path: Path, length: int) -> None:
    for letter in ("a", "ä"):
        name = letter * ((length - 4) // len(letter.encode())) + ".png"
        write(tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failure_in_between_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def write_half() -> None:
        with output_file(path) as file:
            file.write(b"half")
            raise KeyError("stopped")

    with pytest.raises(KeyError):
        write_half()
    assert path.read_bytes() == b"old"
    assert [inside.name for inside in tmp_path.iterdir()] == ["a.png"]


def refused(path: str | Path) -> str:
    with pytest.raises(SessionError) as caught:
        check_output(path)
    return str(caught.value)


def test_what_cannot_be_written_is_found_before_the_work(tmp_path: Path) -> None:
    assert refused("") == "cannot write '': expected the name of a file"
    assert refused(tmp_path) == f"cannot write '{tmp_path}': it is a folder"
    assert refused(tmp_path / "none" / "a.png").endswith("a.png': no such folder")
    assert refused(tmp_path / ("a" * 300)).endswith("': file name too long")
    assert "null" in refused("a\0.png")
    (tmp_path / "file").write_bytes(b"")
    assert refused(tmp_path / "file" / "a.png").startswith("cannot write")
    assert [inside.name for inside in tmp_path.iterdir()] == ["file"]


@posix
def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("b.png")
    (tmp_path / "b.png").symlink_to("a.png")
    assert "too many levels of symbolic links" in refused(tmp_path / "a.png")


@unprivileged
def test_read_only_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"old")
    (tmp_path / "a.png").chmod(0o444)
    assert refused(tmp_path / "a.png").endswith("': the file is read-only")
    tmp_path.chmod(0o555)
    try:
        assert refused(tmp_path / "b.png").endswith("': the folder is not writable")
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.parametrize("name", ["x.png/", "./", "x/."])
def test_the_name_of_a_folder_is_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(SessionError, match="cannot write"):
        check_output(f"{tmp_path}/{name}")


@pytest.mark.parametrize("name", ["a.png", "A.PNG", "a", ".png", "/dev/stdout", "b.jpg/a"])
def test_endings_that_are_kept(name: str) -> None:
    check_ending(name, (".png",))


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.png.webp", "a.v2"])
def test_endings_that_are_not(name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' would not be a .* file: end the name in .png"):
        check_ending(name, (".png",))
