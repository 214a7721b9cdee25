"""What a change costs: the same measurements on two states of the code, interleaved.

    python tests/benchmarks/compare.py REVISION [--rounds 5] [--backend tensorflow] [--only load,train]

The other state is checked out beside (git worktree) and removed at the end. Each round runs each state in a process of
its own, one after the other, in turns; what is printed is the median of both and the median of the ratios, round by
round: now / REVISION. Only public names are used, which both states have.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from rounds import child, in_turns, median_times, ratio

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"vocab_size": 21128, "hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4}
SIZES |= {"intermediate_size": 1024, "max_position": 512}


def units(folder: str) -> dict:
    """Return {name: a function that does one thing}; each was called once, so that all is compiled."""
    import numpy as np

    from bert4keras2.backend import keras, set_seed
    from bert4keras2.decoders import AutoRegressiveDecoder, Generator
    from bert4keras2.models import build_transformer_model
    from bert4keras2.optimizers import Adam

    set_seed(0)
    random = np.random.RandomState(0)
    path = os.path.join(folder, "bert_model.ckpt")
    bert = build_transformer_model(SIZES, with_mlm=True, with_nsp=True, return_keras_model=False)
    bert.save_weights_as_checkpoint(path)
    bert.save_weights_as_checkpoint(os.path.join(folder, "model.safetensors"))
    ids = random.randint(1, 21128, (16, 128)).astype("int32")
    x = [ids, np.zeros_like(ids)]

    encoder = build_transformer_model(SIZES)
    labels = random.randint(0, 5, 16)

    def new_classifier():
        encoder = build_transformer_model(SIZES, dropout_rate=0.1)
        model = keras.models.Model(encoder.inputs, keras.layers.Dense(5, activation="softmax")(encoder.output[:, 0]))
        model.compile(Adam(1e-4), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    classifier = new_classifier()

    families = {
        "RoFormer": {"model": "roformer"},
        "NEZHA": {"model": "nezha"},
        "GAU": {"model": "gau_alpha", "num_hidden_layers": 12, "attention_key_size": 64, "intermediate_size": 512},
    }
    families = {name: build_transformer_model(SIZES | options) for name, options in families.items()}
    forwards = {
        f"forward {name} 16x128": lambda model=model: model.predict_on_batch(x) for name, model in families.items()
    }

    unilm = build_transformer_model(SIZES, application="unilm")
    generator = Generator(unilm, end_id=3)
    prompt = ids[0, :24].tolist()

    class Decoder(AutoRegressiveDecoder):
        use_cache = True

        @AutoRegressiveDecoder.wraps(default_rtype="probas")
        def predict(self, inputs, output_ids, states):
            tokens, segments = inputs
            tokens = np.concatenate([tokens, output_ids], 1)
            segments = np.concatenate([segments, np.ones_like(output_ids)], 1)
            return self.last_token(unilm).predict([tokens, segments])

    class Uncached(Decoder):
        use_cache = False

    classic, uncached = (kind(start_id=None, end_id=3, maxlen=16) for kind in (Decoder, Uncached))
    short = [part[:1, :32] for part in x]
    long = {"max_new_tokens": 32, "min_length": 32}
    return {
        "load TensorFlow": lambda: build_transformer_model(SIZES, path, with_mlm=True, with_nsp=True),
        "load safetensors": lambda: build_transformer_model(
            SIZES, path.replace("bert_model.ckpt", "model.safetensors")
        ),
        "forward 16x128": lambda: encoder.predict_on_batch(x),
        **forwards,
        "train 16x128": lambda: classifier.train_on_batch(x, labels),
        "first step": lambda: new_classifier().train_on_batch(x, labels),
        "greedy 32 tokens": lambda: generator.generate([prompt], **long),
        "8 samples": lambda: generator.generate([prompt], strategy="sample", num_return=8, top_p=0.9, seed=1, **long),
        "beam 4": lambda: generator.generate([prompt], strategy="beam", num_beams=4, **long),
        "score 8": lambda: generator.score([prompt], [[ids[k, :5].tolist() for k in range(8)]]),
        "classic beam 2": lambda: classic.beam_search([prompt, [0] * len(prompt)], 2),
        "predict 1x32": lambda: encoder.predict(short, verbose=0),
        # Whole sequences through `predict`, once for each token.
        "script's steps": lambda: uncached.beam_search([prompt, [0] * len(prompt)], 1),
    }


def measure(only: list[str], repeats: int) -> dict[str, float]:
    """Return the median seconds of each unit in this process."""
    with tempfile.TemporaryDirectory() as folder:
        return median_times(units(folder), only, repeats)


def measured(tree: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Measure one state of the code in a process of its own."""
    paths = f"{tree}:{Path(__file__).resolve().parent}"
    command = [__file__, "--child", "--only", arguments.only, "--repeats", str(arguments.repeats)]
    return child(command, {"PYTHONPATH": paths, "KERAS_BACKEND": arguments.backend}, tree)


def main() -> None:
    """Measure both states in turns and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision", nargs="?", default="HEAD~1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--backend", default="tensorflow")
    parser.add_argument("--only", default="")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure([word for word in arguments.only.split(",") if word], arguments.repeats)))
        return
    with tempfile.TemporaryDirectory() as folder:
        tree = os.path.join(folder, "tree")
        subprocess.run(["git", "worktree", "add", "-q", "--detach", tree, arguments.revision], cwd=ROOT, check=True)
        try:
            before, now = arguments.revision, "now"
            states = {now: str(ROOT), before: tree}
            sides = {name: lambda at=at: measured(at, arguments) for name, at in states.items()}
            rounds = in_turns(sides, arguments.rounds)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)
    print(f"{arguments.backend}, {arguments.rounds} rounds: {arguments.revision}, now, now / {arguments.revision}")
    for name in rounds[0][now]:
        seconds = [statistics.median(one[state][name] for one in rounds) for state in (before, now)]
        print(
            f"{name:20} {1e3 * seconds[0]:9.1f} ms {1e3 * seconds[1]:9.1f} ms {ratio(rounds, name, now, before):6.3f}"
        )


if __name__ == "__main__":
    main()
