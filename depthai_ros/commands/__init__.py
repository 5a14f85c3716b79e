"""Commands that users start from a shell."""
