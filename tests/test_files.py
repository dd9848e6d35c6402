"""Files are whole or not there."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from renderer.errors import RunFolderError
from renderer.files import explained, file_sha256, write_atomically, write_cached


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    write_atomically(tmp_path / "a", b"old")
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_can_be_read_by_others_as_any_other(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_atomically(tmp_path / "ours", b"")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_what_was_there_survives_a_failure(tmp_path):
    write_atomically(tmp_path / "a", b"old")
    with pytest.raises(TypeError):
        write_atomically(tmp_path / "a", "text")  # type: ignore[arg-type]
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_what_can_be_made_again_is_whole_or_not_there_but_not_synced(tmp_path, monkeypatch):
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    write_cached(tmp_path / "a", b"old")
    with pytest.raises(TypeError):
        write_cached(tmp_path / "a", "text")  # type: ignore[arg-type]
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"] and not synced


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_explained(tmp_path):
    with pytest.raises(RunFolderError, match="disk is full"), explained(tmp_path), open("/dev/full", "wb") as full:
        full.write(b"x")
        full.flush()


def test_a_refusal_is_explained(tmp_path):
    with pytest.raises(RunFolderError, match="can't be written to"), explained(tmp_path):
        raise PermissionError(errno.EACCES, "no")


def test_the_hash_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
