"""Target domains: images with ground truth, one file each."""

from hgenv.domains.domain import Domain, Pictures, baselines, measured

__all__ = ["Domain", "Pictures", "baselines", "measured"]
