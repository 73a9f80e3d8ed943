"""Benchmarks against rivals, on one thread each: BLAS reads that when NumPy is first imported, XLA when JAX is."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[_name] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["NPROC"] = "1"  # the size of XLA's pool for loops: the flag limits products of matrices only
