"""What bert4keras called `train` is `optimizers` today; each name is handed on with one warning."""

from bert4keras2.old_names import lookup
from bert4keras2.optimizers import __all__

__all__ = list(__all__)
__getattr__ = lookup(__name__)
