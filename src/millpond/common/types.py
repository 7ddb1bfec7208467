"""`Row`, a record of positioned and optionally named fields, and `RowKind`, its kind of change."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ("Row", "RowKind")


class RowKind(Enum):
    """What a row says in a stream of changes. The values are those of Flink's bytes."""

    INSERT = 0
    UPDATE_BEFORE = 1
    UPDATE_AFTER = 2
    DELETE = 3

    def __str__(self) -> str:
        return _SHORT_KINDS[self.value]


_SHORT_KINDS = ("+I", "-U", "+U", "-D")


def _create_row(
    field_names: Sequence[str] | None, values: Iterable[Any], row_kind: RowKind | None = None
) -> Row:
    # Pickles of rows name this function, in PyFlink too.
    row = Row(*values)
    if field_names is not None:
        row.set_field_names(field_names)
    if row_kind is not None:
        row.set_row_kind(row_kind)
    return row


class Row:
    """A record with positioned fields, which may have names.

    ``Row("a", 1)`` has positions only, ``Row(name="a", size=1)`` has names in the order given.
    Fields are read by position (``row[0]``), by name (``row["name"]``) or as attributes
    (``row.name``). A row of names alone makes rows with those names: ``Row("x", "y")(1, 2)``.

    Example:
        >>> row = Row(name="Alice", age=11)
        >>> row
        Row(name='Alice', age=11)
        >>> row["name"], row.age
        ('Alice', 11)
    """

    __slots__ = ("_fields", "_row_kind", "_values")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ValueError("A Row takes positional fields or named fields, not both.")
        names: list[str] | None = None
        values = list(args)
        if kwargs:
            names = list(kwargs)
            values = list(kwargs.values())
        self._values = values
        self._fields = names
        self._row_kind = RowKind.INSERT

    @staticmethod
    def of_kind(row_kind: RowKind, *args: Any, **kwargs: Any) -> Row:
        """Return a row of the given kind of change."""
        row = Row(*args, **kwargs)
        row.set_row_kind(row_kind)
        return row

    def as_dict(self, recursive: bool = False) -> dict[str, Any]:
        """Return the fields by name; with `recursive`, rows inside become dictionaries too.

        Raises:
            TypeError: the fields have no names.
        """
        if self._fields is None:
            raise TypeError("A Row without field names cannot become a dictionary.")
        values = [_without_rows(value) for value in self._values] if recursive else self._values
        return dict(zip(self._fields, values, strict=False))

    def get_row_kind(self) -> RowKind:
        """Return the kind of change."""
        return self._row_kind

    def set_row_kind(self, row_kind: RowKind) -> None:
        """Set the kind of change."""
        self._row_kind = row_kind

    def set_field_names(self, field_names: Sequence[str]) -> None:
        """Name the fields, in their order."""
        self._fields = list(field_names)

    def get_field_names(self) -> list[str] | None:
        """Return the names of the fields, or None if they have none."""
        return None if self._fields is None else list(self._fields)

    def get_fields_by_names(self, names: Sequence[str]) -> list[Any]:
        """Return the values in the order of `names`; all, in order, if the row has no names.

        Raises:
            ValueError: the row has names, and one of `names` is not among them.
        """
        fields = self._fields
        if fields is None or fields == names or fields == list(names):
            return list(self._values)
        missing = [name for name in names if name not in fields]
        if missing:
            raise ValueError(f"Field names {missing} do not exist in {fields}.")
        return [self._values[fields.index(name)] for name in names]

    def _position(self, name: object) -> int:
        try:
            return (self._fields or []).index(name)  # type: ignore[arg-type]
        except ValueError:
            raise KeyError(name) from None

    def __contains__(self, item: object) -> bool:
        return item in self._values

    def __call__(self, *args: Any) -> Row:
        """Return a row whose field names are the values of this one."""
        if len(args) > len(self._values):
            raise ValueError(f"{self!r} names {len(self._values)} fields, got {len(args)} values.")
        return _create_row([str(name) for name in self._values], args, self._row_kind)

    def __getitem__(self, item: int | slice | str) -> Any:
        if isinstance(item, str):
            return self._values[self._position(item)]
        return self._values[item]

    def __setitem__(self, key: int | slice | str, value: Any) -> None:
        if isinstance(key, str):
            self._values[self._position(key)] = value
        else:
            self._values[key] = value

    def __getattr__(self, item: str) -> Any:
        # Reached only for names that are no slots, that is for fields.
        if item.startswith("_"):
            raise AttributeError(item)
        try:
            return self._values[self._position(item)]
        except KeyError:
            known = "no field names" if self._fields is None else f"the fields {self._fields}"
            raise AttributeError(f"No field {item!r}: this Row has {known}.") from None

    def __reduce__(self) -> tuple[Any, ...]:
        return _create_row, (self._fields, tuple(self._values), self._row_kind)

    def __repr__(self) -> str:
        if self._fields is None:
            return f"<Row({', '.join(map(repr, self._values))})>"
        pairs = zip(self._fields, self._values, strict=False)
        return f"Row({', '.join(f'{name}={value!r}' for name, value in pairs)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Row):
            return NotImplemented
        if self._values != other._values or self._row_kind is not other._row_kind:
            return False
        return self._fields == other._fields or self._names() == other._names()

    def _names(self) -> list[str]:
        # A row that passed through a coder has the default names; it stays equal to its original.
        return self._fields or [f"f{position}" for position in range(len(self._values))]

    def __hash__(self) -> int:
        return hash(tuple(self._values))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _without_rows(value: Any) -> Any:
    if isinstance(value, Row):
        return value.as_dict(recursive=True)
    if isinstance(value, list):
        return [_without_rows(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_rows(item) for key, item in value.items()}
    return value
