#!/usr/bin/env bash
# Train one fold in 3-D on two cores: SegAN, softmax, Dice with cross-entropy, and nnU-Net's loss with critics.
# usage: studies/performance/three_dimensions.sh PATIENTS OUTPUT
#     PATIENTS: MICCAI_BraTS_2018_Data_Training; OUTPUT: a new folder
set -eu
patients=$1
mkdir -p "$2"
output=$(cd "$2" && pwd)
export nnUNet_raw=$output/nnUNet_raw nnUNet_preprocessed=$output/nnUNet_preprocessed nnUNet_results=$output/nnUNet_results
export nnUNet_def_n_proc=2 nnUNet_n_proc_DA=2
nnUNet_extTrainer=$(segan_nnunet trainer-folder)
export nnUNet_extTrainer
mkdir -p "$nnUNet_raw" "$nnUNet_preprocessed" "$nnUNet_results"

done_after() { echo "$1: done after $SECONDS s"; }
train() { # configuration, trainer, plans, and options of nnUNetv2_train
    # %M is the largest process's memory; nnU-Net's loaders are processes of their own
    /usr/bin/time -f "$2: %e s, %M KiB" nnUNetv2_train 19 "$1" 0 -tr "$2" -p "$3" -device cpu "${@:4}"
}

SECONDS=0
segan_nnunet convert brats2018 "$patients" -d 19
segan_nnunet plan -d 19 -c 3d_fullres --spacing 2 2 2 --patch-size 64 64 64 --width 16 --batch-size 2
segan_nnunet plan -d 19 -c 3d_fullres --spacing 2 2 2 --patch-size 64 64 64 --width 8 --batch-size 2 --network nnunet
segan_nnunet split -d 19 -k 5
done_after "converted, planned, preprocessed"

# kill the first training, and resume it
timeout --signal KILL 120 nnUNetv2_train 19 3d_fullres 0 -tr SegANTrainer_short -p SegANPlans_2mm -device cpu || true
train 3d_fullres SegANTrainer_short SegANPlans_2mm --c
for trainer in UNetSoftmaxTrainer_short UNetDiceCETrainer_short; do
    train 3d_fullres $trainer SegANPlans_2mm
done
train 3d_fullres nnUNetTrainerSegAN_2epochs nnUNetPlans_2mm_width8
segan_nnunet compare -d 19 -c 3d_fullres -tr SegANTrainer_short UNetSoftmaxTrainer_short UNetDiceCETrainer_short \
    nnUNetTrainerSegAN_2epochs -o "$output/comparison"
done_after "3d_fullres"

# predict with nnU-Net's command, export, and install the zip as a user without this package would
mkdir "$output/images"
for image in "$nnUNet_raw"/Dataset019_BraTS2018/imagesTr/*_0000.nii.gz; do
    cp "${image%_0000.nii.gz}"_000?.nii.gz "$output/images"
    break
done
nnUNetv2_predict -i "$output/images" -o "$output/predicted" -d 19 -c 3d_fullres -f 0 -tr SegANTrainer_short \
    -p SegANPlans_2mm -device cpu --disable_tta
segan_nnunet export -d 19 -c 3d_fullres -tr SegANTrainer_short -p SegANPlans_2mm -f 0 -o "$output/model.zip"
nnUNet_results=$output/installed nnUNetv2_install_pretrained_model_from_zip "$output/model.zip"
done_after "predicted, exported, installed"

# 3d_lowres: nnU-Net plans it where its patch covers a small part of an image
nnUNetv2_plan_experiment -d 19 -gpu_memory_target 1
segan_nnunet plan -d 19 -c 3d_lowres --width 8 --batch-size 2 --plans-name SegANPlans_lowres
train 3d_lowres SegANTrainer_short_1epochs SegANPlans_lowres
done_after "3d_lowres"
