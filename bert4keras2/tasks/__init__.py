"""Tasks: from rows to a fitted model, from texts to plain objects, and a folder that keeps all of it."""

from bert4keras2.tasks.choice import MultipleChoice
from bert4keras2.tasks.classifier import TextClassifier
from bert4keras2.tasks.conditional import ConditionalClassifier, task_condition
from bert4keras2.tasks.folders.saving import load_task
from bert4keras2.tasks.matcher import TextMatcher
from bert4keras2.tasks.reader import SpanReader
from bert4keras2.tasks.report import Report
from bert4keras2.tasks.rows.tables import RowError, Rows, read_rows
from bert4keras2.tasks.tagger import EntityTagger
from bert4keras2.tasks.task import Task

__all__ = [
    "ConditionalClassifier",
    "EntityTagger",
    "MultipleChoice",
    "Report",
    "RowError",
    "Rows",
    "SpanReader",
    "Task",
    "TextClassifier",
    "TextMatcher",
    "load_task",
    "read_rows",
    "task_condition",
]
