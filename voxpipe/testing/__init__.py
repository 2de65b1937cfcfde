"""Public peers, as ``trio.testing`` is public: a caller, a provider, a bad network, and signals."""
