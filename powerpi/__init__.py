"""PowerPi counts the S0 pulses of electricity meters on a Raspberry Pi and shows true graphs of them."""

__version__ = "1.0.0"
