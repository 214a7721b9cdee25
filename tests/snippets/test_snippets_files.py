"""`snippets.open`: encodings, modes, lines by number."""

import json
import multiprocessing
import os
import threading

import pytest

from bert4keras2.snippets import open as open_text

LINES = ["中\n", "文字\n", "\n", "end"]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("".join(LINES).encode())
    return path


def test_reading(path):
    with open_text(path) as file:
        assert next(file) == LINES[0]
        assert file.next() == LINES[1]
        assert file.readline() == LINES[2]
        assert file.readlines() == LINES[3:]
        assert (file.name, file.encoding, file.errors, file.closed) == (path, "utf-8", "strict", False)
    assert file.closed
    with open_text(str(path)) as file:
        assert list(file) == LINES
        file.seek(0)
        assert file.read(2) == "中\n"
        assert file.read() == "".join(LINES[1:])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_mark_tells_the_encoding(path, encoding):
    path.write_bytes("中文\n第二".encode(encoding))
    with open_text(path) as file:
        assert list(file) == ["中文\n", "第二"]


def test_utf8_whatever_the_locale(path, monkeypatch):
    monkeypatch.setattr("locale.getpreferredencoding", lambda *args: "ascii")
    with open_text(path, "w") as file:
        assert file.write("中") == 1
        file.flush()
    with open_text(path, "a") as file:
        file.write("文")
    assert path.read_bytes() == "中文".encode()


def test_binary_modes(path):
    with open_text(path, "rb") as file:
        assert file.read() == "".join(LINES).encode()
    with open_text(path, "wb") as file:
        file.write(b"\xff")
    with open_text(path, "rb", indexable=True) as file:
        assert file[0] == b"\xff"


@pytest.mark.parametrize("read", [list, lambda file: file.read(), lambda file: file.readlines(), next])
def test_other_encoding_names_the_file(path, read):
    path.write_bytes("中文\n".encode("gb18030"))
    with open_text(path) as file, pytest.raises(UnicodeDecodeError, match="text.txt is not utf-8; .*gb18030"):
        read(file)
    with open_text(path, encoding="gb18030") as file:
        assert list(file) == ["中文\n"]
    with open_text(path, errors="ignore") as file:
        file.read()


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.txt"):
        open_text(tmp_path / "nothing.txt")


def test_lines_by_number(path):
    with open_text(path, indexable=True) as file:
        assert len(file) == 4
        assert [file[i] for i in (2, 0, -1)] == [LINES[2], LINES[0], LINES[3]]
        assert file[1:3] == LINES[1:3]
        assert list(file) == LINES
        with pytest.raises(IndexError, match="line 4 of .*text.txt, which has 4 lines"):
            file[4]


def test_lines_by_number_of_other_files(path):
    path.write_bytes("中文\r\n文\r\n".encode("gb18030"))
    with open_text(path, encoding="gb18030", indexable=True) as file:
        assert file[:] == ["中文\n", "文\n"]
    with open_text(path, indexable=True) as file, pytest.raises(UnicodeDecodeError, match="text.txt is not utf-8"):
        file[0]
    path.write_bytes("一\n二\n".encode("utf-8-sig"))
    with open_text(path, indexable=True) as file:
        assert file[:] == ["一\n", "二\n"]


def test_kept_index(path, tmp_path):
    index = tmp_path / "text.index"
    with open_text(path, indexable=str(index)) as file:
        assert file[3] == "end"
    assert json.loads(index.read_text()) == [0, 4, 11, 12]
    index.write_text("[0, 4]")
    with open_text(path, indexable=str(index)) as file:
        assert len(file) == 2  # read, not made again
    path.write_text("a\nb\nc\n")
    os.utime(index, (1, 1))
    with open_text(path, indexable=str(index)) as file:
        assert file[:] == ["a\n", "b\n", "c\n"]


def test_not_indexable(path):
    with open_text(path) as file:
        assert file
        with pytest.raises(TypeError, match="without indexable=True"):
            len(file)
        with pytest.raises(TypeError, match="without indexable=True"):
            file[0]
    with pytest.raises(ValueError, match="opened for reading only, not mode 'w'"):
        open_text(path, "w", indexable=True)
    path.write_bytes("中".encode("utf-16"))
    with pytest.raises(ValueError, match="convert the file to UTF-8"):
        open_text(path, indexable=True)


@pytest.fixture
def numbered(tmp_path):
    path = tmp_path / "numbered.txt"
    path.write_text("".join(f"{i} {'x' * (i * 37 % 9000)}\n" for i in range(300)), encoding="utf-8")
    return path


def wrong_lines(file, seed, count=2000):
    """Return how many lines, looked up in some order, are others."""
    places = [(seed + i * 7919) % 300 for i in range(count)]
    return sum(file[i] != f"{i} {'x' * (i * 37 % 9000)}\n" for i in places)


def test_lines_for_threads(numbered):
    found = []
    with open_text(numbered, indexable=True) as file:
        threads = [threading.Thread(target=lambda k=k: found.append(wrong_lines(file, k))) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [0] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_lines_for_forked_processes(numbered):
    with open_text(numbered, indexable=True) as file:
        assert file[0] == "0 \n"
        context = multiprocessing.get_context("fork")
        queue = context.SimpleQueue()
        processes = [context.Process(target=lambda k=k: queue.put(wrong_lines(file, k))) for k in range(3)]
        for process in processes:
            process.start()
        found = [wrong_lines(file, 50), *(queue.get() for _ in processes)]
        for process in processes:
            process.join()
    assert found == [0] * 4


def test_lines_without_pread(numbered, monkeypatch):
    """As on Windows."""
    monkeypatch.delattr(os, "pread", raising=False)
    test_lines_for_threads(numbered)
