from segan_nnunet.data.volumes.grid import TOLERANCE, Volume, VoxelGrid
from segan_nnunet.data.volumes.reading import read_grid, read_volume, write_volume
from segan_nnunet.data.volumes.whole_files import VolumeError

__all__ = ["TOLERANCE", "Volume", "VolumeError", "VoxelGrid", "read_grid", "read_volume", "write_volume"]
