"""Enumerations of text: a replacement for `enum.StrEnum`, which Python 3.10 does not have."""

from enum import Enum


class TextEnum(str, Enum):
    """An enumeration whose members equal their text in comparisons, files and messages."""

    def __str__(self) -> str:
        """Return the text, without the name of the class."""
        return str(self.value)
