"""CLUE and FewCLUE: the tasks' files, labels, official measures, and the files that the leaderboard takes.

from bert4keras2 import clue

task = clue.CLUE["tnews"]                              # or clue.FEWCLUE["tnews"]
folder = clue.download("tnews", "data")
rows = task.load(folder, "valid")                      # Text(id=..., text=..., label=...)
task.score(rows, [row.label for row in rows])          # {"score": 1.0, "accuracy": 1.0}
task.write("results", task.load(folder, "test"), predictions)
clue.zip_predictions("results")
"""

from bert4keras2.clue.assignment import best_assignment
from bert4keras2.clue.download import download
from bert4keras2.clue.idioms import decode_idioms
from bert4keras2.clue.labels import (
    CSLDCP_LABELS,
    ENTITY_TYPES,
    IFLYTEK_LABELS,
    NLI_LABELS,
    SAME_LABELS,
    TNEWS_LABELS,
    read_labels,
)
from bert4keras2.clue.lines import read_jsonl, write_predictions
from bert4keras2.clue.rows import Answer, Blank, Choice, Entities, Keywords, Pair, Pronoun, Question, Text
from bert4keras2.clue.submission import Report, check_zip, zip_predictions
from bert4keras2.clue.table import CLUE, FEWCLUE, get_task
from bert4keras2.clue.task import Task
from bert4keras2.clue.tnews import find_split, read_tnews

__all__ = [
    "Answer", "Blank", "CLUE", "CSLDCP_LABELS", "Choice", "ENTITY_TYPES", "Entities", "FEWCLUE", "IFLYTEK_LABELS",
    "Keywords", "NLI_LABELS", "Pair", "Pronoun", "Question", "Report", "SAME_LABELS", "TNEWS_LABELS", "Task", "Text",
    "best_assignment", "check_zip", "decode_idioms", "download", "find_split", "get_task", "read_jsonl", "read_labels",
    "read_tnews", "write_predictions", "zip_predictions",
]  # fmt: skip
