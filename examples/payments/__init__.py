"""Is this card payment fraud? A generated stream with frauds put in, whose verdicts come minutes later."""
