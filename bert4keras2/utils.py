"""What bert4keras called `utils` is `tokenizers` and `snippets` today; each name is handed on with one warning."""

from bert4keras2.old_names import lookup

__getattr__ = lookup(__name__)
