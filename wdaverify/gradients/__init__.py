"""The second oracle: the largest dual norm of a gradient over the full-dimensional activation cells of a box."""
