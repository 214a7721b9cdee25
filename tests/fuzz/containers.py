"""Whole files of weights, and changes of them that get past their checksums."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from random import Random

from tests.fuzz.mutations import mutated_bytes, mutated_json, mutated_text

Files = dict[str, bytes]
GOLDEN = Path(__file__).parent.parent / "golden" / "models"
BLOCK = "bert.encoder.layer.{}.attention.self.query.{}"


def _contents(folder: Path) -> Files:
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    for path in folder.iterdir():
        path.unlink()
    return found


def _arrays() -> list[tuple[str, object]]:
    import numpy as np

    rows = np.arange(12, dtype="float32").reshape(3, 4)
    return [
        ("bert.embeddings.word_embeddings.weight", rows),
        ("bert.embeddings.position_embeddings.weight", rows),
        (BLOCK.format(0, "weight"), rows[:, :3].copy()),
        (BLOCK.format(0, "bias"), rows[0, :3].astype("float16")),
        ("ids", np.arange(5)),
        ("flag", np.array(True)),
        ("empty", np.zeros((0, 3), "float64")),
    ]


# -- safetensors, shards -----------------------------------------------------------------------------------------------


def safetensors_seeds(folder: Path) -> list[Files]:
    from bert4keras2.checkpoints import write_safetensors

    write_safetensors(folder / "model.safetensors", _arrays())
    return [_contents(folder)]


def change_safetensors(random: Random, files: Files) -> Files:
    data = files["model.safetensors"]
    if random.random() < 0.4:
        return {"model.safetensors": mutated_bytes(random, data)}
    size = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + size]
    if random.random() < 0.7:
        changed = json.dumps(mutated_json(random, json.loads(header))).encode("utf-8", "surrogatepass")
    else:
        changed = mutated_text(random, header)
    return {"model.safetensors": len(changed).to_bytes(8, "little") + changed + data[8 + size :]}


def shard_seeds(folder: Path) -> list[Files]:
    from bert4keras2.checkpoints import write_safetensors

    arrays = _arrays()
    parts = {"model-00001-of-00002.safetensors": arrays[:3], "model-00002-of-00002.safetensors": arrays[3:]}
    for name, part in parts.items():
        write_safetensors(folder / name, part)
    names = {name: shard for shard, part in parts.items() for name, _ in part}
    content = json.dumps({"metadata": {"total_size": 100}, "weight_map": names})
    (folder / "model.safetensors.index.json").write_text(content)
    return [_contents(folder)]


def change_shards(random: Random, files: Files) -> Files:
    name = "model.safetensors.index.json"
    if random.random() < 0.2:
        name = random.choice(sorted(files))
        return {**files, name: mutated_bytes(random, files[name])}
    text = mutated_text(random, files[name])
    if random.random() < 0.2:
        text = files[name].replace(b"model-00001-of-00002.safetensors", random.choice(sorted(files)).encode(), 1)
    return {**files, name: text}


# -- zip archives ------------------------------------------------------------------------------------------------------


def torch_seeds(folder: Path) -> list[Files]:
    import torch

    found = []
    for kind in ("state", "parameters"):
        tensors = {name: torch.from_numpy(value) for name, value in _arrays() if name != "flag"}
        if kind == "parameters":
            tensors = {n: torch.nn.Parameter(t) if t.is_floating_point() else t for n, t in tensors.items()}
            tensors["turned"] = tensors["ids"].view(5, 1).t()
        torch.save(tensors if kind == "state" else {"state_dict": tensors, "epoch": 3}, folder / "pytorch_model.bin")
        found.append(_contents(folder))
    return found


def torch_legacy_seeds(folder: Path) -> list[Files]:
    import torch

    tensors = {name: torch.from_numpy(value) for name, value in _arrays() if name != "flag"}
    torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    return [_contents(folder)]


def change_torch(random: Random, files: Files) -> Files:
    return change_zip(random, files, "data.pkl")


def change_zip(random: Random, files: Files, often: str = "model.weights.h5") -> Files:
    """Change a member and pack the archive again, or change the archive's own bytes."""
    name, data = next(iter(files.items()))
    if random.random() < 0.3:
        return {name: mutated_bytes(random, data)}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    likely = [member for member in members if member.endswith(often)]
    for _ in range(random.choice((1, 1, 2))):
        member = random.choice(likely if random.random() < 0.7 else sorted(members))
        kind = random.randrange(10)
        if kind == 0:
            members.pop(member, None)
        elif kind == 1 and member in members:
            members[random.choice(("x", "../x", "archive/data/0", "data.pkl", "config.json"))] = members.pop(member)
        elif member.endswith(".json") and member in members and kind < 7:
            members[member] = mutated_text(random, members[member])
        elif member in members:
            members[member] = mutated_bytes(random, members[member])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content, random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    data = packed.getvalue()
    return {name: mutated_bytes(random, data) if random.random() < 0.1 else data}


# -- TensorFlow --------------------------------------------------------------------------------------------------------


def tensorflow_seeds(folder: Path) -> list[Files]:
    from bert4keras2.checkpoints import write_tensorflow

    arrays = [(name.replace("bert.", "bert/").replace(".", "/"), value) for name, value in _arrays()]
    write_tensorflow(folder / "model.ckpt", arrays)
    found = [_contents(folder)]
    write_tensorflow(folder / "model.ckpt", arrays, shard_bytes=60)
    return [*found, _contents(folder)]


def v1_seeds(folder: Path) -> list[Files]:
    """A file of before 2017, written by hand: descriptions under the empty key, then values."""
    from bert4keras2.checkpoints.encodings.protobuf import bytes_field, number_field
    from bert4keras2.checkpoints.encodings.sstable import write_table

    def shape(*sizes: int) -> bytes:
        return b"".join(bytes_field(2, number_field(1, size)) for size in sizes)

    whole = bytes_field(1, b"") + bytes_field(1, b"")
    metas, pairs = b"", []
    for key, (name, number, values) in enumerate(
        [
            ("bert/embeddings/word_embeddings", 1, bytes_field(5, bytes(range(24)))),
            ("ids", 9, bytes_field(10, b"\1\2\3\4\5\x80\1")),
        ]
    ):
        metas += bytes_field(1, bytes_field(1, name.encode()) + bytes_field(2, shape(2, 3)) + number_field(3, number))
        tensor = number_field(1, number) + bytes_field(2, shape(2, 3)) + values
        slices = bytes_field(1, name.encode()) + bytes_field(2, whole) + bytes_field(3, tensor)
        pairs.append((bytes([1, key]), bytes_field(2, slices)))
    return [{"v1.ckpt": write_table([(b"", bytes_field(1, metas)), *pairs])}]


def objects_seeds(folder: Path) -> list[Files]:
    source = GOLDEN / "bert_dropout_head"
    return [{path.name: path.read_bytes() for path in sorted(source.glob("best_model.weights.*"))}]


def change_tensorflow(random: Random, files: Files) -> Files:
    """Change pairs of the table, or its blocks, with checksums that match; or the bytes of any file."""
    from bert4keras2.checkpoints.encodings.sstable import read_table, write_table

    if random.random() < 0.3:
        name = random.choice(sorted(files))
        return {**files, name: mutated_bytes(random, files[name])}
    name = next(name for name in files if name.endswith((".index", "v1.ckpt")))
    pairs = [(key, bytes(value)) for key, value in read_table(files[name])]
    for _ in range(random.choice((1, 1, 2))):
        place = random.randrange(len(pairs))
        key, value = pairs[place]
        kind = random.randrange(8)
        if kind == 0:
            pairs[place] = mutated_bytes(random, key), value
        elif kind == 1:
            pairs.append(
                (random.choice((b"\0x\0\1", b"\0\0\1\1\x81\x80\x84", b"layer_999999999/w", key + b"x")), value)
            )
        elif kind == 2 and len(pairs) > 1:
            del pairs[place]
        else:
            pairs[place] = key, mutated_bytes(random, value)
    if random.random() < 0.8:
        table = write_table(sorted(dict(pairs).items()))
    else:
        table = _of_block(mutated_bytes(random, _block(sorted(dict(pairs).items()))))
    return {**files, name: table}


def _block(pairs: list[tuple[bytes, bytes]]) -> bytes:
    from bert4keras2.checkpoints.encodings.protobuf import to_varint

    block = b"".join(to_varint(0) + to_varint(len(key)) + to_varint(len(value)) + key + value for key, value in pairs)
    return block + bytes(4) + (1).to_bytes(4, "little")


def _of_block(block: bytes) -> bytes:
    """Return a table of one block of any bytes, with the right checksums."""
    from bert4keras2.checkpoints.encodings.crc32c import crc32c, masked
    from bert4keras2.checkpoints.encodings.protobuf import to_varint
    from bert4keras2.checkpoints.encodings.sstable import MAGIC

    table = bytearray()

    def add(content: bytes, kind: int = 0) -> bytes:
        place = to_varint(len(table)) + to_varint(len(content))
        content += bytes([kind])
        table.extend(content + masked(crc32c(content)).to_bytes(4, "little"))
        return place

    place = add(block)
    footer = add(_block([])) + add(_block([(b"\xff", place)]))
    return bytes(table) + footer.ljust(40, b"\0") + MAGIC


def change_objects(random: Random, files: Files) -> Files:
    """Change the description of the objects, with a checksum that matches; or what `change_tensorflow` does."""
    from bert4keras2.checkpoints.encodings.crc32c import crc32c, masked
    from bert4keras2.checkpoints.encodings.protobuf import bytes_field, number_field, to_varint
    from bert4keras2.checkpoints.encodings.sstable import read_table, write_table
    from bert4keras2.checkpoints.formats.tensorflow_index import OBJECT_GRAPH

    if random.random() < 0.4:
        return change_tensorflow(random, files)
    index, data = (next(name for name in files if name.endswith(end)) for end in (".index", "-00001"))
    pairs = {key: bytes(value) for key, value in read_table(files[index])}
    graph = mutated_bytes(random, _graph(files, index, data))
    length = to_varint(len(graph))
    plain = len(graph).to_bytes(4, "little")
    head = masked(crc32c(plain)).to_bytes(4, "little")
    stored = length + head + graph
    checksum = masked(crc32c(head + graph, crc32c(plain)))
    entry = number_field(1, 7) + bytes_field(2, b"") + number_field(4, len(files[data])) + number_field(5, len(stored))
    pairs[OBJECT_GRAPH.encode()] = entry + b"\x35" + checksum.to_bytes(4, "little")
    return {**files, index: write_table(sorted(pairs.items())), data: files[data] + stored}


def _graph(files: Files, index: str, data: str) -> bytes:
    from bert4keras2.checkpoints.encodings.protobuf import last, varint
    from bert4keras2.checkpoints.encodings.sstable import read_table
    from bert4keras2.checkpoints.formats.tensorflow_index import OBJECT_GRAPH

    entry = last(dict(read_table(files[index]))[OBJECT_GRAPH.encode()], {4: int, 5: int})
    stored = files[data][entry.get(4, 0) :][: entry[5]]
    _, at = varint(stored, 0)
    return stored[at + 4 :]


# -- HDF5 and Keras ----------------------------------------------------------------------------------------------------


def hdf5_seeds(folder: Path) -> list[Files]:
    import h5py
    import numpy as np

    # Files without most of their values: the values are most of their bytes, and changing those shows nothing.
    found = []
    for library, extra in (("earliest", {}), ("earliest", {"chunks": (2, 2), "compression": "gzip", "shuffle": True})):
        with h5py.File(folder / "model.weights", "w", libver=library) as file:
            file.attrs["layer_names"] = np.array([b"Embedding-Token", b"dense"])
            file.attrs["keras_version"] = "2.3.1"
            for layer in ("Embedding-Token", "dense"):
                group = file.create_group(layer)
                group.attrs["weight_names"] = [f"{layer}/kernel:0", f"{layer}/bias:0"]
                group.create_dataset(f"{layer}/kernel:0", data=np.arange(12.0).reshape(3, 4), **extra)
                group.create_dataset(f"{layer}/bias:0", data=np.ones(3, "float32"))
        found.append(_contents(folder))
    names = [f"层_{number}" for number in range(50)]  # a heap of links
    with h5py.File(folder / "model.weights", "w") as file:
        file.attrs["layer_names"] = names
        for layer in names:
            file.create_group(layer).attrs["weight_names"] = np.array([b"w:0"] if layer == names[0] else [], "S3")
        file[names[0]].create_dataset("w:0", data=np.ones(3, "float32"))
    return [*found, _contents(folder)]


def keras_weights_seeds(folder: Path) -> list[Files]:
    from tests.fuzz.folders import toy_model

    toy_model().save_weights(folder / "model.weights.h5")
    return [_contents(folder)]


def keras_seeds(folder: Path) -> list[Files]:
    from tests.fuzz.folders import toy_model

    toy_model().save(folder / "model.keras")
    return [_contents(folder)]
