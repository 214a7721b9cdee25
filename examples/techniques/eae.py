"""Small images out of noise: an auto-encoder whose codes have maximal entropy (kexue.fm/archives/7343).

    python examples/techniques/eae.py --epochs 200 --weight 0.002 --output eae.png

It learns scikit-learn's 1,797 handwritten digits of 8 x 8 (pip install scikit-learn) once without and once with the
entropy of its codes in the loss, says how normal the codes are, and writes a picture: above what the decoder makes of
normal noise without the entropy, below with it, and digits of the data at the bottom.
"""

import argparse
import struct
import zlib

import numpy as np

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import keras, set_seed
from bert4keras2.training import EntropyBonus, knn_entropy

ACROSS, ROWS, SIZE, ZOOM = 16, 4, 8, 3


def build(width, weight):
    """Return (auto-encoder, encoder to normalised codes, decoder)."""
    layers = keras.layers
    x = inputs = layers.Input((SIZE * SIZE,))
    for units in (128, 64):
        x = layers.Dense(units, activation="relu")(x)
    # Without scale and centre: batches of codes have the mean 0 and the variance 1 in each number.
    codes = layers.BatchNormalization(center=False, scale=False)(layers.Dense(width)(x))
    z = given = layers.Input((width,))
    for units in (64, 128):
        z = layers.Dense(units, activation="relu")(z)
    decoder = keras.models.Model(given, layers.Dense(SIZE * SIZE, activation="sigmoid")(z))
    kept = EntropyBonus(weight)(codes) if weight else codes
    return keras.models.Model(inputs, decoder(kept)), keras.models.Model(inputs, codes), decoder


def two_sample(real, made):
    """Return how often a sample's nearest neighbour among both halves is of its own half: 0.5 if none can tell them."""
    both = np.concatenate([real, made])
    squares = np.sum(both**2, axis=1)
    apart = squares[:, None] + squares - 2 * both @ both.T
    np.fill_diagonal(apart, np.inf)
    near, half = apart.argmin(1), np.arange(len(both)) < len(real)
    return float(np.mean(half[near] == half))


def write_png(path, image):
    """Write (H, W) numbers from 0 to 1 as a grey PNG."""
    pixels = np.pad((255 * np.clip(image, 0, 1)).astype("uint8"), [(0, 0), (1, 0)])  # a 0 before each line: no filter

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels.tobytes())) + chunk(b"IEND", b"")
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + body)


def sheet(images):
    """Return rows of images (N, 64) side by side, enlarged."""
    tiles = images[: ACROSS * ROWS].reshape(ROWS, ACROSS, SIZE, SIZE).transpose(0, 2, 1, 3)
    return np.kron(tiles.reshape(ROWS * SIZE, ACROSS * SIZE), np.ones((ZOOM, ZOOM)))


def main():
    """Train both, print a line for each, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=8, help="numbers of a code")
    parser.add_argument("--weight", type=float, default=0.002, help="of the entropy beside the squared error")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--output", default="eae.png")
    args = parser.parse_args()
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise SystemExit("The digits come with scikit-learn: pip install scikit-learn") from None
    data = (load_digits().data / 16).astype("float32")
    data = data[np.random.RandomState(0).permutation(len(data))]

    sheets, normal = [], args.width / 2 * np.log(2 * np.pi * np.e)
    print(f"Entropy of normal codes of {args.width} numbers: {normal:.2f}")
    for weight in (0.0, args.weight):
        set_seed(0)
        model, encoder, decoder = build(args.width, weight)
        model.compile(keras.optimizers.Adam(1e-3), "mse")
        model.fit(data, data, 256, epochs=args.epochs, verbose=0)
        codes = encoder.predict(data, verbose=0)
        # The moving moments of batch normalization lag behind: those of all codes are what counts.
        codes = (codes - codes.mean(0)) / codes.std(0)
        noise = np.random.RandomState(1).randn(len(data), args.width).astype("float32")
        made = decoder.predict(noise, verbose=0)
        error = float(np.mean((model.predict(data, verbose=0) - data) ** 2))
        kurtosis = float(np.mean(codes**4))
        print(
            f"weight {weight:g}: squared error {error:.4f}, entropy of codes {float(knn_entropy(codes)):.2f}, kurtosis"
            f" {kurtosis:.2f} (normal: 3), told from data by neighbours {two_sample(data, made):.3f} (perfect: 0.5)"
        )
        sheets.append(sheet(made))
    line = np.ones((4, sheets[0].shape[1]))
    write_png(args.output, np.concatenate([sheets[0], line, sheets[1], line, sheet(data)]))
    print(f"Picture in {args.output}: without entropy, with it, data")


if __name__ == "__main__":
    main()
