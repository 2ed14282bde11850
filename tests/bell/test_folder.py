"""Where windows meet: one private folder per session, the same for all of a user."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from crdtsync.bell.folder import (
    SOCKET_PATH_BYTES_MAX,
    check_name,
    private_folder,
    runtime_folder,
)
from crdtsync.errors import DataError


@pytest.fixture
def runtime() -> Iterator[Path]:
    # Short, unlike tmp_path: a socket's path must fit into 107 bytes.
    folder = Path(mkdtemp(prefix="r-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, runtime: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))


def test_the_folder_is_in_the_runtime_folder_of_the_login(
    runtime: Path, tmp_path: Path
) -> None:
    folder = runtime_folder(tmp_path, "s1")

    assert folder.parent == runtime / "crdtsync"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


def test_all_ways_to_one_data_folder_lead_to_one_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "link").symlink_to(data)

    assert runtime_folder(tmp_path / "link", "s") == runtime_folder(data, "s")
    assert runtime_folder(data / ".." / "data", "s") == runtime_folder(data, "s")


def test_sessions_and_data_folders_are_apart(tmp_path: Path) -> None:
    folders = {
        runtime_folder(tmp_path, "s1"),
        runtime_folder(tmp_path, "s2"),
        runtime_folder(tmp_path / "x", "s1"),
    }

    assert len(folders) == 3


def test_a_session_id_never_becomes_a_path(runtime: Path, tmp_path: Path) -> None:
    folder = runtime_folder(tmp_path, "../../etc")

    assert folder.parent == runtime / "crdtsync"


@pytest.mark.parametrize("value", ["", "relative/path", "/nowhere/at/all", "/etc"])
def test_an_unusable_runtime_folder_is_passed_over(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", value)

    folder = runtime_folder(tmp_path, "s")

    assert str(folder).startswith((f"/run/user/{os.getuid()}/", "/tmp/crdtsync-"))  # noqa: S108
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.rmdir()


def test_a_runtime_folder_open_to_others_is_passed_over(
    runtime: Path, tmp_path: Path
) -> None:
    runtime.chmod(0o770)

    folder = runtime_folder(tmp_path, "s")

    assert runtime not in folder.parents
    folder.rmdir()


def test_a_runtime_folder_with_too_long_a_path_is_passed_over(
    runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = runtime / ("d" * 60)
    long.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))

    folder = runtime_folder(tmp_path, "s")

    assert len(str(folder / ("n" * 64 + ".sock"))) <= SOCKET_PATH_BYTES_MAX
    folder.rmdir()


def test_a_planted_link_is_refused(runtime: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (runtime / "crdtsync").symlink_to(elsewhere)

    with pytest.raises(DataError, match="is not a folder of this user"):
        runtime_folder(tmp_path, "s")


def test_a_planted_file_is_refused(runtime: Path, tmp_path: Path) -> None:
    (runtime / "crdtsync").write_text("")

    with pytest.raises(DataError, match="cannot make the folder"):
        runtime_folder(tmp_path, "s")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_someone_else_is_refused(tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    planted.mkdir(mode=0o700)
    os.chown(planted, 12345, 12345)

    with pytest.raises(DataError, match="is not a folder of this user"):
        private_folder(planted)


def test_a_folder_open_to_the_group_is_refused(tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    planted.mkdir()
    planted.chmod(0o710)

    with pytest.raises(DataError, match="open to other users"):
        private_folder(planted)


def test_ids_of_windows_are_names() -> None:
    check_name("0b0c9f1e-66f5-7cc0-8a4e-0d1f8f6d9a10")
    with pytest.raises(ValueError, match="not a window id"):
        check_name("../0")
