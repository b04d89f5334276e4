"""Threads, and nothing about trading."""
