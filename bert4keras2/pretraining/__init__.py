"""Pre-training: from raw text to a folder that `build_transformer_model` loads.

`pretrain` does what a `PretrainingConfig` says; `python -m bert4keras2 pretrain` is the same as a command.
"""

from bert4keras2.pretraining.config import PretrainingConfig
from bert4keras2.pretraining.corpus import CorpusError
from bert4keras2.pretraining.objectives import OBJECTIVES
from bert4keras2.pretraining.run import pretrain

__all__ = ["OBJECTIVES", "CorpusError", "PretrainingConfig", "pretrain"]
