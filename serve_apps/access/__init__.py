"""Who may ask, how much, and for how long: keys, limits, deadlines and bounded queues, as plain ASGI and asyncio.

Nothing here knows of Ray: `protect` wraps the FastAPI application that `serve_apps.api.app` makes.
"""
