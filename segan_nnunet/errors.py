"""The one exception for what a user can put right."""


class InputError(ValueError):
    """Input that breaks a rule. The message names the file or value, the rule, and the remedy."""
