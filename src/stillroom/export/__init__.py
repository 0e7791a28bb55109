"""What leaves a run for other tools: its data set in their forms, its student in theirs."""
