"""Names in pickles: rows are called what PyFlink calls them, so that either side can read them.

Pickled rows of PyFlink refer to `pyflink.common.types`, which Millpond does not need to be
installed. Only the names below are translated; all other names in pickles stay what they are.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
from typing import Any, Final, final

from millpond.common import types

__all__ = ("load_pickle", "with_pyflink_names")

_OURS: Final = types.__name__
_THEIRS: Final = "pyflink.common.types"
_CLASSES: Final = {
    "_create_row": types._create_row,  # noqa: SLF001 - the name that pickles of rows hold
    "Row": types.Row,
    "RowKind": types.RowKind,
}
_OUR_BYTES: Final = _OURS.encode()
_THEIR_BYTES: Final = _THEIRS.encode()
_FRAME_LENGTH: Final = struct.Struct("<Q")


def load_pickle(data: bytes) -> Any:
    """Unpickle; PyFlink's rows become ours. May run code, and raise whatever that raises."""
    if _THEIR_BYTES not in data:
        return pickle.loads(data)
    return _Unpickler(io.BytesIO(data)).load()


def with_pyflink_names(pickled: bytes) -> bytes:
    """Return a pickle of protocol 4 or 5 in which our rows are called as PyFlink calls them.

    Without a row it costs a search for our module's name, else one pass over the pickle.
    """
    if _OUR_BYTES not in pickled:
        return pickled
    replaced = _module_names(pickled)
    out = bytearray(pickled)
    shorter = len(_OUR_BYTES) - len(_THEIR_BYTES)
    frames = [
        (position, position + 9, position + 9 + argument)
        for opcode, argument, position in pickletools.genops(pickled)
        if opcode.name == "FRAME" and argument is not None and position is not None
    ]
    for header, start, end in frames:
        inside = sum(start <= position < end for position in replaced)
        _FRAME_LENGTH.pack_into(out, header + 1, end - start - inside * shorter)
    # Last first, so that the positions before stay right.
    for position in reversed(replaced):
        text = position + 2
        out[position + 1] = len(_THEIR_BYTES)
        out[text : text + len(_OUR_BYTES)] = _THEIR_BYTES
    return bytes(out)


def _module_names(pickled: bytes) -> list[int]:
    """Return where our module's name is put on the stack as the module of one of our classes."""
    found: list[int] = []
    # The operations of a class that is met first: module, memoize, name, memoize, STACK_GLOBAL.
    recent: list[tuple[str, Any, int]] = []
    for opcode, argument, position in pickletools.genops(pickled):
        if opcode.name in {"FRAME", "MEMOIZE"}:
            continue
        recent = [*recent[-2:], (opcode.name, argument, position or 0)]
        if opcode.name != "STACK_GLOBAL" or len(recent) != 3:
            continue
        module, name, _ = recent
        if module[0] == "SHORT_BINUNICODE" and module[1] == _OURS and name[1] in _CLASSES:
            found.append(module[2])
    return found


@final
class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if module_name == _THEIRS and global_name in _CLASSES:
            return _CLASSES[global_name]
        return super().find_class(module_name, global_name)
