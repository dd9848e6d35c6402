"""The server of `storyboard review`, over real connections: what it gives, to whom, and what it keeps."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from renderer.errors import RunFolderError, StoryboardError
from renderer.reviewing.guard import Guard
from renderer.reviewing.live import STREAMS, Live
from renderer.reviewing.server import STRANGERS, ReviewServer
from tests.fakes import FakePainter
from tests.stories import STORY, render_fake, write_story

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A rendered story; tests that change its run folder make their own."""
    story = write_story(tmp_path_factory.mktemp("story"))
    return story, render_fake(story)[0].plan.folder


@pytest.fixture
def fresh(tmp_path):
    """A rendered story for one test alone."""
    story = write_story(tmp_path)
    return story, render_fake(story)[0].plan.folder


@contextmanager
def serving(story, folder, **options):
    with ReviewServer(story, folder, **options) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def served(rendered):
    with serving(*rendered) as server:
        yield server


@pytest.fixture
def own(fresh):
    with serving(*fresh) as server:
        yield server


def ask(server, path="/", method="GET", body=None, *, cookie=True, **headers):
    """Status, headers and body of one request; `cookie` and the usual headers are sent unless told otherwise."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    sent = {"Host": f"127.0.0.1:{server.server_port}"}
    if cookie:
        sent["Cookie"] = server.guard.cookie.partition(";")[0]
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in sent.items():
        if value is not None:
            connection.putheader(name, value)
    if body is not None and "Content-Length" not in sent and "Transfer-Encoding" not in sent:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def post(server, decisions, **headers):
    body = decisions if isinstance(decisions, bytes) else json.dumps({"decisions": decisions}).encode()
    usual = {"Origin": server.guard.origin, "Content-Type": "application/json"}
    return ask(server, "/review", "POST", body, **(usual | headers))


def keys(server, scene="sofa"):
    return [take.key for entry in server.manifest().scenes if entry.id == scene for take in entry.takes]


def decision(flag="pick", second=1, **more):
    return {
        "scene": "sofa",
        "seed": 0,
        "flag": flag,
        "stars": 0,
        "note": "",
        "at": f"2026-05-04T03:02:0{second}.000Z",
    } | more


def on_disk(server):
    return json.loads((server.folder / "review.json").read_text(encoding="utf-8"))["decisions"]


def test_the_token_is_changed_for_a_cookie_and_leaves_the_address(served):
    status, headers, body = ask(served, f"/?token={served.guard.token}", cookie=False)
    assert (status, headers["Location"], body) == (303, "/", b"")
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie
    assert served.guard.token not in cookie
    status, headers, body = ask(served, "/", cookie=False, Cookie=cookie.partition(";")[0])
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<title>Starlight</title>" in body.decode()
    assert served.guard.token.encode() not in body and served.guard.session.encode() not in body


def test_the_address_that_a_browser_is_started_with_is_good_for_one_visit(served):
    visit = served.guard.one_visit().removeprefix(served.guard.origin)
    assert ask(served, visit, cookie=False)[0] == 303
    assert ask(served, visit, cookie=False)[0] == 403
    assert ask(served, f"/?token={served.guard.token}", cookie=False)[0] == 303


@pytest.mark.parametrize("token", ["", "wrong", "%FF", "é", "a" * 5000])
def test_a_wrong_token_lets_nobody_in(served, token):
    status, headers, _ = ask(served, f"/?token={token.replace('é', '%C3%A9')}", cookie=False)
    assert status == 403
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize("path", ["/", "/review", "/events", "/grid.png", "/index.html", "/nowhere"])
def test_without_the_cookie_there_is_nothing(served, path):
    for cookie in (None, "a=b", f"storyboard-{served.server_port}=wrong", f"storyboard-{served.server_port}="):
        status, _, body = ask(served, path, cookie=False, Cookie=cookie)
        assert status == 403
        assert b"Open the address that the terminal shows" in body


def test_the_cookie_is_found_among_others(served):
    own = served.guard.cookie.partition(";")[0]
    assert ask(served, Cookie=f'strange[]="x y; storyboard-1=no; {own}; z')[0] == 200


@pytest.mark.parametrize(
    "host", [None, "evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}"]
)
def test_other_names_for_this_machine_are_refused(served, host):
    host = host and host.format(port=served.server_port)
    assert ask(served, Host=host)[0] == 403
    assert post(served, {}, Host=host)[0] == 403
    assert ask(served, f"/?token={served.guard.token}", Host=host)[0] == 403


def test_localhost_is_this_machine(served):
    assert ask(served, Host=f"localhost:{served.server_port}")[0] == 200


def test_it_listens_on_this_machine_alone(served):
    assert served.socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_pages_may_not_use_the_reviewers_cookie(served, site):
    for path in ("/grid.png", "/review", "/events"):
        assert ask(served, path, Sec_Fetch_Site=site)[0] == 403
    assert ask(served, "/grid.png", Sec_Fetch_Site="same-origin")[0] == 200


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "http://127.0.0.1"],
)
def test_writes_from_other_origins_are_refused(served, origin):
    status, headers, _ = post(served, {}, Origin=origin and origin.format(port=served.server_port))
    assert status == 403
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_writes_that_a_form_could_send_are_refused(served, kind):
    assert post(served, {}, Content_Type=kind)[0] == 415


def test_json_may_name_its_charset(own):
    assert post(own, {}, Content_Type="application/json; charset=utf-8")[0] == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT", "BREW"])
def test_other_methods_are_refused(served, method):
    assert ask(served, "/review", method)[0] in (405, 501)
    assert not (served.folder / "review.json").exists()


def test_nothing_else_can_be_written(served):
    headers = {"Origin": served.guard.origin, "Content-Type": "application/json"}
    for path in ("/", "/review/", "/review?x", "/manifest.json", "/pictures/a.png"):
        assert ask(served, path, "POST", b'{"decisions": {}}', **headers)[0] == 405


def test_every_answer_says_how_it_may_be_used(served):
    key = keys(served)[0]
    for path in ("/", "/review", f"/thumbs/{key[:12]}.webp", "/nowhere"):
        headers = ask(served, path)[1]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "storyboard" == headers["Server"].strip()
    for path in ("/", "/review", "/nowhere"):
        assert ask(served, path)[1]["Cache-Control"] == "no-store"
    page = ask(served)[2].decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy and "connect-src &#39;self&#39;" in policy[1].replace("'", "&#39;")
    assert "unsafe" not in policy[1]


def test_the_page_knows_where_to_send_and_what_to_follow(served):
    page = ask(served)[2].decode()
    told = json.loads(re.search(r'<script type="application/json" id="story">(.*?)</script>', page, re.S)[1])
    assert told["served"] == {"review": "/review", "events": f"/events?since={served.live.now}"}
    on_disk = (served.folder / "index.html").read_text(encoding="utf-8")
    assert '"served":null' in on_disk
    assert "connect-src" not in on_disk


def test_pictures_thumbnails_and_grid_are_served_and_remembered(served):
    picture = next((served.folder / "pictures").iterdir())
    thumb = next((served.folder / "thumbs").iterdir())
    for path, file, kind in (
        (f"/pictures/{picture.name}", picture, "image/png"),
        (f"/thumbs/{thumb.name}", thumb, "image/webp"),
        ("/grid.png", served.folder / "grid.png", "image/png"),
    ):
        status, headers, body = ask(served, path)
        assert (status, headers["Content-Type"], body) == (200, kind, file.read_bytes())
        assert ask(served, path, If_None_Match=headers["ETag"])[0] == 304
        assert ask(served, path, If_None_Match='"other"')[0] == 200


def test_names_in_any_script_are_found(tmp_path):
    story = write_story(tmp_path, STORY.replace("id: sofa", "id: 沙发"))
    folder = render_fake(story)[0].plan.folder
    with serving(story, folder) as server:
        urls = re.findall(r'href="(pictures/%E6[^"]+)"', ask(server)[2].decode())
        assert urls
        assert ask(server, f"/{urls[0]}")[0] == 200


ELSEWHERE = [
    *(
        "/index.html",
        "/manifest.json",
        "/review.json",
        "/.lock",
        "/pictures",
        "/pictures/",
        "/thumbs/",
        "/picks/01-sofa.png",
    ),
    *(
        "/pictures/../manifest.json",
        "/pictures/%2e%2e/manifest.json",
        "/pictures/..%2fmanifest.json",
        "/%2e%2e/tale.yaml",
    ),
    *("/pictures/%252e%252e%252fmanifest.json", "/pictures/..%5cmanifest.json", "/pictures\\..\\manifest.json"),
    *("/pictures/../../../tale.yaml", "//etc/passwd", "/pictures//etc/passwd", "/pictures/%2fetc%2fpasswd"),
    *("/pictures/.hidden.png", "/pictures/%00.png", "/pictures/a.png%00", "/pictures/a.png:stream", "/grid-0.png"),
    *("/grid.png/", "/grid.png%2f..%2fmanifest.json", "/thumbs/../pictures/x.png", "/./grid.png", "/pictures/c:x.png"),
    *(
        "/set-aside/x.png",
        "/pictures/sub/x.png",
        "/pictures/" + "a" * 5000 + ".png",
        "/pictures/folder.png",
        "/favicon.ico",
    ),
    *("http://evil.example/grid.png", "/%67rid.png/..", "*", "/pictures/%ff%fe.png", "/pictures/a%0d%0aX: y.png"),
]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_nothing_else_can_be_read(own, path):
    (own.folder / "pictures/.hidden.png").write_bytes(b"x")
    (own.folder / "pictures/folder.png").mkdir()
    (own.folder / "pictures/sub").mkdir()
    (own.folder / "pictures/sub/x.png").write_bytes(b"x")
    status, headers, body = raw(own, path)
    assert status == 404
    assert b"There is nothing here." in body
    assert headers["Content-Type"] == "text/plain; charset=utf-8"


def raw(server, path):
    """A request whose line no library has tidied up."""
    cookie = server.guard.cookie.partition(";")[0]
    line = f"GET {path.replace(' ', '%20')} HTTP/1.1\r\n"
    text = f"{line}Host: 127.0.0.1:{server.server_port}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(text.encode("latin-1"))
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.headers, answer.read()


def test_links_lead_nowhere_else(own):
    (own.folder.parent / "secret.png").write_bytes(b"secret")
    pictures = own.folder / "pictures"
    (pictures / "out.png").symlink_to(own.folder.parent / "secret.png")
    (pictures / "manifest.png").symlink_to(own.folder / "manifest.json")
    (pictures / "round.png").symlink_to(pictures / "round.png")
    for name in ("out", "manifest", "round"):
        assert ask(own, f"/pictures/{name}.png")[0] == 404
    (own.folder / "grid-2.png").symlink_to(own.folder.parent / "secret.png")
    assert ask(own, "/grid-2.png")[0] == 404
    thumbs = own.folder / "thumbs"
    thumbs.rename(own.folder.parent / "thumbs")
    thumbs.symlink_to(own.folder.parent / "thumbs")
    assert ask(own, f"/thumbs/{keys(own)[0][:12]}.webp")[0] == 404


def test_decisions_are_on_disk_when_the_answer_comes(own):
    key = keys(own)[0]
    assert json.loads(ask(own, "/review")[2])["decisions"] == {}
    status, _, body = post(own, {key: decision(note="她 “好”", stars=4)})
    assert status == 200
    assert json.loads(body) == {"decisions": {key: decision(note="她 “好”", stars=4)}}
    kept = json.loads((own.folder / "review.json").read_text(encoding="utf-8"))
    assert (kept["kind"], kept["story"], kept["title"]) == ("storyboard-review", "tale", "Starlight")
    assert kept["decisions"] == {key: decision(note="她 “好”", stars=4)}
    assert json.loads(ask(own, "/review")[2]) == kept
    assert key in ask(own)[2].decode()


def test_the_later_decision_wins_whatever_comes_first(own):
    key = keys(own)[0]
    post(own, {key: decision("reject", second=5)})
    status, _, body = post(own, {key: decision("pick", second=3)})
    assert status == 200
    assert json.loads(body)["decisions"][key]["flag"] == "reject"
    assert on_disk(own)[key]["flag"] == "reject"


def test_a_second_pick_of_a_scene_takes_the_place_of_the_first(own):
    first, second = keys(own)
    post(own, {first: decision(second=1)})
    answer = json.loads(post(own, {second: decision(second=2, seed=1)})[2])["decisions"]
    assert {key: entry["flag"] for key, entry in answer.items()} == {first: "none", second: "pick"}
    assert on_disk(own)[first]["flag"] == "none"


def test_two_tabs_two_servers_and_an_editor_lose_nothing(own):
    with serving(own.story, own.folder) as other:
        made = {f"{number:064x}": decision("reject", seed=number) for number in range(40)}
        done = []

        def tab(server, part):
            for key, entry in part:
                done.append(post(server, {key: entry})[0])

        items = list(made.items())
        tabs = [threading.Thread(target=tab, args=((own, other)[n % 2], items[n::4])) for n in range(4)]
        for thread in tabs:
            thread.start()
        for thread in tabs:
            thread.join()
        assert done == [200] * 40
        assert on_disk(own) == made
        edited = json.loads((own.folder / "review.json").read_text(encoding="utf-8"))
        edited["decisions"]["f" * 64] = decision("none", stars=5)
        (own.folder / "review.json").write_text(json.dumps(edited), encoding="utf-8")
        key = keys(own)[0]
        assert post(other, {key: decision()})[0] == 200
        assert on_disk(own) == made | {"f" * 64: decision("none", stars=5), key: decision()}


BAD = [
    *(b"", b"x", b"[]", b"null", b'{"decisions": []}', b'{"decisions": {}, "more": 1}', b"\xff\xfe", b"[" * 200_000),
    json.dumps({"decisions": {"short": decision()}}).encode(),
    json.dumps({"decisions": {"a" * 64: decision("maybe")}}).encode(),
    json.dumps({"decisions": {"a" * 64: decision(stars=6)}}).encode(),
    json.dumps({"decisions": {"a" * 64: decision(seed=-1)}}).encode(),
    json.dumps({"decisions": {"a" * 64: decision(strange=1)}}).encode(),
    json.dumps({"decisions": {"a" * 64: decision(at="yesterday")}}).encode(),
]


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
def test_what_are_no_decisions_is_refused_and_changes_nothing(served, body):
    status, headers, said = post(served, body)
    assert status == 400
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert json.loads(said)["error"]
    assert not (served.folder / "review.json").exists()


def test_too_much_at_once_is_refused_and_the_answer_arrives(served):
    status, _, said = post(served, b"x" * (17 * 2**20))
    assert status == 413
    assert "16 MB" in json.loads(said)["error"]
    assert post(served, b"", Content_Length="9" * 5000)[0] == 413


def test_a_body_of_no_known_length_is_refused(served):
    for headers in ({"Content_Length": None, "Transfer_Encoding": "chunked"}, {"Content_Length": "-1"}):
        assert post(served, b"0\r\n\r\n", **headers)[0] == 411


def test_a_refused_body_is_not_taken_for_the_next_request(served):
    inner = f"GET /review HTTP/1.1\r\nHost: 127.0.0.1:{served.server_port}\r\n\r\n".encode()
    head = f"POST /review HTTP/1.1\r\nHost: evil\r\nContent-Length: {len(inner)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", served.server_port), timeout=10) as connection:
        connection.sendall(head + inner)
        answers = b""
        while received := connection.recv(65536):
            answers += received
    assert answers.count(b"HTTP/1.1 ") == 1


def test_a_page_that_leaves_in_the_middle_of_a_sentence_changes_nothing(served, capfd):
    cookie = served.guard.cookie.partition(";")[0]
    head = (
        f"POST /review HTTP/1.1\r\nHost: 127.0.0.1:{served.server_port}\r\nOrigin: {served.guard.origin}\r\n"
        f"Cookie: {cookie}\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.server_port), timeout=10) as connection:
        connection.sendall(head.encode() + b'{"decisions": {')
    assert ask(served)[0] == 200
    assert not (served.folder / "review.json").exists()
    assert capfd.readouterr().err == ""


def test_a_review_that_is_damaged_or_newer_is_left_as_it_is(own):
    path = own.folder / "review.json"
    for content in ("{", '{"format": 2, "kind": "storyboard-review"}', '{"a": 1}'):
        path.write_text(content)
        status, _, said = post(own, {keys(own)[0]: decision()})
        assert status == 409
        assert "review.json" in json.loads(said)["error"]
        assert ask(own, "/review")[0] == 409
        assert ask(own)[0] == 200
        assert path.read_text() == content
    path.unlink()
    assert post(own, {keys(own)[0]: decision()})[0] == 200


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_can_not_be_written_to_is_said(own):
    own.folder.chmod(0o555)
    try:
        status, _, said = post(own, {keys(own)[0]: decision()})
    finally:
        own.folder.chmod(0o755)
    assert status == 409
    assert "can't be written" in json.loads(said)["error"]


def test_a_full_disk_is_said_and_the_server_lives_on(own, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    key = keys(own)[0]
    with monkeypatch.context() as patched:
        patched.setattr("renderer.reviewing.decisions.write_atomically", full)
        status, _, said = post(own, {key: decision()})
    assert status == 409
    assert "No space left" in json.loads(said)["error"]
    assert not (own.folder / "review.json").exists()
    assert post(own, {key: decision()})[0] == 200


def test_a_run_folder_that_disappears_and_comes_back(own):
    away = own.folder.with_name("away")
    key = keys(own)[0]
    own.folder.rename(away)
    status, _, said = ask(own)
    assert status == 503
    assert b"storyboard render" in said
    status, _, said = post(own, {key: decision()})
    assert status == 409
    assert "gone" in json.loads(said)["error"]
    assert not own.folder.exists()
    away.rename(own.folder)
    assert ask(own)[0] == 200
    assert post(own, {key: decision()})[0] == 200


def test_a_story_that_was_not_rendered_is_told_how(tmp_path):
    story = write_story(tmp_path)
    with pytest.raises(RunFolderError, match="Render first: storyboard render"):
        ReviewServer(story, tmp_path / "renders/tale")


def test_the_folder_of_another_story_is_refused(fresh, tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(RunFolderError, match="belongs to the story"):
        ReviewServer(write_story(tmp_path / "b"), fresh[1])


def test_a_port_in_use_is_said(served):
    with pytest.raises(StoryboardError, match=f"port {served.server_port}: another program uses it"):
        ReviewServer(served.story, served.folder, served.server_port)


def test_a_server_that_comes_back_has_the_address_that_it_had(fresh):
    with serving(*fresh) as first, serving(*fresh) as second:
        assert first.server_port != second.server_port
        cookie = first.guard.cookie
    with serving(*fresh) as again:
        assert again.server_port == first.server_port
        assert ask(again, cookie=False, Cookie=cookie)[0] == 403


def test_connections_that_were_kept_end_with_the_server(fresh):
    with serving(*fresh) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        headers = {"Cookie": server.guard.cookie.partition(";")[0]}
        connection.request("GET", "/review", headers=headers)
        assert connection.getresponse().read()
    with pytest.raises((OSError, http.client.HTTPException)):
        connection.request("GET", "/review", headers=headers)
        connection.getresponse()
    connection.close()


def connected(server, data):
    connection = socket.create_connection(("127.0.0.1", server.server_port), timeout=10)
    connection.sendall(data)
    return connection


def test_requests_of_strangers_that_never_end_are_closed_where_there_are_too_many(own):
    before = threading.active_count()
    waiting = [connected(own, b"GET / HTTP/1.1\r\nHo") for _ in range(3 * STRANGERS)]
    assert ask(own, "/review")[0] == 200
    for connection in waiting[:STRANGERS]:
        assert connection.recv(1) == b""  # the oldest of them
    wait_for(lambda: threading.active_count() <= before + STRANGERS + 1)
    for connection in waiting:
        connection.close()
    wait_for(lambda: threading.active_count() == before)


def test_strangers_push_no_page_out(own):
    page = Stream(own)
    waiting = [connected(own, b"GET / HTTP/1.1\r\nHo") for _ in range(2 * STRANGERS)]
    assert ask(own, "/review")[0] == 200
    post(own, {keys(own)[0]: decision()})
    assert page.next()["event"] == "review"
    for connection in (*waiting, page):
        connection.close()


def test_a_browser_with_many_tabs_connects_at_once(rendered):
    with ReviewServer(*rendered) as server:  # that has no time yet to answer
        waiting = [connected(server, b"GET / HTTP/1.1\r\n") for _ in range(40)]
        for connection in waiting:
            connection.close()


def test_guards_share_no_secrets():
    one, other = Guard(1), Guard(1)
    assert len({one.token, one.session, other.token, other.session}) == 4
    assert one.token not in repr(one) and one.session not in repr(one)


class Stream:
    """Events as a browser would receive them."""

    def __init__(self, server, path=None, last=None):
        self.connection = socket.create_connection(("127.0.0.1", server.server_port), timeout=10)
        path = path or f"/events?since={server.live.now}"
        more = f"Last-Event-ID: {last}\r\n" if last else ""
        cookie = server.guard.cookie.partition(";")[0]
        self.connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\nCookie: {cookie}\r\n{more}\r\n".encode()
        )
        self.file = self.connection.makefile("rb")
        self.head = self._block()

    def _block(self):
        lines = []
        while (line := self.file.readline()) not in (b"\r\n", b"\n", b""):
            lines.append(line.decode().rstrip())
        return lines if lines or line else None

    def next(self):
        """The fields of the next event; None at the end of the stream."""
        while (block := self._block()) is not None:
            fields = dict(line.split(": ", 1) for line in block)
            if "event" in fields:
                return fields
        return None

    def close(self):
        self.file.close()
        self.connection.close()


def test_other_tabs_hear_of_decisions(own):
    key = keys(own)[0]
    tabs = [Stream(own), Stream(own)]
    assert tabs[0].head[0] == "HTTP/1.1 200 OK"
    assert "Content-Type: text/event-stream; charset=utf-8" in tabs[0].head
    post(own, {key: decision()})
    for tab in tabs:
        event = tab.next()
        assert event["event"] == "review"
        assert json.loads(event["data"]) == {"decisions": {key: decision()}}


def test_decisions_made_by_another_server_or_an_editor_are_heard(own):
    key = keys(own)[0]
    tab = Stream(own)
    with serving(own.story, own.folder) as other:
        post(other, {key: decision(note="elsewhere")})
    assert json.loads(tab.next()["data"])["decisions"][key]["note"] == "elsewhere"


def test_a_render_is_heard_and_the_page_shows_it(own):
    tab = Stream(own)
    write_story(own.story.parent, STORY.replace("prompt: 海边", "prompt: 山上"))
    render_fake(own.story)
    assert tab.next()["event"] == "sheet"
    assert "山上" in ask(own)[2].decode()


def test_a_tab_that_was_away_hears_what_it_missed(own):
    first, second = keys(own)
    tab = Stream(own)
    post(own, {first: decision("reject")})
    heard = tab.next()["id"]
    tab.close()
    post(own, {second: decision("reject", seed=1)})
    back = Stream(own, "/events?since=ancient", last=heard)
    assert list(json.loads(back.next()["data"])["decisions"]) == [second]
    assert Stream(own, "/events?since=0-0").next()["event"] == "sheet"
    assert Stream(own, "/events").next()["event"] == "sheet"


def test_many_tabs_leave_connections_for_the_pictures():
    live = Live()
    streams = [live.follow(live.now, heartbeat=0.01) for _ in range(STREAMS + 1)]
    for stream in streams:
        assert next(stream) is None
    assert next(streams[0], "ended") == "ended"
    assert next(streams[1], "ended") is None
    live.send("sheet", {})
    assert next(streams[-1]).kind == "sheet"
    live.close()
    assert [next(stream, "ended") for stream in streams[1:]] == ["ended"] * STREAMS


def test_tabs_that_vanish_are_forgotten(own):
    for _ in range(3):
        Stream(own).close()
    key = keys(own)[0]
    for second in range(1, 6):
        post(own, {key: decision(second=second)})
        time.sleep(0.05)
    assert ask(own)[0] == 200
    wait_for(lambda: not own.live._streams)


def wait_for(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def command(folder, *words):
    """The command as a process of its own; gives the process and the address that it shows."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "BROWSER": "true", "PYTHONUNBUFFERED": "1"}
    code = "from renderer.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "review", "tale.yaml", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = ""
        while "?token=" not in said:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            said += line
        yield process, re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", said)
    finally:
        process.kill()
        process.communicate()


def visit(found):
    """A cookie for the server at an address that was shown."""
    connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=10)
    connection.request("GET", f"/?token={found[2]}")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.headers["Set-Cookie"].partition(";")[0]


def send(found, cookie, decisions):
    connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=10)
    headers = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{found[1]}", "Content-Type": "application/json"}
    connection.request("POST", "/review", json.dumps({"decisions": decisions}), headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_command_serves_until_ctrl_c_and_says_how_to_go_on(fresh):
    story, folder = fresh
    with command(story.parent, "--no-open") as (process, found):
        cookie = visit(found)
        assert send(found, cookie, {"a" * 64: decision()}) == 200
        stream = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=10)
        stream.request("GET", "/events", headers={"Cookie": cookie})
        assert stream.getresponse().status == 200
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, err) == (0, "")
        assert "storyboard apply renders/tale/review.json tale.yaml" in out
    assert json.loads((folder / "review.json").read_text())["decisions"] == {"a" * 64: decision()}


def test_a_kill_between_writes_loses_only_what_was_not_answered(fresh):
    story, folder = fresh
    answered = {}
    with command(story.parent, "--no-open") as (process, found):
        cookie = visit(found)
        stopper = threading.Timer(0.4, process.kill)
        stopper.start()
        try:
            for number in range(100_000):
                entry = {f"{number:064x}": decision("reject", seed=number)}
                if send(found, cookie, entry) == 200:
                    answered |= entry
        except (OSError, http.client.HTTPException):
            pass
        stopper.join()
    kept = json.loads((folder / "review.json").read_text(encoding="utf-8"))["decisions"]
    assert answered
    assert answered.items() <= kept.items()
    assert len(kept) <= len(answered) + 1
    with serving(story, folder) as server:
        assert post(server, {"f" * 64: decision("none", stars=1)})[0] == 200


def test_the_command_needs_a_story_and_a_sheet(fresh, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for words, said in ((["tael.yaml"], 'Did you mean "tale.yaml"?'), (["tale.yaml", "--out", "x"], "Render first")):
        ran = subprocess.run(
            [sys.executable, "-m", "renderer", "review", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 2
        assert said in ran.stderr


def test_reviewing_imports_no_torch(fresh):
    code = "import sys, renderer.commands.serving, renderer.watching; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_a_story_that_is_broken_meanwhile_can_still_be_reviewed(own):
    own.story.write_text("scenes: [")
    assert ask(own)[0] == 200
    assert post(own, {keys(own)[0]: decision()})[0] == 200


def test_a_picture_that_is_painted_meanwhile_is_served(own):
    write_story(own.story.parent, STORY.replace("seed: 3", "seed: 9"))
    render_fake(own.story, FakePainter())
    (key,) = keys(own, "park")
    assert ask(own, f"/thumbs/{key[:12]}.webp")[0] == 200
