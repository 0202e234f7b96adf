"""The last bytes of a dump: how long it is, and the digest of everything before them.

LMDB checks nothing of a file that it reads, and dies of one that is cut short. So a dump is not shown to it before
this fits.
"""

from __future__ import annotations

import hashlib
import os
import struct

_MARK = b"slither dump v1\n"
_SEAL = struct.Struct(f">{len(_MARK)}sQ32s")
_PIECE = 1 << 20


def seal(descriptor: int) -> None:
    """Add the seal to a file that is whole otherwise."""
    size = os.fstat(descriptor).st_size
    data = _SEAL.pack(_MARK, size, _digest(descriptor, size))
    while data:
        data = data[os.pwrite(descriptor, data, size) :]
        size = os.fstat(descriptor).st_size


def check_seal(descriptor: int) -> None:
    """Refuse a file that is not as it was when it was sealed.

    Raises:
        ValueError: It has no seal, or its content is another one. OSError: It cannot be read.
    """
    size = os.fstat(descriptor).st_size - _SEAL.size
    mark, length, digest = _SEAL.unpack(os.pread(descriptor, _SEAL.size, size)) if size > 0 else (b"", 0, b"")
    if mark != _MARK:
        raise ValueError("it does not end as a dump does")
    if length != size or _digest(descriptor, size) != digest:
        raise ValueError("it was damaged since it was written")


def _digest(descriptor: int, size: int) -> bytes:
    found = hashlib.blake2b(digest_size=32)
    for offset in range(0, size, _PIECE):
        found.update(os.pread(descriptor, min(_PIECE, size - offset), offset))
    return found.digest()
