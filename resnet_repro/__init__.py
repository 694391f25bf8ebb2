"""Deep Residual Learning for Image Recognition (He et al., 2015), rerun artifact by artifact."""

__version__ = "0.1.0"
