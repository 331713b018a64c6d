"""Benchmarks: ``./dev bench`` runs them all, ``./dev bench --help`` tells the rest."""
