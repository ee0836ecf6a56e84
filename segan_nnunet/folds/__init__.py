"""A started fold: its training data, its progress, and whether it may be continued, counted, compared or exported.

A fold is nnU-Net's folder of one training, fold_X.
"""
