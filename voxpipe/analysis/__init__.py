"""After the call: what a log tells. Nothing of the live path imports it."""
