"""The one exception that is the user's to mend."""


class UserError(Exception):
    """Bad input: one line with what is wrong and what would be right.

    The command prints the message on standard error and exits with status 2;
    everything else is a defect of ours and keeps its traceback.
    """

    told = False  # whether another process of the same run prints it
