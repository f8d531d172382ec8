"""What every table is made of: the metadata they belong to, moments, and whose a row is."""

from datetime import datetime

from sqlalchemy import Column, Dialect, ForeignKey, MetaData, String, TypeDecorator

from chamade_mcp.model.moments import stamp

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime, stored as text that sorts in the order of time on every database."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else stamp(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


def owner() -> Column[str]:
    return Column("account_id", String(32), ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False)
