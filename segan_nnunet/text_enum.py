"""Enumerations of words: `enum.StrEnum`, which Python 3.10 does not have."""

from enum import Enum


class TextEnum(str, Enum):
    """Members are their own text, in comparisons, files and messages."""

    def __str__(self) -> str:
        """The text alone, without the name of the class."""
        return str(self.value)
