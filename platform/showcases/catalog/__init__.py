"""The serving store: photos and reviews by business and by user, in LanceDB.

It answers one request's lookups by index, without loading the corpus into memory.
"""

from showcases.catalog.filters import CatalogError, IdTakenError, NotFoundError
from showcases.catalog.listing import Page, Place
from showcases.catalog.location import located
from showcases.catalog.locks import BusyError, Locks
from showcases.catalog.rows import BusinessSummary, Photo, PhotoRows, ReviewRows, UserSummary
from showcases.catalog.schema import photos_schema, reviews_schema
from showcases.catalog.store import Catalog

__all__ = [
    "BusinessSummary",
    "BusyError",
    "Catalog",
    "CatalogError",
    "IdTakenError",
    "Locks",
    "NotFoundError",
    "Page",
    "Photo",
    "PhotoRows",
    "Place",
    "ReviewRows",
    "UserSummary",
    "located",
    "photos_schema",
    "reviews_schema",
]
