"""`report.html`: the whole comparison in one file that opens offline."""
