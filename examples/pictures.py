"""The pictures of docs/pictures.md: training, confusion, attributions, entities, vectors, attention; in one folder.

python examples/pictures.py --output pictures
"""

import argparse
import shutil
import subprocess
from pathlib import Path

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import keras
from bert4keras2.embeddings import SentenceEncoder
from bert4keras2.pictures import (
    attention_map,
    confusion_matrix,
    entities_html,
    token_attribution,
    training_curve,
    vector_map,
)
from bert4keras2.tasks import EntityTagger, TextClassifier, read_rows

SAMPLES = Path(__file__).parent / "samples"
SENTENCES = {
    "天气": ["今天天气很好", "外面下大雨了", "明天有雪", "台风要来了"],
    "财经": ["股市大跌", "银行利率上调", "基金收益不错", "公司上市了"],
    "体育": ["球队赢了比赛", "足球决赛", "篮球明星受伤", "马拉松报名"],
}


def screenshot(page, picture, height):
    """Take a picture of a page with a browser, where there is one."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is not None:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size=760,{height}"]
        url = page.resolve().as_uri()
        subprocess.run([browser, *options, f"--screenshot={picture}", url], check=True, capture_output=True)


def main():
    """Train on the samples and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("pictures"), help="folder of the pictures")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)

    rows = read_rows(str(SAMPLES / "topics.tsv"), columns={"label": 0, "text": 1})
    train, held_out = rows[::2], rows[1::2]
    task = TextClassifier.from_checkpoint("tiny-zh", pooling="mean", maxlen=32)
    history = task.fit(train, validation=held_out, epochs=6, batch_size=16, learning_rate=1e-3, verbose=2)
    training_curve(history, args.output / "curve.png")
    report = task.evaluate(held_out)
    confusion_matrix(report.true, report.predicted, task.labels, args.output / "confusion.png")

    why = token_attribution(task, "这部电影的导演说票房比预想的好")
    print(why.label, [(token.text, round(token.weight, 3)) for token in why.tokens])
    why.figure(args.output / "attribution.png")
    why.html().save(args.output / "attribution.html")
    screenshot(args.output / "attribution.html", args.output / "attribution_html.png", 150)

    attention_map(task, "导演说票房比预想的好", layer=0, head="all", path=args.output / "attention.png")

    folder = SAMPLES / "clue" / "cluener"
    # A chain of tags learns from a hundred rows; pointers want thousands.
    tagger = EntityTagger.from_checkpoint("tiny-zh", head="crf", maxlen=64)
    tagger.fit(str(folder / "train.json"), epochs=12, batch_size=16, learning_rate=6e-4, verbose=2)
    text = read_rows(str(folder / "dev.json"))[0]["text"]
    entities_html(text, tagger.predict(text), args.output / "entities.html")
    screenshot(args.output / "entities.html", args.output / "entities.png", 130)

    texts = [text for own in SENTENCES.values() for text in own]
    vectors = SentenceEncoder.load("tiny-zh").encode(texts)
    vector_map(
        vectors, [label for label, own in SENTENCES.items() for _ in own], texts, path=args.output / "vectors.png"
    )
    print(f"pictures in {args.output}")


if __name__ == "__main__":
    main()
