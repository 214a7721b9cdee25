"""The real data sets of real_data.py: what reads them, and how each is trained on."""

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.clue import get_task
from bert4keras2.tasks import EntityTagger, MultipleChoice, SpanReader, TextClassifier, read_rows


def labelled(name, *splits, texts=lambda row: (row.text,)):
    """Return a function of the folder of data sets that reads splits of a task of CLUE or FewCLUE."""

    def load(root):
        task = get_task(name)
        folder = root / ("fewclue" if task.suite == "fewclue" else "clue") / task.name
        return [[(*texts(row), row.label) for row in task.load(folder, split)] for split in splits]

    return load


def table(*paths, columns):
    """Return a function that reads files with columns."""
    return lambda root: [list(map(tuple, _columns(read_rows(str(root / path)), columns))) for path in paths]


def _columns(rows, columns):
    return ([row[column] for column in columns] for row in rows if len(row) > max(columns))


def tagged(*paths):
    """Return a function that reads files with a character and its tag in each line, and a blank line between texts."""

    def load(root):
        parts = []
        for path in paths:
            rows, tokens, tags = [], [], []
            for line in [*(root / path).read_text(encoding="utf-8").splitlines(), ""]:
                if line.strip():
                    token, tag = line.split()
                    tokens.append(token)
                    tags.append(tag)
                elif tokens:
                    rows.append({"tokens": tokens, "tags": tags})
                    tokens, tags = [], []
            parts.append(rows)
        return parts

    return load


def entities(root):
    """Return the rows of CLUENER."""
    task = get_task("cluener")
    return [
        [(row.text, list(row.spans)) for row in task.load(root / "clue/cluener", part)] for part in ("train", "valid")
    ]


def choices(root):
    """Return the questions about dialogues of C3's development set, to train on, and those about texts."""
    task = get_task("c3")
    return [
        [
            ("\n".join(row.passage), row.question, list(row.choices), row.answer)
            for row in task.read(root / "clue/c3" / name)
        ]
        for name in ("c3-d-dev.json", "c3-m-dev.json")
    ]


def reading(root):
    """Return four fifths of the texts of CMRC's trial set, and the rest."""
    rows = get_task("cmrc2018").read(root / "clue/cmrc2018/cmrc2018_trial.json")
    rows = [row for row in rows if row.question.strip()]  # one of its texts has an empty one
    texts = list(dict.fromkeys(row.context for row in rows))
    known = set(texts[: len(texts) * 4 // 5])
    parts = [row for row in rows if row.context in known], [row for row in rows if row.context not in known]
    return [[(row.context, row.question, [answer.text for answer in row.answers]) for row in part] for part in parts]


PAIR = {"texts": lambda row: (row.first, row.second)}
MARKED = {"texts": lambda row: (row.marked(),)}
WORDS = {"texts": lambda row: (row.text, row.joined())}
FEW = ("train", "test_public")
# name: what reads it, the class of the task, its options, epochs, rows to train on (None for all), seeds are by flag
RECIPES = {
    "afqmc": (labelled("afqmc", "train", "valid", **PAIR), TextClassifier, {"maxlen": 64}, 2, None),
    "ocnli": (labelled("ocnli", "train", "valid", **PAIR), TextClassifier, {"maxlen": 64}, 3, None),
    "cluener": (entities, EntityTagger, {"maxlen": 64, "head": "crf"}, 4, None),
    "c3": (choices, MultipleChoice, {"maxlen": 256}, 3, None),
    "cmrc2018": (reading, SpanReader, {"maxlen": 384}, 3, None),
    "tnews-few": (labelled("fewclue/tnews", *FEW), TextClassifier, {"maxlen": 64}, 6, None),
    "iflytek-few": (labelled("fewclue/iflytek", *FEW), TextClassifier, {"maxlen": 128}, 10, None),
    "csl-few": (labelled("fewclue/csl", *FEW, **WORDS), TextClassifier, {"maxlen": 256}, 6, None),
    "cluewsc-few": (labelled("fewclue/cluewsc", *FEW, **MARKED), TextClassifier, {"maxlen": 128}, 6, None),
    "bustm": (labelled("fewclue/bustm", *FEW, **PAIR), TextClassifier, {"maxlen": 64}, 10, None),
    "eprstmt": (labelled("fewclue/eprstmt", *FEW), TextClassifier, {"maxlen": 128}, 10, None),
    "csldcp": (labelled("fewclue/csldcp", *FEW), TextClassifier, {"maxlen": 128}, 6, None),
    "sentiment": (
        table("sentiment/sentiment.train.data", "sentiment/sentiment.test.data", columns=(0, 1)),
        TextClassifier, {"maxlen": 128}, 2, None,
    ),
    "LCQMC": (
        table("similarity/LCQMC/dev.txt", "similarity/LCQMC/test.txt", columns=(0, 1, 2)),
        TextClassifier, {"maxlen": 64}, 3, None,
    ),
    "STS-B": (
        table("similarity/STS-B/sts-b-train.txt", "similarity/STS-B/sts-b-test.txt", columns=(0, 1, 2)),
        TextClassifier, {"maxlen": 64, "kind": "number"}, 4, None,
    ),
    "peopledaily": (
        tagged("ner/peopledaily/train.txt", "ner/peopledaily/dev.txt"),
        EntityTagger, {"maxlen": 128, "head": "crf"}, 2, None,
    ),
}  # fmt: skip
