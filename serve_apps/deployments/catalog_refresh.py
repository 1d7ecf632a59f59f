"""Polls for new catalog versions: every process switches to what `jobs.publish` published within `reload_s`."""

import asyncio
import logging

from showcases.catalog import Catalog

logger = logging.getLogger("ray.serve")


def follow(catalog: Catalog, reload_s: float) -> "asyncio.Task[None] | None":
    """Start polling in the background; the caller must hold the task. None without a running event loop."""
    try:
        return asyncio.get_running_loop().create_task(_poll(catalog, reload_s))
    except RuntimeError:
        return None


async def _poll(catalog: Catalog, reload_s: float) -> None:
    """Poll forever. Errors are logged once; the open version stays in use."""
    last_error = ""
    while True:
        await asyncio.sleep(reload_s)
        try:
            if await asyncio.to_thread(catalog.refresh):
                logger.warning("the catalog is now %s", catalog.version)
            last_error = ""
        except Exception as error:  # any failure of the store
            if str(error) != last_error:
                logger.warning("can't check for a new catalog: %s; still using %s", error, catalog.version)
            last_error = str(error)
