"""Unsigned numbers of 64 bits, as databases keep them that have signed ones only."""


def signed(number: int) -> int:
    """An unsigned number as a database keeps it."""
    return number - (1 << 64) if number >> 63 else number


def unsigned(number: int) -> int:
    """A number kept by `signed` as it was."""
    return number & 0xFFFF_FFFF_FFFF_FFFF
