#!/usr/bin/env bash
# Print the tables of docs/performance.md. Run it on an idle machine: about ten minutes on two cores.
set -eu
segan_nnunet benchmark "$@"
segan_nnunet benchmark --regions 1 6 --steps-only "$@"
segan_nnunet benchmark --batch-size 2 --steps-only "$@"
segan_nnunet benchmark --patch-size 96 96 --steps-only "$@"
segan_nnunet benchmark --patch-size 64 64 64 --width 32 --batch-size 2 --steps-only "$@"
