"""`OutputTag`: the name of a side output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from millpond.common.typeinfo import TypeInformation

__all__ = ("OutputTag",)


@final
class OutputTag:
    """Names a side output and the type of its records.

    A process function yields ``(tag, value)``; ``stream.get_side_output(tag)`` reads it. Tags are
    equal when their ids are.

    Attributes:
        in_use: whether this process ever had a tag; until then no result needs a look for one.

    Raises:
        InvalidProgramError: the id is empty.
    """

    __slots__ = ("tag_id", "type_info")

    in_use: ClassVar[bool] = False

    def __init__(self, tag_id: str, type_info: TypeInformation | list[Any] | None = None) -> None:
        if not isinstance(tag_id, str) or not tag_id:
            raise InvalidProgramError(
                f"The id of an output tag must be a text that is not empty, not {tag_id!r}.",
                hint='Write OutputTag("late", Types.STRING()).',
            )
        OutputTag.in_use = True
        self.tag_id = tag_id
        self.type_info: TypeInformation | None
        if isinstance(type_info, list):
            # PyFlink takes a list of field types for a row.
            from millpond.common.typeinfo import RowTypeInfo

            self.type_info = RowTypeInfo(type_info)
        else:
            self.type_info = type_info

    def __reduce__(self) -> tuple[type[OutputTag], tuple[object, ...]]:
        # Through the constructor, so that a worker that unpickles a tag knows of it.
        return OutputTag, (self.tag_id, self.type_info)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OutputTag) and other.tag_id == self.tag_id

    def __hash__(self) -> int:
        return hash(self.tag_id)

    def __repr__(self) -> str:
        return f"OutputTag({self.tag_id!r})"
