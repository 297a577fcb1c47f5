"""What the worker provides to every adapter, in each environment: the package ``kit``."""
