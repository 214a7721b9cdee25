"""What models are pre-trained on: `OBJECTIVES` by the names that configurations use."""

from bert4keras2.pretraining.objectives.base import Objective, Setup
from bert4keras2.pretraining.objectives.causal import CausalLanguageModel, PrefixLanguageModel
from bert4keras2.pretraining.objectives.electra import ReplacedTokens
from bert4keras2.pretraining.objectives.mlm import MaskedLanguageModel
from bert4keras2.pretraining.objectives.pairs import NextSentence, SentenceOrder
from bert4keras2.pretraining.objectives.simbert import SimBERT
from bert4keras2.pretraining.objectives.t5_pegasus import PseudoSummary

__all__ = ["OBJECTIVES", "Objective", "Setup"]

OBJECTIVES: dict[str, type[Objective]] = {
    kind.name: kind
    for kind in (
        MaskedLanguageModel,
        NextSentence,
        SentenceOrder,
        CausalLanguageModel,
        PrefixLanguageModel,
        SimBERT,
        PseudoSummary,
        ReplacedTokens,
    )
}
