"""`python -m segan_nnunet VERB` is the command `segan_nnunet VERB`."""

from segan_nnunet.cli import main

if __name__ == "__main__":
    main()
