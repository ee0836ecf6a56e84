"""The catalogue of trainers, for `from segan_trainers import SegANTrainer` in your own trainer files.

nnU-Net imports the catalogue only while it searches the catalogue's folder. This module imports it at any time.
"""

import sys

from segan_nnunet.catalogues import load_trainers

sys.modules[__name__] = load_trainers()
