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
from urllib.parse import quote

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


def ask(web, path, query="", method="GET", body=b"", kind=None, length=None):
    """Return (status, content type, JSON) of a request."""
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "SERVER_NAME": "x"}
    environ |= {
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
    }
    environ |= {"CONTENT_LENGTH": length or str(len(body)), "SERVER_PROTOCOL": "HTTP/1.1"} | (
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
        ("/nothing", "", {}, 404, 3, "Not found: '/nothing'; there are /repeat"),
        ("/repeat", "text=a", {"method": "DELETE"}, 405, 3, "not allowed"),
        ("/repeat", "", {"method": "POST", "body": b"{", "kind": "application/json"}, 400, 1, "JSON"),
        ("/repeat", "", {"method": "POST", "body": b"[1]", "kind": "application/json"}, 400, 1, "must be an object"),
        ("/repeat", "", {"method": "POST", "body": b'{"text": null}', "kind": "application/json"}, 400, 1, "lack of"),
        ("/repeat", "", {"method": "POST", "body": b'{"text": "a"}'}, 400, 1, "send Content-Type: application/json"),
        (
            "/repeat",
            "",
            {"method": "POST", "body": b"<a/>", "kind": "text/xml"},
            400,
            1,
            "'text/xml' is not understood",
        ),
        ("/repeat", "", {"method": "POST", "body": b"text=a", "length": "x"}, 400, 1, "the body cannot be read"),
        ("/repeat", "", {"method": "POST", "length": str(2**30)}, 400, 1, "more than 16777216 are not taken"),
        ("/repeat", "", {"method": "POST", "body": b"--x", "kind": "multipart/form-data"}, 400, 1, "boundary"),
    ],
)
def test_errors(serving, path, query, options, status, code, desc):
    found, kind, body = ask(serving, path, query, **options)
    assert (found, kind, body["code"], body["data"]) == (status, "application/json; charset=utf-8", code, {})
    assert desc in body["desc"]


@pytest.mark.parametrize("path", ["/", ""])
def test_the_root_tells_the_routes(serving, path):
    status, _, body = ask(serving, path)
    one = {"path": "/repeat", "arguments": {"text": "required", "n": "optional"}}
    assert status == 200 and body["code"] == 0
    assert body["data"]["routes"] == [{**one, "method": "GET"}, {**one, "method": "POST"}]
    serving.route("/repeat", lambda: None, {}, method="post")
    serving.route("/", lambda: "mine", {})
    assert ask(serving, path)[2]["data"] == "mine" and len(serving._routes) == 3


def multipart(value: bytes, more: str = "") -> dict:
    """Return the arguments of `ask` for a form with one part, as curl -F sends it."""
    head = f'--x\r\nContent-Disposition: form-data; name="text"{more}\r\n\r\n'.encode()
    return {"method": "POST", "body": head + value + b"\r\n--x--\r\n", "kind": "multipart/form-data; boundary=x"}


FORM = "application/x-www-form-urlencoded"
TEXT = "锅里 100% + &=1 😀"
UTF8, GBK = "火锅".encode(), "火锅".encode("gbk")


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        ({"query": "text=" + quote(TEXT)}, TEXT),
        ({"query": "text=" + UTF8.decode("latin-1")}, "火锅"),  # as servers hand on what was not escaped
        ({"query": "text="}, ""),
        ({"query": "text=" + quote(GBK)}, None),
        ({"query": "text=" + GBK.decode("latin-1")}, None),
        ({"query": "text=火锅"}, None),  # no server does that
        ({"method": "POST", "body": b"text=" + quote(TEXT).encode(), "kind": FORM}, TEXT),
        ({"method": "POST", "body": b"text=" + UTF8, "kind": FORM}, "火锅"),
        ({"method": "POST", "body": b"text=" + UTF8}, "火锅"),
        ({"method": "POST", "body": b"text=" + GBK, "kind": FORM}, None),
        ({"method": "POST", "body": b"text=" + GBK, "kind": f"{FORM}; charset=GBK"}, "火锅"),
        ({"method": "POST", "body": b"text=" + UTF8, "kind": f"{FORM}; charset=klingon"}, None),
        (multipart(TEXT.encode()), TEXT),
        (multipart(GBK), None),
        (multipart(UTF8, '; filename="a.txt"'), "火锅"),
        (multipart(GBK, '; filename="a.txt"'), None),
        (multipart(b"a" * 200_000), "a" * 200_000),  # kept in a file while it is read
        ({"method": "POST", "body": json.dumps({"text": TEXT}).encode(), "kind": "application/json"}, TEXT),
        ({"method": "POST", "body": b'{"text": "%s"}' % GBK, "kind": "application/json"}, None),
        ({"method": "POST", "body": b'{"text": "%s"}' % GBK, "kind": "application/json; charset=gbk"}, "火锅"),
        ({"method": "POST", "body": b'{"text": "\\ud83d"}', "kind": "application/json"}, None),
        ({"method": "POST", "body": b"[" * 100_000, "kind": "application/json"}, None),
    ],
)
def test_texts_arrive_whole_or_are_refused(serving, request_, wanted):
    status, _, body = ask(serving, "/repeat", **request_)
    if wanted is None:
        assert (status, body["code"]) == (400, 1) and len(body["desc"]) > 20, body
    else:
        assert status == 200 and body["data"]["text"] == wanted


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


@pytest.fixture
def address(serving, capsys) -> str:
    """Where the service listens, as it says itself: that is all it prints."""
    serving.port = 0
    threading.Thread(target=serving.start, daemon=True).start()
    for _ in range(100):
        if printed := capsys.readouterr().out:
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\n", printed)
            return printed.strip()
        time.sleep(0.05)
    raise AssertionError("nothing was printed")


def test_over_a_socket(serving, address, capsys):
    assert serving.host == "127.0.0.1" and snippets.WebServing().port == 8000
    with urllib.request.urlopen(f"{address}repeat?text=ab&n=2", timeout=30) as answer:
        assert json.load(answer)["data"]["text"] == "abab"
    port = int(address.rsplit(":", 1)[1].strip("/"))
    # As curl sends what stands in the shell: of the bytes of the second character, one is a blank in Latin-1.
    for query, status in ((UTF8, b"200"), (GBK, b"400")):
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(b"GET /repeat?text=" + query + b" HTTP/1.0\r\nHost: x\r\n\r\n")
            reply = b"".join(iter(lambda: client.recv(4096), b""))
        assert reply.split()[1] == status and b"null" not in reply
        assert status != b"200" or json.loads(reply.split(b"\r\n\r\n", 1)[1])["data"]["text"] == "火锅"
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        client.sendall(b"no HTTP\r\n\r\n")  # and away
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == ""
    with pytest.raises(OSError, match=f"Cannot listen on 127.0.0.1, port {port}: Address already in use"):
        snippets.WebServing(port=port).start()


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
