"""Distributionally Robust Data Pruning (DRoP) for FiftyOne."""
