"""Modules that old scripts import and that are gone: where their names are today, or what to do in their place."""

from __future__ import annotations

__all__ = ["GONE", "GONE_NAMES", "HOMES", "MOVED", "advice_on"]

SESSION = "there are no sessions and graphs: values are there when they are computed; K.function for parts of a model"
PARALLEL = (
    "bert4keras2.models.parallel.data_parallel, or keras.distribution (JAX) and tf.distribute.MirroredStrategy"
    " (TensorFlow)"
)
# Modules of Keras 2 whose names another module has in Keras 3.
MOVED = {
    **{
        f"keras.layers.{part}": "keras.layers"
        for part in [
            "advanced_activations",
            "convolutional",
            "convolutional_recurrent",
            "core",
            "cudnn_recurrent",
            "embeddings",
            "local",
            "merge",
            "noise",
            "normalization",
            "pooling",
            "recurrent",
            "wrappers",
        ]
    },
    **{
        f"keras.optimizers.{part}": "keras.optimizers"
        for part in ["adadelta", "adagrad", "adam", "adamax", "ftrl", "nadam", "optimizer", "rmsprop", "sgd"]
    },
    "keras.callbacks.callbacks": "keras.callbacks",
    "keras.callbacks.tensorboard_v1": "keras.callbacks",
    "keras.callbacks.tensorboard_v2": "keras.callbacks",
    "keras.objectives": "keras.losses",
    "keras.optimizers.legacy": "keras.optimizers",
    "keras.optimizers.schedules.learning_rate_schedule": "keras.optimizers.schedules",
    "keras.utils.data_utils": "keras.utils",
    "keras.utils.generic_utils": "keras.utils",
    "keras.utils.io_utils": "keras.utils",
    "keras.utils.layer_utils": "keras.utils",
    "keras.utils.np_utils": "keras.utils",
    "keras.utils.vis_utils": "keras.utils",
}
# Where else in Keras 3 a name may be, in the order of search.
HOMES = ("keras.layers", "keras.utils", "keras.models", "keras.optimizers", "keras")
# Modules and packages that are gone, by the beginning of their name.
GONE = {
    "keras.engine": "Layer and InputSpec are in keras.layers, Model in bert4keras2.backend",
    "keras.legacy": "gone; see what the imported name was used for",
    "keras.utils.training_utils": PARALLEL,
    "keras.utils.multi_gpu_utils": PARALLEL,
    "keras.backend.tensorflow_backend": SESSION,
    "keras.backend.common": "from bert4keras2.backend import K: K.floatx, K.epsilon and the like",
    "keras.backend.load_backend": "from bert4keras2.backend import K",
    "keras.preprocessing.text": "keras.layers.TextVectorization, or a Tokenizer of bert4keras2.tokenizers",
    "keras.wrappers.scikit_learn": "keras.wrappers.SKLearnClassifier, or the scikeras package",
    "keras.layers.experimental": "the layers are in keras.layers",
    "keras.optimizers.experimental": "the optimizers are in keras.optimizers",
    "keras.mixed_precision.experimental": "keras.mixed_precision.set_global_policy",
    "keras.utils.conv_utils": "private to Keras; write what it computed",
    "keras.utils.tf_utils": "private to Keras; keras.ops has what works on tensors",
    "keras.utils.test_utils": "gone; see what the imported name was used for",
    "keras.estimator": "gone: train with fit",
    "keras.premade": "gone: a Dense layer, or two models added",
    "keras_contrib": "not kept up; bert4keras2.layers has ConditionalRandomField",
    "keras_bert": "build_transformer_model of bert4keras2.models reads the same checkpoints",
    "keras_radam": "not for Keras 3; an optimizer of keras.optimizers or bert4keras2.optimizers with a warm-up",
    "keras_lookahead": "extend_with_lookahead of bert4keras2.optimizers",
    "keras_lr_multiplier": "extend_with_parameter_wise_lr of bert4keras2.optimizers",
    "keras_layer_normalization": "LayerNormalization of keras.layers or bert4keras2.layers",
    "keras_multi_head": "MultiHeadAttention of keras.layers or bert4keras2.layers",
    "keras_position_wise_feed_forward": "FeedForward of bert4keras2.layers",
    "keras_pos_embd": "PositionEmbedding of bert4keras2.layers",
    "keras_embed_sim": "keras.layers.Dense, or keras.ops.matmul with the transposed table",
    "keras_transformer": "build_transformer_model of bert4keras2.models",
    "keras_gpt_2": "build_transformer_model(model='gpt2') of bert4keras2.models",
    "keras_xlnet": "not for Keras 3",
    "keras_self_attention": "keras.layers.Attention or MultiHeadAttention",
    "keras_metrics": "keras.metrics: Precision, Recall, F1Score",
    "keras_preprocessing": "keras.utils.pad_sequences, keras.preprocessing",
    "keras_applications": "keras.applications",
    "crf_layer": "bert4keras2.layers has ConditionalRandomField",
    "tensorflow.contrib": "gone since TensorFlow 2.0; look for the function in keras.ops",
    "tensorflow.examples": "gone since TensorFlow 2.0; keras.datasets has the data",
    "tensorflow.gfile": "tf.io.gfile: tf.io.gfile.GFile, exists, glob",
    "tensorflow.python": "private to TensorFlow; use keras or tensorflow by their public names",
    "tensorflow._api": "private to TensorFlow; use tensorflow by its public names",
    "tensorflow.tools": "gone: export models by keras' model.export",
    "tensorflow.logging": "the module logging of Python",
    "tensorflow.app": "argparse, or the package absl-py",
    "tensorflow_addons": "no longer kept up; keras.layers, keras.metrics and bert4keras2.layers have most of it",
    "tensorflow_estimator": "gone: train with fit",
    # Python
    "ConfigParser": "configparser",
    "HTMLParser": "html.parser",
    "Queue": "queue",
    "StringIO": "io.StringIO",
    "cPickle": "pickle",
    "cStringIO": "io.StringIO",
    "commands": "subprocess",
    "distutils": "gone since Python 3.12: shutil, packaging.version, or str(x).lower() in ('1', 'true', 'yes')",
    "imp": "gone since Python 3.12: importlib",
    "urllib2": "urllib.request",
    "urlparse": "urllib.parse",
    # other packages
    "scipy.misc": "gone: scipy.special has logsumexp, imageio or PIL read images",
    "sklearn.cross_validation": "sklearn.model_selection",
    "sklearn.externals": "import joblib",
    "sklearn.grid_search": "sklearn.model_selection",
    "sklearn.utils.linear_assignment_": "scipy.optimize.linear_sum_assignment",
}
# Names that are gone from modules that are not: {module: {name: what to do}}.
_ABC = "Callable Container Hashable Iterable Iterator Mapping MutableMapping Sequence Set Sized"
GONE_NAMES = {
    "cgi": {"escape": "html.escape"},
    "collections": dict.fromkeys(_ABC.split(), "collections.abc"),
    "fractions": {"gcd": "math.gcd"},
    "inspect": {"getargspec": "inspect.getfullargspec"},
    "itertools": {"izip": "zip", "imap": "map", "ifilter": "filter", "izip_longest": "itertools.zip_longest"},
    "string": {"letters": "string.ascii_letters", "maketrans": "str.maketrans"},
    "time": {"clock": "time.perf_counter"},
}


def advice_on(module: str) -> str | None:
    """Return what to do in place of a module that is gone, or of one below it; None for others."""
    parts = module.split(".")
    beginnings = (".".join(parts[:size]) for size in range(len(parts), 0, -1))
    return next((GONE[name] for name in beginnings if name in GONE), None)
