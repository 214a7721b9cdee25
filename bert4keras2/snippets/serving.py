"""A function as a web service: `WebServing`, on bottle (the extra `serving`)."""

from __future__ import annotations

import inspect
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from bert4keras2.snippets.requests import BadRequest, sent_by

__all__ = ["WebServing"]

logger = logging.getLogger(__name__)
# What the field "code" of an answer says.
SUCCEEDED, WRONG_ARGUMENT, FAILED, REFUSED = 0, 1, 2, 3


class WebServing:
    """Serve Python functions over HTTP, with answers in JSON: {"code": 0, "desc": "succeeded", "data": result}.

    Errors are JSON too: code 1 and status 400 where an argument lacks or is wrong, code 2 and status 500 where the
    function fails, code 3 where there is no such page or method (status 404 or 405). "/" answers with what is served.
    Functions run one at a time, whatever the number of clients, as models want it. There is no encryption and no
    log-in: other computers should reach it through a proxy only.

    Args:
        host: the address to listen on; this computer alone by default, "0.0.0.0" for all networks.
        port: the port; 0 for one that is free.
        server: a server that bottle knows by name ("waitress", "paste", ...); the standard library's if None.

    Raises:
        ImportError: if bottle is not installed.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 8000, server: str | None = None):
        try:
            import bottle
        except ImportError as error:
            raise ImportError("WebServing needs bottle: pip install 'bert4keras2[serving]'") from error
        self.host, self.port, self.server = host, port, server
        self.bottle = bottle
        self.app = bottle.Bottle()
        self.app.default_error_handler = self._error_page
        self._lock = threading.Lock()
        self._routes: list[dict[str, Any]] = []
        self.app.route("/", callback=self._index)

    def route(
        self,
        path: str,
        func: Callable[..., Any],
        arguments: dict[str, tuple[Callable[[Any], Any] | None, bool]],
        method: str = "GET",
    ) -> None:
        """Serve a function at a path; a later one takes the place of an earlier one, that of "/" included.

        Args:
            path: such as "/similarity".
            func: called with the arguments by keyword; returns what JSON can hold, arrays included.
            arguments: {name: (convert, required)}: `convert` makes a value of the string that was sent, None leaves it.
            method: "GET", "POST", or another; POST takes forms and JSON objects.

        Raises:
            TypeError: if the function does not take the arguments.
            ValueError: if `path` or `arguments` is malformed.
        """
        if not path.startswith("/"):
            raise ValueError(f"path={path!r} must begin with '/', such as '/{path}'")
        for name, value in arguments.items():
            if not (isinstance(value, tuple | list) and len(value) == 2 and (value[0] is None or callable(value[0]))):
                raise ValueError(
                    f"arguments[{name!r}] must be (function or None, whether it is required), got {value!r}"
                )
        try:
            parameters = inspect.signature(func)
        except ValueError:  # some built-in functions do not tell
            parameters = None
        if parameters is not None:
            try:
                parameters.bind_partial(**dict.fromkeys(arguments))
            except TypeError as error:
                raise TypeError(
                    f"{path}: {getattr(func, '__name__', func)}{parameters} and arguments: {error}"
                ) from error

        def answer() -> bytes:
            status, body = self._answer(func, arguments)
            self.bottle.response.status = status
            return self._encode(body)

        self.app.route(path, method=method.upper(), callback=answer)
        needs = {name: "required" if required else "optional" for name, (_, required) in arguments.items()}
        same = [one for one in self._routes if (one["path"], one["method"]) == (path, method.upper())]
        self._routes = [one for one in self._routes if one not in same]
        self._routes.append({"path": path, "method": method.upper(), "arguments": needs})

    def start(self) -> None:
        """Print the address and serve until interrupted.

        Raises:
            OSError: if the port is taken, or the address is none of this computer's.
        """
        if self.server is None:
            from bert4keras2.snippets.server import serve  # the standard library's, which takes a while to import

            serve(self.app, self.host, self.port)
        else:
            print(f"http://{self.host}:{self.port}/", flush=True)
            self.bottle.run(self.app, host=self.host, port=self.port, server=self.server, quiet=True)

    # -- one request -----------------------------------------------------------------------------------------

    def _index(self) -> bytes:
        return self._encode({"code": SUCCEEDED, "desc": "succeeded", "data": {"routes": self._routes}})

    def _answer(self, func: Callable, arguments: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        try:
            given = sent_by(self.bottle.request)
        except BadRequest as error:
            return 400, {"code": WRONG_ARGUMENT, "desc": str(error), "data": {}}
        values = {}
        for name, (convert, required) in arguments.items():
            if name not in given:
                if required:
                    return 400, {"code": WRONG_ARGUMENT, "desc": f'lack of "{name}" argument', "data": {}}
                continue
            try:
                values[name] = given[name] if convert is None else convert(given[name])
            except Exception as error:
                desc = f'wrong "{name}" argument {str(given[name])[:100]!r}: {error}'
                return 400, {"code": WRONG_ARGUMENT, "desc": desc, "data": {}}
        try:
            with self._lock:
                result = func(**values)
            body = {"code": SUCCEEDED, "desc": "succeeded", "data": result}
            self._encode(body)
            return 200, body
        except BadRequest as error:  # the function itself found something wrong with its arguments
            return 400, {"code": WRONG_ARGUMENT, "desc": str(error), "data": {}}
        except Exception as error:
            logger.exception("%s failed", getattr(func, "__name__", func))
            return 500, {"code": FAILED, "desc": str(error) or type(error).__name__, "data": {}}

    def _encode(self, body: dict[str, Any]) -> bytes:
        self.bottle.response.content_type = "application/json; charset=utf-8"
        return json.dumps(body, ensure_ascii=False, default=_plain).encode("utf-8")

    def _error_page(self, error: Any) -> bytes:
        code = WRONG_ARGUMENT if error.status_code == 400 else REFUSED
        if error.status_code == 500:
            code = FAILED
        known = ", ".join(dict.fromkeys(one["path"] for one in self._routes))
        hint = f"; there are {known}" if error.status_code == 404 and known else ""
        return self._encode({"code": code, "desc": f"{error.body}{hint}", "data": {}})


def _plain(value: Any) -> Any:
    """Return arrays, NumPy's numbers and tensors as lists and numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if isinstance(value, set | frozenset):
        return sorted(value)
    if hasattr(value, "__array__"):
        return np.asarray(value).tolist()
    raise TypeError(f"the function returned {type(value).__name__}, which JSON cannot hold")
