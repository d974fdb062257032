"""Properties of networks: what VNN-LIB files say, exactly."""
