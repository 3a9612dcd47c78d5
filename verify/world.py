"""A world: a claim's graph with its parameters fixed, computing each quantity at most once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, MutableMapping
from typing import Any

import numpy as np

from verify.claim import Claim


class World:
    """Values of a claim's quantities under one case.

    `memo` is shared between the worlds of one evaluation: a quantity is computed again only where its
    function, or something that it depends on, differs. `given` fixes quantities to values (for power).
    """

    def __init__(
        self,
        claim: Claim,
        seed: int,
        case: Mapping[str, Any],
        memo: MutableMapping[Any, Any],
        given: Mapping[str, Any] | None = None,
    ) -> None:
        self.claim, self.seed, self.case, self.memo = claim, seed, dict(case), memo
        self.given = dict(given or {})
        self.parameters = {
            **claim.parameters(),
            **{k: v for k, v in case.items() if k not in claim.overrides},
        }
        self._keys: dict[tuple[str, int], Any] = {}

    def value(self, name: str) -> Any:
        """The value of a quantity, check, assumption or parameter."""
        if name in self.given:
            return self.given[name]
        quantity = self.claim.quantities.get(name)
        if quantity is None:
            return self.parameters[name]
        return self._compute(name, len(quantity.layers) - 1)

    def key(self, name: str) -> Any:
        """What a value depends on: equal keys, equal values."""
        quantity = self.claim.quantities.get(name)
        if name in self.given or quantity is None:
            value = self.given.get(name, self.parameters.get(name))
            return (name, id(value) if name in self.given or callable(value) else repr(value))
        return self._key(name, len(quantity.layers) - 1)

    def is_computed(self, name: str) -> bool:
        """Whether the value is at hand."""
        return self.key(name) in self.memo

    def _compute(self, name: str, layer: int) -> Any:
        key = self._key(name, layer)
        if key not in self.memo:
            function = self.claim.quantities[name].layers[layer]
            arguments = {}
            for argument in self.claim.arguments(function):
                if argument == "rng":
                    arguments[argument] = stream(self.claim.id, name, self.seed)
                elif argument == name:
                    arguments[argument] = self._compute(name, layer - 1)
                else:
                    arguments[argument] = self.value(argument)
            self.memo[key] = function(**arguments)
        return self.memo[key]

    def _key(self, name: str, layer: int) -> Any:
        if (name, layer) not in self._keys:
            function = self.claim.quantities[name].layers[layer]
            parts: list[Any] = [name, id(function)]
            for argument in self.claim.arguments(function):
                if argument == name:
                    parts.append(self._key(name, layer - 1))
                elif argument != "rng":
                    parts.append(self.key(argument))
            self._keys[name, layer] = hash_of(parts)
        return self._keys[name, layer]


def hash_of(parts: list[Any]) -> str:
    """A short digest of nested keys."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def stream(claim_id: str, name: str, seed: int) -> np.random.Generator:
    """The random stream of one function of one claim: another claim or function never disturbs it."""
    words = hashlib.sha256(f"{claim_id}\n{name}".encode()).digest()
    entropy = [int.from_bytes(words[i : i + 4], "little") for i in range(0, 16, 4)]
    return np.random.default_rng(np.random.SeedSequence([seed, *entropy]))
