"""Options of the corpus steps."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class IngestConfig:
    """Rules of paper section 3 and Appendix A for the raw reviews.

    Args:
        min_words: reviews with fewer words are dropped.
        max_photos: reviews with more photos are dropped (2.13% of GEST-raw).
        max_rejected: the step fails if a larger share of lines is invalid or duplicate.
        block_kb: KiB of the file per task and shard.
        max_line_kb: KiB; a longer line is rejected unread.
    """

    min_words: int = 5
    max_photos: int = 10
    max_rejected: float = 0.2
    block_kb: int = 8192
    max_line_kb: int = 1024


@dataclass(frozen=True)
class HttpConfig:
    """Options of downloading from URLs; none of them affects a photo's content.

    At most `tasks * connections` requests are open at once, at most `tasks * per_host` per host.

    Args:
        hosts: allowed hosts; includes their subdomains.
        allow_private: private or loopback networks to allow, e.g. 10.1.0.0/16.
        addresses: IP address by host, in place of DNS (as curl's --resolve); checked like any other.
        tasks: concurrent Ray tasks, one CPU each.
        connections: open connections per task.
        per_host: open connections per host and task.
        tries: per photo.
        backoff: upper bound of the random wait before the first retry, doubled for each further one; s.
        try_seconds: timeout of one try.
        seconds: timeout of one photo, including all tries, redirects and waits.
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
    """Options of fetching photos.

    Args:
        max_side: photos are downscaled to at most this many px on the shorter side; 0 disables downscaling.
        max_bytes: a larger file is too_large.
        max_pixels: a photo with more is too_large and is not decoded.
        unit: photos fetched and stored together; at most this many per task are repeated after a crash.
        max_failed: the step fails if a larger share of the photos than this fails; not_found counts, expired doesn't.
        retry: comma-separated statuses whose photos are fetched again, e.g. failed,not_found.
        http: options of downloading from URLs.
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
        threshold: minimum classifier score of a sentence with some photo of its review.
        max_history: maximum number of the user's past reviews and photos per row.
    """

    threshold: float = 0.5
    max_history: int = 50
