"""Tasks as folders: what Hugging Face reads of them, and the rest."""
