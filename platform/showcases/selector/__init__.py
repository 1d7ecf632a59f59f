"""The image selector: a DPP whose relevance is learned from users' photos and reviews (paper section 4.1)."""

from typing import TYPE_CHECKING

from showcases._lazy import on_first_use
from showcases.selector.config import Profile, SelectorConfig, TrainSelectorConfig

if TYPE_CHECKING:
    from showcases.selector.greedy import greedy_map
    from showcases.selector.kernel import deep_kernel, rbf_kernel
    from showcases.selector.likelihood import set_log_likelihood
    from showcases.selector.model import Selector
    from showcases.selector.predictor import SelectorPredictor
    from showcases.selector.profiles import user_profile

__all__ = [
    "Profile",
    "Selector",
    "SelectorConfig",
    "SelectorPredictor",
    "TrainSelectorConfig",
    "deep_kernel",
    "greedy_map",
    "rbf_kernel",
    "set_log_likelihood",
    "user_profile",
]

__getattr__ = on_first_use(
    __name__,
    {
        "Selector": "model",
        "SelectorPredictor": "predictor",
        "deep_kernel": "kernel",
        "greedy_map": "greedy",
        "rbf_kernel": "kernel",
        "set_log_likelihood": "likelihood",
        "user_profile": "profiles",
    },
)
