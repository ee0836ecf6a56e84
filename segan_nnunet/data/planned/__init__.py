"""What a planned dataset holds in nnUNet_preprocessed: its plans, its preprocessed data, its split."""
