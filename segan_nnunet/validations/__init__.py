"""What nnU-Net's validations left behind, as methods to compare."""
