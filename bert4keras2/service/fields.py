"""What each kind of task wants to be sent: the fields of its page, and of its requests."""

from __future__ import annotations

from typing import Any, NamedTuple

from bert4keras2.tasks import EntityTagger, MultipleChoice, SpanReader, Task, TextClassifier, TextMatcher

__all__ = ["Field", "fields_of"]


class Field(NamedTuple):
    """A field of a request.

    Attributes:
        name: what it is called in a row.
        title: what the page calls it.
        lines: how high it is on the page.
        example: what stands there at first.
        many: whether it is a list; on the page, a line for each.
    """

    name: str
    title: str
    lines: int
    example: str
    many: bool = False


SECOND = Field("second", "第二个文本 second text", 4, "这家餐馆的火锅味道不错。")
TEXT = Field("text", "文本 text", 4, "")
EXAMPLES: dict[type[Task], tuple[Field, ...]] = {
    TextClassifier: (TEXT._replace(example="这家店的火锅很好吃，下次还来。"),),
    EntityTagger: (TEXT._replace(lines=6, example="小明毕业于北京大学，现在在上海工作。"),),
    SpanReader: (
        TEXT._replace(lines=8, example="北京大学创办于1898年，位于北京市海淀区。"),
        Field("question", "问题 question", 2, "北京大学在哪里？"),
    ),
    TextMatcher: (TEXT._replace(example="这家店的火锅很好吃，下次还来。"), SECOND),
    MultipleChoice: (
        TEXT._replace(lines=6, example="小明每天坐地铁上班，今天地铁停运，他只好骑车。"),
        Field("question", "问题 question", 2, "小明今天怎么上班？"),
        Field("choices", "选项，每行一个 choices, one a line", 4, "坐地铁\n骑车\n走路", many=True),
    ),
}


def fields_of(task: Task) -> list[Field]:
    """Return the fields that a task's rows have.

    Args:
        task: of any kind; kinds that are not known here get a text.
    """
    found = next((own for kind, own in EXAMPLES.items() if isinstance(task, kind)), (TEXT,))
    pairs: Any = getattr(task, "pairs", None)
    return [*found, SECOND] if pairs else list(found)
