from segan_nnunet.data.conversion import Options, convert
from segan_nnunet.data.releases.release import Release
from segan_nnunet.data.releases.tables import available_releases, load_release, read_layout, recognise
from segan_nnunet.data.splits import write_splits

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
