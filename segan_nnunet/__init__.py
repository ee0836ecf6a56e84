"""SegAN (Xue et al., 2018) as a plug-in for nnU-Net v2: adversarial segmentation with a multi-scale L1 loss."""

__version__ = "1.0.0"
