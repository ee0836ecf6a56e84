#!/usr/bin/env bash
# Train one fold at the paper's size: 160x160, width 64, batch 64, random crops. SegAN, SegAN as published, and softmax.
# usage: studies/paper/paper_size.sh PATIENTS OUTPUT [EPOCHS] [DEVICE]
#     PATIENTS: MICCAI_BraTS_2018_Data_Training; OUTPUT: a new folder
#     EPOCHS: epochs of 250 steps for every trainer (default 20); DEVICE: cuda (default) or cpu
#     On a CPU this is a trial of the commands: width 8, batch 4, one epoch of 50 steps.
set -eu
patients=$1 epochs=${3:-20} device=${4:-cuda}
mkdir -p "$2"
output=$(cd "$2" && pwd)
export nnUNet_raw=$output/nnUNet_raw nnUNet_preprocessed=$output/nnUNet_preprocessed nnUNet_results=$output/nnUNet_results
nnUNet_extTrainer=$(segan_nnunet trainer-folder)
export nnUNet_extTrainer
mkdir -p "$nnUNet_raw" "$nnUNet_preprocessed" "$nnUNet_results"
size=(--width 64 --batch-size 64) suffix=_PaperDA_${epochs}epochs_seed1
if [ "$device" = cpu ]; then
    size=(--width 8 --batch-size 4) suffix=_PaperDA_short_1epoch_seed1
fi

SECONDS=0
segan_nnunet convert brats2018 "$patients" -d 24
segan_nnunet plan -d 24 "${size[@]}"
segan_nnunet split -d 24 -k 5
echo "converted, planned, preprocessed: done after $SECONDS s"
for trainer in SegANTrainer SegANTrainer_asPublished UNetSoftmaxTrainer; do
    nnUNetv2_train 24 2d 0 -tr $trainer$suffix -p SegANPlans -device "$device"
    echo "$trainer$suffix: done after $SECONDS s"
done
segan_nnunet compare -d 24 -c 2d --folds 0 -o "$output/comparison"
