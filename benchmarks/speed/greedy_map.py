"""Greedy MAP of many determinantal point processes: ours, batched, against the same algorithm in NumPy, set by set.

    python -m benchmarks.speed.greedy_map [--sets 4096] [--photos 36] [--k 3] [--plot docs/greedy_map.png]

The rival is algorithm 1 of Chen et al. 2018 as its authors publish it (fast-map-dpp): one set after the other, one
Cholesky row an item. Both get the same kernels in float32, and must choose the same photos. Beside the line, both are
timed over growing N and k.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import median_seconds, parse, print_line
from showcases.selector.greedy import greedy_map
from showcases.selector.kernel import deep_kernel

DIM, DELTA = 512, 0.01
SIZES, PICKS = (9, 18, 36, 72, 144, 288), (1, 2, 3, 5, 8, 12, 20)


def kernels(sets: int, photos: int, seed: int = 0) -> np.ndarray:
    """(sets, photos, photos) float32 of the selector's deep form, on photos alike as CLIP's are."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(sets, photos, DIM, generator=generator) + 1.2 * torch.randn(sets, 1, DIM, generator=generator)
    relevance = torch.randn(sets, photos, generator=generator).exp()
    return deep_kernel(relevance, images, torch.ones(sets, photos, dtype=torch.bool), DELTA).numpy()


def ours(matrices: np.ndarray, k: int) -> np.ndarray:
    kernel = torch.from_numpy(matrices)
    return greedy_map(kernel, torch.ones(kernel.shape[:2], dtype=torch.bool), k).numpy()


def set_by_set(matrices: np.ndarray, k: int) -> np.ndarray:
    return np.array([fast_map(matrix, k) for matrix in matrices])


def fast_map(kernel: np.ndarray, k: int) -> list[int]:
    """Items of one kernel (N, N) in the order of choice. Source: Chen et al. 2018, algorithm 1."""
    rows = np.zeros((k, len(kernel)), kernel.dtype)
    gains = np.copy(np.diag(kernel))
    chosen = [int(np.argmax(gains))]
    while len(chosen) < k:
        last, step = chosen[-1], len(chosen) - 1
        row = (kernel[last] - rows[:step, last] @ rows[:step]) / np.sqrt(gains[last])
        rows[step] = row
        gains -= np.square(row)
        gains[last] = -np.inf
        chosen.append(int(np.argmax(gains)))
    return chosen


def seconds(work: Callable[[np.ndarray, int], np.ndarray], matrices: np.ndarray, k: int, times: int = 5) -> float:
    """Median of some runs, after one that warms up."""
    return median_seconds(lambda _: work(matrices, k), times)


def scaling(sets: int, photos: int, k: int) -> dict[str, list[tuple[int, float, float]]]:
    """(size, ours, set by set) in µs a set, over N at fixed k and over k at fixed N."""
    found: dict[str, list[tuple[int, float, float]]] = {"N": [], "k": []}
    largest = kernels(sets, photos)
    for name, values in (("N", SIZES), ("k", PICKS)):
        for value in values:
            matrices = kernels(sets, value) if name == "N" else largest
            picks = k if name == "N" else value
            times = (seconds(work, matrices, picks, 3) / sets * 1e6 for work in (ours, set_by_set))
            found[name].append((value, *times))
            print(f"{name} = {value:<4} ours {found[name][-1][1]:8.1f} µs a set, set by set {found[name][-1][2]:8.1f}")
    return found


def plot(found: dict[str, list[tuple[int, float, float]]], photos: int, k: int, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
    titles = {"N": f"{k} photos chosen", "k": f"of {photos} photos"}
    labels = {"N": "photos of a set (N)", "k": "photos chosen (k)"}
    for axis, (name, rows) in zip(axes, found.items(), strict=True):
        sizes, mine, theirs = zip(*rows, strict=True)
        axis.loglog(sizes, theirs, "s--", color="0.45", label="NumPy, set by set")
        axis.loglog(sizes, mine, "o-", color="C0", label="ours, batched")
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.minorticks_off()
        axis.set_title(titles[name])
        axis.set_xlabel(labels[name])
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("µs a set")
    axes[0].legend()
    figure.savefig(path, dpi=150)


def main(argv: Sequence[str] | None = None) -> None:
    plotted = "PNG of the scaling; without it nothing is timed but the line"
    sizes = {"sets": (4096, None), "photos": (36, "of a set"), "k": (3, "photos chosen")}
    options = parse(__doc__, argv, **sizes, plot=(Path, plotted))
    matrices = kernels(options.sets, options.photos)
    same = (ours(matrices, options.k) == set_by_set(matrices, options.k)).all(1).mean()
    print(f"{same:.2%} of {options.sets:,} sets have the same {options.k} photos in the same order")
    if same < 0.999:
        raise SystemExit("error: the two do not choose alike: nothing is compared")
    if options.plot:
        plot(scaling(512, options.photos, options.k), options.photos, options.k, options.plot)
    mine, theirs = (seconds(work, matrices, options.k) for work in (ours, set_by_set))
    rates = (options.sets / mine, options.sets / theirs)
    print_line("greedy_map", theirs / mine, *rates, "sets/s")


if __name__ == "__main__":
    main()
