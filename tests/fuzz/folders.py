"""Whole models, configurations and vocabularies for the fuzzers, and what reads them."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.mutations import mutated_bytes, mutated_text

Files = dict[str, bytes]
GOLDEN = Path(__file__).parent.parent / "golden"
TEXTS = ("我爱北京 hello ##ing", "[MASK] É\u0301 😀", "")


@functools.cache
def toy_model() -> Any:
    """Return a model of a dozen numbers."""
    import keras

    from bert4keras2.training.model import Model

    x = keras.Input((3,))
    return Model(x, keras.layers.Dense(2, name="b")(keras.layers.Dense(2, name="a")(x)))


def load_into_model(folder: Path) -> None:
    """Read a file of weights into the model that it is of."""
    toy_model().load_weights(next(folder.iterdir()))


def load_model(folder: Path) -> None:
    """Read a file of a whole model."""
    from bert4keras2.training.saving import load_model

    load_model(next(folder.iterdir()))


def config_seeds(folder: Path) -> list[Files]:
    """Configurations of each family and dialect."""
    cases = ("bert_encoder", "roformer_v2_mlm", "gpt2", "t5", "albert", "electra", "gau_alpha", "nezha")
    found = [path for case in cases for path in sorted((GOLDEN / "models").glob(f"{case}*/config.json"))[:1]]
    seeds = [{"config.json": path.read_bytes()} for path in found]
    spelt = [
        {"model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 2, "n_ctx": 8, "vocab_size": 20},
        {"model_type": "t5", "d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2, "vocab_size": 20,
         "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "architectures": ["T5EncoderModel"]},
        {"model_type": "xlm-roberta", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
         "intermediate_size": 16, "vocab_size": 20, "pad_token_id": 1, "max_position_embeddings": 10,
         "type_vocab_size": 1, "layer_norm_eps": 1e-5, "hidden_act": "gelu", "hidden_dropout_prob": 0.1},
    ]  # fmt: skip
    return seeds + [{"config.json": json.dumps(content).encode()} for content in spelt]


def change_json(random: Random, files: Files) -> Files:
    """Change a JSON file."""
    name = random.choice(sorted(files))
    return {**files, name: mutated_text(random, files[name])}


def use_config(folder: Path) -> None:
    """Build what a configuration describes, without any weights: `Config`, the JSON of both worlds, the family."""
    from bert4keras2.checkpoints.conversion.configuration import spelt_out
    from bert4keras2.checkpoints.folder import find_config
    from bert4keras2.families.config import make_config, of_file, read_config
    from bert4keras2.families.huggingface import implied_by
    from bert4keras2.families.table import FAMILIES, guess_family

    path = folder / "config.json"
    content = read_config(path)
    with of_file(path):
        family = guess_family(content) or "bert"
        stack = {name: value for name, value in implied_by(content).items() if FAMILIES[family].get("stack")}
        make_config(family, {**FAMILIES[family], **stack}, content, {"application": "encoder"})
        spelt_out(content)
    find_config(folder)


def vocabulary_seeds(folder: Path) -> list[Files]:
    """A vocab.txt, a tokenizer.json, vocab.json with merges.txt, a SentencePiece model; with the files beside them."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "我", "爱", "hello", "##ing", "h", "##e", ".", "e"]
    beside = {"tokenizer_config.json": b'{"do_lower_case": true, "tokenizer_class": "BertTokenizer"}'}
    found = [{"vocab.txt": "\n".join(words).encode() + b"\n", **beside}]
    symbols = {token: k for k, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>", "h", "e", "l", "he"])}
    named = {
        "special_tokens_map.json": b'{"bos_token": "<s>", "mask_token": {"content": "<mask>", "lstrip": true}}',
        "added_tokens.json": b'{"<new>": 9}',
    }
    found.append({"vocab.json": json.dumps(symbols).encode(), "merges.txt": b"#version: 0.2\nh e\n", **named})
    whole = {
        "version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                     {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
                     {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
            "special_tokens": {
                token: {"id": token, "ids": [k], "tokens": [token]} for k, token in ((2, "[CLS]"), (3, "[SEP]"))
            },
        },
        "decoder": None,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {word: k for k, word in enumerate(words)}},
    }  # fmt: skip
    found.append({"tokenizer.json": json.dumps(whole).encode(), **beside})
    found.append({"spiece.model": (GOLDEN / "tokenizers" / "sp.model").read_bytes(), **beside})
    return found


def change_vocabulary(random: Random, files: Files) -> Files:
    """Change one of the files."""
    name = random.choice(sorted(files))
    change = mutated_text if name.endswith(".json") and random.random() < 0.9 else mutated_bytes
    return {**files, name: change(random, files[name])}


def use_vocabulary(folder: Path) -> None:
    """Load the tokenizer of a folder, and use it."""
    from bert4keras2.tokenizers import load_tokenizer
    from bert4keras2.tokenizers.truncation import PATTERNS

    tokenizer = load_tokenizer(folder)
    for text in TEXTS:
        tokens = tokenizer.tokenize(text)
        tokenizer.rematch(text, tokens)
        ids, _ = tokenizer.encode(text)
        tokenizer.decode(ids)
    if tokenizer._pattern in PATTERNS:  # others are refused where a pair is asked for
        tokenizer.encode(*TEXTS[:2])
