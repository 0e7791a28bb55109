"""What an organisation's calls look like, beside those of the operator's other organisations.

`measure.signals_of` makes a column for each signal of `definitions.SIGNALS`, `standing.fit_standings` keeps how they
are distributed on earlier weeks, and `candidates.candidates_of` names the organisations that stand out.
"""
