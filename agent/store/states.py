"""Changes of state: one guarded UPDATE each, so that two who race cannot both win."""

import sqlite3
from collections.abc import Iterable


class IllegalTransition(Exception):
    """The row is not in a state from which this change is allowed, or does not exist. Nothing was changed.

    Either a mistake of the caller or a lost race (an answer that ends while `/stop` cancels it). `state` is the one in
    which the row was found, None without a row.
    """

    def __init__(self, table: str, row: int, state: str | None, to: str) -> None:
        self.table, self.row, self.state, self.to = table, row, state, to
        found = "does not exist" if state is None else f"is {state!r}"
        super().__init__(f"row {row} of {table!r} {found} and cannot become {to!r}")


def change(db: sqlite3.Connection, table: str, row: int, to: str, sources: Iterable[str], /, **values: object) -> None:
    """Moves row `row` from one of the states `sources` to `to` and sets the columns in `values` that are not None.

    Raises IllegalTransition.
    """
    columns = {"state": to} | {name: value for name, value in values.items() if value is not None}
    allowed = tuple(sources)
    assignments = ", ".join(f"{name} = ?" for name in columns)
    marks = ", ".join("?" * len(allowed))
    sql = f"UPDATE {table} SET {assignments} WHERE id = ? AND state IN ({marks})"
    if db.execute(sql, (*columns.values(), row, *allowed)).rowcount != 1:
        found = db.execute(f"SELECT state FROM {table} WHERE id = ?", (row,)).fetchone()
        raise IllegalTransition(table, row, found and found["state"], to)
