"""bonexray: leak-free, reproducible comparison of networks on bone X-rays."""
