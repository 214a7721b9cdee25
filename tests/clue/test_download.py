"""Downloads from a server on this machine: whole, broken off and gone on with, damaged, crafted, without network."""

from __future__ import annotations

import hashlib
import http.server
import io
import re
import socket
import stat
import threading
import zipfile
from pathlib import Path

import pytest

from bert4keras2 import clue
from bert4keras2.clue import table
from bert4keras2.clue.task import Archive

ROW = '{"sentence1": "甲", "sentence2": "乙", "label": "1"}\n'


def packed(members: dict[str, str] | None = None, link: str = "") -> bytes:
    """Return a zip archive; by default a whole afqmc, as large as some blocks of a download."""
    if members is None:
        members = {f"{name}.json": ROW * 4000 for name in ("train", "dev", "test")}
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
    return data.getvalue()


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; `cut` is after how many bytes it closes a connection, `ranges` whether it knows parts."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cut, self.ranges = 0, True
        self.asked: list[tuple[str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, name, part = self.server, self.path[1:], self.headers.get("Range")
        server.asked.append((name, part))
        if name not in server.files:
            return self.send_error(404)
        data = server.files[name]
        start = int(re.match(r"bytes=(\d+)-", part)[1]) if part and server.ranges else 0
        if start > len(data) or (start and start == len(data)):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        rest = data[start:]
        self.wfile.write(rest[: server.cut] if server.cut and server.cut < len(rest) else rest)
        return None

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def afqmc(server, monkeypatch):
    """The task afqmc, to be had from the server, without a known check sum."""
    server.files["afqmc_public.zip"] = packed()
    at = Archive(f"{server.url}afqmc_public.zip")
    task = clue.Task(**{**vars(clue.CLUE["afqmc"]), "archive": at})
    monkeypatch.setitem(table.CLUE, "afqmc", task)
    return task


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_download(afqmc, server, tmp_path, capsys):
    folder = clue.download("afqmc", tmp_path / "data", progress=True)
    assert folder == str(tmp_path / "data" / "afqmc") and len(afqmc.load(folder, "train")) == 4000
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["afqmc"]
    assert "download afqmc" in capsys.readouterr().err
    assert clue.download("afqmc", tmp_path / "data") == folder and len(server.asked) == 1  # nothing is asked again
    (tmp_path / "data/afqmc/dev.json").unlink()
    with pytest.raises(FileExistsError, match="is no whole afqmc: .*looked for dev.json.*Move it away"):
        clue.download("afqmc", tmp_path / "data")


def test_a_broken_download_goes_on(afqmc, server, tmp_path):
    size = len(server.files["afqmc_public.zip"])
    server.cut = size // 5
    with pytest.raises(ConnectionError, match=r"bytes came and are kept: .* put it at .*afqmc_public.zip and call"):
        clue.download("afqmc", tmp_path)
    (left,) = hidden(tmp_path)
    assert left.startswith(".afqmc_public.zip") and (tmp_path / left).stat().st_size == 3 * server.cut
    server.cut = 0
    clue.download("afqmc", tmp_path)
    assert server.asked[-1][1] == f"bytes={3 * (size // 5)}-" and hidden(tmp_path) == []
    # A server that knows no parts sends all of it again.
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / left).write_bytes(b"something else")
    server.ranges = False
    assert len(afqmc.load(clue.download("afqmc", tmp_path / "two"), "test")) == 4000
    # What is there is longer than the file on the server.
    (tmp_path / "three").mkdir()
    (tmp_path / "three" / left).write_bytes(b"x" * (size + 1))
    server.ranges = True
    clue.download("afqmc", tmp_path / "three")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk(afqmc, tmp_path):
    (tmp_path / ".afqmc_public.zip.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="Cannot write .*afqmc_public.zip.partial.*No space left.*goes on with it"):
        clue.download("afqmc", tmp_path)
    assert not (tmp_path / "afqmc").exists()


def test_put_there_by_hand(afqmc, server, tmp_path):
    (tmp_path / "afqmc_public.zip").write_bytes(server.files["afqmc_public.zip"])
    clue.download("afqmc", tmp_path)
    assert server.asked == []
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "afqmc_public.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match="no whole zip archive.*Remove it and put the right one there"):
        clue.download("afqmc", tmp_path / "two")
    assert (tmp_path / "two" / "afqmc_public.zip").exists()  # what somebody put there is not removed


def test_without_network(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/tnews_public.zip"
    with pytest.raises(ConnectionError) as caught:
        clue.download("tnews", tmp_path / "data", address=address)
    assert f"Download {address} by hand, put it at {tmp_path / 'data' / 'tnews_public.zip'}" in str(caught.value)
    assert clue.CLUE["tnews"].archive.address == "https://storage.googleapis.com/cluebenchmark/tasks/tnews_public.zip"


def test_check_sums(afqmc, server, tmp_path, monkeypatch):
    data = server.files["afqmc_public.zip"]
    right = Archive(afqmc.archive.address, len(data), hashlib.sha256(data).hexdigest())
    monkeypatch.setitem(table.CLUE, "afqmc", clue.Task(**{**vars(afqmc), "archive": right}))
    server.files["afqmc_public.zip"] = data.replace("甲".encode(), "丙".encode(), 1)
    with pytest.raises(ValueError, match="has the SHA-256 .* It is removed; download it again"):
        clue.download("afqmc", tmp_path)
    assert list(tmp_path.iterdir()) == []
    server.files["afqmc_public.zip"] = data
    clue.download("afqmc", tmp_path)
    monkeypatch.setitem(table.CLUE, "afqmc", afqmc)  # nothing known: the archive's own check sums
    server.files["afqmc_public.zip"] = data.replace("甲".encode(), "丙".encode(), 1)
    with pytest.raises(ValueError, match="the check sum of train.json in it is wrong"):
        clue.download("afqmc", tmp_path / "two")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (packed({"../train.json": ROW}), "would leave its folder"),
        (packed({"/tmp/train.json": ROW}), "would leave its folder"),
        (packed({"C:\\train.json": ROW}), "would leave its folder"),
        (packed({"a\\..\\..\\train.json": ROW}), "would leave its folder"),
        (packed(link="linked.json"), "holds a link"),
        (packed({"train.json": ROW}), "holds no whole afqmc: .*looked for dev.json"),
        (packed({}), "holds no file"),
        (b"<html>not found</html>", "is no whole zip archive"),
    ],
)
def test_crafted_archives(afqmc, server, tmp_path, data, message):
    server.files["afqmc_public.zip"] = data
    with pytest.raises(ValueError, match=message):
        clue.download("afqmc", tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["data"] and list((tmp_path / "data").iterdir()) == []


def test_a_folder_around_everything(afqmc, server, tmp_path):
    inner = {f"afqmc_public/{name}.json": ROW for name in ("train", "dev", "test")}
    server.files["afqmc_public.zip"] = packed({**inner, "__MACOSX/afqmc_public/._train.json": "x"})
    assert sorted(path.name for path in Path(clue.download("afqmc", tmp_path)).iterdir()) == [
        "dev.json",
        "test.json",
        "train.json",
    ]


def test_single_files(server, tmp_path):
    task = clue.FEWCLUE["bustm"]
    server.files.update({f"bustm/{name}": ROW.encode() for name in task.archive.files})
    del server.files["bustm/unlabeled.json"]
    with pytest.raises(ConnectionError, match="404.*put them into"):
        clue.download("fewclue/bustm", tmp_path, address=f"{server.url}bustm/")
    assert not (tmp_path / "bustm").exists()
    server.files["bustm/unlabeled.json"] = b""
    before = len(server.asked)
    folder = clue.download(task, tmp_path, address=f"{server.url}bustm/")
    assert len(server.asked) == before + 1  # what had come is not asked for again
    assert len(task.load(folder, "train", 4)) == 1 and task.load(folder, "unlabeled") == []
