"""The tests.

They run side by side, one process per core, and their networks are tiny: more threads would wait for each other.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, and for every command that is started
