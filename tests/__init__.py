"""The tests.

The test processes run in parallel, one per core, and their networks are tiny. More threads would wait for each other.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, and for every command that a test starts
