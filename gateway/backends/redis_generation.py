"""The generation of keys and grants in Redis, where every verdict reads it.

It is set, not raised: any other generation than the one that a gateway knows makes it read again,
so that a late, smaller one does no harm, and a database that was restored from a backup, whose
generation is smaller, is followed. What is published was committed, so who reads then reads it.
"""

from __future__ import annotations

from gateway.backends.redis_client import ERRORS, Client, RedisProblem, connect, problem_of
from gateway.backends.redis_keys import GENERATION, ORGANIZATIONS, RECOUNTED, key_of
from gateway.errors import Unavailable

TIMEOUT_SECONDS = 5.0


async def tell(url: str, generation: int) -> None:
    """Publish to the Redis at `url`, from a process that does nothing else there. Raises
    Unavailable (ledger_unavailable)."""
    try:
        client = await connect(url, TIMEOUT_SECONDS, 1)
        try:
            await publish(client, generation)
        except ERRORS as error:
            raise problem_of(error, url) from error
        finally:
            await client.aclose()
    except RedisProblem as problem:
        raise Unavailable(str(problem), code="ledger_unavailable") from problem


async def publish(client: Client, generation: int) -> None:
    """From now on every verdict carries it. To be done after the commit. Raises `redis.RedisError`.

    First the one of all, then each organization's own: one that registers itself in the meantime
    (added to ORGANIZATIONS, then the one of all copied where it has none) is not missed."""
    await client.set(GENERATION, generation)
    members = await client.smembers(ORGANIZATIONS)
    pipeline = client.pipeline(transaction=False)
    for member in members:
        organization = member.decode() if isinstance(member, bytes) else member
        pipeline.set(generation_key(organization), generation)
    await pipeline.execute()


async def published(client: Client, organization: str) -> int | None:
    """What a verdict for the organization carries; None where it has none yet."""
    value = await client.get(generation_key(organization))
    return None if value is None else int(value)


def generation_key(organization: str) -> str:
    return key_of(organization, "generation")


async def recounted(client: Client) -> int:
    """The generation of the book for which counters were last read again. Raises RedisError."""
    return int(await client.get(RECOUNTED) or 0)


async def note_recounted(client: Client, generation: int) -> None:
    await client.set(RECOUNTED, generation)
