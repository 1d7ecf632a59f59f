"""Greedy MAP against determinants: step by step, and against all sets where there are few."""

import itertools

import numpy as np
import pytest
import torch

from showcases.selector.greedy import greedy_map


def _kernel(size: int, rank: int, seed: int) -> torch.Tensor:
    factor = torch.randn(size, rank, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return factor @ factor.T


def _by_determinants(kernel: torch.Tensor, items: list[int], k: int) -> list[int]:
    """The slow truth: try each item, take the determinant, keep the best; end where all are 0."""
    matrix = kernel.double().numpy()
    chosen: list[int] = []
    while len(chosen) < k:
        rest = [item for item in items if item not in chosen]
        if not rest:
            break
        gains = [np.linalg.det(matrix[np.ix_([*chosen, item], [*chosen, item])]) for item in rest]
        before = np.linalg.det(matrix[np.ix_(chosen, chosen)]) if chosen else 1.0
        if max(gains) / before < 1e-9 * matrix.diagonal().max():
            break
        chosen.append(rest[int(np.argmax(gains))])
    return chosen


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_greedy_search_by_determinants(dtype: torch.dtype) -> None:
    kernels = torch.stack([_kernel(12, 12, seed) for seed in range(50)])
    mask = torch.rand(50, 12, generator=torch.Generator().manual_seed(0)) < 0.8
    chosen = greedy_map(kernels.to(dtype), mask, 5)
    for row in range(50):
        expected = _by_determinants(kernels[row], mask[row].nonzero().flatten().tolist(), 5)
        assert [item for item in chosen[row].tolist() if item >= 0] == expected


def test_is_never_better_than_all_sets_and_seldom_much_worse() -> None:
    ratios = []
    for seed in range(30):
        kernel = _kernel(8, 8, seed)
        chosen = greedy_map(kernel[None], torch.ones(1, 8, dtype=torch.bool), 3)[0].tolist()
        best = max(float(torch.det(kernel[list(y)][:, list(y)])) for y in itertools.combinations(range(8), 3))
        ratios.append(float(torch.det(kernel[chosen][:, chosen])) / best)
    assert max(ratios) <= 1 + 1e-9
    assert np.mean(np.isclose(ratios, 1.0)) > 0.5


def test_independent_items_come_in_the_order_of_their_quality() -> None:
    kernel = torch.diag(torch.tensor([0.3, 2.0, 0.7, 1.1]))[None]
    assert greedy_map(kernel, torch.ones(1, 4, dtype=torch.bool), 3).tolist() == [[1, 3, 2]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_stops_where_the_rank_is_spent(dtype: torch.dtype, scale: float) -> None:
    """An absolute tolerance would give more items at a large scale and fewer at a small one."""
    for rank in (1, 3, 6):
        kernels = torch.stack([_kernel(20, rank, seed) for seed in range(10)])
        chosen = greedy_map((scale * kernels).to(dtype), torch.ones(10, 20, dtype=torch.bool), 10)
        assert ((chosen >= 0).sum(1) == rank).all()
        assert (chosen[:, rank:] == -1).all()


def test_an_item_of_little_relevance_is_still_an_item() -> None:
    kernel = torch.diag(torch.tensor([1e6, 1e-6]))[None]
    assert greedy_map(kernel, torch.ones(1, 2, dtype=torch.bool), 2).tolist() == [[0, 1]]


def test_exact_duplicates_are_chosen_once() -> None:
    images = torch.nn.functional.normalize(torch.randn(3, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    images = images[[0, 1, 0, 2, 1, 0]]
    chosen = greedy_map((images @ images.T)[None], torch.ones(1, 6, dtype=torch.bool), 6)[0].tolist()
    assert sorted(chosen[:3]) == [0, 1, 3]
    assert chosen[3:] == [-1, -1, -1]


def test_asks_for_more_than_there_is() -> None:
    kernel = torch.stack([_kernel(3, 3, 0), _kernel(3, 3, 1), _kernel(3, 3, 2)])
    mask = torch.tensor([[True, True, True], [False, True, False], [False, False, False]])
    chosen = greedy_map(kernel, mask, 5)
    assert chosen.shape == (3, 5)
    assert sorted(chosen[0, :3].tolist()) == [0, 1, 2]
    assert chosen[0, 3:].tolist() == [-1, -1]
    assert chosen[1].tolist() == [1, -1, -1, -1, -1]
    assert chosen[2].tolist() == [-1] * 5


def test_a_batch_is_its_rows() -> None:
    kernels = torch.stack([_kernel(10, 4 + seed % 5, seed) for seed in range(20)])
    mask = torch.ones(20, 10, dtype=torch.bool)
    together = greedy_map(kernels, mask, 6)
    alone = torch.cat([greedy_map(kernels[row : row + 1], mask[:1], 6) for row in range(20)])
    assert torch.equal(together, alone)
