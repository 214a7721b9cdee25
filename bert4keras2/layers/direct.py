"""Layers that are called with fewer steps of Python on PyTorch.

There each call of a Keras layer looks through its arguments, opens scopes and sets attributes, which takes a quarter of
a millisecond. A model of 12 blocks has 150 layers with those within layers, which is as much as the products of one
short text take. Where nothing of it can matter, `call` is called at once; in all other cases Keras does as ever.
"""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.functional import keras_private
from bert4keras2.functional.functions import ON_TORCH
from bert4keras2.functional.prepared import packing_of_text, prepared, product, state_of

__all__ = ["DirectCalls", "InnerDense", "is_plain", "is_plain_list", "usual_type"]

# Types that layers compute in when they are called directly, casting weights, which are float32, where they use them.
TYPES = ("float32", "bfloat16", "float16")


def is_plain(tensor: Any, dtype: str) -> bool:
    """Whether a value is a tensor of PyTorch of a type, of no subclass, in code that is run and not traced."""
    if not ON_TORCH:
        return False
    import torch

    return type(tensor) is torch.Tensor and tensor.dtype is getattr(torch, dtype) and not torch.compiler.is_compiling()


def usual_type(layer: Any) -> str | None:
    """Return the type that a layer computes in; None unless it does what its class says, and nothing else is done.

    This is asked hundreds of times for each token.
    """
    policy = layer.dtype_policy
    if type(policy) is not keras.DTypePolicy or not layer.built or policy.variable_dtype != "float32":
        return None
    if "call" in vars(layer) or policy.quantization_mode is not None or keras_private.asks_for_more(layer):
        return None
    dtype = policy.compute_dtype
    # Within a model that computes in fewer bits, Keras has variables cast, but not those of a float32 layer.
    unclear = dtype not in TYPES or (dtype == "float32" and keras_private.variables_are_cast())
    return None if unclear else dtype


class DirectCalls:
    """`__call__` of layers whose class says in its own body, by `direct_call`, that it may be left out on PyTorch."""

    #: Not inherited: a subclass may have another `call`.
    direct_call = False
    #: Whether `call` does something with `training`, which a layer that is called by Keras is told.
    direct_training = False

    def called_directly(self, args: tuple[Any, ...], kwargs: dict[str, Any], dtype: str) -> bool:
        """Return whether arguments of a call ask for nothing but `call`: one tensor here.

        Args:
            args: by position.
            kwargs: by name, without `training`, which such layers do nothing with.
            dtype: the type that the layer computes in.
        """
        return len(args) == 1 and not kwargs and is_plain(args[0], dtype)

    def directly(self, *args: Any, **kwargs: Any) -> Any:
        """Return what `call` does for what `called_directly` let through; for those that then have less to look at."""
        return self.call(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not ON_TORCH or not vars(type(self)).get("direct_call"):
            return super().__call__(*args, **kwargs)
        function = prepared(self)
        if function is not None and len(args) == 1 and not kwargs and keras_private.torch_mask(args[0]) is None:
            output = function(args[0])
            if output is not None:
                return output
        dtype = usual_type(self)
        given = {name: value for name, value in kwargs.items() if name != "training"} if kwargs else {}
        if dtype is None or not self.called_directly(args, given, dtype):
            return super().__call__(*args, **kwargs)
        if self.direct_training:
            training = kwargs.get("training")
            training = keras_private.training_now() if training is None else training
            if training is not None and not isinstance(training, bool):
                return super().__call__(*args, **kwargs)
            given["training"] = bool(training)
        output = self.directly(*args, **given)
        inputs = args[0]
        several = isinstance(inputs, list | tuple)
        masks = [keras_private.torch_mask(x) for x in inputs] if several else keras_private.torch_mask(inputs)
        mask = self.compute_mask(inputs, masks)
        if mask is not None:  # of several outputs, such as a cache beside it, the first one's
            keras_private.with_torch_mask(output[0] if isinstance(output, tuple) else output, mask)
        return output


class InnerDense(keras.layers.Dense):
    """A Dense layer within another layer."""

    # What its weights were, and the product that was made of them.
    _product: tuple[Any, Any] = (None, None)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        function = None if args or kwargs else prepared(self)
        output = None if function is None else function(inputs)
        if output is not None:
            return output if self.activation is None else self.activation(output)
        dtype = None if args or kwargs or self.lora_enabled or not ON_TORCH else usual_type(self)
        if dtype is None or not is_plain(inputs, dtype):
            return super().__call__(inputs, *args, **kwargs)
        import torch

        # The product and the bias in one: a pass over the output less than Keras, which adds it afterwards.
        bias = () if self.bias is None else (self.bias,)
        weights = keras_private.torch_values(inputs, keras_private.raw_kernel(self), *bias)
        if dtype != "float32":
            weights = [weight.to(inputs.dtype) for weight in weights]
        output = None if dtype != "float32" or torch.is_grad_enabled() else self._packed(inputs, *weights)
        output = torch.nn.functional.linear(inputs, weights[0].t(), *weights[1:]) if output is None else output
        return output if self.activation is None else self.activation(output)

    def _packed(self, inputs: Any, kernel: Any, *bias: Any) -> Any:
        """Return the product of one text by a packed copy of the matrix, where that is faster; else None."""
        packing = packing_of_text()
        if packing is None or inputs.numel() > packing.most * kernel.shape[0] or kernel.numel() < packing.weights:
            return None
        state, function = self._product
        found = [state_of(weight) for weight in (kernel, *bias)]
        if state != found:
            function = product(kernel.detach().t(), *(weight.detach() for weight in bias), packing=packing)
            self.__dict__["_product"] = (found, function)  # where neither Keras nor PyTorch looks for parts
        return function(inputs)


def is_plain_list(value: Any, dtype: str) -> bool:
    """Whether a value is a list of tensors of a type that `DirectCalls` takes."""
    return isinstance(value, list | tuple) and all(is_plain(part, dtype) for part in value)
