"""Many requests to the web service from several threads: every answer is right, and memory stays flat.

    python tests/benchmarks/soak_serving.py [--requests 100000] [--threads 8]

Each request asks a tiny model for the vector of a text. The service runs in a process of its own, whose memory is read
along the way.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any

TEXTS = ["今天天气不错", "火锅太咸了", "机器学习", "a b c", "第八条", "🙂 emoji"]


def serve(pipe: Any) -> None:
    """Serve a tiny model and tell the port."""
    import numpy as np

    import bert4keras2.quiet  # noqa: F401
    from bert4keras2 import Tokenizer, build_transformer_model, set_seed
    from bert4keras2.snippets import WebServing

    set_seed(0)
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted(set("".join(TEXTS)) - {" "})]
    tokenizer = Tokenizer({token: index for index, token in enumerate(tokens)})
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    model = build_transformer_model({"vocab_size": len(tokens), **sizes})

    def vector(text: str) -> Any:
        ids, segments = tokenizer.encode_batch([text], maxlen=16)
        pad = ((0, 0), (0, 16 - ids.shape[1]))
        return np.round(model.predict_on_batch([np.pad(ids, pad), np.pad(segments, pad)])[0, 0], 4)

    web = WebServing(port=0)
    web.route("/vector", vector, {"text": (None, True)})
    from bert4keras2.snippets import server

    make = server.make_server

    def made(*args: Any) -> Any:
        found = make(*args)
        pipe.send(found.server_port)
        return found

    server.make_server = made
    web.start()


def memory(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def main() -> None:
    """Ask, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=8)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    service = context.Process(target=serve, args=(there,), daemon=True)
    service.start()
    port = here.recv()
    time.sleep(0.5)
    right: dict[str, Any] = {}
    done, wrong = [0] * arguments.threads, []

    def ask(connection: http.client.HTTPConnection, text: str) -> Any:
        connection.request("GET", f"/vector?text={urllib.parse.quote(text)}")
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    for text in TEXTS:
        right[text] = ask(http.client.HTTPConnection("127.0.0.1", port), text)
        assert right[text][0] == 200, right[text]

    def client(number: int) -> None:
        for index in range(arguments.requests // arguments.threads):
            text = TEXTS[(index + number) % len(TEXTS)]
            try:
                found = ask(http.client.HTTPConnection("127.0.0.1", port, timeout=60), text)
            except OSError as error:
                found = repr(error)
            if found != right[text]:
                wrong.append((text, found))
            done[number] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(arguments.threads)]
    start, seen = time.perf_counter(), []
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(2)
        seen.append((sum(done), memory(service.pid)))
    seconds = time.perf_counter() - start
    service.kill()
    tenth = next(size for count, size in seen if count >= arguments.requests / 10)
    print(f"{sum(done):,} requests from {arguments.threads} threads in {seconds:.0f} s ({sum(done) / seconds:.0f}/s)")
    print(f"{len(wrong)} wrong answers{': ' + repr(wrong[:3]) if wrong else ''}")
    print(f"memory of the service: {tenth:.0f} MiB after a tenth, {seen[-1][1]:.0f} MiB at the end")


if __name__ == "__main__":
    main()
