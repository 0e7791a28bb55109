"""What each teacher's licence or terms allow, dated and with the source, and what a run was granted by them."""
