"""After the migration each import of a script finds what it names, or has a note."""

from __future__ import annotations

import ast
import importlib
import warnings

import keras
import pytest

from bert4keras2.migrate import migrate_source

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the tool is the same everywhere")

HEAD = "from bert4keras2.snippets import open\n"
# What scripts of some sixty repositories import, and what is gone of Keras 1 and 2, TensorFlow 1 and Python 2.
LINES = """
from bert4keras.models import BERT, RoFormer, ALBERT, NEZHA, GPT2_ML, ELECTRA, Transformer, RoFormerV2, GAU_alpha
from bert4keras.models import build_transformer_model, extend_with_language_model, Model, T5, GPT_OpenAI, LM_Mask
from bert4keras.models import Lambda, Dense, K, keras, Dropout, build_bert_model, T5_Encoder, AttentionCell
from bert4keras.bert import build_bert_model, set_gelu, load_pretrained_model, BertModel
from bert4keras.train import PiecewiseLinearLearningRate
from bert4keras.tokenizer import Tokenizer, load_vocab
from bert4keras.utils import SimpleTokenizer, load_vocab, Tokenizer, pool_map
from bert4keras.tokenizers import Tokenizer, BasicTokenizer, SpTokenizer, is_string, unicodedata
from bert4keras.layers import *
from bert4keras.layers import Layer, Loss, LayerNormalization, Dense, Lambda, K, GroupDense, FactorizedEmbedding
from bert4keras.backend import keras, K, tf, is_string, infinity, recompute_grad, search_layer, piecewise_linear, np
from bert4keras.optimizers import Adam, AdaFactorV1, LAMB, extend_with_lookahead_v2, OptimizerWrapper, K
from bert4keras.snippets import is_py2, groupby, K, keras, uniout, np, ViterbiDecoder, BeamSearch, os, json, nothing
import bert4keras, bert4keras.bert, bert4keras.layers as L
import keras
import keras.layers as L, keras.utils.np_utils as U, keras.preprocessing.text, keras.preprocessing.text as T
import tensorflow as tf, tensorflow.keras.layers as TL, tensorflow.keras
import tensorflow.compat.v1 as tf1
import tensorflow.contrib.keras as kr
import tensorflow.python.keras.backend as KTF
from tensorflow import keras, float32, ConfigProto, Session, set_random_seed, flags
from tensorflow.keras.layers import Input, Dense, CuDNNLSTM, experimental
from tensorflow.keras.preprocessing.text import Tokenizer
from tensorflow.keras.preprocessing.sequence import pad_sequences
from tensorflow.keras.optimizers.schedules import ExponentialDecay
from tensorflow.python.keras.utils import to_categorical
from tensorflow.contrib.crf import crf_log_likelihood
from tensorflow.gfile import GFile
from tensorflow.io.gfile import GFile
from tensorflow.examples.tutorials.mnist import input_data
from keras import backend as K, layers, initializers, activations, objectives, Model, Sequential, Input
from keras import backend, regularizers, constraints, callbacks, optimizers, losses, metrics, utils, models
from keras.backend import tensorflow_backend
from keras.backend.tensorflow_backend import set_session
from keras.backend.common import epsilon
from keras.models import Model, Sequential, load_model, Input, model_from_json, save_model, Graph
from keras.layers import *
from keras.layers import Dense, merge, Merge, CuDNNGRU, MaxoutDense, Masking, AtrousConvolution1D, add, concatenate
from keras.layers.core import Dense, Dropout, Activation, Flatten, Reshape, Permute, Lambda, RepeatVector
from keras.layers.merge import concatenate, add, Concatenate, Add, multiply, dot, average
from keras.layers.recurrent import LSTM, GRU, SimpleRNN, RNN, Recurrent
from keras.layers.embeddings import Embedding
from keras.layers.normalization import BatchNormalization
from keras.layers.normalization.batch_normalization import BatchNormalization
from keras.layers.convolutional import Conv1D, MaxPooling1D, Convolution1D, ZeroPadding1D
from keras.layers.pooling import GlobalMaxPooling1D
from keras.layers.wrappers import TimeDistributed, Bidirectional
from keras.layers.advanced_activations import PReLU, LeakyReLU, ELU
from keras.layers.noise import GaussianNoise
from keras.layers.local import LocallyConnected1D
from keras.engine import Layer, InputSpec
from keras.engine.topology import Layer, get_source_inputs
from keras.engine.training import Model
from keras.legacy import interfaces
from keras.callbacks import Callback, EarlyStopping, ModelCheckpoint, TensorBoard, ReduceLROnPlateau, BaseLogger
from keras.callbacks.callbacks import History
from keras.optimizers import Adam, SGD, Optimizer, TFOptimizer, adam
from keras.optimizers.adam import Adam
from keras.optimizers.legacy import Adam as LegacyAdam
from keras.optimizers.schedules import PolynomialDecay
from keras.losses import mse, categorical_crossentropy, kullback_leibler_divergence as kld, cosine_proximity
from keras.objectives import mean_squared_error
from keras.metrics import categorical_accuracy, sparse_categorical_accuracy, fbeta_score
from keras.initializers import TruncatedNormal, Constant, glorot_uniform, VarianceScaling
from keras.regularizers import l2, L1L2, activity_l2
from keras.utils import to_categorical, np_utils, plot_model, Sequence, multi_gpu_model, get_file, Progbar, vis_utils
from keras.utils.np_utils import to_categorical
from keras.utils.vis_utils import plot_model, model_to_dot
from keras.utils.generic_utils import Progbar, get_custom_objects, CustomObjectScope
from keras.utils.data_utils import get_file, Sequence, OrderedEnqueuer
from keras.utils.training_utils import multi_gpu_model
from keras.utils.multi_gpu_utils import multi_gpu_model
from keras.utils.layer_utils import print_summary
from keras.utils.conv_utils import conv_output_length
from keras.preprocessing.text import Tokenizer, text_to_word_sequence
from keras.preprocessing import sequence, text, image
from keras.preprocessing.sequence import pad_sequences, TimeseriesGenerator
from keras.preprocessing.image import ImageDataGenerator, load_img
from keras.applications import MobileNetV2
from keras.applications.vgg16 import VGG16, preprocess_input
from keras.datasets import imdb, reuters
from keras.wrappers.scikit_learn import KerasClassifier
from keras.activations import softmax, gelu, get
from keras.constraints import max_norm, maxnorm
from keras.nothing import Dense, Something
from keras_contrib.layers import CRF
from keras_bert import load_trained_model_from_checkpoint, Tokenizer
from keras_radam import RAdam
from keras_preprocessing.sequence import pad_sequences
import keras_metrics as km
from tensorflow_addons.layers import CRF
import tensorflow_addons as tfa
import cPickle as pickle, urllib2, ConfigParser, Queue, StringIO
from collections import Iterable, OrderedDict
from itertools import izip, chain
from time import clock, time
from inspect import getargspec
from urllib import request, quote, urlencode
from distutils.util import strtobool
from sklearn.externals import joblib
from sklearn.cross_validation import train_test_split
from scipy.misc import logsumexp
from concurrent import futures
from xml.etree import ElementTree
import surely_not_installed.part as x
""".strip().splitlines()


def failing(text: str) -> list[str]:
    """Return the names that imports of a source do not find, each tried by itself."""
    failed = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                one = ast.unparse(
                    ast.Import([alias]) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, [alias], 0)
                )
                try:
                    exec(one, {})
                except ImportError:
                    failed.append(one)
    return failed


@pytest.mark.parametrize("line", LINES)
def test_every_import_finds_something_or_is_named(line):
    result = migrate_source(HEAD + line + "\n", beside=())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        failed = failing(result.text)
    named = " ".join(note.construct for note in result.notes)
    unnamed = [one for one in failed if "..." not in named and one.split(" as ")[0].split()[-1] not in named]
    assert not unnamed, (result.text, result.notes)


@pytest.mark.parametrize("module", ["backend", "models", "layers", "optimizers", "snippets", "tokenizers", "training"])
def test_public_names_are_not_reported(module):
    here = importlib.import_module(f"bert4keras2.{module}")
    own = [name for name in here.__all__ if name in vars(here)]
    assert own and migrate_source(f"from bert4keras2.{module} import {', '.join(own)}\n").notes == []


@pytest.mark.parametrize(
    "old, new",
    [
        ("from keras.layers.merge import concatenate, add", "from keras.layers import concatenate, add"),
        ("from keras.utils.np_utils import to_categorical", "from keras.utils import to_categorical"),
        ("from keras.utils import np_utils", "from keras import utils as np_utils"),
        ("import keras.utils.np_utils as u", "import keras.utils as u"),
        ("import tensorflow.keras.layers as L", "import keras.layers as L"),
        (
            "from keras.models import Model, Input",
            "from bert4keras2.backend import Model\nfrom keras.layers import Input",
        ),
        (
            "from keras.models import load_model, Input",
            "from keras.layers import Input\nfrom keras.models import load_model",
        ),
        ("from bert4keras.bert import set_gelu", "from bert4keras2.models import set_gelu"),
        ("from keras.optimizers.adam import Adam", "from keras.optimizers import Adam"),
    ],
)
def test_names_that_are_elsewhere_today(old, new):
    result = migrate_source(HEAD + old + "\n", beside=())
    assert result.text == HEAD + new + "\n"
    assert [note for note in result.notes if "set_gelu" not in note.construct] == []


def test_attributes_of_keras():
    source = (
        "import keras\nx = keras.preprocessing.text.Tokenizer()\ny = keras.layers.Dense(1)\nz = keras.backend.mean(x)\n"
    )
    (note,) = migrate_source(HEAD + source).notes
    assert (note.line, note.construct) == (3, "keras.preprocessing.text") and "TextVectorization" in note.replacement


def test_a_module_beside_the_script_is_no_package():
    line = "import crf_layer, my_data\n"
    assert {note.construct for note in migrate_source(HEAD + line, beside=()).notes} == {
        "import crf_layer",
        "import my_data",
    }
    assert migrate_source(HEAD + line, beside=("crf_layer", "my_data")).notes == []


def test_callbacks_that_set_their_model():
    source = "from keras.callbacks import Callback, EarlyStopping\nclass E(Callback):\n    def __init__(self, m):\n"
    for body, ours in (("self.model = m", True), ("self.best = m", False)):
        text = migrate_source(f"{HEAD}{source}        {body}\n").text
        assert ("from bert4keras2.training.callbacks import Callback\n" in text) is ours
        compile(text, "script", "exec")


def test_scripts_that_are_prepared():
    guarded = "try:\n    import cPickle as pickle, not_installed\nexcept ImportError:\n    import pickle\n"
    assert migrate_source(HEAD + guarded, beside=()).notes == []
