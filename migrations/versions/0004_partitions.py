"""On Postgres, entries in partitions by their ids, which begin with a time. SQLite keeps one table.

What was there becomes the partition of all ids without a time, as it is: nothing is copied. Its
key is built anew, in the order of bytes, and it is read once. Months are made by who migrates
(gateway/backends/sql_partitions.py), as by the gateway later.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

INDEXES = {
    "ix_entries_time": "time",
    "ix_entries_organization_time": "organization, time",
    "ix_entries_organization_project_time": "organization, project, time",
    "ix_entries_key_id_time": "key_id, time",
    "ix_entries_end_user_time": "end_user, time",
}
WITH_A_TIME = "req_t"
OWNER = "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = '{0}'::regclass"
GRANTS = """SELECT a.privilege_type,
    CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
    CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
FROM pg_class c, aclexplode(c.relacl) a
WHERE c.oid = '{0}'::regclass AND a.grantee <> c.relowner"""


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("ALTER TABLE entries RENAME TO entries_undated")
    op.execute("ALTER INDEX pk_entries RENAME TO pk_entries_undated")
    for name in INDEXES:
        op.execute(f"ALTER INDEX {name} RENAME TO {name.replace('entries', 'entries_undated')}")
    op.execute('ALTER TABLE entries_undated ALTER id TYPE VARCHAR COLLATE "C"')
    op.execute(
        "CREATE TABLE entries (LIKE entries_undated INCLUDING DEFAULTS) PARTITION BY RANGE (id)"
    )
    op.execute("ALTER TABLE entries ADD CONSTRAINT pk_entries PRIMARY KEY (id)")
    for name, columns in INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON entries ({columns})")
    op.execute("CREATE TABLE entries_default PARTITION OF entries DEFAULT")
    op.execute(f"INSERT INTO entries_default SELECT * FROM entries_undated{_misplaced()}")
    op.execute(f"DELETE FROM entries_undated{_misplaced()}")
    op.execute(
        "ALTER TABLE entries ATTACH PARTITION entries_undated"
        f" FOR VALUES FROM (MINVALUE) TO ('{WITH_A_TIME}')"
    )
    for table in ("entries", "entries_default"):
        _give_as("entries_undated", table)


def _misplaced() -> str:
    """Of entries that something else than the gateway made."""
    return f" WHERE id >= '{WITH_A_TIME}'"


def _give_as(model: str, table: str) -> None:
    """The same owner and rights: a gateway may work as somebody else than who migrates."""
    connection = op.get_bind()
    owner = connection.scalar(sa.text(OWNER.format(model)))
    for privilege, whom, option in connection.execute(sa.text(GRANTS.format(model))).all():
        op.execute(f"GRANT {privilege} ON {table} TO {whom}{option}")
    if connection.scalar(sa.text(OWNER.format(table))) != owner:
        op.execute(f"ALTER TABLE {table} OWNER TO {owner}")


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("ALTER TABLE entries DETACH PARTITION entries_undated")
    op.execute("INSERT INTO entries_undated SELECT * FROM entries")
    op.execute("DROP TABLE entries")
    op.execute("ALTER TABLE entries_undated RENAME TO entries")
    op.execute("ALTER TABLE entries ALTER id TYPE VARCHAR")
    op.execute("ALTER INDEX pk_entries_undated RENAME TO pk_entries")
    for name in INDEXES:
        op.execute(f"ALTER INDEX {name.replace('entries', 'entries_undated')} RENAME TO {name}")
