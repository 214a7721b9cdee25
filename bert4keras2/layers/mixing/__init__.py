"""What mixes the tokens of a text besides softmax attention: FLASH, linear forms, Synthesizer, token mixers."""
