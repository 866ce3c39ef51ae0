"""The store: the control plane's state in SQL. Memory and files are SQLite, PostgreSQL is for larger clouds.

Only ``sundog.control`` may import it. Start reading at ``store``; the tables are in ``tables``, a module a service; how
they came to be is in ``migrations``.
"""

from sundog.control.store.store import Reader, Row, Store, Tx, open_store

__all__ = ["Reader", "Row", "Store", "Tx", "open_store"]
