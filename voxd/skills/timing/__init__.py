"""Timers, alarms and reminders while the daemon runs, and the rules of when they are due."""
