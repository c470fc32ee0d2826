"""A table that behaves as Azure's does, in memory: keys, ETags, entity group transactions, range queries.

With it the real table adapters run at the speed of a dictionary, so that a history of a hundred commands can check the
counters and index rows that they write.
"""

from __future__ import annotations

import itertools
import re

from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableTransactionError

_CONDITION = re.compile(r"(\w+) (eq|gt|lt|ge|le) '([^']*)'")
_COMPARE = {
    "eq": lambda a, b: a == b,
    "gt": lambda a, b: a > b,
    "lt": lambda a, b: a < b,
    "ge": lambda a, b: a >= b,
    "le": lambda a, b: a <= b,
}


class Entity(dict):
    """A row as the SDK gives it."""

    metadata: dict


class FakeTable:
    """One table; *step* is asked before and after every write and may end the worker."""

    def __init__(self, name, step):
        self.name = name
        self.rows = {}
        self._step = step
        self._etags = itertools.count(1)

    async def create_table(self):
        """Nothing to do."""

    async def close(self):
        """Nothing to do."""

    async def _write(self, operations):
        async def carry_out():
            return self._apply(operations)

        coroutine = carry_out()
        try:
            return await self._step(f"{self.name} {len(operations)}", coroutine)
        finally:
            coroutine.close()

    def _apply(self, operations):
        rows, answers, touched = dict(self.rows), [], set()
        for kind, entity, *more in operations:
            options = more[0] if more else {}
            key = (entity["PartitionKey"], entity["RowKey"])
            if key in touched:
                raise AssertionError(f"two operations on {key} in one transaction")
            touched.add(key)
            old = rows.get(key)
            if kind == "create" and old is not None:
                raise ResourceExistsError("exists")
            if kind in ("update", "delete") and old is None:
                raise ResourceNotFoundError("gone")
            if "etag" in options and options["etag"] != old.metadata["etag"]:
                raise ResourceModifiedError("changed")
            if kind == "delete":
                del rows[key]
                answers.append({})
                continue
            new = Entity(entity)
            new.metadata = {"etag": str(next(self._etags))}
            rows[key] = new
            answers.append({"etag": new.metadata["etag"]})
        if len({key[0] for key in touched}) > 1 or len(touched) > 100:
            raise AssertionError("a transaction is of one partition and has 100 operations at most")
        self.rows = rows
        return answers

    async def submit_transaction(self, operations):
        """All or nothing."""
        try:
            return await self._write(list(operations))
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as exc:
            error = TableTransactionError(message="0:conflict")
            error.status_code = 404 if isinstance(exc, ResourceNotFoundError) else 412
            raise error from exc

    async def create_entity(self, entity):
        """Raises ``ResourceExistsError``."""
        return (await self._write([("create", entity)]))[0]

    async def upsert_entity(self, entity, **_):
        """Replace or insert."""
        return (await self._write([("upsert", entity)]))[0]

    async def update_entity(self, entity, **options):
        """Replace."""
        return (await self._write([("update", entity, options)]))[0]

    async def delete_entity(self, partition, row):
        """No error if it is gone."""
        if (partition, row) in self.rows:
            await self._write([("delete", {"PartitionKey": partition, "RowKey": row})])

    async def get_entity(self, partition, row):
        """Raises ``ResourceNotFoundError``."""
        if (partition, row) not in self.rows:
            raise ResourceNotFoundError("gone")
        return self.rows[partition, row]

    async def query_entities(self, condition, **_):
        """Yield what fits, in the order of keys, as it was when the query began."""
        wanted = [(name, _COMPARE[operator], value) for name, operator, value in _CONDITION.findall(condition)]
        assert len(wanted) == condition.count(" and ") + 1
        rows = sorted(self.rows.items())
        for _key, row in rows:
            if all(compare(row[name], value) for name, compare, value in wanted):
                yield row
