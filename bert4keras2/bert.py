"""What bert4keras called `bert` is `models` today; each name is handed on with one warning."""

from bert4keras2.models import __all__
from bert4keras2.old_names import lookup

__all__ = list(__all__)
__getattr__ = lookup(__name__)
