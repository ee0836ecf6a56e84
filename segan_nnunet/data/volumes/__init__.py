from segan_nnunet.data.volumes.grid import Volume, VoxelGrid
from segan_nnunet.data.volumes.label_maps import read_labels
from segan_nnunet.data.volumes.reading import read_grid, read_volume, write_volume

__all__ = [
    "Volume",
    "VoxelGrid",
    "read_grid",
    "read_labels",
    "read_volume",
    "write_volume",
]
