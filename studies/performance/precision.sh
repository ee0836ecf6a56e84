#!/usr/bin/env bash
# Compare short trainings in this machine's autocast precision and in float32, with five seeds each, on the demo's cohort.
# usage: studies/performance/precision.sh DEMO     DEMO: the folder of `segan_nnunet demo DEMO` or `make demo` (demo_output)
set -eu
demo=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
export nnUNet_raw=$demo/nnUNet_raw nnUNet_preprocessed=$demo/nnUNet_preprocessed nnUNet_results=$demo/nnUNet_results
export nnUNet_def_n_proc=2 nnUNet_n_proc_DA=2
nnUNet_extTrainer=$(segan_nnunet trainer-folder):$here/trainers
export nnUNet_extTrainer

# crossval ends with compare, and its seeds.csv has the scores of each seed
segan_nnunet crossval -d 15 -tr SegANTrainer_short SegANTrainer_float32_short --folds 0 --seeds 1 2 3 4 5 -device cpu
