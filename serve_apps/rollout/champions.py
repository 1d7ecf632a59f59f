"""The bundles in use: polls the registry in the background, and rolls back a candidate that does worse.

Requests never wait for the registry: a new champion is loaded and warm before it gets its first request.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Protocol

from serve_apps.args import RolloutConfig
from serve_apps.observability import metrics
from serve_apps.rollout.canary import Window, takes_candidate, verdict
from serve_apps.rollout.models import Bundle, ModelRef
from serve_apps.rollout.registry import Found

logger = logging.getLogger("ray.serve")


class Aliases(Protocol):
    """Source of the champion and candidate aliases; see `serve_apps.rollout.registry.Registry`."""

    def look(self) -> Found: ...

    def remember_rollback(self, bundle: ModelRef, reason: str) -> None: ...


class Champions:
    """The current champion and candidate, and their recent results.

    Args:
        champion: already loaded.
        warm: loads and warms up a bundle on every replica.
        keep: persists the served bundle, blocking; failures are only logged.
    """

    def __init__(
        self,
        champion: Bundle,
        config: RolloutConfig,
        aliases: Aliases,
        warm: Callable[[Bundle], Awaitable[None]],
        keep: Callable[[Bundle], None] = lambda _: None,
    ) -> None:
        self.champion, self.config = champion, config
        self.rolled_back: dict[str, str] = {}  # reason by version of the bundle
        self.candidate: Bundle | None = None
        self._aliases, self._warm, self._keep = aliases, warm, keep
        self._windows = Window(config.window), Window(config.window)  # of champion and candidate
        self._last_messages: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def answering(self, key: str) -> Bundle:
        """The bundle for this user or request."""
        candidate = self.candidate
        if candidate is None or candidate.registered is None:
            return self.champion
        taken = takes_candidate(key, candidate.registered.version, self.config.candidate_share)
        return candidate if taken else self.champion

    def record_call(self, bundle: Bundle, failed: bool, align: float | None = None) -> None:
        """Record the result of a model call; may roll back the candidate."""
        _count(bundle, failed, align)
        if bundle == self.champion:
            self._windows[0].add(failed, align)
        elif bundle == self.candidate:
            self._windows[1].add(failed, align)
            reason = verdict(*self._windows, self.config)
            if reason:
                self._roll_back(bundle, reason)

    async def watch(self) -> None:
        """Poll the registry every `reload_s`, forever."""
        await self._remember()
        while True:
            await asyncio.sleep(self.config.reload_s)
            await self.follow()

    async def follow(self) -> None:
        """Poll once and switch to the current aliases; on any failure the loaded bundles stay."""
        try:
            found = await asyncio.to_thread(self._aliases.look)
        except Exception as error:  # any failure of MLflow
            self._say("registry", f"{error}; still using {self.champion}")
            return
        self._say("registry", "")
        self._say("candidate", found.refused or "")
        if found.champion != self.champion and await self._ready("champion", found.champion):
            logger.warning("champion is now %s, was %s", found.champion, self.champion)
            self.champion, self._windows = found.champion, self._fresh()
            metrics.SWITCHES.record(role="champion")
            await self._remember()
        await self._follow_candidate(found.candidate)

    async def _follow_candidate(self, named: Bundle | None) -> None:
        version = named.registered.version if named and named.registered else None
        if version in self.rolled_back or not self.config.candidate_share:
            named = None
        if named is None or named == self.candidate:
            self.candidate = named
        elif await self._ready("candidate", named):
            share = f"{self.config.candidate_share:.1%}"
            logger.warning("candidate is now %s, serving %s of requests", named, share)
            self._windows = self._fresh()
            self.candidate = named
            metrics.SWITCHES.record(role="candidate")

    def _fresh(self) -> tuple[Window, Window]:
        return Window(self.config.window), Window(self.config.window)

    async def _ready(self, role: str, bundle: Bundle) -> bool:
        try:
            await self._warm(bundle)
        except Exception as error:
            self._say(role, f"{bundle} can't be loaded as {role}: {error}; still using {self.champion}")
            return False
        self._say(role, "")
        return True

    def _roll_back(self, candidate: Bundle, reason: str) -> None:
        assert candidate.registered is not None
        logger.warning("candidate %s is rolled back, all requests go to %s: %s", candidate, self.champion, reason)
        self.rolled_back[candidate.registered.version] = reason
        metrics.ROLLBACKS.record()
        self.candidate = None
        task = asyncio.get_running_loop().create_task(self._tag(candidate.registered, reason))
        self._tasks.add(task)  # the loop holds tasks only weakly
        task.add_done_callback(self._tasks.discard)

    async def _tag(self, ref: ModelRef, reason: str) -> None:
        try:
            await asyncio.to_thread(self._aliases.remember_rollback, ref, reason)
        except Exception as error:
            logger.warning("can't record the rollback of %s in MLflow: %s", ref, error)

    async def _remember(self) -> None:
        try:
            await asyncio.to_thread(self._keep, self.champion)
        except Exception as error:
            logger.warning("can't save the served bundle: %s", error)

    def _say(self, topic: str, message: str) -> None:
        """Log a message unless it repeats the last one on this topic."""
        if message and self._last_messages.get(topic) != message:
            logger.warning("%s", message)
        self._last_messages[topic] = message


def _count(bundle: Bundle, failed: bool, align: float | None) -> None:
    ref = bundle.registered or bundle.generator
    labels = {"model": ref.name, "version": ref.version, "alias": ref.alias}
    metrics.CALLS.record(**labels, outcome="failed" if failed else "ok")
    if align is not None:
        metrics.ALIGN.record(align, **labels)
        if align > 0:  # Ray's counters reject 0
            metrics.ALIGN_SUM.record(align, **labels)


def align_of(scores: list[float]) -> float | None:
    """CLIP-Align of one text: the mean of its sentences' best scores over its photos; None for an empty text."""
    return math.fsum(scores) / len(scores) if scores else None
