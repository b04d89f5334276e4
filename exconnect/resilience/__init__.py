"""Policies: how much, how often, how long, and when to stop. Each takes `now`; none sleeps, none sends."""
