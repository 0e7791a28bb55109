"""How often it alarms: thresholds fitted on earlier weeks, and what they do on later ones."""
