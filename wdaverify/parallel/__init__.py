"""Work in parallel behind one seam, `concurrent.futures.Executor`."""
