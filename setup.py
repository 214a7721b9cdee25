"""Packaging of bert4keras2."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
REQUIREMENTS = [line for line in (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines() if line.strip()]

setup(
    name="bert4keras2",
    version="0.1.0",
    description="Pre-trained Chinese language models in Keras 3, on TensorFlow, JAX or PyTorch",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["bert4keras2", "bert4keras2.*"]),
    install_requires=REQUIREMENTS,
    extras_require={
        "test": ["pytest>=8", "pytest-timeout>=2.3", "pytest-xdist>=3.6", "ruff>=0.6", "hypothesis>=6", "bottle>=0.13"],
        "serving": ["bottle>=0.13"],
        "jax": ["jax>=0.4.35"],
        "torch": ["torch>=2.4"],
        "hub": ["huggingface_hub>=0.23"],
    },
)
