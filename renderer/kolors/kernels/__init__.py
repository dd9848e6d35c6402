"""The same numbers sooner: which kernels multiply and attend, and code compiled for them."""
