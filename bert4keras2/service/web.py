"""The routes of a task's service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bert4keras2.pictures.answers import answer_html
from bert4keras2.service.fields import fields_of
from bert4keras2.service.page import page_of
from bert4keras2.snippets import WebServing
from bert4keras2.snippets.requests import BadRequest
from bert4keras2.tasks import Rows, Task
from bert4keras2.tasks.predictions import answer_record

__all__ = ["task_service"]

MOST_ROWS = 1024  # of a request


def task_service(task: Task, host: str = "127.0.0.1", port: int = 8000, server: str | None = None) -> WebServing:
    """Return a web service for a task; `start()` runs it.

        task_service(load_task("my-task"), port=8000).start()

    "/predict" answers to one row, {"text": ...} with what else rows of the task have, or to many, {"rows": [row, ...]};
    by GET or POST. "/task" tells kind, labels and fields. "/" is a page where one types and sees the answer drawn.

    Args:
        task: a fitted task.
        host: the address to listen on; this computer alone by default, "0.0.0.0" for all networks.
        port: the port; 0 for one that is free.
        server: a server that bottle knows by name; the standard library's if None.

    Raises:
        ImportError: if bottle is not installed.
        TypeError: if `task` is none.
        ValueError: if it has no model yet.
    """
    if not isinstance(task, Task):
        raise TypeError(f"task_service serves a Task, such as load_task(folder) returns, not {type(task).__name__}")
    task.model  # noqa: B018  (an error where there is none yet)
    web = WebServing(host, port, server)
    fields = fields_of(task)
    many = {field.name for field in fields if field.many}
    names = [field.name for field in fields]

    def one(row: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
        lacking = next((name for name in names if name not in row and name != "question"), None)
        if lacking is not None:
            raise BadRequest(f'lack of "{lacking}" argument')
        own = {name: _lines(value) if name in many else value for name, value in row.items() if name in names}
        said, found = _answers(task, Rows([own], lambda index: "the request"), options)
        return said[0], found[0]

    def predict(rows: Any = None, threshold: float | None = None, **row: Any) -> Any:
        options = {} if threshold is None else {"threshold": threshold}
        if rows is None:
            return answer_record(one(row, options)[1])
        if not isinstance(rows, list) or not rows or len(rows) > MOST_ROWS:
            raise BadRequest(f'"rows" is a list of 1 to {MOST_ROWS} rows, such as [{{"text": "..."}}]')
        return [answer_record(found) for found in _answers(task, Rows(rows), options)[1]]

    def draw(threshold: float | None = None, **row: Any) -> dict[str, Any]:
        said, found = one(row, {} if threshold is None else {"threshold": threshold})
        return {"html": answer_html(said, found), "answer": answer_record(found)}

    def describe() -> dict[str, Any]:
        return {"task": type(task).__name__, "labels": task.labels, "fields": names, "maxlen": task.maxlen}

    arguments: dict[str, Any] = dict.fromkeys(names, (None, False))
    if hasattr(task, "kind") or hasattr(task, "nested"):
        arguments["threshold"] = (float, False)
    for method in ("GET", "POST"):
        web.route("/predict", predict, {**arguments, "rows": (None, False)}, method)
        web.route("/draw", draw, arguments, method)
    web.route("/task", describe, {})
    page = page_of(task, fields)

    def show() -> str:
        web.bottle.response.content_type = "text/html; charset=utf-8"
        return page

    web.app.route("/", callback=show)
    return web


def _answers(task: Task, rows: Rows, options: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[Any]]:
    """Return what was asked and the answers; rows that cannot be answered are the client's fault."""
    try:
        return task.predict_rows(rows, **options)
    except (ValueError, TypeError) as error:
        raise BadRequest(str(error)) from None


def _lines(value: Any) -> Any:
    """Return the lines of what a form sent for a list."""
    return [line for line in value.splitlines() if line.strip()] if isinstance(value, str) else value
