"""What a row of each kind of task holds."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Answer", "Blank", "Choice", "Entities", "Keywords", "Pair", "Pronoun", "Question", "Row", "Text"]

Span = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Text:
    """A text and its class.

    Attributes:
        id: what the file calls the row, or its number, from 0 on.
        text: the text.
        label: one of the task's labels; None where the file has none, as in test sets.
    """

    id: str
    text: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts and what they are to each other.

    Attributes:
        id, label: as those of a `Text`.
        first, second: the texts, a premise and a hypothesis where the task is inference.
    """

    id: str
    first: str
    second: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Pronoun:
    """A text, a noun and a pronoun in it; "true" if the pronoun means the noun.

    Attributes:
        id, text, label: as those of a `Text`.
        noun, pronoun: (start, end) in the text, the end exclusive.
    """

    id: str
    text: str
    noun: tuple[int, int]
    pronoun: tuple[int, int]
    label: str | None = None

    def marked(self, noun: tuple[str, str] = ("_", "_"), pronoun: tuple[str, str] = ("[", "]")) -> str:
        """Return the text with signs around both, as CLUE scripts feed it.

        Args:
            noun, pronoun: what is put before and after each of the two.
        """
        text = self.text
        # From the back, so that what is put in moves nothing that is still to come.
        for (start, end), (before, after) in sorted(((self.noun, noun), (self.pronoun, pronoun)), reverse=True):
            text = text[:start] + before + text[start:end] + after + text[end:]
        return text


@dataclass(frozen=True, slots=True)
class Keywords:
    """An abstract and words that may be its keywords; "1" if all of them are.

    Attributes:
        id, label: as those of a `Text`.
        text: the abstract.
        keywords: the words.
    """

    id: str
    text: str
    keywords: tuple[str, ...]
    label: str | None = None

    def joined(self, separator: str = "；") -> str:
        """Return the keywords as one text."""
        return separator.join(self.keywords)


@dataclass(frozen=True, slots=True)
class Choice:
    """A question about a passage, with answers of which one is right.

    Attributes:
        id: of the question.
        passage: its lines, those of a dialogue with their speakers.
        question, choices: the texts; a question has two to four choices.
        answer: index of the right choice; None where the file has none.
        group: number of the passage in its file; questions about one passage share it.
    """

    id: str
    passage: tuple[str, ...]
    question: str
    choices: tuple[str, ...]
    answer: int | None = None
    group: int = 0


@dataclass(frozen=True, slots=True)
class Blank:
    """A place in a text that one of some idioms fills.

    Attributes:
        id: of the blank.
        before, after: the text on both sides; other blanks in it are marked by `BLANK`.
        candidates: the idioms.
        answer: index of the right one; None where the file has none.
        group: number of the line in its file: the blanks of a line share their candidates, and none is used twice.
    """

    id: str
    before: str
    after: str
    candidates: tuple[str, ...]
    answer: int | None = None
    group: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and where it begins in the context: None if it does not stand there word by word."""

    text: str
    start: int | None


@dataclass(frozen=True, slots=True)
class Question:
    """A question that a piece of a text answers.

    Attributes:
        id: of the question.
        question, context: the texts.
        answers: the reference answers, none in test sets.
    """

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class Entities:
    """A text and the entities in it.

    Attributes:
        id, text: as those of a `Text`.
        spans: (start, end, type) in order, the end exclusive; None where the file has none.
    """

    id: str
    text: str
    spans: tuple[Span, ...] | None = None


Row = Text | Pair | Pronoun | Keywords | Choice | Blank | Question | Entities
