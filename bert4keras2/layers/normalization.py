"""Scale and offset, and layer normalization with all its variants."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.functional import keras_private
from bert4keras2.layers.base import (
    Layer,
    activation_config,
    get_activation,
    register,
    resolve_activation,
    serialize_initializer,
)
from bert4keras2.layers.direct import is_plain
from bert4keras2.old_names import take_old_arguments

__all__ = ["LayerNormalization", "ScaleOffset"]


@register
class ScaleOffset(Layer):
    """Multiply by a learnt scale and add a learnt offset, both optionally shifted by a condition.

    With a condition c (Su Jianlin, kexue.fm/archives/7124): gamma + W_g c and beta + W_b c, where W_g and W_b start
    at zero, so an untrained condition changes nothing.

    Args:
        scale: True for a weight `gamma`, a number for a constant, False for none.
        offset: True for a weight `beta`, a number for a constant, False for none.
        conditional: take a condition of shape (B, D) as second input.
        hidden_units: width of a projection of the condition first; None for none.
        hidden_activation: activation of that projection.
        hidden_initializer: initializer of that projection.
    """

    direct_call = True

    def __init__(
        self,
        scale: bool | float = True,
        offset: bool | float = True,
        conditional: bool = False,
        hidden_units: int | None = None,
        hidden_activation: Any = "linear",
        hidden_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.scale, self.offset, self.conditional = scale, offset, conditional
        self.hidden_units = hidden_units
        self.hidden_activation = resolve_activation(hidden_activation)
        self.hidden_initializer = keras.initializers.get(hidden_initializer)

    def build(self, x_shape, condition_shape=None):
        if isinstance(x_shape[0], tuple | list):
            x_shape, condition_shape = x_shape
        width = x_shape[-1]
        # Beta before gamma: the order of Keras 2 weight files.
        if self.offset is True:
            self.beta = self.add_weight(name="beta", shape=(width,), initializer="zeros")
        if self.scale is True:
            self.gamma = self.add_weight(name="gamma", shape=(width,), initializer="ones")
        if self.conditional:
            if condition_shape is None:
                raise ValueError(f"{self.name} is conditional: call it with [x, condition] or condition=...")
            condition_width = condition_shape[-1]
            if self.hidden_units is not None:
                self.hidden_dense = self.dense(
                    "hidden_dense",
                    self.hidden_units,
                    condition_width,
                    activation=get_activation(self.hidden_activation),
                    use_bias=False,
                    kernel_initializer=self.hidden_initializer,
                )
                condition_width = self.hidden_units
            zeros = {"use_bias": False, "kernel_initializer": "zeros"}
            if self.offset is not False:
                self.beta_dense = self.dense("beta_dense", width, condition_width, **zeros)
            if self.scale is not False:
                self.gamma_dense = self.dense("gamma_dense", width, condition_width, **zeros)
        self.built = True

    def call(self, x, condition=None):
        """Return x * gamma + beta for x (B, ..., C) and, if conditional, condition (B, D) or (B, ..., D)."""
        if isinstance(x, list | tuple):
            x, condition = x
        gamma, beta = self._gamma_beta(x, condition)
        if gamma is not None:
            x = x * gamma
        return x if beta is None else x + beta

    def _gamma_beta(self, x, condition):
        gamma = self._constant(self.scale, "gamma", x.dtype)
        beta = self._constant(self.offset, "beta", x.dtype)
        if self.conditional:
            if self.hidden_units is not None:
                condition = self.hidden_dense(condition)
            for _ in range(len(x.shape) - len(condition.shape)):
                condition = ops.expand_dims(condition, 1)
            if beta is not None:
                beta = beta + ops.cast(self.beta_dense(condition), x.dtype)
            if gamma is not None:
                gamma = gamma + ops.cast(self.gamma_dense(condition), x.dtype)
        return gamma, beta

    def _constant(self, option: bool | float, name: str, dtype):
        """Return the weight, the constant or None for an option."""
        if option is False:
            return None
        if option is True:
            return ops.cast(getattr(self, name), dtype)
        return ops.cast(option, dtype)

    def compute_mask(self, x, previous_mask=None):
        return previous_mask[0] if isinstance(previous_mask, list | tuple) else previous_mask

    def compute_output_shape(self, x_shape, condition_shape=None):
        return x_shape[0] if isinstance(x_shape[0], tuple | list) else x_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "scale": self.scale,
            "offset": self.offset,
            "conditional": self.conditional,
            "hidden_units": self.hidden_units,
            "hidden_activation": activation_config(self.hidden_activation),
            "hidden_initializer": serialize_initializer(self.hidden_initializer),
        }


@register
class LayerNormalization(ScaleOffset):
    """Normalise the last axis, then scale and shift (Ba et al., arXiv:1607.06450), optionally by a condition.

    Args:
        zero_mean: subtract the mean; False gives root-mean-square normalization (arXiv:1910.07467).
        unit_variance: divide by the deviation.
        epsilon: added to the variance.
        **kwargs: those of `ScaleOffset`.
    """

    direct_call = True

    def __init__(self, zero_mean: bool = True, unit_variance: bool = True, epsilon: float | None = None, **kwargs: Any):
        super().__init__(**take_old_arguments("LayerNormalization", kwargs), **kwargs)
        self.zero_mean, self.unit_variance = zero_mean, unit_variance
        self.epsilon = 1e-12 if epsilon is None else epsilon

    def call(self, x, condition=None):
        """Return the normalised x (B, ..., C); moments are computed in float32."""
        if isinstance(x, list | tuple):
            x, condition = x
        if is_plain(x, self.compute_dtype) and self._is_classic():
            return self._classic(x)
        dtype = x.dtype
        x = ops.cast(x, "float32")
        gamma, beta = self._gamma_beta(x, condition)
        return ops.cast(self._normalize(x, gamma, beta), dtype)

    def directly(self, x):
        """Return the normalised x, a plain tensor."""
        return self._classic(x) if self._is_classic() else self.call(x)

    def _classic(self, x):
        own = [*([self.gamma] if self.scale else []), *([self.beta] if self.offset else [])]
        found = [value.float() for value in keras_private.torch_values(x, *own)]
        beta = found.pop() if self.offset else None
        return self._normalize(x.float(), found[0] if found else None, beta).to(x.dtype)

    @property
    def is_standard(self) -> bool:
        """Whether the last axis gets mean 0, deviation 1 and two weights of its own, and nothing else."""
        return self._is_classic() and self.zero_mean and bool(self.scale and self.offset)

    def _is_classic(self) -> bool:
        """Whether there are a deviation, with a mean and two weights at most, so that nothing has to be looked up."""
        weights = isinstance(self.scale, bool) and isinstance(self.offset, bool) and not self.conditional
        return weights and self.unit_variance and (self.zero_mean or not self.offset)

    def _normalize(self, x, gamma, beta):
        plain = all(part is None or len(part.shape) == 1 for part in (gamma, beta))
        if keras.backend.backend() == "torch" and plain and self.unit_variance and (self.zero_mean or beta is None):
            from torch.nn import functional

            if self.zero_mean:
                return functional.layer_norm(x, x.shape[-1:], gamma, beta, self.epsilon)
            return functional.rms_norm(x, x.shape[-1:], gamma, self.epsilon)
        if self.zero_mean:
            x = x - ops.mean(x, axis=-1, keepdims=True)
        if self.unit_variance:
            scale = ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + self.epsilon)
            x = x * (scale if gamma is None else scale * gamma)
        elif gamma is not None:
            x = x * gamma
        return x if beta is None else x + beta

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "zero_mean": self.zero_mean,
            "unit_variance": self.unit_variance,
            "epsilon": self.epsilon,
        }
