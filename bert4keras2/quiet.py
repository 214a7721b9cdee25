"""`import bert4keras2.quiet`, before Keras: TensorFlow's notes about the machine stay off the terminal.

Commands and examples import it; a script of yours may. What you have set in TF_CPP_MIN_LOG_LEVEL stays as it is. Some
lines come while TensorFlow is being imported, before it reads that variable: nothing that a script does keeps them off.
"""

from __future__ import annotations

import os

# Of NVIDIA, of the Linux inside of Windows, of AMD.
GPU_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")

# Without a driver, the first error line says that CUDA does not start, in red, where nobody has asked for it; so errors
# are left out too. What goes wrong in a program is raised, whatever is logged.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if any(map(os.path.exists, GPU_DRIVERS)) else "3")
