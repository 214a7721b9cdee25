"""WebServing: answers and errors in JSON, over WSGI and over a socket."""

import io
import json
import re
import socket
import sys
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from bert4keras2 import snippets

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text("utf-8")


@pytest.fixture
def serving():
    pytest.importorskip("bottle")
    web = snippets.WebServing()

    def repeat(text, n=1):
        if text == "boom":
            raise RuntimeError("it broke")
        return {"text": text * n, "array": np.arange(n), "number": np.float32(n)} if n < 9 else object()

    for method in ("GET", "POST"):
        web.route("/repeat", repeat, {"text": (None, True), "n": (int, False)}, method=method)
    return web


def ask(web, path, query="", method="GET", body=b"", kind=None):
    """Return (status, content type, JSON) of a request."""
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "SERVER_NAME": "x"}
    environ |= {
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
    }
    environ |= {"CONTENT_LENGTH": str(len(body)), "SERVER_PROTOCOL": "HTTP/1.1"} | (
        {"CONTENT_TYPE": kind} if kind else {}
    )
    started = []
    content = b"".join(web.app(environ, lambda status, headers, exc=None: started.append((status, dict(headers)))))
    status, headers = started[-1]
    return int(status.split()[0]), headers["Content-Type"], json.loads(content)


def test_answers(serving):
    wanted = {"code": 0, "desc": "succeeded", "data": {"text": "中中", "array": [0, 1], "number": 2.0}}
    assert ask(serving, "/repeat", "text=%E4%B8%AD&n=2&other=1") == (200, "application/json; charset=utf-8", wanted)
    form = "application/x-www-form-urlencoded"
    assert ask(serving, "/repeat", method="POST", body=b"text=%E4%B8%AD&n=2", kind=form)[2] == wanted
    sent = json.dumps({"text": "中", "n": 2}).encode()
    assert ask(serving, "/repeat", method="POST", body=sent, kind="application/json; charset=utf-8")[2] == wanted
    assert ask(serving, "/repeat", "text=a")[2]["data"]["text"] == "a"


@pytest.mark.parametrize(
    "path, query, options, status, code, desc",
    [
        ("/repeat", "n=2", {}, 400, 1, 'lack of "text" argument'),
        ("/repeat", "text=a&n=x", {}, 400, 1, "wrong \"n\" argument 'x'"),
        ("/repeat", "text=boom", {}, 500, 2, "it broke"),
        ("/repeat", "text=a&n=9", {}, 500, 2, "object, which JSON cannot hold"),
        ("/nothing", "", {}, 404, 3, "Not found"),
        ("/repeat", "text=a", {"method": "DELETE"}, 405, 3, "not allowed"),
        ("/repeat", "", {"method": "POST", "body": b"{", "kind": "application/json"}, 400, 1, "JSON"),
        ("/repeat", "", {"method": "POST", "body": b"[1]", "kind": "application/json"}, 400, 1, "must be an object"),
    ],
)
def test_errors(serving, path, query, options, status, code, desc):
    found, kind, body = ask(serving, path, query, **options)
    assert (found, kind, body["code"], body["data"]) == (status, "application/json; charset=utf-8", code, {})
    assert desc in body["desc"]


def test_routes_are_checked(serving):
    with pytest.raises(ValueError, match="must begin with '/'"):
        serving.route("repeat", len, {})
    with pytest.raises(ValueError, match=r"arguments\['x'\] must be"):
        serving.route("/f", lambda x: x, {"x": int})
    with pytest.raises(TypeError, match="unexpected keyword argument 'y'"):
        serving.route("/f", lambda x: x, {"y": (None, True)})


def test_one_function_at_a_time(serving):
    running, most = [], []

    def slow():
        running.append(1)
        most.append(len(running))
        time.sleep(0.05)
        running.pop()

    serving.route("/slow", slow, {})
    threads = [threading.Thread(target=ask, args=(serving, "/slow")) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert most == [1, 1, 1, 1]


def test_over_a_socket(serving):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        serving.port = probe.getsockname()[1]
    assert serving.host == "127.0.0.1" and snippets.WebServing().port == 8000
    threading.Thread(target=serving.start, daemon=True).start()
    for attempt in range(50):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{serving.port}/repeat?text=ab&n=2", timeout=5) as answer:
                assert json.load(answer)["data"]["text"] == "abab"
            return
        except urllib.error.URLError:
            assert attempt < 49
            time.sleep(0.1)


def test_without_bottle(monkeypatch):
    monkeypatch.setitem(sys.modules, "bottle", None)
    with pytest.raises(ImportError, match=r"bert4keras2\[serving\]"):
        snippets.WebServing()


@pytest.mark.backend
def test_page(monkeypatch):
    """The page's code runs, but for `start`, and answers as the page says."""
    pytest.importorskip("bottle")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M))
    monkeypatch.setattr(snippets.WebServing, "start", lambda self: None)
    scope = {"__name__": "__main__"}
    exec(compile(code, "docs/serving.md", "exec"), scope)
    status, _, body = ask(scope["web"], "/length", "text=abc")
    assert status == 200 and body["data"] == {"length": 3}
    assert ask(scope["web"], "/encode", "text=abc")[2]["code"] == 0


def test_uniout():
    from bert4keras2.snippets import uniout

    assert uniout is None
