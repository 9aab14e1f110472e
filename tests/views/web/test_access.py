"""Who gets what from `covsup serve`: the token, the Host header, hostile names and paths."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.views.web.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.views.web.served import Served
    from tests.world import World


@pytest.fixture
def report(world: World) -> Iterator[Served]:
    """A server of a data file."""
    world.write("app.py", "print(1)\n")
    world.write("secret.txt", "the secret\n")
    assert world.covsup_run("app.py").status == 0
    with served(world) as server:
        yield server


@pytest.mark.parametrize(
    "path",
    ["/", "/data/state.json", "/metrics", "/x/data/state.json", "/assets/", "//", "/%00/", "/%ff/"],
)
def test_nothing_is_there_without_the_token(report: Served, path: str) -> None:
    assert report.get(path).status == 404


def test_a_token_that_is_almost_right_is_wrong(report: Served) -> None:
    token = report.root.strip("/")
    assert len(token) >= 32
    for wrong in (token[:-1], token + "x", token.swapcase(), f"x/{token}"):
        assert report.get(f"/{wrong}/data/state.json").status == 404


def test_the_url_without_its_last_slash_leads_to_the_page(report: Served) -> None:
    answer = report.get(report.root.rstrip("/"))
    assert (answer.status, answer.headers["location"]) == (308, report.root)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_name_that_was_bound_to_this_machine_by_others_gets_nothing(
    report: Served, host: str
) -> None:
    assert report.request("data/state.json", headers={"Host": host}).status == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9", "LOCALHOST:9000", "[::1]:80"])
def test_a_forwarded_port_of_this_machine_is_this_machine(report: Served, host: str) -> None:
    assert report.request("data/state.json", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "secret.txt",
        "../secret.txt",
        "assets/../secret.txt",
        "assets/..%2f..%2fsecret.txt",
        "assets/%2e%2e/secret.txt",
        "assets//etc/passwd",
        "assets/%2fetc%2fpasswd",
        "data/source/../../../secret.txt",
        "data/source/secret.txt.json",
        "data/source/1.json",
        "data/source/-1.json",
        "data/source/99999999999999999999.json",
        "data/source/0.json/../../secret.txt",
        "data/context/7.json",
        "data/since/0.json",
    ],
)
def test_no_path_leads_to_another_file(report: Served, path: str) -> None:
    answer = report.get(path)
    assert answer.status == 404
    assert b"secret" not in answer.body.replace(b"secret.txt", b"")
    assert b"root:" not in answer.body


def test_every_answer_has_the_headers_that_protect_the_page(report: Served) -> None:
    for path in ("data/state.json", "metrics", "nothing", "/nothing", "data/events?since=x"):
        connection = report.connection()
        connection.request("GET", path if path.startswith("/") else report.root + path)
        headers = connection.getresponse().headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["server"] is None
        connection.close()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_reading_is_all_that_most_paths_allow(report: Served, method: str) -> None:
    assert report.request("data/state.json", method).status == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_a_mark_is_not_set_from_another_site(report: Served, headers: dict[str, str]) -> None:
    assert report.post_mark("name", **headers).status == 403


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b'{"name": 1}', b'{"name": ""}', b'{"name": "  "}', b"\xff",
     b"[" * 4000, json.dumps({"name": "x" * 201}).encode(), json.dumps({"name": "a\nb"}).encode(),
     json.dumps({"name": "x", "more": "y" * 5000}).encode()],
)  # fmt: skip
def test_a_name_that_is_not_fit_for_a_mark_is_refused(report: Served, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert report.request("data/marks", "POST", headers, body).status == 400


def add_file(data_file: str, path: str) -> None:
    """Let a data file say that line 1 of another file ran."""
    with closing(sqlite3.connect(data_file)) as db:
        db.execute("INSERT INTO file (path) VALUES (?)", (path,))
        db.execute(
            "INSERT INTO arc (file_id, context_id, fromno, tono) SELECT max(file.id),"
            " (SELECT min(id) FROM context), -1, 1 FROM file"
        )
        db.commit()


def test_a_data_file_cannot_make_the_page_show_files_that_are_no_sources(world: World) -> None:
    world.write("app.py", "print(1)\n")
    secret = world.write("secret.txt", "the secret\n")
    link = world.directory / "linked.py"
    link.symlink_to(secret)
    os.mkfifo(world.directory / "fifo.py")
    (world.directory / "directory.py").mkdir()
    (world.directory / "zero.py").symlink_to("/dev/zero")
    assert world.covsup_run("app.py").status == 0
    for path in (
        "/etc/passwd", str(secret), str(link), f"{world.directory}/fifo.py",
        f"{world.directory}/directory.py", f"{world.directory}/zero.py",
        f"{world.directory}/app.py/../secret.txt", "../../../../../../etc/passwd", "",
    ):  # fmt: skip
        add_file(str(world.data_file), path)
    with served(world) as server:
        files = server.analysed_state()["files"]
        assert len(files) == 10
        for file in files:
            source = server.get(f"data/source/{file['id']}.json").json
            if file["path"] == "app.py":
                assert source["lines"]
                continue
            assert source["lines"] == []
            assert source["error"]
        state = json.dumps(server.state())
        assert "the secret" not in state


def test_a_source_that_became_a_link_to_a_secret_is_shown_no_more(world: World) -> None:
    app = world.write("app.py", "print(1)\n")
    assert world.covsup_run("app.py").status == 0
    with served(world) as server:
        assert server.get("data/source/0.json").json["lines"]
        app.unlink()
        app.symlink_to("/etc/passwd")
        source = server.get("data/source/0.json").json
    assert source["lines"] == []
    assert "no Python source" in source["error"]


def test_a_script_without_a_suffix_is_shown(world: World) -> None:
    world.write("tool", "#!/usr/bin/env python3\nprint(1)\n")
    assert world.covsup_run("tool").status == 0
    with served(world) as server:
        assert len(server.get("data/source/0.json").json["lines"]) == 2


def test_hostile_names_and_texts_arrive_as_text(world: World) -> None:
    name = "a<script>alert(1)<!-- <img src=x onerror=alert(1)>\u202e.py"
    world.write(name, "x = '</script><script>alert(1)</script>\x1b[31m'\n")
    world.write("app.py", f"import runpy\nrunpy.run_path({name!r})\n")
    assert world.covsup_run("app.py", options=["--context=<b>&\u202e"]).status == 0
    with served(world) as server:
        answer = server.get("data/state.json")
        assert answer.headers["content-type"] == "application/json"
        assert answer.body.isascii()
        state = answer.json
        assert name in [each["path"] for each in state["files"]]
        assert [each["label"] for each in state["contexts"]] == ["<b>&\u202e"]
        (number,) = [each["id"] for each in state["files"] if each["path"] == name]
        source = server.get(f"data/source/{number}.json").json
        assert "</script>" in "".join(text for _, text in source["lines"][0])
