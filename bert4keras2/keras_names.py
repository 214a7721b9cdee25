"""Names of losses and metrics that Keras 3 has under another name; needs neither Keras nor a backend."""

from __future__ import annotations

__all__ = ["OLD_LOSSES", "RENAMED"]

_LOSSES = {
    "kullback_leibler_divergence": "kl_divergence",
    "kld": "kl_divergence",
    "KLD": "kl_divergence",
    "mse": "mean_squared_error",
    "MSE": "mean_squared_error",
    "mae": "mean_absolute_error",
    "MAE": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "MAPE": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "MSLE": "mean_squared_logarithmic_error",
    "logcosh": "log_cosh",
}
# Names that `compile` took as strings and Keras 3 does not.
OLD_LOSSES = {
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
    "cosine_proximity": "cosine_similarity",
}
# {module: {old name: new name}}
RENAMED: dict[str, dict[str, str]] = {"keras.losses": _LOSSES, "keras.metrics": _LOSSES}
