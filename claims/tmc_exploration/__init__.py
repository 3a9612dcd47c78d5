"""Bu et al., Consistency Is Not Always Correct: exploration and forgetting in a layered Markov chain of reasoning."""
