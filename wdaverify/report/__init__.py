"""Result files: what is written, and what a person reads."""
