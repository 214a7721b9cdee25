"""The folder that stands for the disks of those who wrote the scripts: data sets and tiny checkpoints."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.dropin.checkpoints import PACKAGES, write_package, write_weights
from tests.dropin.data_clue import write_clue
from tests.dropin.data_others import write_others
from tests.dropin.data_tasks import write_beside, write_home, write_tasks

__all__ = ["World"]


class World:
    """Data and checkpoints under one folder; what is there already is not written again.

    Args:
        folder: where to.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        # Two folders stand for /root: with models of all their blocks, and with the same cut to two.
        self.roots = {"full": folder / "full" / "root", "short": folder / "short" / "root"}
        self.home, self.bucket, self.datasets = folder / "home", folder / "bucket", folder / "datasets"
        self.others = folder / "others"

    def write(self, sources: Iterable[str]) -> None:
        """Write the data, and the checkpoints whose names the scripts' sources mention."""
        done = self.folder / "data_is_complete"
        if not done.exists():
            root = self.roots["full"]
            write_clue(root / "clue/datasets")
            write_clue(root / "CLUE-master/baselines/CLUEdataset")
            write_tasks(root)
            write_home(self.home)
            write_beside(self.datasets)
            write_others(self.others)
            self.roots["short"].mkdir(parents=True, exist_ok=True)
            for path in root.iterdir():
                target = self.roots["short"] / path.name
                if path.name != "kg":
                    target.symlink_to(path)
            (self.roots["short"] / "kg").mkdir()
            (self.roots["short"] / "kg/datasets").symlink_to(root / "kg/datasets")
            done.touch()
        text = "\n".join(sources)
        if "spaces_ac_cn" in text:
            text += "chinese_L-12_H-768_A-12"
        for name in PACKAGES:
            if name.removeprefix("wide/") in text or (name == "mt5/mt5_base" and "mt5_base" in text):
                write_package(self.roots, name)
        self._link_home()
        if "roformer.v2.4000.weights" in text:
            config = self.roots["short"] / "kg/bert/chinese_roformer-v2-char_L-6_H-384_A-6/bert_config.json"
            write_weights(config, "roformer_v2", self.folder / "v3c7s/roformer.v2.4000.weights")
        if "corpus.%s.tfrecord" in text:
            _write_records(self.bucket / "xxxx/bert4keras/corpus")

    def _link_home(self) -> None:
        name = "chinese_L-12_H-768_A-12"
        source, target = self.roots["short"] / "kg/bert" / name, self.home / "spaces_ac_cn" / name
        if source.exists() and not target.exists():
            target.symlink_to(source)


def _write_records(folder: Path) -> None:
    """Write corpora of pre-training as TFRecords: rows of 512 ids, and what is masked in them."""
    import numpy as np
    import tensorflow as tf

    generator = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / "saved_model").mkdir(exist_ok=True)
    for part in range(10):
        path = folder / f"corpus.{part}.tfrecord"
        if path.exists():
            continue
        with tf.io.TFRecordWriter(str(path)) as writer:
            for _ in range(8):
                ids = generator.integers(104, 500, 512)
                values = {"token_ids": ids, "mask_ids": np.where(generator.random(512) < 0.15, ids + 1, 0)}
                feature = {
                    key: tf.train.Feature(int64_list=tf.train.Int64List(value=value.tolist()))
                    for key, value in values.items()
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
