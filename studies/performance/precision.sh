#!/usr/bin/env bash
# Dice of short trainings in this machine's autocast and in float32, five seeds each, on the demo's cohort.
# usage: docs/precision.sh DEMO     DEMO: what `segan_nnunet demo DEMO` or `make demo` left (demo_output)
set -eu
demo=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
export nnUNet_raw=$demo/nnUNet_raw nnUNet_preprocessed=$demo/nnUNet_preprocessed nnUNet_results=$demo/nnUNet_results
export nnUNet_def_n_proc=2 nnUNet_n_proc_DA=2
nnUNet_extTrainer=$(segan_nnunet trainer-folder):$here/trainers
export nnUNet_extTrainer

trainers=$(for seed in 1 2 3 4 5; do echo "SegAN_autocast_$seed SegAN_float32_$seed"; done)
for trainer in $trainers; do
    nnUNetv2_train 15 2d 0 -tr "$trainer" -p SegANPlans -device cpu
done
# shellcheck disable=SC2086  # the names are separate words
segan_nnunet compare -d 15 -c 2d -tr $trainers -o "$demo/precision"
