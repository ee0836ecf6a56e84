"""A fold that was begun: what it rests on, how far it is, and whether it may be continued, counted, compared, exported.

A fold is nnU-Net's folder of one training, fold_X.
"""
