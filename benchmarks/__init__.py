"""How fast CIFAR-10 training is here, beside the usual loop: `python -m benchmarks.cifar`."""
