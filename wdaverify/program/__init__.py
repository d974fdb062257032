"""Linear and mixed-integer programs as arrays, and the protocol of the solvers that read them."""
