"""Sentence vectors: which sentences mean the same, and which of a collection answer a query.

    python examples/basic_sentence_embeddings.py --checkpoint CHECKPOINT_FOLDER --pooling mean --whiten 64

Without --checkpoint it is the small model in the package, `tiny-zh`.
"""

import argparse
from pathlib import Path

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.embeddings import SentenceEncoder, rank_by_similarity, search, similarity

SAMPLES = Path(__file__).parent / "samples" / "topics.tsv"
QUERY = "周末想出去走走"
SENTENCES = ["今天天气不错，适合出门散步", "外面天气真好，想去公园", "这家店的火锅汤底太咸了", "电影的结局让人意外"]


def sample_texts():
    """Return the sample sentences, without their labels."""
    lines = SAMPLES.read_text(encoding="utf-8").splitlines()
    return list(dict.fromkeys(max(line.split("\t"), key=len) for line in lines if line.strip()))


def main():
    """Print similarities of the sentences, and the nearest samples of a query."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="tiny-zh", help="folder of a pre-trained checkpoint")
    parser.add_argument("--pooling", default="mean", choices=["mean", "cls", "pooler", "first-last"])
    parser.add_argument("--prefix", default="", help='put before each text, such as "query: " for E5 models')
    parser.add_argument("--whiten", type=int, metavar="K", help="whiten the vectors, fitted on the samples, and keep K")
    parser.add_argument("--query", default=QUERY)
    args = parser.parse_args()

    encoder = SentenceEncoder.load(args.checkpoint, pooling=args.pooling, prefix=args.prefix, maxlen=128)
    samples = sample_texts()
    if args.whiten:
        encoder.fit_whitening(samples, k=args.whiten)
    vectors = encoder.encode(samples)
    print(f"{len(samples)} sample sentences, vectors {vectors.shape}")

    cosines = similarity(encoder.encode(SENTENCES))
    for i, first in enumerate(SENTENCES):
        for j in range(i + 1, len(SENTENCES)):
            print(f"  cosine {cosines[i, j]:.3f}  {first}  |  {SENTENCES[j]}")

    print(f"Nearest samples to {args.query!r}:")
    scores, rows = search(encoder.encode(args.query), vectors, top_k=5)
    for score, row in zip(scores, rows, strict=True):
        print(f"  {score:.3f}  {samples[row]}")

    print(f"The sentences by their similarity to {args.query!r}:")
    for sentence, score in rank_by_similarity(encoder, args.query, SENTENCES):
        print(f"  {score:.3f}  {sentence}")


if __name__ == "__main__":
    main()
