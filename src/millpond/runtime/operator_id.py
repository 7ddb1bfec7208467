"""Operator ids: the 16 bytes by which a snapshot and a program recognise each other.

From the uid: murmur3 with 128 bits, seed 0. Without a uid: from the operator's place in the graph,
as Flink's StreamGraphHasherV2 mixes it, so that an unchanged program finds its state again.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import mmh3

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("operator_id_of_place", "operator_id_of_uid")


def operator_id_of_uid(uid: str) -> bytes:
    """Return the operator id of a uid."""
    return mmh3.hash_bytes(uid.encode())


def operator_id_of_place(position: int, chained_outputs: int, input_ids: Sequence[bytes]) -> bytes:
    """Return the id of an operator without uid.

    `position` counts the operators that have an id already, `chained_outputs` the outgoing edges
    that are chained.
    """
    own = struct.pack("<i", position) * (1 + chained_outputs)
    mixed = bytearray(mmh3.hash_bytes(own))
    for input_id in input_ids:
        for index, byte in enumerate(input_id):
            mixed[index] = (mixed[index] * 37 ^ byte) & 0xFF
    return bytes(mixed)
