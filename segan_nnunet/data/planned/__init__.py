"""The content of a planned dataset in nnUNet_preprocessed: its plans, its preprocessed data, its split."""
