"""The service of a task: what it answers, what it refuses, and its page in a browser."""

from __future__ import annotations

import functools
import io
import json
import shutil
import subprocess
import threading
from urllib.parse import quote

import numpy as np
import pytest

from bert4keras2.models import build_transformer_model
from bert4keras2.service import task_service
from bert4keras2.snippets.server import Handler, Server
from bert4keras2.tasks import EntityTagger, MultipleChoice, SpanReader, TextClassifier
from bert4keras2.tokenizers import Tokenizer

pytest.importorskip("bottle")
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"这家店的火锅很好吃小明在北京上海学"]


@functools.cache
def task(kind, **options):
    sizes = {"vocab_size": len(TOKENS), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    transformer = build_transformer_model({**sizes, "intermediate_size": 32}, return_keras_model=False)
    tokenizer = Tokenizer({token: i for i, token in enumerate(TOKENS)}, do_lower_case=True)
    return kind(transformer, tokenizer, **options)


def classifier():
    return task(TextClassifier, labels=("差", "好"))


def ask(web, path, body=None, query=""):
    """Return (status, answer) of a request to the application, without a network."""
    said = {}
    sent = b"" if body is None else json.dumps(body).encode()
    environ = {
        "REQUEST_METHOD": "GET" if body is None else "POST", "PATH_INFO": path, "QUERY_STRING": query,
        "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(sent)), "wsgi.input": io.BytesIO(sent),
        "SERVER_NAME": "test", "SERVER_PORT": "80", "wsgi.url_scheme": "http", "wsgi.errors": io.StringIO(),
    }  # fmt: skip
    parts = web.app(environ, lambda status, headers, *_: said.update(status=int(status[:3]), headers=dict(headers)))
    answer = b"".join(parts).decode("utf-8")
    return said["status"], json.loads(answer) if "json" in said["headers"]["Content-Type"] else answer


def test_answers_are_those_of_predict():
    own = classifier()
    web = task_service(own)
    found = own.predict(["火锅很好吃", "店"])
    status, answer = ask(web, "/predict", {"text": "火锅很好吃"})
    assert (status, answer["data"]) == (200, found[0].as_dict())
    assert ask(web, "/predict", query="text=" + quote("店"))[1]["data"] == found[1].as_dict()
    status, answer = ask(web, "/predict", {"rows": [{"text": "火锅很好吃"}, {"sentence": "店"}]})
    assert [one["label"] for one in answer["data"]] == [one.label for one in found]
    np.testing.assert_allclose(
        [one["probability"] for one in answer["data"]], [one.probability for one in found], atol=2e-6
    )
    assert ask(web, "/task")[1]["data"] == {
        "task": "TextClassifier", "labels": ["差", "好"], "fields": ["text"], "maxlen": own.maxlen,
    }  # fmt: skip
    drawn = ask(web, "/draw", {"text": "店"})[1]["data"]
    assert drawn["answer"] == found[1].as_dict() and f"{found[1].probabilities['差']:.3f}" in drawn["html"]


@pytest.mark.parametrize(
    ("kind", "row", "names"),
    [
        (EntityTagger, {"text": "小明在<北京>"}, {"entities"}),
        (SpanReader, {"text": "小明在北京上学", "question": "小明在"}, {"start", "end", "text", "score"}),
        (MultipleChoice, {"text": "小明", "question": "在", "choices": "北京\n上海"}, {"index", "text", "probability"}),
    ],
)
def test_other_tasks(kind, row, names):
    own = task(kind, labels=("地名",)) if kind is EntityTagger else task(kind)
    web = task_service(own)
    status, answer = ask(web, "/predict", row)
    assert status == 200 and set(answer["data"]) == names
    status, drawn = ask(web, "/draw", row)
    assert status == 200 and "<script" not in drawn["data"]["html"]
    if kind is EntityTagger:
        assert "&lt;" in drawn["data"]["html"] and ask(web, "/predict", {**row, "threshold": 0})[1]["data"]["entities"]
    status, page = ask(web, "/")
    assert status == 200 and all(f'name="{name}"' in page for name in row)


def test_wrong_requests():
    web = task_service(classifier())
    for body, words in (
        ({}, 'lack of "text"'),
        ({"text": "  "}, "text"),
        ({"text": 7}, "text"),
        ({"text": "店", "threshold": "x"}, "threshold"),
        ({"rows": []}, '"rows" is a list of 1 to 1024'),
        ({"rows": [{"text": "店"}, {"tekst": "店"}]}, "rows[1]"),
    ):
        status, answer = ask(web, "/predict", body)
        assert (status, answer["code"]) == (400, 1) and words in answer["desc"], body
    with pytest.raises(TypeError, match="not int"):
        task_service(3)
    with pytest.raises(ValueError, match="no labels yet"):
        task_service(task(TextClassifier))


def test_the_page_in_a_browser(tmp_path):
    """What is typed is answered and drawn: the page runs in a real browser, against the real server."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("needs Chromium")
    from wsgiref.simple_server import make_server

    own = classifier()
    with make_server("127.0.0.1", 0, task_service(own).app, Server, Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
        options += ["--virtual-time-budget=8000", "--dump-dom"]
        for text, shown in (("火锅<b>很好吃", None), ("%20", "text")):
            url = f"http://127.0.0.1:{server.server_port}/?text={quote(text, safe='%')}"
            done = subprocess.run([browser, *options, url], capture_output=True, text=True, timeout=60, check=False)
            answer = done.stdout.partition('<div id="answer"')[2].partition("<details")[0]
            if shown is None:
                found = own.predict(text)
                assert all(f">{share:.3f}<" in answer for share in found.probabilities.values()), done.stderr[-500:]
            else:
                assert 'class="error"' in answer and shown in answer
        server.shutdown()
