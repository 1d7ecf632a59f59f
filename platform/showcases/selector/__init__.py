"""The image selector: a DPP whose relevance is learned from users' photos and reviews (paper section 4.1)."""

from showcases.selector.config import Profile, SelectorConfig, TrainSelectorConfig
from showcases.selector.model import Selector
from showcases.selector.predictor import SelectorPredictor
from showcases.selector.profiles import user_profile

__all__ = ["Profile", "Selector", "SelectorConfig", "SelectorPredictor", "TrainSelectorConfig", "user_profile"]
