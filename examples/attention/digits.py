"""Text and images in one sequence: a language model that sees a digit as patches and says in Chinese which it is.

    python examples/attention/digits.py

Needs scikit-learn, whose 1,797 digits of 8 x 8 points are the images: 16 patches of 2 x 2 points stand among the tokens
of "图 ... 上面写的是数字七。". Patches go in as they are, by one projection; positions have two axes, laid out by
RoPE-Tie (kexue.fm/archives/10040 and 10352). The accuracy is how often the numeral is the likeliest next token, on
digits that were held out; a tenth is luck.
"""

from __future__ import annotations

import argparse

import numpy as np

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import keras
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam
from bert4keras2.snippets import mixed_positions, to_patches

NUMERALS = "零一二三四五六七八九"
BEFORE, AFTER = "图", "上面写的是数字{}。"
TOKENS = ["[PAD]", "[PATCH]", *dict.fromkeys(BEFORE + AFTER.replace("{}", "") + NUMERALS)]
IDS = {token: k for k, token in enumerate(TOKENS)}
PATCH, GRID = 2, 4  # points of a patch and patches of an image, in each direction


def sequences(images: np.ndarray, digits: np.ndarray, rule: str, shuffled: bool) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the inputs of the model and the place of the numeral: token ids, positions, patches.

    Args:
        images: (N, 8, 8).
        digits: (N,).
        rule: of `mixed_positions`.
        shuffled: put the patches in random order, so that their positions alone tell where they belong.
    """
    random, count = np.random.default_rng(0), GRID * GRID
    head, tail = [IDS[c] for c in BEFORE], AFTER.index("{}")
    ids = [[*head, *[IDS["[PATCH]"]] * count, *(IDS[c] for c in AFTER.format(NUMERALS[d]))] for d in digits]
    places = np.repeat(mixed_positions([len(head), (GRID, GRID), len(AFTER) - 1], rule)[None], len(digits), 0)
    patches = np.zeros((len(digits), len(ids[0]), PATCH * PATCH), "float32")
    inside = slice(len(head), len(head) + count)
    for row, image in enumerate(images):
        order = random.permutation(count) if shuffled else np.arange(count)
        patches[row, inside] = to_patches(image / 16, PATCH)[order]
        places[row, inside] = places[row, inside][order]
    return [np.array(ids, "int32"), places, patches], np.array(len(head) + count + tail)


def main() -> None:
    """Train on most of the digits and print the accuracy on the others after each epoch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rule", default="tie_v2", choices=["tie", "tie_equivalent", "tie_v2", "flat"])
    parser.add_argument("--shuffled", action="store_true", help="patches in random order: positions alone tell of them")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rows", type=int, default=None, help="take so many digits alone")
    options = parser.parse_args()
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise SystemExit("The images are those of scikit-learn: pip install scikit-learn") from None
    keras.utils.set_random_seed(0)
    images, digits = load_digits(return_X_y=True)
    images, digits = images.reshape(-1, 8, 8)[: options.rows], digits[: options.rows]
    inputs, place = sequences(images, digits, options.rule, options.shuffled)
    model = build_transformer_model(
        vocab_size=len(TOKENS),
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=128,
        segment_vocab_size=0,
        model="roformer",
        application="lm",
        position_axes=2,
        patch_size=PATCH * PATCH,
        final_activation="linear",
    )
    model.compile(Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    ids = inputs[0]
    given, labels = [array[:, :-1] for array in inputs], ids[:, 1:]
    # Which token a patch is need not be learnt: the text alone counts.
    weights = (labels != IDS["[PATCH]"]).astype("float32")
    held_out = len(ids) // 5
    for epoch in range(options.epochs):
        training = [array[held_out:] for array in given]
        model.fit(training, labels[held_out:], sample_weight=weights[held_out:], batch_size=32, verbose=0)
        scores = model.predict([array[:held_out] for array in given], verbose=0)[:, place - 1]
        accuracy = (scores.argmax(-1) == labels[:held_out, place - 1]).mean()
        print(f"epoch {epoch + 1}: held-out accuracy {accuracy:.3f}", flush=True)
    for row in range(3):
        print(f"{BEFORE}[{GRID} x {GRID}]{AFTER.format(TOKENS[scores[row].argmax()])}  (it is {NUMERALS[digits[row]]})")


if __name__ == "__main__":
    main()
