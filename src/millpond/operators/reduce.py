"""The rolling reduce of a keyed stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from millpond.datastream.functions import ReduceFunction
from millpond.datastream.state import ValueState, ValueStateDescriptor
from millpond.operators.batch import Batch
from millpond.operators.operator import user_code_error
from millpond.operators.user_function import UserFunctionOperator, bound_method, method_name
from millpond.serialization.coders import coder_for
from millpond.state.contract.declared_type import admit, fits
from millpond.state.contract.states import SupportsEntries

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from millpond.datastream.operator_spec import ReduceSpec

__all__ = ("REDUCE_STATE", "ReduceOperator")

# Of each batch's results, how many are compared with the declared type, the last one besides.
_SAMPLES: Final = 8

REDUCE_STATE = "_reduce_state"
"""The name under which PyFlink keeps a rolling reduce's result."""


class ReduceOperator(UserFunctionOperator):
    """Combines each record with the last result of its key and emits the new result."""

    def __init__(self, spec: ReduceSpec) -> None:
        super().__init__(spec.function)
        self._reduce = bound_method(spec.function, ReduceFunction, "reduce")
        self._value_type = spec.value_type

    def open(self) -> None:
        super().open()
        descriptor = ValueStateDescriptor(REDUCE_STATE, self._value_type)
        self._state: ValueState[Any] = self.runtime_context.get_state(descriptor)
        # Asked once: a check against a protocol costs more than a small batch.
        self._direct = self._state if isinstance(self._state, SupportsEntries) else None
        self._coder = coder_for(self._value_type)
        self._fits = fits(self._coder)

    def process_batch(self, batch: Batch) -> None:
        entries = None if self._direct is None else self._direct.entries()
        try:
            if entries is None:
                results = self._reduce_through_state(batch)
            else:
                results = self.reduce_in_place(batch, entries)
                if self._fits is not None and not self._sample_fits(results, self._fits):
                    results = self._admit_all(batch, results, entries)
        except Exception as error:
            user_code_error(error, self.context, method_name(self.function, "reduce"))
        self.output.emit(Batch(results, batch.timestamps))

    def reduce_in_place(self, batch: Batch, entries: MutableMapping[Any, Any]) -> list[Any]:
        """Reduce without a call of the state but for a key's first record, which it checks.

        Of the other results some are checked when the batch is done.
        """
        backend = self.context.keyed_backend
        assert backend is not None
        assert batch.keys is not None
        reduce, get, write = self._reduce, entries.get, self._state.update
        results: list[Any] = []
        for key, value in zip(batch.keys, batch.values, strict=True):
            backend.current_key = key
            result = get(key)
            if result is None:
                result = value
                write(result)
            else:
                result = reduce(result, value)
                if result is None:
                    write(None)
                else:
                    entries[key] = result
            # Not a bound method: the interpreter has an instruction for this call.
            results.append(result)
        return results

    @staticmethod
    def _sample_fits(results: list[Any], fits: Callable[[Any], bool]) -> bool:
        """A function that does not keep to the type seldom does so for one record of a batch."""
        step = len(results) // _SAMPLES or 1
        for result in (*results[::step], *results[-1:]):
            if result is not None and not fits(result):
                return False
        return True

    def _admit_all(
        self, batch: Batch, results: list[Any], entries: MutableMapping[Any, Any]
    ) -> list[Any]:
        """Give the results the form that they have after a restore, or refuse the first."""
        backend = self.context.keyed_backend
        assert backend is not None
        assert batch.keys is not None
        # From now on each record goes through the state, which looks at each.
        self._direct = None
        for index, (key, result) in enumerate(zip(batch.keys, results, strict=True)):
            if result is None:
                continue
            backend.current_key = key
            results[index] = admit(
                self._coder, result, state=REDUCE_STATE, operator=self.context.name, key=key
            )
            if entries.get(key) is result:
                entries[key] = results[index]
        return results

    def _reduce_through_state(self, batch: Batch) -> list[Any]:
        backend = self.context.keyed_backend
        assert backend is not None
        assert batch.keys is not None
        reduce, read, write = self._reduce, self._state.value, self._state.update
        results: list[Any] = []
        for backend.current_key, value in zip(batch.keys, batch.values, strict=True):
            before = read()
            result = value if before is None else reduce(before, value)
            write(result)
            # What the state made of it: a sum of FLOAT is rounded, as it is after a restore.
            results.append(read())
        return results
