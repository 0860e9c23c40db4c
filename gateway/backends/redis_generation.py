"""The generation of keys and grants in Redis, where every verdict reads it.

It only grows: one that is published late does not hide a newer one. What is published was
committed, so who reads then reads it. Where the database has a smaller one, it was restored from a
backup, and has to move on (accounts.py).
"""

from __future__ import annotations

from gateway.backends.redis_client import ERRORS, Client, RedisProblem, connect, problem_of
from gateway.backends.redis_keys import GENERATION, ORGANIZATIONS, RECOUNTED, key_of
from gateway.errors import Unavailable

TIMEOUT_SECONDS = 5.0
_RAISE = """
if tonumber(ARGV[1]) > tonumber(redis.call('GET', KEYS[1]) or '-1') then
  redis.call('SET', KEYS[1], ARGV[1])
end
"""


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
    """From now on every verdict carries it, or a newer one. To be done after the commit. Raises
    `redis.RedisError`.

    First the one of all, then each organization's own: one that registers itself in the meantime
    (added to ORGANIZATIONS, then the one of all copied where it has none) is not missed. However
    many there are, that is three questions to a Redis."""
    await client.eval(_RAISE, 1, GENERATION, str(generation))
    members = await client.smembers(ORGANIZATIONS)
    async with client.pipeline(transaction=False) as pipe:
        for member in members:
            organization = member.decode() if isinstance(member, bytes) else member
            pipe.eval(_RAISE, 1, generation_key(organization), str(generation))
        await pipe.execute()


async def newest(client: Client) -> int:
    """The one that was published last. Raises `redis.RedisError`."""
    return int(await client.get(GENERATION) or 0)


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
