"""Layers that are called with fewer steps of Python on PyTorch.

There each call of a Keras layer looks through its arguments, opens scopes and sets attributes, which takes a quarter of
a millisecond. A model of 12 blocks has 150 layers with those within layers, which is as much as the products of one
short text take. Where nothing of it can matter, `call` is called at once; in all other cases Keras does as ever.
"""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.functional import keras_private
from bert4keras2.functional.narrow import narrow_product

__all__ = ["DirectCalls", "InnerDense", "is_plain", "is_plain_list"]

# Asked once: what stands here runs hundreds of times for each token.
ON_TORCH = keras.backend.backend() == "torch"
# Types that layers compute in when they are called directly, casting weights, which are float32, where they use them.
TYPES = ("float32", "bfloat16", "float16")


def is_plain(tensor: Any, dtype: str) -> bool:
    """Whether a value is a tensor of PyTorch of a type, of no subclass, in code that is run and not traced."""
    if not ON_TORCH:
        return False
    import torch

    return type(tensor) is torch.Tensor and tensor.dtype is getattr(torch, dtype) and not torch.compiler.is_compiling()


def _is_usual(layer: Any, dtype: str) -> bool:
    """Whether a layer computes what its class says, and nothing is done about it elsewhere."""
    policy = layer.dtype_policy
    return (
        layer.built
        and policy.variable_dtype == "float32"
        and policy.quantization_mode is None
        and "call" not in vars(layer)
        and not keras_private.asks_for_more(layer)
        # Within a model that computes in fewer bits, Keras has variables cast, but not those of a float32 layer.
        and (dtype != "float32" or not keras_private.variables_are_cast())
    )


class DirectCalls:
    """`__call__` of layers whose class says in its own body, by `direct_call`, that it may be left out on PyTorch."""

    #: Not inherited: a subclass may have another `call`.
    direct_call = False
    #: Whether `call` does something with `training`, which a layer that is called by Keras is told.
    direct_training = False

    def called_directly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Return whether arguments of a call ask for nothing but `call`: one tensor here.

        Args:
            args: by position.
            kwargs: by name, without `training`, which such layers do nothing with.
        """
        return len(args) == 1 and not kwargs and is_plain(args[0], self.compute_dtype)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not ON_TORCH or not vars(type(self)).get("direct_call"):
            return super().__call__(*args, **kwargs)
        dtype = self.compute_dtype
        given = {name: value for name, value in kwargs.items() if name != "training"} if kwargs else {}
        if dtype not in TYPES or not self.called_directly(args, given) or not _is_usual(self, dtype):
            return super().__call__(*args, **kwargs)
        if self.direct_training:
            training = kwargs.get("training")
            training = keras_private.training_now() if training is None else training
            if training is not None and not isinstance(training, bool):
                return super().__call__(*args, **kwargs)
            given["training"] = bool(training)
        output = self.call(*args, **given)
        inputs = args[0]
        several = isinstance(inputs, list | tuple)
        masks = [keras_private.torch_mask(x) for x in inputs] if several else keras_private.torch_mask(inputs)
        mask = self.compute_mask(inputs, masks)
        if mask is not None:  # of several outputs, such as a cache beside it, the first one's
            keras_private.with_torch_mask(output[0] if isinstance(output, tuple) else output, mask)
        return output


class InnerDense(keras.layers.Dense):
    """A Dense layer within another layer."""

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        dtype = self.compute_dtype
        usual = not args and not kwargs and is_plain(inputs, dtype)
        if not usual or self.lora_enabled or not _is_usual(self, dtype):
            return super().__call__(inputs, *args, **kwargs)
        import torch

        narrow = narrow_product(self, inputs)
        if narrow is not None:
            output = narrow if self.bias is None else narrow + self.bias.value.to(inputs.dtype)
            return output if self.activation is None else self.activation(output)
        # The product and the bias in one: a pass over the output less than Keras, which adds it afterwards.
        weights = (
            (keras_private.raw_kernel(self),) if self.bias is None else (keras_private.raw_kernel(self), self.bias)
        )
        kernel, *bias = (value.to(inputs.dtype) for value in keras_private.torch_values(inputs, *weights))
        output = torch.nn.functional.linear(inputs, kernel.t(), *bias)
        return output if self.activation is None else self.activation(output)


def is_plain_list(value: Any, dtype: str) -> bool:
    """Whether a value is a list of tensors of a type that `DirectCalls` takes."""
    return isinstance(value, list | tuple) and all(is_plain(part, dtype) for part in value)
