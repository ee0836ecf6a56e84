#!/usr/bin/env bash
# Train both short trainers on six real BRATS 2015 patients: three folds of four training and two validation patients.
# usage: studies/softmax_twin/six_patients.sh SOURCE OUTPUT      SOURCE: brats_2013_pat0001_1/ ... ; OUTPUT: a new folder
set -eu
source=$1
mkdir -p "$2"
output=$(cd "$2" && pwd)
layout=$(cd "$(dirname "$0")/../../docs" && pwd)/six_patients.toml

export nnUNet_raw=$output/nnUNet_raw nnUNet_preprocessed=$output/nnUNet_preprocessed nnUNet_results=$output/nnUNet_results
export nnUNet_def_n_proc=2 nnUNet_n_proc_DA=2
nnUNet_extTrainer=$(segan_nnunet trainer-folder)
export nnUNet_extTrainer
mkdir -p "$nnUNet_raw" "$nnUNet_preprocessed" "$nnUNet_results"

SECONDS=0
segan_nnunet convert "$source" --layout "$layout" -d 16
segan_nnunet plan -d 16 --width 16 --batch-size 12
segan_nnunet split -d 16 -k 3
echo "converted, planned and preprocessed after $SECONDS s"
for fold in 0 1 2; do
    for trainer in SegANTrainer_short UNetSoftmaxTrainer_short; do
        nnUNetv2_train 16 2d $fold -tr $trainer -p SegANPlans -device cpu
        echo "$trainer, fold $fold: done after $SECONDS s"
    done
done
segan_nnunet compare -d 16 -c 2d -o "$output/comparison"
echo "all done after $SECONDS s"
