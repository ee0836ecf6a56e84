"""Read the results of nnU-Net's validations as methods to compare."""
