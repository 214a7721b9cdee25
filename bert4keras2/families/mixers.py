"""Models that mix tokens without attention: FNet, gMLP and aMLP, MLP-Mixer, ResMLP. None is released for Chinese."""

from __future__ import annotations

from bert4keras2.families import bert
from bert4keras2.families.family import Family

NAMES = {"tensorflow": bert.TENSORFLOW, "huggingface": bert.HUGGINGFACE, "own": True}
PRE = {"attention_norm": "pre", "feed_forward_norm": "pre", "output_norm": True, "norm": {"epsilon": 1e-12}}
NO_POSITIONS = {"position": "none", "embedding_norm": False, **PRE}
# ResMLP scales and shifts where others normalise (Touvron et al., arXiv:2105.03404).
AFFINE = {"zero_mean": False, "unit_variance": False, "epsilon": 1e-12}

FNET = Family(  # Lee-Thorp et al., arXiv:2105.03824
    name="fnet", structure={"attention": "fourier", "norm": {"epsilon": 1e-12}}, model_type="fnet",
    class_name="FNet", **NAMES,
)  # fmt: skip
GMLP = Family(  # Liu et al., arXiv:2105.08050
    name="gmlp", structure={"block": "gmlp", **NO_POSITIONS}, model_type="gmlp", class_name="GMLP",
    other_names={"amlp": {"tiny_attention": 64}}, **NAMES,
)  # fmt: skip
MIXER = Family(  # Tolstikhin et al., arXiv:2105.01601
    name="mlp_mixer", structure={"attention": "mlp", **NO_POSITIONS}, model_type="mlp_mixer", class_name="Mixer",
    **NAMES,
)  # fmt: skip
RESMLP = Family(
    name="resmlp", structure={"attention": "resmlp", "layer_scale": 1e-4, **NO_POSITIONS, "norm": AFFINE},
    model_type="resmlp", class_name="ResMLP", **NAMES,
)  # fmt: skip
