"""Pages, charts and summaries, drawn from the files that the stages leave in a run's folder."""
