"""The coder of any Python object, as a pickle, and the pickling rules that keys share."""

from __future__ import annotations

import pickle
import struct
from typing import TYPE_CHECKING, Any, Final

from millpond.errors import SerializationError
from millpond.serialization.function_coder import FunctionCoder
from millpond.serialization.mismatch import mismatch, undecodable
from millpond.serialization.pickle_names import load_pickle, with_pyflink_names

if TYPE_CHECKING:
    from millpond.common.typeinfo import TypeInformation

__all__ = ("KEY_PROTOCOL", "VALUE_PROTOCOL", "key_pickle", "pickled_coder", "value_pickle")

VALUE_PROTOCOL: Final = 4
"""PyFlink pickles state with Python's default protocol."""

KEY_PROTOCOL: Final = 5
"""PyFlink pickles the records between operators, and so keys, with cloudpickle's protocol."""

_INT = struct.Struct(">i")
_ATOMS = frozenset({str, bytes, int, float, bool, type(None)})


def value_pickle(value: Any, protocol: int = VALUE_PROTOCOL) -> bytes:
    """Return the pickle of a value; cloudpickle steps in for what pickle cannot do.

    Rows in it have PyFlink's names.

    Raises:
        SerializationError: neither can.
    """
    try:
        pickled = pickle.dumps(value, protocol)
    except Exception:  # noqa: BLE001 - a value's own reduction may raise anything
        pickled = _cloudpickle(value, protocol)
    return with_pyflink_names(pickled)


def _cloudpickle(value: Any, protocol: int) -> bytes:
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(value, protocol))
    except Exception as error:
        raise mismatch(
            "PICKLED",
            value,
            reason=f"it cannot be pickled ({type(error).__name__}: {error})",
            hint="Keep locks, files and connections out of state; open them in open().",
        ) from error


def key_pickle(key: Any) -> bytes:
    """Return the pickle of a key: equal keys of strings, numbers and tuples give equal bytes.

    Plain pickle tells two equal strings in a tuple from one string that occurs twice, so the same
    key could land in two key groups. Here equal strings and bytes always count as one object.

    Raises:
        SerializationError: it cannot be pickled, or holds a set, whose order is not stable.
    """
    if type(key) in _ATOMS:
        return pickle.dumps(key, KEY_PROTOCOL)
    return value_pickle(_with_shared_atoms(key, {}), KEY_PROTOCOL)


def _with_shared_atoms(key: Any, seen: dict[Any, Any]) -> Any:
    kind = type(key)
    if kind is str or kind is bytes:
        return seen.setdefault((kind, key), key)
    if kind in _ATOMS:
        return key
    if isinstance(key, tuple):
        items = [_with_shared_atoms(item, seen) for item in key]
        return kind._make(items) if hasattr(kind, "_make") else tuple(items)
    if isinstance(key, (set, frozenset)):
        raise mismatch(
            "PICKLED",
            key,
            reason="the order of a set differs from run to run, so it cannot be a key",
            hint="Use tuple(sorted(…)).",
        )
    return key


def pickled_coder(type_info: TypeInformation) -> FunctionCoder:
    """Return the coder of any object: int length, then the pickle.

    Decoding may run code.
    """
    pack, unpack_from = _INT.pack, _INT.unpack_from

    def encode(value: Any) -> bytes:
        raw = value_pickle(value)
        try:
            return pack(len(raw)) + raw
        except struct.error as error:
            raise mismatch("PICKLED", value, reason="its pickle has 2**31 bytes or more") from error

    def decode_from(data: bytes, offset: int) -> tuple[Any, int]:
        try:
            start = offset + 4
            end = start + unpack_from(data, offset)[0]
            if start <= end <= len(data):
                return load_pickle(data[start:end]), end
        except SerializationError:
            raise
        except Exception as error:
            reason = f"unpickling failed ({type(error).__name__}: {error})"
            raise undecodable("PICKLED", offset, reason) from error
        raise undecodable("PICKLED", offset, f"a length of {end - start} is impossible")

    return FunctionCoder(type_info, encode, decode_from, minimum_size_bytes=4, pickled=True)
