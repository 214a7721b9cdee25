"""What a client of `WebServing` sent, read whole or refused with a reason."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl

__all__ = ["BadRequest", "sent_by"]

LARGEST = 2**24  # bytes of a body
FORMS = ("", "application/x-www-form-urlencoded")


class BadRequest(Exception):
    """What a client sent cannot be read; the message says why."""


def sent_by(request: Any) -> dict[str, Any]:
    """Return {name: value} of what a client sent by its address and in its body: a form or a JSON object.

    What bottle itself hands out is None where bytes are not UTF-8, and for multipart forms beyond Latin-1.

    Args:
        request: bottle's.

    Raises:
        BadRequest: if something cannot be read, with what and why.
    """
    found = _pairs(request.environ.get("QUERY_STRING") or "", "utf-8", "address")
    kind, charset = _content_type(request.environ.get("CONTENT_TYPE") or "")
    if kind.startswith("multipart/"):
        found |= _multipart(request)
    elif body := _read(request):
        found |= _body(body, kind, charset)
    try:
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise BadRequest("a text holds half of a character (a surrogate alone): send whole ones") from None
    # An argument that is null was not sent.
    return {name: value for name, value in found.items() if value is not None}


def _read(request: Any) -> bytes:
    try:
        if request.content_length > LARGEST:
            raise BadRequest(f"the body has {request.content_length} bytes, and more than {LARGEST} are not taken")
        return request.body.read(LARGEST)
    except BadRequest:
        raise
    except Exception as error:  # a length that is no number, a wrong chunk, a client that fell silent
        raise BadRequest(f"the body cannot be read: {_words(error)}") from None


def _body(body: bytes, kind: str, charset: str) -> dict[str, Any]:
    if kind == "application/json":
        text = _text(body, charset, "JSON")
        try:
            sent = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"the body is no JSON: {error}") from None
        if not isinstance(sent, dict):
            raise BadRequest(f'the JSON that was sent must be an object, {{"name": value}}, not {text[:40]!r}')
        return sent
    if kind not in FORMS:
        raise BadRequest(f"a body of the type {kind!r} is not understood: send a form, or application/json")
    if body.lstrip().startswith((b"{", b"[")):
        raise BadRequest("the body looks like JSON, but says that it is a form: send Content-Type: application/json")
    return _pairs(body.decode("latin-1"), charset, "form")


def _multipart(request: Any) -> dict[str, Any]:
    try:
        found = dict(request.forms.allitems())
        for name, file in request.files.allitems():  # a file counts by its content: curl -F text=@file.txt
            found[name] = _text(file.file.read(LARGEST), "utf-8", f"file {name!r}")
        return found
    except BadRequest:
        raise
    except UnicodeError:
        raise BadRequest("a part of the form is not UTF-8 text (GBK?): send UTF-8") from None
    except Exception as error:  # of bottle: no boundary, no end, too much
        raise BadRequest(f"the form cannot be read: {_words(error)}") from None


def _pairs(text: str, charset: str, where: str) -> dict[str, Any]:
    """Return the names and values of an address or a form whose bytes stand as characters, as WSGI has them."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, encoding="latin-1")
        decoded = [[part.encode("latin-1") for part in pair] for pair in pairs]
    except ValueError as error:
        raise BadRequest(f"the {where} cannot be read: {error}") from None
    return {_text(name, charset, where): _text(value, charset, where) for name, value in decoded}


def _text(value: bytes, charset: str, where: str) -> str:
    try:
        return value.decode(charset)
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"the {where} holds byte {value[error.start]:#04x}, which is not {charset.upper()} text (GBK?): send UTF-8,"
            " or name the charset of a body in its Content-Type"
        ) from None
    except LookupError:
        raise BadRequest(f"the {where}: there is no charset {charset!r}") from None


def _content_type(header: str) -> tuple[str, str]:
    """Return the type, in lower case, and the charset of a Content-Type."""
    kind, _, rest = header.partition(";")
    charset = re.search(r"charset\s*=\s*\"?([\w.:-]+)", rest, re.IGNORECASE)
    return kind.strip().lower(), charset[1].lower() if charset else "utf-8"


def _words(error: Exception) -> str:
    return str(getattr(error, "body", None) or error or type(error).__name__)
