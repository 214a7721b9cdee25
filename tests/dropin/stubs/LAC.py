"""Stands in for the segmenter LAC, which needs PaddlePaddle: the same interface, by jieba."""

import jieba

__all__ = ["LAC"]


class LAC:
    """Cuts a text into words."""

    def __init__(self, mode="seg", **kwargs):
        self.mode = mode

    def run(self, texts):
        """Return the words of a text, or of each of a list."""
        return jieba.lcut(texts) if isinstance(texts, str) else [jieba.lcut(text) for text in texts]
