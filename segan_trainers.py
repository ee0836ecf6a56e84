"""The catalogue of trainers, for `from segan_trainers import SegANTrainer` in a file of trainers of your own.

nnU-Net imports the catalogue's file only while it searches the catalogue's folder; this module finds it at any time.
"""

import sys

from segan_nnunet.catalogues import load_trainers

sys.modules[__name__] = load_trainers()
