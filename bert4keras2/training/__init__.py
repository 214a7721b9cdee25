"""Ways to train that change what a step minimises: adversarial training and its relatives.

from bert4keras2.training import adversarial_training

model.compile(...)
adversarial_training(model, "Embedding-Token", 0.5)
model.fit(...)
"""

from bert4keras2.training.adversarial import (
    adversarial_training,
    gradient_penalty,
    plain_training,
    virtual_adversarial_training,
)

__all__ = ["adversarial_training", "gradient_penalty", "plain_training", "virtual_adversarial_training"]
