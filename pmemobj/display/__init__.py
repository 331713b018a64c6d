"""Displays: a frozen Summary of what to show, rendered as text or HTML by pure functions."""
