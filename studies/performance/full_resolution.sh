#!/usr/bin/env bash
# Train one fold of real patients at 1 mm and 160x160, as the paper does, for 1,000 steps: SegAN and softmax.
# usage: studies/performance/full_resolution.sh PATIENTS OUTPUT
#     PATIENTS: MICCAI_BraTS_2018_Data_Training; OUTPUT: a new folder
set -eu
patients=$1
mkdir -p "$2"
output=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
export nnUNet_raw=$output/nnUNet_raw nnUNet_preprocessed=$output/nnUNet_preprocessed nnUNet_results=$output/nnUNet_results
export nnUNet_def_n_proc=2 nnUNet_n_proc_DA=2
nnUNet_extTrainer=$(segan_nnunet trainer-folder):$here/../paper/trainers # the replication's rates
export nnUNet_extTrainer
mkdir -p "$nnUNet_raw" "$nnUNet_preprocessed" "$nnUNet_results"

SECONDS=0
segan_nnunet convert brats2018 "$patients" -d 20
segan_nnunet plan -d 20 --width 16 --batch-size 8
segan_nnunet split -d 20 -k 5
echo "converted, planned, preprocessed: done after $SECONDS s"
for trainer in SegAN_lr2e3_1000_seed1 Softmax_lr4e3_1000_seed1; do
    /usr/bin/time -f "$trainer: %e s, %M KiB" nnUNetv2_train 20 2d 0 -tr $trainer -p SegANPlans -device cpu
done
segan_nnunet compare -d 20 -c 2d --folds 0 -o "$output/comparison"
echo "all done after $SECONDS s"
