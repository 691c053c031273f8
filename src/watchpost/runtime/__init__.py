"""Settings, wiring, and `flow.py`: the product on one page. The only room that reads the clock and the environment."""
