"""From a network and its bounds to linear and mixed-integer programs."""
