"""What the figures say: goals, statistics, the verdict, and two reports held against each other."""
