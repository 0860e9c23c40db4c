"""Keys and grants as this process knows them, all of one generation.

The generation is a number that the ledger's answers carry; it becomes another one whenever a key or
a grant changes. What was read is kept until then, so that no request asks the database twice for
what has not changed, and none goes on by what has: who authenticated at one generation and is
answered by the ledger with another follows it and authenticates again before anything is sent.

While the database is away, what is kept goes on; what is not raises `errors.Unavailable`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.keys.authenticate import Keyring
from gateway.keys.key import Secret
from gateway.quota.grant import NONE_GRANTED, Granted, GrantStore, by_organization


@dataclass(slots=True)
class _Kept:
    """All that was read since the generation was followed. It is replaced as a whole: a read that
    was begun before ends in what nobody looks at any more."""

    secrets: OrderedDict[str, Secret] = field(default_factory=OrderedDict)
    granted: Mapping[str, Granted] | None = None
    reading: asyncio.Task[Mapping[str, Granted]] | None = None


class Access:
    """A Keyring that keeps the `secrets_max` last used secrets, and all grants. What is not found
    is not kept: a key that was just made works at once, and made-up ones take no room."""

    def __init__(self, keyring: Keyring, store: GrantStore, secrets_max: int) -> None:
        self._keyring = keyring
        self._store = store
        self._secrets_max = secrets_max
        self._generation = 0
        self._kept = _Kept()

    @property
    def generation(self) -> int:
        """What is read from now on is at least of this one. To be remembered before `find`."""
        return self._generation

    def follow(self, generation: int) -> None:
        """Forget all that is kept, if this is another generation.

        A smaller one is news, too: the database may have been restored from a backup. A late
        answer with an old one costs a second reading, and nothing else."""
        if generation != self._generation:
            self._generation = generation
            self._kept = _Kept()

    async def find(self, prefix: str) -> Secret | None:
        """Raises what the keyring does, unless the secret is kept."""
        kept = self._kept
        secret = kept.secrets.get(prefix)
        if secret is None:
            secret = await self._keyring.find(prefix)
            if secret is None:
                return None
            kept.secrets[prefix] = secret
            if len(kept.secrets) > self._secrets_max:
                kept.secrets.popitem(last=False)
        kept.secrets.move_to_end(prefix)
        return secret

    def granted(self, organization: str) -> Granted | None:
        """What `grants_of` says without a look into the database, for who spares its coroutine, as
        each request does; None: it has to look."""
        granted = self._kept.granted
        return None if granted is None else granted.get(organization, NONE_GRANTED)

    async def grants_of(self, organization: str) -> Granted:
        """What is granted in the organization. They are read at once for all, however many ask.

        Raises what the store does, unless they are kept."""
        granted = self.granted(organization)
        if granted is not None:
            return granted
        kept = self._kept
        if kept.reading is None:
            kept.reading = asyncio.get_running_loop().create_task(self._read(kept))
        return (await asyncio.shield(kept.reading)).get(organization, NONE_GRANTED)

    async def _read(self, kept: _Kept) -> Mapping[str, Granted]:
        try:
            kept.granted = by_organization(await self._store.grants())
            return kept.granted
        finally:
            kept.reading = None
