"""Options of the corpus steps."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class IngestConfig:
    """Rules of paper section 3 and Appendix A for the raw reviews.

    Args:
        min_words: reviews with fewer words are left out.
        max_photos: reviews with more photos are left out (2.13% of GEST-raw).
        max_rejected: the step fails when a larger share of the lines than this is no review, or a second copy of one.
        block_kb: KiB of the file that one task reads; one shard each.
        max_line_kb: KiB; a longer line is rejected unread.
    """

    min_words: int = 5
    max_photos: int = 10
    max_rejected: float = 0.2
    block_kb: int = 8192
    max_line_kb: int = 1024


@dataclass(frozen=True)
class HttpConfig:
    """Manners of fetching from URLs; none of them changes what a photo holds.

    At most `tasks * connections` requests are open at once, at most `tasks * per_host` of them at one host.

    Args:
        hosts: that may be asked, and the hosts below them.
        allow_private: networks that may be asked though they are private or loopback, e.g. 10.1.0.0/16.
        addresses: IP address by host, in place of DNS (as curl's --resolve); checked like any other.
        tasks: Ray tasks that fetch side by side, a CPU each.
        connections: open at once, in each task.
        per_host: open at once at one host, in each task.
        tries: of one photo.
        backoff: upper bound of the random wait before the second try, doubled for each further one; s.
        try_seconds: of one try.
        seconds: of one photo, all tries, redirects and waits together.
    """

    hosts: tuple[str, ...] = ("googleusercontent.com", "ggpht.com")
    allow_private: tuple[str, ...] = ()
    addresses: dict[str, str] = field(default_factory=dict)
    tasks: int = 4
    connections: int = 32
    per_host: int = 16
    tries: int = 4
    backoff: float = 0.5
    try_seconds: float = 10.0
    seconds: float = 30.0


@dataclass(frozen=True)
class FetchConfig:
    """How photos are taken in.

    Args:
        max_side: photos are shrunk so that the shorter side has at most this many px; 0 keeps them as they are.
        max_bytes: a larger file is too_large.
        max_pixels: a photo with more is too_large, and never decoded.
        unit: photos that are fetched and stored together; as many at most are done again after a crash, per task.
        max_failed: the step fails if a larger share of the photos than this fails; not_found counts, expired doesn't.
        retry: statuses, joined by commas, whose photos are fetched again, e.g. failed,not_found; all others stay.
        http: manners of fetching, where photos come from URLs.
    """

    max_side: int = 256
    max_bytes: int = 20_000_000
    max_pixels: int = 30_000_000
    unit: int = 200
    max_failed: float = 0.2
    retry: str = ""
    http: HttpConfig = field(default_factory=HttpConfig)


@dataclass(frozen=True)
class BuildConfig:
    """Rules for GEST-s1 and GEST-s2.

    Args:
        threshold: a sentence is kept if some photo of its review scores at least this with the classifier.
        max_history: at most this many past reviews and photos of a user are kept a row.
    """

    threshold: float = 0.5
    max_history: int = 50
