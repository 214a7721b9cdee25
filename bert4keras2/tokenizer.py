"""What bert4keras called `tokenizer` is `tokenizers` today; each name is handed on with one warning."""

from bert4keras2.old_names import lookup
from bert4keras2.tokenizers import __all__

__all__ = list(__all__)
__getattr__ = lookup(__name__)
