"""Ways to train: what a step minimises (adversarial training and its relatives), and which weights move how far.

from bert4keras2.training import adversarial_training

model.compile(...)
adversarial_training(model, "Embedding-Token", 0.5)
model.fit(...)
"""

from bert4keras2.old_names import lookup
from bert4keras2.training.adapters import adapters, bitfit
from bert4keras2.training.adversarial import (
    adversarial_training,
    gradient_penalty,
    virtual_adversarial_training,
)
from bert4keras2.training.ascent import free_lb, pgd
from bert4keras2.training.consistency import r_drop
from bert4keras2.training.distillation import distill
from bert4keras2.training.distribute import Distribution, distribute
from bert4keras2.training.entropy import EntropyBonus, knn_entropy
from bert4keras2.training.flooding import flooding
from bert4keras2.training.freezing import LearningShare, freeze_encoder
from bert4keras2.training.lora import lora, lora_ga, merge_lora, unmerge_lora
from bert4keras2.training.mixing import mixup
from bert4keras2.training.peft_folder import load_peft, save_peft
from bert4keras2.training.prefix import p_tuning, prefix_tuning
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
    "adapters",
    "add_loss_transform",
    "adversarial_training",
    "cosent",
    "bitfit",
    "distill",
    "distribute",
    "esimcse",
    "flooding",
    "free_lb",
    "freeze_encoder",
    "gradient_penalty",
    "group_crossentropy",
    "hide_tokens",
    "in_batch_contrastive",
    "knn_entropy",
    "load_peft",
    "load_trainable",
    "lora",
    "lora_ga",
    "matryoshka",
    "merge_lora",
    "normalize_task_gradients",
    "pair_classifier",
    "mixup",
    "p_tuning",
    "pgd",
    "plain_training",
    "prefix_tuning",
    "r_drop",
    "repeat_tokens",
    "save_peft",
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

# Techniques that are rules of optimizers, or models, stand there; they are looked up when first used.
_LAZY = dict.fromkeys(
    ("child_tuning", "find_child", "layerwise_decay", "lora_plus"), "bert4keras2.optimizers.on_models"
) | {"bert_of_theseus": "bert4keras2.models.theseus", "ladder_side_tuning": "bert4keras2.models.ladder"}

__getattr__ = lookup(__name__, _LAZY)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
