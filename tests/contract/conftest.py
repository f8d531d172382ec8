"""The same migrated database as the unit tests use."""

from tests.unit.conftest import blank_database, database_path, house

__all__ = ["blank_database", "database_path", "house"]
