"""The service follows the catalog: what `jobs.publish` publishes is read by every process within `reload_s`."""

import asyncio
import logging

from showcases.catalog import Catalog

logger = logging.getLogger("ray.serve")


def follow(catalog: Catalog, reload_s: float) -> "asyncio.Task[None] | None":
    """Go over to new versions in the background; the caller holds the task. None in a plain script, without a loop."""
    try:
        return asyncio.get_running_loop().create_task(_look(catalog, reload_s))
    except RuntimeError:
        return None


async def _look(catalog: Catalog, reload_s: float) -> None:
    """For ever. Whatever goes wrong is logged once, and the version that is open goes on."""
    said = ""
    while True:
        await asyncio.sleep(reload_s)
        try:
            if await asyncio.to_thread(catalog.refresh):
                logger.warning("the catalog is now %s", catalog.version)
            said = ""
        except Exception as error:  # a store may fail in any way it likes
            if str(error) != said:
                logger.warning("the catalog can't be looked at: %s; going on with %s", error, catalog.version)
            said = str(error)
