from segan_nnunet.data.conversion import Options, convert
from segan_nnunet.data.releases import Release
from segan_nnunet.data.splits import write_splits
from segan_nnunet.data.tables import available_releases, load_release, read_layout, recognise

__all__ = [
    "Options",
    "Release",
    "available_releases",
    "convert",
    "load_release",
    "read_layout",
    "recognise",
    "write_splits",
]
