"""A database of its own for one piece of work."""

import asyncio

from gateway.backends.database import Database


def using(url, work, threads=4):
    """What `work(database)`, a coroutine function, returns."""

    async def main():
        database = Database(url, threads)
        try:
            return await work(database)
        finally:
            await database.aclose()

    return asyncio.run(main())


def migrate(url):
    """To the newest tables; what `Database.migrate` tells."""
    database = Database(url, 1)
    try:
        return database.migrate()
    finally:
        asyncio.run(database.aclose())
