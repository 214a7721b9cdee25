"""Ways to train: what a step minimises (adversarial training and its relatives), and which weights move how far.

from bert4keras2.training import adversarial_training

model.compile(...)
adversarial_training(model, "Embedding-Token", 0.5)
model.fit(...)
"""

from bert4keras2.old_names import lookup
from bert4keras2.training.adversarial import (
    adversarial_training,
    gradient_penalty,
    virtual_adversarial_training,
)
from bert4keras2.training.ascent import free_lb, pgd
from bert4keras2.training.consistency import r_drop
from bert4keras2.training.distribute import Distribution, distribute
from bert4keras2.training.entropy import EntropyBonus, knn_entropy
from bert4keras2.training.flooding import flooding
from bert4keras2.training.lora import LearningShare, lora, lora_ga, merge_lora, unmerge_lora
from bert4keras2.training.sentences import (
    cosent,
    esimcse,
    group_crossentropy,
    hide_tokens,
    in_batch_contrastive,
    matryoshka,
    pair_classifier,
    repeat_tokens,
    seq2seq_crossentropy,
    seq2seq_rows,
    simbert,
    simcse,
    similarity_distillation,
    triplet,
)
from bert4keras2.training.small_files import load_trainable, save_trainable
from bert4keras2.training.step import LossTransform, TrainingStep
from bert4keras2.training.task_gradients import normalize_task_gradients
from bert4keras2.training.techniques import add_loss_transform, plain_training

__all__ = [
    "Distribution",
    "EntropyBonus",
    "LearningShare",
    "LossTransform",
    "TrainingStep",
    "add_loss_transform",
    "adversarial_training",
    "cosent",
    "distribute",
    "esimcse",
    "flooding",
    "free_lb",
    "gradient_penalty",
    "group_crossentropy",
    "hide_tokens",
    "in_batch_contrastive",
    "knn_entropy",
    "load_trainable",
    "lora",
    "lora_ga",
    "matryoshka",
    "merge_lora",
    "normalize_task_gradients",
    "pair_classifier",
    "pgd",
    "plain_training",
    "r_drop",
    "repeat_tokens",
    "save_trainable",
    "seq2seq_crossentropy",
    "seq2seq_rows",
    "simbert",
    "simcse",
    "similarity_distillation",
    "triplet",
    "unmerge_lora",
    "virtual_adversarial_training",
]

# Techniques that are rules of optimizers stand there; they are looked up when first used.
_LAZY = dict.fromkeys(
    ("child_tuning", "find_child", "layerwise_decay", "lora_plus"), "bert4keras2.optimizers.on_models"
)

__getattr__ = lookup(__name__, _LAZY)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
