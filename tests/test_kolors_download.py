"""Pulling a model: only what is used, resumed, verified; from a fake hub, a folder, and ModelScope's own interface."""

from __future__ import annotations

import errno
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest

from renderer.errors import ModelError
from renderer.kolors.card import edition_of, missing_parts, read_card
from renderer.kolors.download import choose, fetch, pull, verify
from renderer.kolors.hub import Interrupted, ModelScope, RemoteFile
from tests.tiny_kolors import make_folder

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("models") / "tiny", card=None)


class FakeHub:
    """A hub in memory. `breaks`: bytes after which each connection breaks; `spoilt`: how often a file comes damaged."""

    def __init__(self, content, breaks=None, spoilt=None, skips=True):
        self.content = content
        self.breaks = breaks
        self.spoilt = dict(spoilt or {})
        self.skips = skips
        self.asked = []

    @classmethod
    def of(cls, folder: Path, **behaviour):
        files = [file for file in folder.rglob("*") if file.is_file()]
        return cls({file.relative_to(folder).as_posix(): file.read_bytes() for file in files}, **behaviour)

    def files(self):
        return [RemoteFile(it, len(data), hashlib.sha256(data).hexdigest()) for it, data in self.content.items()]

    def read(self, path, offset):
        self.asked.append((path, offset))
        data = self.content[path]
        if self.spoilt.get(path, 0) > 0:
            self.spoilt[path] -= 1
            data = b"\0" * len(data)
        begin = offset if self.skips else 0
        return begin, self._chunks(data[begin:])

    def _chunks(self, data):
        for place in range(0, len(data), 5000):
            if self.breaks is not None and place >= self.breaks:
                raise Interrupted("connection reset")
            yield data[place : place + 5000]


def remote(path, size=1):
    return RemoteFile(path, size, "0" * 64)


def test_a_model_is_pulled_whole_with_its_card(whole, tmp_path):
    seen = []
    hub = FakeHub.of(whole)
    folder = pull("tiny", tmp_path, hub, progress=lambda *report: seen.append(report))
    assert folder == tmp_path / "tiny"
    assert missing_parts(folder) == [] and verify(folder) == []
    assert read_card(folder).digest[:12] in edition_of(folder) == edition_of(whole)
    assert seen[-1][1] == seen[-1][2] == sum(file.size for file in choose(hub.files()))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert not list(folder.rglob("*.part"))


def test_a_model_with_an_edition_of_its_own_gets_hashes_on_record_too(tmp_path):
    source = make_folder(tmp_path / "source")
    folder = pull("tiny", tmp_path, source)
    assert edition_of(folder) == "tiny@1"
    assert verify(folder) == []


def test_a_second_pull_fetches_nothing(whole, tmp_path):
    pull("tiny", tmp_path, FakeHub.of(whole))
    hub = FakeHub.of(whole)
    pull("tiny", tmp_path, hub)
    assert hub.asked == []


def test_broken_connections_go_on_where_they_broke(whole, tmp_path):
    hub = FakeHub.of(whole, breaks=1_000_000)
    folder = pull("tiny", tmp_path, hub)
    assert verify(folder) == []
    offsets = [offset for path, offset in hub.asked if path == UNET]
    assert len(offsets) > 3 and offsets == sorted(set(offsets)) and offsets[1] == 1_000_000


def test_a_killed_pull_goes_on_from_what_is_on_the_disk(whole, tmp_path):
    def stop(name, done, total):
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull("tiny", tmp_path, FakeHub.of(whole), progress=stop)
    assert not (tmp_path / "tiny" / UNET).exists()
    hub = FakeHub.of(whole)
    pull("tiny", tmp_path, hub)
    assert [path for path, _ in hub.asked] == [UNET]
    assert hub.asked[0][1] > 100_000


def test_a_source_that_can_not_skip_starts_the_file_again(whole, tmp_path):
    (tmp_path / "tiny" / "unet").mkdir(parents=True)
    (tmp_path / "tiny" / f"{UNET}.part").write_bytes((whole / UNET).read_bytes()[:5000])
    assert verify(pull("tiny", tmp_path, FakeHub.of(whole, skips=False))) == []


def test_a_source_that_never_sends_gives_up_with_words(whole, tmp_path):
    with pytest.raises(ModelError, match="run the same command again"):
        pull("tiny", tmp_path, FakeHub.of(whole, breaks=0))


def test_a_damaged_file_is_fetched_again(whole, tmp_path):
    hub = FakeHub.of(whole, spoilt={UNET: 1})
    assert verify(pull("tiny", tmp_path, hub)) == []
    assert [offset for path, offset in hub.asked if path == UNET] == [0, 0]


def test_a_file_that_stays_damaged_is_never_put_in_place(whole, tmp_path):
    with pytest.raises(ModelError, match="twice its content was not what the source announces"):
        pull("tiny", tmp_path, FakeHub.of(whole, spoilt={UNET: 9}))
    assert not (tmp_path / "tiny" / UNET).exists()


def test_a_spoilt_file_on_the_disk_is_found_and_mended(whole, tmp_path):
    folder = pull("tiny", tmp_path, FakeHub.of(whole))
    content = bytearray((folder / UNET).read_bytes())
    content[-7] ^= 1
    (folder / UNET).write_bytes(content)
    (problem,) = verify(folder)
    assert problem.startswith(f"{UNET}: differs")
    pull("tiny", tmp_path, FakeHub.of(whole))
    assert verify(folder) == []


def test_no_room_is_said_before_anything_is_fetched(tmp_path):
    class Huge(FakeHub):
        def files(self):
            sizes = {UNET: 10**18, "vae/diffusion_pytorch_model.safetensors": 5, "text_encoder/model.safetensors": 5}
            return [remote(path, size) for path, size in sizes.items()]

    with pytest.raises(ModelError, match=r"the disk is full .*1000000000\.0 GB are needed"):
        pull("tiny", tmp_path, Huge({}))


def test_a_disk_that_fills_up_says_so_and_keeps_what_is_there(whole, tmp_path):
    class Filling(FakeHub):
        def _chunks(self, data):
            yield data[:5000]
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ModelError, match="Free some space and run the same command again"):
        pull("tiny", tmp_path, Filling.of(whole))
    assert list((tmp_path / "tiny").rglob("*.part"))


def test_only_one_kind_of_weights_is_chosen():
    kolors = [
        "README.md", "model_index.json", "MODEL_LICENSE", ".gitattributes", "imgs/long.png",
        "scheduler/scheduler_config.json",
        "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/config.json", "vae/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.fp16.safetensors",
        "text_encoder/config.json", "text_encoder/pytorch_model.bin.index.json", "text_encoder/modeling_chatglm.py",
        "text_encoder/pytorch_model-00001-of-00002.bin", "text_encoder/pytorch_model-00002-of-00002.bin",
        "tokenizer/tokenizer.model", "tokenizer/tokenizer_config.json",
    ]  # fmt: skip
    chosen = {file.path for file in choose([remote(path) for path in kolors])}
    assert chosen == set(kolors) - {
        ".gitattributes",
        "imgs/long.png",
        "text_encoder/modeling_chatglm.py",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    }
    sharded = [it for it in kolors if not it.startswith("text_encoder/pytorch")] + [
        "text_encoder/model-00001-of-00002.safetensors",
        "text_encoder/model-00002-of-00002.safetensors",
        "text_encoder/model.safetensors.index.json",
        "text_encoder/model.fp16-00001-of-00001.safetensors",
        "text_encoder/model.safetensors.index.fp16.json",
    ]
    taken = {file.path for file in choose([remote(path) for path in sharded]) if "model" in file.path.split("/")[-1]}
    assert {it for it in taken if it.startswith("text_encoder")} == set(sharded[-2:])


@pytest.mark.parametrize("path", ["../evil.json", "/etc/passwd", "unet\\..\\evil", "unet/../../evil"])
def test_names_that_lead_out_of_the_folder_are_refused(whole, tmp_path, path):
    hub = FakeHub.of(whole)
    hub.content[path] = b"x"
    with pytest.raises(ModelError, match="dangerous name"):
        pull("tiny", tmp_path / "into", hub)
    assert not (tmp_path / "into").exists()


def test_a_source_without_weights_is_told(whole, tmp_path):
    hub = FakeHub.of(whole)
    del hub.content[UNET]
    with pytest.raises(ModelError, match="no weights of the unet"):
        pull("tiny", tmp_path, hub)


@pytest.mark.parametrize("name", ["", "..", "a/b", "/tmp/x"])
def test_a_name_is_one_word(name, tmp_path):
    with pytest.raises(ModelError, match="no name for a model"):
        pull(name, tmp_path, FakeHub({}))


def test_an_unknown_name_needs_a_source(tmp_path):
    with pytest.raises(ModelError, match="nothing is known to pull"):
        pull("mine", tmp_path)


def test_a_folder_is_pulled_from_with_its_recorded_hashes(whole, tmp_path):
    edition_of(whole)
    folder = pull("copy", tmp_path, whole)
    assert verify(folder) == [] and edition_of(folder) == edition_of(whole)
    with pytest.raises(ModelError, match="no such folder"):
        pull("copy", tmp_path, tmp_path / "none")


def test_a_folder_that_differs_from_its_own_hashes_is_not_taken(whole, tmp_path):
    source = pull("source", tmp_path, whole)
    content = bytearray((source / UNET).read_bytes())
    content[-7] ^= 1
    (source / UNET).write_bytes(content)
    with pytest.raises(ModelError, match="not what the source announces"):
        pull("copy", tmp_path, source)


def test_a_file_longer_than_announced_is_not_taken(tmp_path):
    hub = FakeHub({"x": b"a" * 9000})
    with pytest.raises(ModelError, match="not what the source announces"):
        fetch(hub, RemoteFile("x", 4000, ""), tmp_path / "x", lambda here: None)


def test_verify_needs_something_to_compare_with(tmp_path):
    with pytest.raises(ModelError, match="no hashes are recorded"):
        verify(tmp_path)


@contextmanager
def modelscope_server(content, drop_after=None):
    """A server with the two calls of ModelScope's interface that are used; the first answer for each file may break."""
    broken = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments):
            pass

        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            url = urlparse(self.path)
            if url.path.endswith("/repo/files"):
                files = [
                    {"Path": it, "Size": len(data), "Sha256": hashlib.sha256(data).hexdigest(), "Type": "blob"}
                    for it, data in content.items()
                ]
                files.append({"Path": "unet", "Size": 0, "Type": "tree"})
                return self.answer(200, json.dumps({"Code": 200, "Success": True, "Data": {"Files": files}}).encode())
            if not url.path.endswith("/repo"):
                return self.answer(200, json.dumps({"Code": 200, "Success": True, "Data": {}}).encode())
            name = parse_qs(url.query)["FilePath"][0]
            begin = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
            body = content[name][begin:]
            if drop_after and name not in broken and len(body) > drop_after:
                broken.add(name)
                self.send_response(206 if begin else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:drop_after])
                self.wfile.flush()
                self.close_connection = True
                return None
            return self.answer(206 if begin else 200, body)

        def answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def test_modelscopes_interface_is_spoken_and_resumed(whole, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with modelscope_server(FakeHub.of(whole).content, drop_after=200_000) as address:
        folder = pull("kolors", tmp_path, source="Kwai-Kolors/Kolors-diffusers", mirror=address)
    assert verify(folder) == []


def test_a_server_that_is_not_there_is_told_with_what_to_do(tmp_path):
    hub = ModelScope("Kwai-Kolors/Kolors-diffusers", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"can't be listed.*--mirror URL.*--from FOLDER"):
        pull("kolors", tmp_path, hub)
