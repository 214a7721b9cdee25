"""What all figures need: matplotlib where it is installed, a font that has Chinese characters, files."""

from __future__ import annotations

import functools
import os
import warnings
from typing import Any

from bert4keras2.files import write_beside

__all__ = ["finished", "new_figure", "readable"]

# Families that have Chinese characters, as systems and distributions name them; the first that is installed is taken.
FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "Source Han Sans CN", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans GB", "Heiti SC", "STHeiti",
    "Arial Unicode MS", "Noto Serif CJK SC", "SimSun", "Droid Sans Fallback",
)  # fmt: skip


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure of matplotlib.

    It is bound to no window: a script on a server draws as a notebook does.

    Args:
        width, height: in inches.

    Raises:
        ImportError: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'bert4keras2[plot]'") from error

    class Picture(Figure):
        """A figure that a notebook shows."""

        def _repr_png_(self) -> bytes:
            import io

            file = io.BytesIO()
            self.savefig(file, format="png", dpi=120)
            return file.getvalue()

    return Picture(figsize=(width, height), layout="constrained")


def readable(figure: Any) -> None:
    """Give all texts of a figure a font that has the characters they are made of.

    matplotlib's own has no Chinese ones and draws boxes; where no other is installed, a warning says what to do.
    """
    from matplotlib.text import Text

    texts = [text for text in figure.findobj(Text) if any(ord(character) >= 0x2E80 for character in text.get_text())]
    if not texts:
        return
    font = _chinese_font()
    if font is None:
        warnings.warn(
            "no installed font has Chinese characters, and boxes are drawn in their place: install one, such as Noto"
            " Sans CJK SC (Debian: apt install fonts-noto-cjk), or write an .svg file, whose viewer has its own fonts",
            stacklevel=4,
        )
        return
    for text in texts:
        text.set_fontfamily([font, "DejaVu Sans"])


@functools.cache
def _chinese_font() -> str | None:
    from matplotlib import font_manager

    known = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in FONTS if name in known), None)


def finished(figure: Any, path: str | os.PathLike | None) -> Any:
    """Return a figure with readable texts, after writing it to a file if there is a path.

    Args:
        figure: of `new_figure`.
        path: whose ending says the format: .png, .svg, .pdf or .jpg; None for no file.

    Raises:
        ValueError: for another ending.
        OSError: if the file cannot be written; an old one is untouched.
    """
    readable(figure)
    if path is not None:
        ending = os.path.splitext(os.fspath(path))[1].lower()
        if ending not in (".png", ".svg", ".pdf", ".jpg"):
            raise ValueError(f"path={os.fspath(path)!r} ends with none of .png, .svg, .pdf, .jpg: which format is it?")
        import matplotlib

        # Texts stay texts in SVG, for which whoever looks at it has fonts.
        with matplotlib.rc_context({"svg.fonttype": "none"}):
            write_beside(path, "the picture", ending, lambda partial: figure.savefig(partial, dpi=120))
    return figure
