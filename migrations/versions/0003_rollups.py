"""Sums of entries by hour, day and month, kept beside them; the entries that are there are summed.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

FLAG, NUMBER = sa.Boolean(), sa.BigInteger()
FIELDS = {
    "models": {
        "currency": sa.Text(), "model": sa.Text(), "status": NUMBER, "outcome": sa.Text(),
        "code": sa.Text(), "served_model": sa.Text(), "upstream": sa.Text(),
        "endpoint": sa.Text(), "stream": FLAG, "source": sa.Text(), "policy_digest": sa.Text(),
    },
    "projects": dict.fromkeys(
        ("organization", "project", "currency", "model", "outcome"), sa.Text()
    ),
    "keys": dict.fromkeys(("organization", "project", "key_id", "currency"), sa.Text()),
}  # fmt: skip
SPANS = {"models": ("hour", "day"), "projects": ("day", "month"), "keys": ("day", "month")}
SUMMED = (
    "requests", "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens",
    "audio_input_tokens", "audio_output_tokens", "cost_nano",
)  # fmt: skip
SECONDS = {"hour": 3600, "day": 86400}
MONTH = {
    "sqlite": "CAST(strftime('%s', time / 1000000, 'unixepoch', 'start of month') AS INTEGER)"
    " * 1000000",
    "postgresql": "CAST(extract(epoch FROM date_trunc('month', to_timestamp(time / 1000000)"
    " AT TIME ZONE 'UTC')) AS BIGINT) * 1000000",
}


def upgrade() -> None:
    connection = op.get_bind()
    is_postgres = connection.dialect.name == "postgresql"
    for view, fields in FIELDS.items():
        op.create_table(
            f"rollup_{view}",
            sa.Column("span", sa.String(), nullable=False),
            sa.Column("start", NUMBER, nullable=False),
            *(sa.Column(name, kind, nullable=False) for name, kind in fields.items()),
            *(
                sa.Column(name, NUMBER, nullable=False)
                for name in ("entries", SUMMED[0], "refused", *SUMMED[1:])
            ),
            sa.PrimaryKeyConstraint("span", "start", *fields, name=f"pk_rollup_{view}"),
            sqlite_with_rowid=False,
        )
        if is_postgres:  # a cell is written again and again: room for its next version
            op.execute(f"ALTER TABLE rollup_{view} SET (fillfactor = 70)")
        for span in SPANS[view]:
            _sum_up(view, span, connection.dialect.name)


def _sum_up(view: str, span: str, dialect: str) -> None:
    fields = ", ".join(FIELDS[view])
    length = SECONDS.get(span, 0) * 1_000_000
    start = f"time - time % {length}" if length else MONTH[dialect]
    sums = ", ".join(f"sum({name})" for name in SUMMED)
    op.execute(
        f"INSERT INTO rollup_{view} (span, start, {fields}, entries, refused, {', '.join(SUMMED)})"
        f" SELECT '{span}', {start}, {fields}, count(*),"
        f" sum(CASE WHEN outcome = 'refused' THEN 1 ELSE 0 END), {sums}"
        f" FROM entries GROUP BY {start}, {fields}"
    )


def downgrade() -> None:
    for view in FIELDS:
        op.drop_table(f"rollup_{view}")
