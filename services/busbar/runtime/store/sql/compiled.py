"""Statements that are put together once, however often they are executed.

SQLAlchemy takes longer to put a statement together, and to find that it knows its text already,
than the database takes to answer it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.runtime.store.sql.statements import Statements


class _Text(NamedTuple):
    """A statement in the words of one database, the names of its values, and known ones."""

    text: str
    names: Sequence[str]
    values: dict[str, Any]


class CompiledStatement:
    """A statement whose values are named by ``bindparam``."""

    def __init__(self, statement: Any) -> None:
        """``statement`` is any of SQLAlchemy's."""
        self._statement = statement
        self._texts: dict[str, _Text] = {}

    async def rows(
        self, connection: AsyncConnection, statements: Statements, **values: Any
    ) -> list[Any]:
        """The rows that it gives for ``values``, each as a tuple."""
        name = connection.dialect.name
        text = self._texts.get(name)
        if text is None:
            text = self._texts[name] = self._compile(connection)
        every = text.values | values
        return await statements.rows(connection, text.text, [every[one] for one in text.names])

    def _compile(self, connection: AsyncConnection) -> _Text:
        dialect = connection.dialect
        compiled = self._statement.compile(dialect=dialect)
        return _Text(str(compiled), compiled.positiontup or (), dict(compiled.params))
