"""SQLite: what the assistant must not forget, in one file that other programs may read while it runs.

`open_store` gives the running bot its `Store`; a module for each aggregate (`chats`, `turns`, `deliveries`, `sends`,
`status`, `feedback`) holds plain functions on a connection, and `store.run(turns.receive, ...)` carries one of them to
the database's own thread. Commands in other processes call the same functions on the connection of `read` or `write`.
"""

from agent.store.database import SchemaMismatch, StoreBusy, StoreError, read, write
from agent.store.writer import Store, open_store

__all__ = ["SchemaMismatch", "Store", "StoreBusy", "StoreError", "open_store", "read", "write"]
